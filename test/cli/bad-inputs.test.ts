/** Bad inputs: each a clear coded error on stderr, exit code 1 (2 for wrong usage), no stack, and nothing written. */
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { encodeSafetensors } from "../../src/runtime/files/safetensors.ts";
import { hostTensor } from "../../src/runtime/files/tensor.ts";
import { golden, llama, scratch, tinyLlama, webpeft } from "./helpers.ts";

const folder = scratch();
const batch = join(golden, "cases/llama-lora/inputs.safetensors");
let files = 0;

function file(content: string | Uint8Array, name = `input${files++}`): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

const config = (fields: Record<string, unknown>): string =>
  file(JSON.stringify({ peft_type: "LORA", target_modules: ["q_proj"], ...fields }), `config${files++}.json`);
const good = config({ r: 4 });

/** A copy of a golden folder with one file changed. */
function changed(source: string, name: string, change: (bytes: Buffer) => Uint8Array | string): string {
  const target = join(folder, `copy${files++}`);
  mkdirSync(target);
  cpSync(source, target, { recursive: true });
  const before = existsSync(join(source, name)) ? readFileSync(join(source, name)) : Buffer.alloc(0);
  writeFileSync(join(target, name), change(before));
  return target;
}

const train = (more: Record<string, string> = {}, flags: readonly string[] = []): string[] => {
  const all = { model: llama, config: good, data: batch, steps: "1", device: "cpu", ...more };
  return ["train", ...Object.entries(all).flatMap(([name, value]) => [`--${name}`, value]), ...flags];
};

const withoutTokenizer = (): string => llama;
const loraCase = join(golden, "cases/llama-lora");
const evaluate = (adapter: string): string[] => [
  "eval",
  "--model",
  llama,
  "--adapter",
  adapter,
  "--input",
  batch,
  "--device",
  "cpu",
];

function nanModel(): string {
  return changed(llama, "model.safetensors", (bytes) => {
    const copy = Buffer.from(bytes);
    copy.writeFloatLE(Number.NaN, copy.length - 8);
    return copy;
  });
}

function adapterWith(change: (tensors: Map<string, { shape: number[]; data: Float32Array }>) => void): string {
  return changed(loraCase, "adapter_model.safetensors", (bytes) => {
    const length = Number(bytes.readBigUInt64LE(0));
    const header = JSON.parse(bytes.subarray(8, 8 + length).toString()) as Record<
      string,
      { shape: number[]; data_offsets: [number, number] }
    >;
    const tensors = new Map(
      Object.entries(header).flatMap(([key, entry]) => {
        if (key === "__metadata__") return [];
        const [from, to] = entry.data_offsets;
        const data = new Float32Array(new Uint8Array(bytes.subarray(8 + length + from, 8 + length + to)).buffer);
        return [[key, { shape: entry.shape, data }] as const];
      }),
    );
    change(tensors);
    return encodeSafetensors(
      new Map([...tensors].map(([key, { shape, data }]) => [key, hostTensor("F32", shape, data)])),
    );
  });
}

const firstKey = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight";

const cases: readonly (readonly [string, () => string[], RegExp])[] = [
  ["a field of the wrong type", () => train({ config: config({ r: "eight" }) }), /CONFIG-.*\br\b/s],
  ["a field out of range", () => train({ config: config({ r: 0 }) }), /CONFIG-|METHOD-/],
  ["targets that match nothing", () => train({ config: config({ target_modules: ["nope"] }) }), /nope.*not found/s],
  [
    "a BOFT block that does not divide",
    () => train({ config: config({ peft_type: "BOFT", boft_block_size: 5 }) }),
    /METHOD-CONSTRAINT.*divisible/s,
  ],
  [
    "an adjusted OFT block under --strict",
    () => train({ config: config({ peft_type: "OFT", oft_block_size: 7, r: 0 }) }, ["--strict"]),
    /METHOD-CONSTRAINT/,
  ],
  ["an unknown method", () => train({ config: config({ peft_type: "LORAX" }) }), /LORAX.*LORA/s],
  ["a config that is not JSON", () => train({ config: file("{oops") }), /FILE-JSON.*:1:2\b/s],
  ["a missing model folder", () => train({ model: join(folder, "nowhere") }), /FILE-NOT-FOUND/],
  [
    "a truncated model file",
    () => train({ model: changed(llama, "model.safetensors", (b) => b.subarray(0, b.length - 100)) }),
    /FILE-SAFETENSORS/,
  ],
  [
    "a lying header",
    () =>
      train({
        model: changed(llama, "model.safetensors", (b) =>
          Buffer.concat([Buffer.from([255, 255, 255, 255, 255, 255, 255, 127]), b.subarray(8)]),
        ),
      }),
    /FILE-SAFETENSORS-HEADER/,
  ],
  ["a weight of NaN", () => train({ model: nanModel() }), /DATA-TENSOR-NOT-FINITE/],
  [
    "another shape than the config says",
    () =>
      train({
        model: changed(llama, "config.json", (b) =>
          b.toString().replace('"intermediate_size": 48', '"intermediate_size": 40'),
        ),
      }),
    /MODEL-WEIGHT-SHAPE.*40.*48/s,
  ],
  [
    "a layer too many in the config",
    () =>
      train({
        model: changed(llama, "config.json", (b) =>
          b.toString().replace('"num_hidden_layers": 2', '"num_hidden_layers": 3'),
        ),
      }),
    /MODEL-WEIGHT-MISSING/,
  ],
  [
    "an unknown model type",
    () =>
      train({
        model: changed(llama, "config.json", (b) =>
          b.toString().replace('"model_type": "llama"', '"model_type": "mamba"'),
        ),
      }),
    /MODEL-TYPE/,
  ],
  [
    "an adapter that lacks a tensor",
    () => evaluate(adapterWith((t) => t.delete(firstKey))),
    /FILE-ADAPTER-MISSING.*lora_A/s,
  ],
  [
    "an adapter tensor of another shape",
    () => evaluate(adapterWith((t) => t.set(firstKey, { shape: [2, 2], data: new Float32Array(4) }))),
    /FILE-ADAPTER-SHAPE.*size mismatch/s,
  ],
  [
    "an extra adapter tensor under --strict",
    () => [...evaluate(adapterWith((t) => t.set("extra", { shape: [1], data: new Float32Array(1) }))), "--strict"],
    /FILE-ADAPTER-UNEXPECTED|extra/,
  ],
  ["empty data", () => train({ model: tinyLlama, data: file("", `empty${files++}.txt`) }), /DATA-EMPTY/],
  [
    "labels that are all masked",
    () =>
      train({
        model: tinyLlama,
        length: "4",
        data: file('{"prompt":"a long prompt that fills it all","completion":"x"}\n', `masked${files++}.jsonl`),
      }),
    /DATA-LABELS-MASKED/,
  ],
  [
    "a line that is not JSON",
    () => train({ model: tinyLlama, data: file('{"text":"fine"}\n{"text": nothing}\n', `broken${files++}.jsonl`) }),
    /DATA-LINE.*:2:10\b/s,
  ],
  [
    "a line of no known kind",
    () => train({ model: tinyLlama, data: file('{"text":"fine"}\n{"txt":1}\n', `line${files++}.jsonl`) }),
    /DATA-LINE.*:2/s,
  ],
  [
    "an array in the place of lines",
    () => train({ model: tinyLlama, data: file('[{"text":"a"},{"text":"b"}]\n', `array${files++}.jsonl`) }),
    /DATA-LINE.*an array.*:1\b.*jq -c/s,
  ],
  [
    "an array over several lines",
    () => train({ model: tinyLlama, data: file('[\n{"text":"a"},\n{"text":"b"}\n]\n', `array${files++}.jsonl`) }),
    /DATA-LINE.*not valid JSON.*:1:2.*jq -c '\.\[\]'/s,
  ],
  [
    "an example over several lines",
    () => train({ model: tinyLlama, data: file('{\n"text":"a"\n}\n', `lines${files++}.jsonl`) }),
    /DATA-LINE.*not valid JSON.*:1:2.*jq -c \. FILE/s,
  ],
  ["a folder of data", () => train({ data: tinyLlama }), /FILE-NOT-A-FILE.*got: +a folder/s],
  [
    "weights for a model",
    () => train({ model: join(llama, "model.safetensors") }),
    /NOT-A-FOLDER.*give the folder: \S*llama\n/s,
  ],
  [
    "a name of the Hub",
    () => train({ model: "owner/name-1.5" }),
    /NOT-FOUND.*huggingface\.co\/owner\/name-1\.5\/resolve\/main/s,
  ],
  ["an adapter for a model", () => train({ model: loraCase }), /FILE-NOT-FOUND.*holds an adapter/s],
  ["a model for an adapter", () => evaluate(llama), /FILE-NOT-FOUND.*holds a model/s],
  [
    "weights for a config",
    () => train({ config: join(loraCase, "adapter_model.safetensors") }),
    /FILE-NOT-UTF8.*weights/s,
  ],
  [
    "a head that reads a decoder, for an encoder alone",
    () =>
      train({
        model: join(golden, "bases/t5-encoder"),
        config: config({ target_modules: ["q"], task_type: "SEQ_CLS" }),
        labels: "2",
      }),
    /MODEL-WEIGHT-MISSING.*decoder.*the head that was asked for/s,
  ],
  [
    "text for a model without a tokenizer",
    () => train({ model: withoutTokenizer(), data: file("some text", `text${files++}.txt`) }),
    /DATA-TOKENIZER-MISSING/,
  ],
  [
    "a token that the model does not have",
    () =>
      train({
        data: file(
          encodeSafetensors(
            new Map([
              ["input_ids", hostTensor("I32", [1, 2], Int32Array.of(1, 999))],
              ["labels", hostTensor("I32", [1, 2], Int32Array.of(1, 2))],
            ]),
          ),
          `ids${files++}.safetensors`,
        ),
      }),
    /DATA-TOKEN-RANGE.*999/s,
  ],
  ["data of no known kind", () => train({ data: file("x", `data${files++}.csv`) }), /DATA-KIND/],
];

describe("bad input", () => {
  it.each(cases)("%s", (_name, args, expected) => {
    const out = join(folder, `out${files++}`);
    const { code, stderr } = webpeft([...args(), "--out", out]);
    expect(stderr).toMatch(expected);
    expect(stderr).toMatch(/^error [A-Z]+(-[A-Z0-9]+)+: /m);
    expect(stderr).not.toMatch(/DEFECT|\n\s+at /);
    expect([code, existsSync(out)]).toEqual([1, false]);
  });

  it("a prompt that cannot be continued is not written", () => {
    const model = changed(tinyLlama, "generation_config.json", () => '{"eos_token_id": "</s>"}');
    const args = ["generate", "--model", model, "--prompt", "the", "--max-tokens", "2", "--device", "cpu"];
    const { code, stdout, stderr } = webpeft(args);
    expect([code, stdout, stderr]).toEqual([1, "", expect.stringContaining("MODEL-FIELD")]);
  });

  it("a full disk leaves nothing half-written", () => {
    const out = join(folder, "full");
    const { code, stderr } = webpeft(["init", "--model", tinyLlama, "--config", good, "--out", out], {
      shell: 'ulimit -f 8; exec "$@"',
    });
    expect([code, stderr, existsSync(out)]).toEqual([1, expect.stringContaining("FILE-DISK-FULL"), false]);
  });

  it("an output that is not empty is not touched", () => {
    const out = join(folder, "taken");
    mkdirSync(out);
    writeFileSync(join(out, "mine"), "mine");
    const { code, stderr } = webpeft(train({ out }));
    expect([code, stderr]).toEqual([1, expect.stringContaining("FILE-OUTPUT-EXISTS")]);
    expect(readFileSync(join(out, "mine"), "utf8")).toBe("mine");
  });

  it("wrong usage exits with 2", () => {
    expect(webpeft(["train", "--bogus"]).code).toBe(2);
    expect(webpeft(train({ lr: "fast", out: join(folder, "x") })).code).toBe(2);
    const senseless: [string[], string][] = [
      [[...evaluate(loraCase), "--merged", "--grad"], "CLI-GRAD"],
      [["eval", "--model", llama, "--input", batch, "--grad"], "CLI-GRAD"],
      [["train", "--model", llama, "--data", batch, "--steps", "1", "--device", "cpu"], "CLI-SOURCES"],
      [train({ adapter: loraCase }), "CLI-SOURCES"],
    ];
    for (const [args, wanted] of senseless) {
      const { code, stderr } = webpeft([...args, "--out", join(folder, "y")]);
      expect([code, stderr]).toEqual([2, expect.stringContaining(`error ${wanted}: `)]);
    }
    expect(existsSync(join(folder, "y"))).toBe(false);
  });
});
