/** What needs a process of its own: limits on file sizes and memory, an untimely end; and that the code is fit for browsers. */
import { execFile, spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { build } from "tsdown";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { golden, rawFile } from "./helpers.ts";

const run = promisify(execFile);
const names = ["adapter", "model", "save-model", "output", "safetensors", "source"];
const folder = mkdtempSync(join(tmpdir(), "webpeft-test-"));
const bundle = join(folder, "bundle");

beforeAll(async () => {
  const source = (name: string): string =>
    fileURLToPath(new URL(`../../src/runtime/files/${name}.ts`, import.meta.url));
  await build({
    config: false,
    entry: Object.fromEntries(names.map((name) => [name, source(name)])),
    outDir: bundle,
    format: "esm",
    platform: "browser",
    dts: false,
    fixedExtension: false,
    logLevel: "silent",
  });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A script that has the modules of the bundle in scope and prints the code of the error it ends with, or `ok`. */
function script(name: string, body: string): string {
  const file = join(folder, `${name}.mjs`);
  const imports = names.map((module) => `import * as ${module.replace("-", "")} from ${JSON.stringify(url(module))};`);
  const tail = ".then(() => console.log('ok'), (error) => console.log(error.code ?? error.stack));";
  writeFileSync(file, `${imports.join("\n")}\n(async () => {\n${body}\n})()${tail}\n`);
  return file;
}

const url = (module: string): string => pathToFileURL(join(bundle, `${module}.js`)).href;
const shell = async (command: string): Promise<string> => (await run("bash", ["-c", command])).stdout.trim();

describe("a full disk", () => {
  const tensors = `const bytes = new Uint8Array(200_000).fill(7);
    const tensors = new Map([["a", { dtype: "U8", shape: [200_000], bytes }]]);`;

  it("leaves no new folder, and the error is coded", async () => {
    const out = join(folder, "full/out");
    const file = script(
      "full",
      `${tensors} await adapter.saveAdapter(${JSON.stringify(out)}, { config: {}, tensors });`,
    );
    // bash counts file sizes in KiB.
    expect(await shell(`ulimit -f 64; exec "${process.execPath}" "${file}"`)).toBe("FILE-DISK-FULL");
    expect(readdirSync(folder)).not.toContain("full");
    // The control: the same without the limit.
    expect(await shell(`exec "${process.execPath}" "${file}"`)).toBe("ok");
    expect(readdirSync(out).sort()).toEqual(["adapter_config.json", "adapter_model.safetensors"]);
  });

  it("leaves the adapter that was there", async () => {
    const out = join(folder, "kept");
    const save = (config: string): string =>
      `await adapter.saveAdapter(${JSON.stringify(out)}, { config: ${config}, tensors }, { overwrite: true });`;
    const before = script("before", `const tensors = new Map(); ${save("{ old: true }")}`);
    expect(await shell(`exec "${process.execPath}" "${before}"`)).toBe("ok");
    const after = script("after", `${tensors} ${save("{ old: false }")}`);
    expect(await shell(`ulimit -f 64; exec "${process.execPath}" "${after}"`)).toBe("FILE-DISK-FULL");
    expect(readdirSync(out).sort()).toEqual(["adapter_config.json", "adapter_model.safetensors"]);
    expect(readFileSync(join(out, "adapter_config.json"), "utf8")).toContain('"old": true');
  });

  it("leaves no merged model", async () => {
    const out = join(folder, "merged");
    const base = JSON.stringify(join(golden, "bases/llama"));
    const body = `await savemodel.saveModel(await model.loadModel(${base}), ${JSON.stringify(out)});`;
    const file = script("merged", body);
    expect(await shell(`ulimit -f 40; exec "${process.execPath}" "${file}"`)).toBe("FILE-DISK-FULL");
    expect(readdirSync(folder).filter((name) => name.includes("merged"))).toEqual(["merged.mjs"]);
    expect(await shell(`exec "${process.execPath}" "${file}"`)).toBe("ok");
  });
});

describe("a killed process", () => {
  it("leaves no folder of the wanted name", async () => {
    const out = join(folder, "killed");
    const body = `async function* endless() { console.log("writing"); for (;;) { yield new Uint8Array(1000); await new Promise((r) => setTimeout(r, 5)); } }
      await output.writeFolder(${JSON.stringify(out)}, new Map([["a", "done"], ["b", endless()]]));`;
    const child = spawn(process.execPath, [script("kill", body)], { stdio: ["ignore", "pipe", "inherit"] });
    await new Promise((done) => child.stdout.once("data", done));
    child.kill("SIGKILL");
    await new Promise((done) => child.once("exit", done));
    expect(readdirSync(folder)).not.toContain("killed");
  });
});

describe("memory", () => {
  it("is not taken by a header's claim", async () => {
    const claims = {
      header: rawFile("{}", 0, 99_999_999),
      tensor: rawFile('{"a":{"dtype":"U8","shape":[1000000000000],"data_offsets":[0,1000000000000]}}'),
      brackets: rawFile(`{"a":${"[".repeat(8_000_000)}`),
    };
    for (const [name, bytes] of Object.entries(claims)) {
      writeFileSync(join(folder, `${name}.safetensors`), bytes);
      const path = JSON.stringify(join(folder, `${name}.safetensors`));
      const body = `const before = process.resourceUsage().maxRSS;
        try { await safetensors.openSafetensors(await source.fileSource(${path})); } finally {
          const grown = process.resourceUsage().maxRSS - before;
          if (grown > 80_000) throw new Error(grown + " KiB were taken");
        }`;
      expect(await shell(`exec "${process.execPath}" "${script(name, body)}"`)).toMatch(/^FILE-SAFETENSORS-/);
    }
  });
});

describe("a bundle for browsers", () => {
  it("imports nothing of Node before it is used", async () => {
    const files = readdirSync(bundle).filter((file) => file.endsWith(".js"));
    expect(files.length).toBeGreaterThanOrEqual(names.length);
    for (const file of files) {
      expect(readFileSync(join(bundle, file), "utf8")).not.toMatch(/^\s*import\b[^(\n]*["'](node:|fs|path|url)/m);
    }
  });

  it("reads and writes adapters without process and Buffer", async () => {
    const data = readFileSync(join(golden, "cases/llama-lora/adapter_model.safetensors")).toString("base64");
    const body = `const data = Uint8Array.from(atob(${JSON.stringify(data)}), (c) => c.charCodeAt(0));
      const out = console.log;
      const kept = [globalThis.process, globalThis.Buffer];
      delete globalThis.process; delete globalThis.Buffer;
      const read = await adapter.readAdapter({ "adapter_config.json": "{}", "adapter_model.safetensors": new Blob([data]) });
      const tensors = new Map();
      for (const name of read.tensors.tensors.keys()) tensors.set(name, await read.tensors.read(name));
      const bytes = adapter.encodeAdapter({ config: read.config, tensors }).get("adapter_model.safetensors");
      [globalThis.process, globalThis.Buffer] = kept;
      if (bytes.length !== data.length || !bytes.every((b, i) => b === data[i])) throw new Error("not the same bytes");`;
    expect(await shell(`exec "${process.execPath}" "${script("page", body)}"`)).toBe("ok");
  });
});
