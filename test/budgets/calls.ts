/** Counts what reaches WebGPU, by wrapping the methods of a device's objects while something runs. */

export interface Calls {
  readonly submits: number;
  readonly dispatches: number;
  /** Buffers created, in bytes. */
  readonly created: readonly number[];
}

type Method = (this: unknown, ...given: unknown[]) => unknown;

/** Replaces a method for all objects of a kind; returns what puts it back. */
function wrap(like: object, name: string, seen: (given: readonly unknown[]) => void): () => void {
  const prototype = Object.getPrototypeOf(like) as Record<string, Method>;
  const original = prototype[name]!;
  prototype[name] = function (...given) {
    seen(given);
    return original.apply(this, given);
  };
  return () => {
    prototype[name] = original;
  };
}

/** What `run` asks of the device. */
export async function countCalls(device: GPUDevice, run: () => Promise<unknown>): Promise<Calls> {
  let submits = 0;
  let dispatches = 0;
  const created: number[] = [];
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.end();
  encoder.finish();
  const restore = [
    wrap(device.queue, "submit", () => submits++),
    wrap(pass, "dispatchWorkgroups", () => dispatches++),
    wrap(device, "createBuffer", ([descriptor]) => created.push((descriptor as GPUBufferDescriptor).size)),
  ];
  try {
    await run();
  } finally {
    for (const undo of restore) undo();
  }
  return { submits, dispatches, created };
}
