/**
 * programs.mjs COUNT: random programs on WebGPU, in whatever engine runs this file, against f64; prints one line of JSON. Each engine has its own
 * compiler of WGSL: Tint in Node and Bun, naga in Deno.
 */
import { WebpeftError } from "../../src/ir/diagnostics.ts";
import { openDevice } from "../../src/runtime/device/index.ts";
import { webgpuExecutor } from "../../src/runtime/executors/webgpu/executor.ts";
import { compareProgram, onExecutor } from "../fuzz/programs/compare.ts";
import { generator } from "../runtime/executor-samples.ts";

/** Every engine tries the same programs. */
const seed = 20261129;

async function compareAll(count: number): Promise<{ readonly tried: number; readonly wrong?: string }> {
  const open = await openDevice({ prefer: "webgpu" });
  const engine = onExecutor(webgpuExecutor(open), 2 ** -14);
  const random = generator(seed);
  let tried = 0;
  try {
    for (; tried < count; tried++) {
      const [start, length] = [Math.floor(random() * 2 ** 31), 2 + Math.floor(random() * 23)] as const;
      await compareProgram(start, length, engine);
    }
    return { tried };
  } catch (error) {
    return { tried, wrong: String((error as Error).message) };
  } finally {
    open.dispose();
  }
}

const { process } = globalThis as { readonly process: { readonly argv: readonly string[]; exit(code: number): void } };
const result = await compareAll(Number(process.argv[2])).catch((error: unknown) => {
  if (error instanceof WebpeftError && error.code === "DEVICE-NONE") return { none: error.message };
  throw error;
});
console.log(JSON.stringify({ programs: result }));
process.exit(0);
