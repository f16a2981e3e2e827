/** A trivial kernel, run through the waits that the runtime uses. */
import { Builder } from "../../src/ir/builder.ts";
import { bufferUsage, listDevices, mapMode, type OpenDevice, openDevice } from "../../src/runtime/device/index.ts";
import { wasmExecutor } from "../../src/runtime/executors/wasm/executor.ts";

/** For the browser test, which loads this file as one script. */
export { listDevices, openDevice };

const twicePlusIndex = /* wgsl */ `
@group(0) @binding(0) var<storage, read_write> data: array<f32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < arrayLength(&data)) { data[id.x] = 2.0 * data[id.x] + f32(id.x); }
}`;

/** `2 * data[i] + i` for each i, computed on the device. */
export async function runTwicePlusIndex(open: OpenDevice, data: Float32Array<ArrayBuffer>): Promise<Float32Array> {
  const { device } = open;
  const { STORAGE, COPY_SRC, COPY_DST, MAP_READ } = bufferUsage;
  const [buffer, staging] = await open.scoped("buffers", () => [
    device.createBuffer({ size: data.byteLength, usage: STORAGE | COPY_SRC | COPY_DST }),
    device.createBuffer({ size: data.byteLength, usage: MAP_READ | COPY_DST }),
  ]);
  const module = device.createShaderModule({ code: twicePlusIndex });
  const pipeline = await open.wait(device.createComputePipelineAsync({ layout: "auto", compute: { module } }));
  const layout = pipeline.getBindGroupLayout(0);
  const group = device.createBindGroup({ layout, entries: [{ binding: 0, resource: { buffer: buffer! } }] });
  device.queue.writeBuffer(buffer!, 0, data);
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, group);
  pass.dispatchWorkgroups(Math.ceil(data.length / 64));
  pass.end();
  encoder.copyBufferToBuffer(buffer!, 0, staging!, 0, data.byteLength);
  device.queue.submit([encoder.finish()]);
  await open.wait(staging!.mapAsync(mapMode.READ));
  const result = new Float32Array(staging!.getMappedRange().slice(0));
  staging!.destroy();
  buffer!.destroy();
  return result;
}

export const twicePlusIndexOf = (data: Float32Array): Float32Array => data.map((value, i) => 2 * value + i);

export { writePageFolder } from "../../src/runtime/files/page-folder.ts";

interface Squares {
  readonly isIsolated: boolean;
  readonly sums: number[];
  /** Milliseconds of the runs, and the longest of these in which the page did nothing else. */
  readonly duration: number;
  readonly pause: number;
}

/** Products that are large enough for threads, what the page allows, and how long it stood still. */
export async function squareInThreads(threads: number, size = 200): Promise<Squares> {
  const k = new Builder("square");
  const x = k.port("x", "weight", "f32", [size, size]);
  const scale = k.port("scale", "input", "f32", [size, size]);
  const square = k.einsum("mk,kn->mn", k.mul(x, scale), x);
  const graph = k.finish([
    { name: "y", node: k.sum(square, [0]) },
    { name: "total", node: k.sum(k.einsum("mk,kn->mn", square, x), [0]) },
  ]);
  const storage = {
    buffers: [{ name: "kept", size: 64 * Math.ceil(size / 64) }],
    bindings: { y: { buffer: "kept", offset: 0, size } },
  };
  const program = { stages: [{ name: "forward" as const, graph }], storage };
  const data = new Map([["x", Float32Array.from({ length: size * size }, (_unused, i) => Math.sin(i))]]);
  const instance = await wasmExecutor({ threads }).instantiate(program, data);
  const begin = performance.now();
  let [pause, last] = [0, begin];
  const tick = (): void => {
    const now = performance.now();
    [pause, last] = [Math.max(pause, now - last), now];
  };
  const ticks = setInterval(tick);
  // The second is given while the first runs.
  const inputs = [1, 2].map((factor) => new Float32Array(size * size).fill(factor));
  const runs = await Promise.all(inputs.map((scale) => instance.run(["forward"], { scale }, ["total"])));
  tick();
  clearInterval(ticks);
  const kept = await instance.read("kept");
  instance.write("y", new Float32Array(size).fill(7));
  const written = await instance.read("y");
  instance.dispose();
  const sums = [...runs.flatMap(({ total }) => [...total!]), ...kept, ...written];
  return { isIsolated: globalThis.crossOriginIsolated === true, sums, duration: last - begin, pause };
}
