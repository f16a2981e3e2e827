/** Generated text: how it begins, how it comes, where it ends, and how far back it looks. */
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { compile, generateText, loadModel, type Model, type Session, type TextTokenizer } from "../../src/index.ts";
import { TextStream } from "../../src/runtime/data/text-stream.ts";
import { recordTree } from "../../src/runtime/files/folder.ts";
import { endTokens, promptTokens } from "../../src/runtime/session/generate.ts";
import { golden, webpeft } from "../cli/helpers.ts";
import { failure } from "../files/helpers.ts";
import {
  around,
  byteTokenizer,
  chainModel,
  goldenWithText,
  load,
  spmTokenizer,
  unigramTokenizer,
} from "./tokenizers.ts";

const letters = "abcdefghijklmnopqrstuvwxyz :?!.ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const session = async (model: Model, length: number): Promise<Session> =>
  (await compile(model, null, { mode: "infer", batch: 1, length })).start({ device: "cpu" });

describe("a text that comes token by token", () => {
  const text = "a😀漢é!";
  let model: Model;
  let tokenizer: TextTokenizer;
  let running: Session;
  beforeAll(async () => {
    ({ model, tokenizer } = await chainModel(byteTokenizer(text), text));
    running = await session(model, 16);
  });

  const generate = async (maxTokens: number): Promise<{ whole: string; pieces: string[] }> => {
    const pieces: string[] = [];
    const onText = (piece: string) => pieces.push(piece);
    const whole = await generateText(running, tokenizer, "a", { maxTokens, onText });
    return { whole, pieces: pieces.filter((piece) => piece !== "") };
  };

  it("comes in whole characters", async () => {
    expect(await generate(20)).toEqual({ whole: text, pieces: ["😀", "漢", "é", "!"] });
  });

  it("shows at its end that it is cut within one", async () => {
    expect(await generate(6)).toEqual({ whole: "a😀\ufffd", pieces: ["😀", "\ufffd"] });
  });

  it("loses nothing, whatever the decoder takes out", async () => {
    const texts = [
      "hi ?!",
      "yes , hi .",
      "hi 'm yes",
      "😀😀 ÿ",
      "hi\ufffd\ufffdyes\ufffd",
      "n't n't",
      "yes  ",
      "hi ' yes",
    ];
    const byte = byteTokenizer(`${letters}éÿ😀漢\ufffd,' `, ["<end>"], { clean_up_tokenization_spaces: true });
    const kinds = [
      byte.files,
      spmTokenizer("normalizer", ""),
      unigramTokenizer(),
      unigramTokenizer({ clean_up_tokenization_spaces: true }),
    ];
    for (const tokenizer of await Promise.all(kinds.map((files) => load(files)))) {
      for (const text of texts) {
        const ids = tokenizer.encode(text);
        for (let prompt = 1; prompt < ids.length; prompt++) {
          const stream = new TextStream(tokenizer, ids.slice(0, prompt));
          const pieces = ids.slice(prompt).map((_id, i) => stream.next(ids.slice(0, prompt + i + 1)));
          const told = [...pieces, stream.end(ids)].join("");
          expect(tokenizer.decode(ids).endsWith(told)).toBe(true);
          const typed = tokenizer.decode(ids.slice(0, prompt)).replaceAll(/[\ufffd ]/g, "");
          expect((typed + told).replaceAll(/[\ufffd ]/g, "")).toBe(tokenizer.decode(ids).replaceAll(/[\ufffd ]/g, ""));
        }
      }
    }
  });

  it("keeps its blanks, but those that its config takes out of texts that are not BPE's", async () => {
    const decoded = async (files: Parameters<typeof load>[0]) => {
      const tokenizer = await load(files);
      return tokenizer.decode(tokenizer.encode("hi ?!"));
    };
    const cleaned = { clean_up_tokenization_spaces: true };
    expect(await decoded(byteTokenizer(letters, ["<end>"], cleaned).files)).toBe("hi ?!");
    expect(await decoded(unigramTokenizer(cleaned))).toBe("hi?!");
    expect(await decoded(unigramTokenizer())).toBe("hi ?!");
  });
});

describe("the tokens of a prompt", () => {
  const framed = (front?: string, back?: string) =>
    load(byteTokenizer("ab", ["</s>", "<s>"], { bos_token: "<s>" }, { post: around(front, back) }).files);

  it("have in front what the tokenizer puts there, once, and nothing behind", async () => {
    const tokenizer = await framed("<s>", "</s>");
    expect(promptTokens(tokenizer, "ab")).toEqual([3, 0, 1]);
    expect(promptTokens(tokenizer, "<s>ab")).toEqual([3, 0, 1]);
    expect(promptTokens(tokenizer, "")).toEqual([3]);
    expect(promptTokens(await framed(), "ab")).toEqual([0, 1]);
    expect(promptTokens(await framed(), "")).toEqual([3]);
    const { files } = byteTokenizer("ab");
    const without = await load(files);
    expect(await failure(() => promptTokens(without, ""))).toMatchObject({ code: "DATA-PROMPT" });
  });

  it("do not show where they are special, listed as added or not", async () => {
    const { files } = byteTokenizer("ab", ["</s>", "<s>"], { bos_token: "<s>" });
    const json = JSON.parse(files["tokenizer.json"]!);
    const tokenizer = await load({ ...files, "tokenizer.json": JSON.stringify({ ...json, added_tokens: [] }) });
    expect(tokenizer.encode("<s>ab</s>")).toEqual([3, 0, 1, 2]);
    expect(tokenizer.decode([3, 0, 1, 2])).toBe("ab");
    expect(tokenizer.decode([3])).toBe("");
  });
});

describe("the end of a text", () => {
  const model = (generation?: string): Promise<readonly number[]> => {
    const tree = recordTree(generation === undefined ? {} : { "generation_config.json": generation });
    return endTokens({ tree } as Model, [2]);
  };

  it.each([
    [undefined, [2]],
    ["{}", [2]],
    ['{"eos_token_id": null}', [2]],
    ['{"eos_token_id": 5}', [5]],
    ['{"eos_token_id": [5, 6, 7]}', [5, 6, 7]],
  ])("%s", async (generation, expected) => {
    expect(await model(generation)).toEqual(expected);
  });

  it("is refused where it is no token", async () => {
    expect(await failure(() => model('{"eos_token_id": "</s>"}'))).toMatchObject({ code: "MODEL-FIELD" });
    expect(await failure(() => model("{"))).toMatchObject({ code: "FILE-JSON" });
  });

  it("is where the generation config says", async () => {
    const { model, tokenizer } = await chainModel(byteTokenizer("QAEB", ["<end>", "<eot>"]), "QAEB");
    const E = tokenizer.encode("E")[0]!;
    const tree = recordTree({ "generation_config.json": JSON.stringify({ eos_token_id: [5, E] }) });
    const running = await session({ ...model, tree }, 8);
    expect(await generateText(running, tokenizer, "Q", { maxTokens: 8 })).toBe("QA");
    running.dispose();
  });
});

describe("a text that outgrows the model", () => {
  it("is told of once, in programs of any length", async () => {
    const model = await loadModel(goldenWithText("llama", letters));
    const tokenizer = await load(byteTokenizer(letters).files);
    const run = async (length: number) => {
      const [running, codes] = [await session(model, length), [] as string[]];
      const warn = ({ code }: { code: string }) => codes.push(code);
      const text = await generateText(running, tokenizer, "abcdefgh", { maxTokens: 12, warn });
      running.dispose();
      return { text, codes };
    };
    const [whole, enough, short] = [await run(64), await run(19), await run(10)];
    expect(whole.codes).toEqual([]);
    expect(enough).toEqual(whole);
    expect(short.codes).toEqual(["GENERATE-WINDOW"]);
  });

  it("is given all places that the adapter's virtual tokens leave", () => {
    const adapter = join(golden, "cases/gpt2-prefix-tuning");
    const args = ["generate", "--model", goldenWithText("gpt2", letters), "--adapter", adapter, "--device", "cpu"];
    const { code, stdout, stderr } = webpeft([...args, "--prompt", "hello", "--max-tokens", "40"]);
    expect([code, stdout.slice(0, 5)]).toEqual([0, "hello"]);
    expect(stderr).toMatch(/GENERATE-WINDOW.*last 29 tokens/);
  });
});
