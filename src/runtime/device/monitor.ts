/** Failures of a device as `WebpeftError`s: loss, errors that no scope took, memory. */
import { WebpeftError } from "../../ir/diagnostics.ts";
import type { Wait } from "./poll.ts";

export interface DeviceMonitor {
  wait: Wait;
  scoped<T>(where: string, make: () => T): Promise<T>;
  failure(): WebpeftError | undefined;
}

const memoryHelp = "use a smaller batch or a shorter length, or accumulate over more micro-batches";

/** How long in ms the news of a loss may take after what waits was given up: browsers tell of it in a task of its own. */
const lossPatience = 1000;

const nameOf = (error: unknown): unknown => (error as { readonly name?: unknown } | undefined)?.name;

/** Mapping ends with this when the device goes; nobody else gives up the buffers that are mapped here. */
const isAborted = (error: unknown): boolean => nameOf(error) === "AbortError";

/** What a lost device may say to those who wait. */
const mayBeLoss = (error: unknown): boolean => isAborted(error) || nameOf(error) === "OperationError";

/** Watches a device from now on. The first failure stays: what comes after it is a consequence. */
export function monitorDevice(device: GPUDevice, wait: Wait): DeviceMonitor {
  let failure: WebpeftError | undefined;
  let fail: (error: WebpeftError) => void = () => {};
  const failed = new Promise<never>((_, reject) => {
    fail = (error) => {
      failure ??= error;
      reject(failure);
    };
  });
  // Nobody may be waiting when the device fails.
  failed.catch(() => {});

  void device.lost.then((info) => fail(lossError(info)));
  device.addEventListener("uncapturederror", (event) => {
    event.preventDefault();
    fail(gpuError(event.error, undefined));
  });

  const watched: Wait = async (promise) => {
    if (failure !== undefined) {
      promise.catch(() => {});
      throw failure;
    }
    // A pending map or pipeline is rejected when the device is lost, with words of its own: the loss is what the user should read.
    const value = await Promise.race([wait(promise), failed]).catch(async (error: unknown) => {
      const late = new Promise((resolve) => setTimeout(resolve, mayBeLoss(error) ? lossPatience : 0));
      await Promise.race([failed.catch(() => {}), late]);
      throw failure ?? (isAborted(error) ? lossError({ reason: "unknown", message: String(error) }, error) : error);
    });
    if (failure !== undefined) throw failure;
    return value;
  };

  return {
    wait: watched,
    failure: () => failure,
    async scoped(where, make) {
      if (failure !== undefined) throw failure;
      device.pushErrorScope("out-of-memory");
      device.pushErrorScope("validation");
      const made = attempt(make);
      const errors = await watched(Promise.all([device.popErrorScope(), device.popErrorScope()]));
      if ("thrown" in made) throw made.thrown;
      const error = errors.find((e) => e !== null);
      if (error) throw gpuError(error, where);
      return made.value;
    },
  };
}

/** Scopes must be popped whatever happens between. */
function attempt<T>(make: () => T): { value: T } | { thrown: unknown } {
  try {
    return { value: make() };
  } catch (thrown) {
    return { thrown };
  }
}

function lossError(info: Pick<GPUDeviceLostInfo, "reason" | "message">, cause?: unknown): WebpeftError {
  if (info.reason === "destroyed") {
    return new WebpeftError("DEVICE-LOST", { message: "the device was disposed while it was still in use" });
  }
  return new WebpeftError(
    "DEVICE-LOST",
    {
      message: `the device was lost: ${info.message || "the driver gave no reason"}`,
      help: `start again; if it happens again, ${memoryHelp}`,
    },
    { cause },
  );
}

/** Constructor names, because Dawn in Node defines no global classes to compare with. */
function gpuError(error: GPUError, where: string | undefined): WebpeftError {
  const place = where === undefined ? {} : { where };
  if (error.constructor.name === "GPUOutOfMemoryError") {
    return new WebpeftError("DEVICE-MEMORY", {
      message: "the device is out of memory",
      ...place,
      got: error.message,
      help: memoryHelp,
    });
  }
  return new WebpeftError("DEVICE-VALIDATION", {
    message: `the device refused a command: ${error.message}`,
    ...place,
    help: "this is a defect of webpeft or of the driver: please report it together with the output of `webpeft doctor`",
  });
}
