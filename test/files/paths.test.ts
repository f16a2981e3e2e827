/** Nothing outside of the folders that the user named: names in files, names of experts, links. */
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { compile } from "../../src/compile/index.ts";
import { encodeAdapter, readAdapter } from "../../src/runtime/files/adapter.ts";
import { writeFolder } from "../../src/runtime/files/output.ts";
import { encodeSafetensors } from "../../src/runtime/files/safetensors.ts";
import { baseModel } from "../golden/helpers.ts";
import { failure, golden, temporaryFolder } from "./helpers.ts";

const outside = [
  "../victim",
  "a/../../b",
  "/tmp/victim",
  "..\\victim",
  "C:\\victim",
  "C:victim",
  ".",
  "",
  "..",
  ". .",
  "a//b",
];
const lora = { peft_type: "LORA", r: 2, target_modules: ["q_proj"] };
const mixing = (adapters: Readonly<Record<string, unknown>>) => ({ peft_type: "XLORA", adapters });
const none = encodeSafetensors(new Map());

/** Writes an adapter folder with a config and no tensors. */
function put(folder: string, config: object): void {
  mkdirSync(folder, { recursive: true });
  for (const [name, bytes] of encodeAdapter({ config: { ...config }, tensors: new Map() }))
    writeFileSync(join(folder, name), bytes);
}

describe("the writer of folders", () => {
  it.each(outside)("refuses the name %j, and writes nothing", async (name) => {
    const root = temporaryFolder();
    const error = await failure(() =>
      writeFolder(
        join(root, "out"),
        new Map([
          ["a", "1"],
          [name, "2"],
        ]),
      ),
    );
    expect(error.code).toBe("FILE-PATH");
    const old = await failure(() => writeFolder(join(root, "out"), new Map([["a", "1"]]), { obsolete: [name] }));
    expect([old.code, readdirSync(root)]).toEqual(["FILE-PATH", []]);
  });

  it("does not follow links out of the folder, and follows those inside", async () => {
    const root = temporaryFolder();
    mkdirSync(join(root, "victim"));
    mkdirSync(join(root, "out/real"), { recursive: true });
    symlinkSync("../victim", join(root, "out/away"));
    symlinkSync("real", join(root, "out/near"));
    symlinkSync("../victim/file", join(root, "out/file"));
    const write = (name: string) => writeFolder(join(root, "out"), new Map([[name, "new"]]), { overwrite: true });
    for (const name of ["away/x", "away/deep/x"]) expect((await failure(() => write(name))).code).toBe("FILE-PATH");
    await write("near/x");
    await write("file");
    expect(readFileSync(join(root, "out/real/x"), "utf8")).toBe("new");
    expect(readFileSync(join(root, "out/file"), "utf8")).toBe("new");
    expect(readdirSync(join(root, "victim"))).toEqual([]);
  });
});

describe("experts", () => {
  it.each(outside)("at the path %j are refused unless the user names the folder", async (path) => {
    const root = temporaryFolder();
    put(join(root, "mixed"), mixing({ e: path }));
    put(join(root, "other"), lora);
    const error = await failure(() => readAdapter(join(root, "mixed")));
    expect(error).toMatchObject({ code: "FILE-PATH", got: JSON.stringify(path) });
    expect(error.where).toContain("adapters.e");
    const read = await readAdapter(join(root, "mixed"), { experts: { e: join(root, "other") } });
    expect(read.experts!.get("e")!.config.peft_type).toBe("LORA");
    const memory = { "adapter_config.json": JSON.stringify(mixing({ e: path })), "adapter_model.safetensors": none };
    expect((await failure(() => readAdapter(memory))).code).toBe("FILE-PATH");
  });

  it.each([...outside, "a/b", "a\u001b[2J", "a\nb"])("of the name %j are refused", async (name) => {
    const root = temporaryFolder();
    put(root, mixing({ [name]: "inner" }));
    put(join(root, "inner"), lora);
    expect((await failure(() => readAdapter(root))).code).toBe("CONFIG-EXPERT-NAME");
    const compiled = async () =>
      compile(await baseModel("llama"), mixing({ [name]: "inner" }), {
        batch: 1,
        length: 2,
        experts: { [name]: lora },
      });
    expect((await failure(compiled)).code).toBe("CONFIG-EXPERT-NAME");
  });

  it("that mix others are refused, so that none leads back to itself", async () => {
    const root = temporaryFolder();
    put(root, mixing({ a: "a" }));
    put(join(root, "a"), mixing({ b: "b" }));
    put(join(root, "a/b"), mixing({ a: "../../a" }));
    expect(await failure(() => readAdapter(root))).toMatchObject({ code: "CONFIG-EXPERTS-NESTED" });
    expect((await failure(() => readAdapter(root, { experts: { a: root } }))).code).toBe("CONFIG-EXPERTS-NESTED");
    expect((await failure(() => readAdapter(root, { experts: { z: root } }))).code).toBe("CONFIG-EXPERTS");
  });

  it("behind links out of the folder are refused; PEFT's ./ is the folder itself", async () => {
    const root = temporaryFolder();
    put(join(root, "other"), lora);
    put(join(root, "mixed"), mixing({ e: "./e/" }));
    symlinkSync("../other", join(root, "mixed/e"));
    expect((await failure(() => readAdapter(join(root, "mixed")))).code).toBe("FILE-PATH");
    put(join(root, "whole"), mixing({ e: "./e/" }));
    put(join(root, "whole/inner"), lora);
    symlinkSync("inner", join(root, "whole/e"));
    symlinkSync("whole", join(root, "link"));
    expect((await readAdapter(join(root, "link"))).experts!.size).toBe(1);
  });

  it("are written into folders of their own, whatever the config calls them", async () => {
    const model = await baseModel("llama");
    const first = await readAdapter(join(golden, "cases/llama-xlora-depth1/0"));
    const adapters = {
      a: "checkpoint-3",
      b: "/else/where",
      c: "B",
      d: "adapter_config.json",
      e: "deep/e",
      f: "deep/e",
    };
    const experts = Object.fromEntries(Object.keys(adapters).map((name) => [name, first]));
    const config = { ...mixing(adapters), task_type: "CAUSAL_LM", xlora_size: 4 };
    const configs = Object.fromEntries(Object.keys(adapters).map((name) => [name, first.config]));
    const program = await compile(model, config, { mode: "infer", batch: 1, length: 2, experts: configs });
    const session = await program.start({ device: "cpu", experts });
    const files = await session.files();
    session.dispose();
    const saved = JSON.parse(new TextDecoder().decode(files.get("adapter_config.json"))) as { adapters: object };
    expect(saved.adapters).toEqual({ a: "a", b: "b", c: "c", d: "d", e: "deep/e", f: "f" });
    expect((await readAdapter(Object.fromEntries(files))).experts!.size).toBe(6);
  });
});
