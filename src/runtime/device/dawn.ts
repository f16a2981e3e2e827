/** Dawn, Chromium's WebGPU, in Node: npm `webgpu`, on the system's drivers or on SwiftShader. */
import { WebpeftError } from "../../ir/diagnostics.ts";
import { findPackage } from "./host.ts";
import { installSwiftShader } from "./swiftshader.ts";

/** What `dawn.node` exports: a maker of instances, and the object that holds the WebGPU classes. */
interface DawnModule {
  create(options: readonly string[]): GPU;
  globals: { [instanceKey]?: GPU };
}

const instanceKey = Symbol.for("webpeft.instance");

export const dawnPackage = "webgpu";

/** Dawn on the drivers of the system. Throws `DEVICE-NONE` when the package or its binary for this platform is absent. */
export async function systemDawn(): Promise<GPU> {
  if ((await findPackage(dawnPackage)) === undefined) throw packageMissing();
  try {
    // A variable, so that bundlers for browsers leave it alone.
    const dawn = (await import(/* @vite-ignore */ /* webpackIgnore: true */ dawnPackage)) as DawnModule;
    return instanceOf(dawn);
  } catch (cause) {
    throw new WebpeftError(
      "DEVICE-NONE",
      {
        message: `the package ${dawnPackage} does not load on ${process.platform} ${process.arch}`,
        got: cause instanceof Error ? cause.message : String(cause),
        help: "use `--device cpu`",
      },
      { cause },
    );
  }
}

/** Dawn on SwiftShader: a copy of the binary that finds SwiftShader as its Vulkan. Throws `DEVICE-NONE` where that cannot be. */
export async function swiftShaderDawn(): Promise<GPU> {
  const dawn = await findPackage(dawnPackage);
  if (dawn === undefined) throw packageMissing();
  const { createRequire } = await import("node:module");
  const path = await installSwiftShader(dawn);
  return instanceOf(createRequire(import.meta.url)(path) as DawnModule);
}

/**
 * The one instance of a binary. It is kept in the binary's own exports because it must outlive every device, buffer and promise that came
 * from it: Dawn aborts the process when an instance is collected before them, and what of them is still alive after `destroy` cannot be known.
 */
function instanceOf(dawn: DawnModule): GPU {
  // Timestamps are rounded to 65 us for the sake of pages, which is longer than most kernels take.
  dawn.globals[instanceKey] ??= dawn.create(["disable-dawn-features=timestamp_quantization"]);
  return dawn.globals[instanceKey];
}

function packageMissing(): WebpeftError {
  return new WebpeftError("DEVICE-NONE", {
    message: `WebGPU in Node needs the package ${dawnPackage}, which is not installed`,
    help: `run \`npm install ${dawnPackage}\`, or use \`--device cpu\``,
  });
}
