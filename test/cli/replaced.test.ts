/** What commands put in the place of files: earlier outputs, what may be overwritten, and never what they read. */
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { loadModel, saveModel } from "../../src/index.ts";
import { golden, llama, scratch, webpeft } from "./helpers.ts";

const folder = scratch();
const at = (...names: string[]): string => join(folder, ...names);
const lora = join(golden, "cases/llama-lora");
const from = ["--model", llama, "--adapter", at("adapter"), "--device", "cpu"];
cpSync(lora, at("adapter"), { recursive: true });
copyFileSync(join(lora, "inputs.safetensors"), at("in.safetensors"));
const evaluate = (out: string, ...more: string[]) =>
  webpeft(["eval", ...from, "--input", at("in.safetensors"), "--out", out, ...more]);

describe("the output of eval", () => {
  it("replaces an earlier one and an empty file, and other files only with --overwrite", () => {
    writeFileSync(at("empty"), "");
    for (const out of [at("out.safetensors"), at("out.safetensors"), at("empty")])
      expect(evaluate(out, "--grad")).toMatchObject({ code: 0 });
    writeFileSync(at("notes"), "mine");
    expect(evaluate(at("notes"))).toMatchObject({ code: 1, stderr: expect.stringContaining("FILE-OUTPUT-EXISTS") });
    expect(readFileSync(at("notes"), "utf8")).toBe("mine");
    expect(evaluate(at("notes"), "--overwrite")).toMatchObject({ code: 0 });
    expect(readFileSync(at("notes"))).not.toEqual(Buffer.from("mine"));
  });

  it.each(["in.safetensors", "link", "adapter/adapter_config.json", "adapter/adapter_model.safetensors"])(
    "never replaces what is read: %s",
    (name) => {
      if (name === "link") symlinkSync("in.safetensors", at(name));
      const before = readFileSync(at(name));
      for (const more of [[], ["--overwrite"]])
        expect(evaluate(at(name), ...more)).toMatchObject({
          code: 1,
          stderr: expect.stringMatching(/FILE-OUTPUT-EXISTS.*that the command reads/),
        });
      expect(readFileSync(at(name))).toEqual(before);
    },
  );

  it.each([
    ["missing/out", "FILE-NOT-FOUND"],
    ["in.safetensors/out", "FILE-NOT-A-FOLDER"],
    ["adapter", "FILE-NOT-A-FILE"],
  ])("is looked for before anything is read: %s", (name, code) => {
    const { stderr } = webpeft(["eval", "--model", at("none"), "--input", at("none"), "--out", at(name)]);
    expect(stderr).toContain(`error ${code}: `);
  });
});

describe("a run of training", () => {
  it.each(["--trace", "--report", "--log"])("never replaces its data by %s", (option) => {
    const before = readFileSync(at("in.safetensors"));
    const data = ["--data", at("in.safetensors"), "--steps", "1", "--out", at("run"), "--overwrite"];
    const { code, stderr } = webpeft(["train", ...from, ...data, option, at("in.safetensors")]);
    expect([code, stderr]).toEqual([1, expect.stringMatching(/FILE-OUTPUT-EXISTS.*reads/)]);
    expect(readFileSync(at("in.safetensors"))).toEqual(before);
  });
});

describe("checkpoints in the output folder of a run", () => {
  const train = (out: string, ...more: string[]) =>
    webpeft(["train", ...more, "--data", at("in.safetensors"), "--steps", "1", "--out", out, "--overwrite"]);
  const refused = { code: 1, stderr: expect.stringContaining("error FILE-OUTPUT-FOREIGN: ") };

  it("stay as they are where another program wrote them", () => {
    cpSync(lora, at("trainer/checkpoint-10"), { recursive: true });
    writeFileSync(at("trainer/checkpoint-10/optimizer.pt"), "state");
    for (const more of [[], ["--resume"]]) expect(train(at("trainer"), ...from, ...more)).toMatchObject(refused);
    expect(readdirSync(at("trainer"))).toEqual(["checkpoint-10"]);
    expect(readFileSync(at("trainer/checkpoint-10/optimizer.pt"), "utf8")).toBe("state");
  });

  it("hold what was learned where it cannot be written, and --resume writes it", () => {
    const run = ["train", ...from, "--data", at("in.safetensors"), "--steps", "1", "--out", at("taken")];
    mkdirSync(at("taken/adapter_model.safetensors"), { recursive: true });
    const taken = { code: 1, stderr: expect.stringContaining("error FILE-NOT-A-FILE: ") };
    expect(webpeft([...run, "--overwrite"])).toMatchObject(taken);
    expect(readdirSync(at("taken")).sort()).toEqual(["adapter_model.safetensors", "checkpoint-1"]);
    rmdirSync(at("taken/adapter_model.safetensors"));
    expect(webpeft([...run, "--resume"])).toMatchObject({ code: 0 });
    expect(readdirSync(at("taken")).sort()).toEqual(["adapter_config.json", "adapter_model.safetensors"]);
  });

  it("stay as they are where one of them is what is trained further; others are removed", () => {
    for (const step of [5, 10]) {
      cpSync(lora, at(`own/checkpoint-${step}`), { recursive: true });
      writeFileSync(at(`own/checkpoint-${step}/training.json`), "{}");
    }
    const own = ["--model", llama, "--adapter", at("own/checkpoint-10"), "--device", "cpu"];
    expect(train(at("own"), ...own)).toMatchObject(refused);
    expect(readdirSync(at("own")).sort()).toEqual(["checkpoint-10", "checkpoint-5"]);
    expect(train(at("own"), ...from)).toMatchObject({ code: 0 });
    expect(readdirSync(at("own")).sort()).toEqual(["adapter_config.json", "adapter_model.safetensors"]);
  });
});

describe("a model that is overwritten", () => {
  const merge = (...more: string[]) => webpeft(["merge", ...from, "--out", at("merged"), ...more]);
  const index = (map: unknown): string => JSON.stringify({ metadata: {}, weight_map: map });

  it("leaves no index and no shards, and nothing else is removed", async () => {
    const shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
    const others = ["notes.safetensors", "model-00003-of-00003.safetensors", "a/model.safetensors"];
    mkdirSync(at("merged/a"), { recursive: true });
    writeFileSync(at("outside.safetensors"), "mine");
    for (const name of [...shards, ...others]) writeFileSync(at("merged", name), "old");
    const named = [...shards, "../outside.safetensors", "a/model.safetensors", "config.json", 1];
    writeFileSync(at("merged/model.safetensors.index.json"), index(Object.fromEntries(named.entries())));
    expect(merge()).toMatchObject({ code: 1 });
    expect(existsSync(at("merged", shards[0]!))).toBe(true);
    expect(merge("--overwrite")).toMatchObject({ code: 0 });
    const left = readdirSync(at("merged")).filter((name) => name.startsWith("model"));
    expect(left.sort()).toEqual(["model-00003-of-00003.safetensors", "model.safetensors"]);
    for (const name of [...others.map((one) => join("merged", one)), "outside.safetensors", "merged/config.json"])
      expect(existsSync(at(name))).toBe(true);
    expect((await loadModel(at("merged"))).weights.keys().length).toBeGreaterThan(0);
  });

  it("needs no folder that is there already", async () => {
    const full = ["train", "--full", "--data", at("in.safetensors"), "--steps", "1"];
    expect(webpeft([...full, "--model", llama, "--device", "cpu", "--out", at("full")])).toMatchObject({ code: 0 });
    expect(webpeft(["merge", ...from, "--out", at("new/merged"), "--overwrite"])).toMatchObject({ code: 0 });
    for (const name of ["full", "new/merged"])
      expect((await loadModel(at(name))).weights.keys().length).toBeGreaterThan(0);
  });

  it("is not written beside an adapter, which would be loaded in its place", async () => {
    const before = readFileSync(at("adapter/adapter_model.safetensors"));
    const full = ["--full", "--data", at("in.safetensors"), "--steps", "1"];
    for (const command of [
      ["merge", ...from],
      ["train", "--model", llama, "--device", "cpu", ...full],
    ])
      expect(webpeft([...command, "--out", at("adapter"), "--overwrite"])).toMatchObject({
        code: 1,
        stderr: expect.stringMatching(/FILE-OUTPUT-FOREIGN.*an adapter[\s\S]*adapter\/adapter_config\.json/),
      });
    expect(existsSync(at("adapter/config.json"))).toBe(false);
    expect(readFileSync(at("adapter/adapter_model.safetensors"))).toEqual(before);
    const page = {
      name: "page",
      keys: async function* () {
        yield "adapter_config.json";
      },
      getFileHandle: () => Promise.reject(new Error("nothing is to be written")),
      getDirectoryHandle: () => Promise.reject(new Error("nothing is to be written")),
      removeEntry: () => Promise.reject(new Error("nothing is to be removed")),
    };
    await expect(saveModel(await loadModel(llama), page, { overwrite: true })).rejects.toMatchObject({
      code: "FILE-OUTPUT-FOREIGN",
    });
  });

  it.each(["{", "[]", index(["model.safetensors"]), index({ a: "model.safetensors" })])(
    "is the new one whatever the old index says: %s",
    (text) => {
      writeFileSync(at("merged/model.safetensors.index.json"), text);
      expect(merge("--overwrite")).toMatchObject({ code: 0 });
      expect(existsSync(at("merged/model.safetensors"))).toBe(true);
      expect(existsSync(at("merged/model.safetensors.index.json"))).toBe(false);
    },
  );
});
