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

/** A product that is large enough for threads, and what the page allows. */
export async function squareInThreads(threads: number): Promise<{ isIsolated: boolean; sums: number[] }> {
  const size = 200;
  const k = new Builder("square");
  const x = k.port("x", "weight", "f32", [size, size]);
  const graph = k.finish([{ name: "y", node: k.sum(k.einsum("mk,kn->mn", x, x), [0]) }]);
  const program = { stages: [{ name: "forward" as const, graph }], storage: { buffers: [], bindings: {} } };
  const data = new Map([["x", Float32Array.from({ length: size * size }, (_unused, i) => Math.sin(i))]]);
  const instance = await wasmExecutor({ threads }).instantiate(program, data);
  const runs = await Promise.all([1, 2].map(() => instance.run(["forward"], {}, ["y"])));
  instance.dispose();
  return { isIsolated: globalThis.crossOriginIsolated, sums: runs.flatMap(({ y }) => [...y!]) };
}
