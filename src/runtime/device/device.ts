/** Opens a WebGPU device in Node, browsers and Deno. */
import { WebpeftError } from "../../ir/diagnostics.ts";
import { type Checks, checkOptions, oneOf, signal } from "../options.ts";
import { deviceDescriptor, targetFacts } from "./facts.ts";
import { isNode } from "./host.ts";
import { type DeviceMonitor, monitorDevice } from "./monitor.ts";
import { sleepingWait, type Wait } from "./poll.ts";
import { chooseExecutor, deviceSources, type FoundAdapter, searchIn, worthTaking } from "./search.ts";
import type { DeviceAttempt, DeviceOptions, OpenDevice } from "./types.ts";

const deviceChecks: Checks<DeviceOptions> = {
  prefer: oneOf(["auto", "webgpu"]),
  power: oneOf(["low-power", "high-performance"]),
  signal,
};

/**
 * Opens the first device that `options.prefer` allows. Throws `DEVICE-NONE` when there is none, with what was tried; rejects with the
 * signal's reason when it is aborted.
 */
export async function openDevice(options: DeviceOptions): Promise<OpenDevice> {
  checkOptions(options, deviceChecks, "DEVICE-OPTION");
  const attempts: DeviceAttempt[] = [];
  for (const source of deviceSources()) {
    // `auto` does not take SwiftShader, so it need not be unpacked.
    if (source === "swiftshader" && options.prefer === "auto") continue;
    options.signal?.throwIfAborted();
    const { attempt, found } = await searchIn(source, options.power);
    options.signal?.throwIfAborted();
    attempts.push(attempt);
    if (found === undefined || (options.prefer === "auto" && !worthTaking(found.facts))) continue;
    return openAdapter(found, options.signal);
  }
  throw noDevice(attempts, options);
}

/** Opens a device on an adapter that was found. Throws `DEVICE-NONE` when the driver gives none. */
export async function openAdapter({ adapter, facts }: FoundAdapter, signal?: AbortSignal): Promise<OpenDevice> {
  const device = await adapter.requestDevice(deviceDescriptor(adapter)).catch((cause: unknown) => {
    throw new WebpeftError(
      "DEVICE-NONE",
      {
        message: `${facts.description} gave no device`,
        got: cause instanceof Error ? cause.message : String(cause),
        help: "use `--device cpu`",
      },
      { cause },
    );
  });
  if (signal?.aborted) {
    device.destroy();
    throw signal.reason;
  }
  const plain: Wait = (promise) => promise;
  const monitor: DeviceMonitor = monitorDevice(device, facts.software && isNode() ? sleepingWait() : plain);
  return {
    device,
    adapter: facts,
    target: targetFacts(device, adapter.info),
    wait: monitor.wait,
    scoped: monitor.scoped,
    failure: monitor.failure,
    dispose: () => device.destroy(),
  };
}

function noDevice(attempts: readonly DeviceAttempt[], options: DeviceOptions): WebpeftError {
  const tried = attempts.map((a) => `${a.source}: ${a.reason ?? a.adapter?.description ?? a.outcome}`);
  return new WebpeftError("DEVICE-NONE", {
    message:
      options.prefer === "auto"
        ? `no WebGPU device is worth taking: ${chooseExecutor(attempts).reason}`
        : "there is no WebGPU device",
    expected: "a WebGPU adapter",
    got: tried.join("; ") || "nothing to try",
    help: "install a GPU driver (on Linux a Vulkan driver, such as mesa-vulkan-drivers 25), or use `--device cpu`",
  });
}
