/** The dump is the program: a replayer that shares no code with webpeft gets, from plan, WGSL and tensor files, what a session gets on the CPU. */
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openDump, readTensors } from "../../examples/replay.mjs";
import { cpuTarget, defaultTarget, targetOf } from "../../src/codegen/index.ts";
import { compile } from "../../src/compile/index.ts";
import { inspectionFiles } from "../../src/inspect/index.ts";
import { findPackage } from "../../src/runtime/device/host.ts";
import type { OpenDevice } from "../../src/runtime/device/index.ts";
import { installSwiftShader } from "../../src/runtime/device/swiftshader.ts";
import { part } from "../extent.ts";
import { golden, loadCase } from "../golden/helpers.ts";
import { sharedDevice } from "../shared-device.ts";

let open: OpenDevice;
let folder: string;
/** Most kernels of the dumps are equal. */
const pipelines = new Map<string, unknown>();

beforeAll(async () => {
  open = await sharedDevice();
  folder = await mkdtemp(join(tmpdir(), "webpeft-replay-"));
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

async function write(files: ReadonlyMap<string, string>, name: string): Promise<string> {
  const dump = join(folder, name);
  for (const [file, text] of files) {
    await mkdir(dirname(join(dump, file)), { recursive: true });
    await writeFile(join(dump, file), text);
  }
  return dump;
}

describe.each(part(["llama-oft", "llama-lora"], 2))("a dump of %s", (name) => {
  it.each(part(["the device's own target", "a target of the other kind"], 2))(
    "replays training steps, for %s",
    async (which) => {
      const own = targetOf(open.target);
      const target = which.includes("own") ? own : own.kind === "cpu" ? defaultTarget : cpuTarget;
      const { model, adapter, inputs } = await loadCase(name);
      const { input_ids, labels } = inputs as Record<"input_ids" | "labels", Int32Array>;
      const size = { batch: 2, length: input_ids.length / 2, loaded: true, sampling: false, target };
      const program = await compile(model, adapter.config, size);
      const dump = await write(inspectionFiles(program), `${name}-${target.kind}`);

      const session = await program.start({ device: "cpu", adapter });
      const files = [golden("bases/llama/model.safetensors"), golden(`cases/${name}/adapter_model.safetensors`)];
      const tensors = new Map((await Promise.all(files.map(readTensors))).flatMap((file) => [...file]));
      const replay = await openDump(open.device, dump, tensors, { pipelines });
      const losses: number[] = [];
      for (let step = 0; step < 3; step++) {
        const wanted = await session.step({ input_ids, labels }, { lr: 1e-2 });
        const got = await replay.step({ input_ids, labels }, { lr: 1e-2 });
        losses.push(wanted.loss);
        expect(got.finite).toBe(true);
        expect(Math.abs(got.loss / wanted.loss - 1)).toBeLessThan(1e-5);
        expect(Math.abs(got.gradNorm / wanted.gradNorm - 1)).toBeLessThan(1e-4);
      }
      // the steps did something: equal losses would compare nothing
      expect(Math.abs(losses[2]! / losses[0]! - 1)).toBeGreaterThan(1e-3);
      session.dispose();
      replay.dispose();
    },
  );
});

it("needs every tensor of the plan", async () => {
  const { model, adapter, inputs } = await loadCase("llama-lora");
  const program = await compile(model, adapter.config, { batch: 2, length: inputs.input_ids!.length / 2 });
  const dump = await write(inspectionFiles(program), "missing");
  await expect(openDump(open.device, dump, new Map())).rejects.toThrow("no file has the tensor model.");
});

const bundled = process.platform === "linux" && process.arch === "x64";

it.skipIf(!bundled)("runs as a program of its own, on the SwiftShader that is bundled for Linux on x64", async () => {
  const { model, adapter, inputs } = await loadCase("llama-oft");
  const { input_ids, labels } = inputs as Record<"input_ids" | "labels", Int32Array>;
  const size = { batch: 2, length: input_ids.length / 2, loaded: true, target: cpuTarget };
  const program = await compile(model, adapter.config, size);
  const dump = await write(inspectionFiles(program), "program");
  const session = await program.start({ device: "cpu", adapter });
  const { loss } = await session.step({ input_ids, labels });
  session.dispose();

  const drivers = dirname(await installSwiftShader((await findPackage("webgpu"))!));
  const files = ["cases/llama-oft/inputs", "bases/llama/model", "cases/llama-oft/adapter_model"];
  const replay = fileURLToPath(new URL("../../examples/replay.mjs", import.meta.url));
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [replay, dump, ...files.map((file) => golden(`${file}.safetensors`))],
    { env: { ...process.env, LD_LIBRARY_PATH: drivers } },
  );
  const printed = JSON.parse(stdout) as { loss: number; finite: boolean };
  expect(printed.finite).toBe(true);
  expect(Math.abs(printed.loss / loss - 1)).toBeLessThan(1e-5);
});
