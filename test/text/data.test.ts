/** Data files: what they must be, and what is said of examples that do not fit. */

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { jsonLinesExamples } from "../../src/index.ts";
import { openDataset } from "../../src/runtime/data/dataset.ts";
import { webpeft } from "../cli/helpers.ts";
import { failure, temporaryFolder } from "../files/helpers.ts";
import { byteTokenizer, goldenWithText, load } from "./tokenizers.ts";

const { files } = byteTokenizer(`${String.fromCharCode(...Array(128).keys())}éÿ😀漢`);

function open(name: string, content: Uint8Array | string, length = 64) {
  const path = join(temporaryFolder(), name);
  writeFileSync(path, content);
  const fixed = {
    batch: 1,
    accumulate: 1,
    seed: 0,
    shuffle: false,
    padToken: 0,
    head: { kind: "causal", classes: 8 },
  } as const;
  return openDataset(path, { ...fixed, length, tokenizer: () => load(files) });
}

const latin = (text: string): Buffer => Buffer.from(text, "latin1");
const utf16 = (text: string): Buffer => Buffer.from(text, "utf16le");

describe("data that is not UTF-8", () => {
  it.each([
    ["a.jsonl", latin('{"text": "abc"}\n{"text": "caf\xe9"}\n'), 2],
    ["a.txt", latin("one\ntwo\ncaf\xe9 again\n"), 3],
    ["cut.txt", Buffer.from("one\ncafé").subarray(0, -1), 2],
    ["cut.jsonl", Buffer.from('{"text": "漢').subarray(0, -1), 1],
    ["utf16.txt", utf16("abc def"), 1],
    ["utf16.jsonl", Buffer.concat([Buffer.from([0xff, 0xfe]), utf16('{"text": "abc"}')]), 1],
    ["half.jsonl", '{"text": "ab"}\n{"text": "a\\ud83d"}', 2],
    ["half.jsonl", '{"prompt": "\\ude00", "completion": "a"}', 1],
    ["half.jsonl", '{"messages": [{"role": "user", "content": "\\ud83d!"}]}', 1],
  ])("%s is refused with its line", async (name, content, line) => {
    const { code, where } = await failure(() => open(name, content));
    expect([code, where]).toEqual(["FILE-NOT-UTF8", expect.stringMatching(new RegExp(`${name}:${line}$`))]);
  });

  it("is none of these: a byte order mark, escaped pairs, a mark of what was lost before", async () => {
    expect((await open("mark.jsonl", '\ufeff{"text": "abc"}')).step(0)[0]!.tokens).toBe(4);
    expect((await open("mark.txt", "\ufeffabc")).step(0)[0]!.tokens).toBe(3);
    expect((await open("pair.jsonl", '{"text": "\\ud83d\\ude00"}')).step(0)[0]!.tokens).toBe(5);
    const [pair] = jsonLinesExamples('{"prompt": "\\ud83d", "completion": "\\ude00"}', 9, await load(files), "d");
    expect(pair!.ids).toHaveLength(5);
  });
});

describe("examples that do not fit", () => {
  const lines = [
    { prompt: "a".repeat(100), completion: "x" },
    { prompt: "a".repeat(60), completion: "xyzxyzxyz" },
    { prompt: "a", completion: "b" },
  ].map((line) => JSON.stringify(line));

  it("are counted and named, with the length that keeps all", async () => {
    const { report, stepsPerEpoch } = await open("long.jsonl", `${lines.join("\n\n")}\n`);
    expect(report).toMatchObject({ examples: 3, length: 64, cut: [3], dropped: [1], keepsAll: 102 });
    expect(stepsPerEpoch).toBe(2);
    const all = await open("long.jsonl", lines.join("\n"), 102);
    expect(all.report).toMatchObject({ cut: [], dropped: [] });
    expect(all.report).not.toHaveProperty("keepsAll");
    expect(all.stepsPerEpoch).toBe(3);
  });

  it("are told by the command, to people and to machines, and fail under --strict", () => {
    const folder = temporaryFolder();
    const [data, config] = [join(folder, "long.jsonl"), join(folder, "lora.json")];
    writeFileSync(data, lines.join("\n"));
    writeFileSync(config, JSON.stringify({ peft_type: "LORA", r: 2, target_modules: ["q_proj"] }));
    const model = goldenWithText("llama", "abcxyz");
    const fixed = ["--config", config, "--device", "cpu", "--batch-size", "1", "--steps", "1", "--json"];
    const args = ["train", "--model", model, "--data", data, ...fixed, "--out", join(folder, "out")];
    const { code, stdout, stderr } = webpeft(args);
    expect([code, JSON.parse(stdout.split("\n")[0]!)]).toMatchObject([
      0,
      { type: "data", examples: 3, length: 64, cut: 1, dropped: 1, cut_lines: [2], dropped_lines: [1], keeps_all: 102 },
    ]);
    expect(stderr).toMatch(/1 of 3 examples cut at 64 tokens, 1 dropped.*cut: line 2; dropped: line 1.*--length 102/s);
    const strict = webpeft([...args, "--overwrite", "--strict"]);
    expect([strict.code, strict.stderr]).toEqual([1, expect.stringContaining("error DATA-LOST")]);
  });

  it("with labels that a head of next tokens does not read are told, once", () => {
    const folder = temporaryFolder();
    const [data, config] = [join(folder, "labels.jsonl"), join(folder, "lora.json")];
    writeFileSync(data, '{"text": "abc", "label": 1}\n{"text": "abc"}\n{"text": "xyz", "label": 0}\n');
    writeFileSync(config, JSON.stringify({ peft_type: "LORA", r: 2, target_modules: ["q_proj"] }));
    const model = goldenWithText("llama", "abcxyz");
    const fixed = ["--config", config, "--device", "cpu", "--batch-size", "1", "--steps", "1"];
    const args = ["train", "--model", model, "--data", data, ...fixed, "--out", join(folder, "out")];
    const { code, stderr } = webpeft(args);
    expect([code, stderr.match(/DATA-LABELS-UNREAD/g)]).toEqual([0, ["DATA-LABELS-UNREAD"]]);
    expect(stderr).toContain("a label in lines 1, 3");
    const strict = webpeft([...args, "--overwrite", "--strict"]);
    expect([strict.code, strict.stderr]).toEqual([1, expect.stringContaining("error DATA-LABELS-UNREAD")]);
  });

  it("are dropped for what they are where no length helps", async () => {
    const { report } = await open("empty.jsonl", '{"text": ""}\n{"text": "abc"}');
    expect(report).toMatchObject({ cut: [], dropped: [1] });
    expect(report).not.toHaveProperty("keepsAll");
  });

  it("are refused when they are all, and the length is named", async () => {
    const { code, help } = await failure(() => open("long.jsonl", lines[0]!));
    expect([code, help]).toEqual(["DATA-LABELS-MASKED", expect.stringContaining("--length 102 keeps all")]);
  });
});
