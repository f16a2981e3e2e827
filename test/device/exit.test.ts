/** What only a process of its own can show: that it ends, and what happens without the packages. */
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import ts from "typescript";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("../../", import.meta.url));
const run = promisify(execFile);
let inside: string;
let outside: string;

const begins = ["src/runtime/device/index.ts", "src/runtime/executors/wasm/executor.ts", "src/ir/builder.ts"];

/** The device module, the executor of processors and what they import as JavaScript in a folder, with the same layout. */
async function transpileInto(folder: string): Promise<string> {
  const names = new Set(begins);
  // A set that grows is gone through to its end.
  for (const name of names) {
    const source = await readFile(join(root, name), "utf8");
    for (const [, from] of source.matchAll(/(?:\bfrom |\bimport\()"(\.[^"]+)"/g)) names.add(join(dirname(name), from!));
    const { outputText } = ts.transpileModule(source, {
      compilerOptions: {
        ...{ target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext, verbatimModuleSyntax: true },
        rewriteRelativeImportExtensions: true,
      },
    });
    const path = join(folder, name.replace(/\.ts$/, ".js"));
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, outputText);
  }
  await writeFile(join(folder, "package.json"), '{"type":"module"}');
  return folder;
}

async function runModule(folder: string, code: string): Promise<string> {
  const lines = `import { openDevice, listDevices } from "./src/runtime/device/index.js";\n${code}`;
  await writeFile(join(folder, "main.js"), lines);
  const { stdout } = await run(process.execPath, ["main.js"], { cwd: folder, timeout: 60_000 });
  return stdout.trim();
}

beforeAll(async () => {
  inside = await transpileInto(await mkdtemp(join(root, "node_modules", ".webpeft-device-")));
  outside = await transpileInto(await mkdtemp(join(tmpdir(), "webpeft-device-")));
});

afterAll(async () => {
  await rm(inside, { recursive: true });
  await rm(outside, { recursive: true });
});

/** A program that is large enough for threads, run several times at once. */
const threaded = `
import { wasmExecutor } from "./src/runtime/executors/wasm/executor.js";
import { Builder } from "./src/ir/builder.js";
const k = new Builder("square");
const x = k.port("x", "weight", "f32", [160, 160]);
const graph = k.finish([{ name: "y", node: k.einsum("mk,kn->mn", x, x) }]);
const program = { stages: [{ name: "forward", graph }], storage: { buffers: [], bindings: {} } };
const data = new Map([["x", new Float32Array(160 * 160).fill(0.5)]]);
const instance = await wasmExecutor({ threads: 3 }).instantiate(program, data);
const results = await Promise.all([1, 2, 3].map(() => instance.run(["forward"], {}, ["y"])));
console.log(results.map(({ y }) => y[7]).join());`;

describe("a process of its own", () => {
  it("ends by itself though workers wait, and not before they answered", async () => {
    expect(await runModule(outside, threaded)).toBe("40,40,40");
  });

  it("ends by itself after dispose, and also without it", async () => {
    const open = 'const open = await openDevice({ prefer: "webgpu" });';
    const work = "await open.wait(open.device.queue.onSubmittedWorkDone());";
    expect(await runModule(inside, `${open}${work} open.dispose(); console.log("done")`)).toBe("done");
    expect(await runModule(inside, `${open}${work} console.log("done")`)).toBe("done");
  });

  it("says what to install when the package is absent", async () => {
    const code = 'await openDevice({ prefer: "webgpu" }).catch((e) => console.log(JSON.stringify([e.code, e.got])));';
    const [error, got] = JSON.parse(await runModule(outside, code));
    expect(error).toBe("DEVICE-NONE");
    expect(got).toContain("npm install webgpu");
    const report = JSON.parse(await runModule(outside, "console.log(JSON.stringify(await listDevices()));"));
    expect(report.choice).toEqual({ executor: "cpu", reason: "there is no WebGPU adapter" });
    expect(report.versions.webgpu).toBe("not installed");
  });
});
