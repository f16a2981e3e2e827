/** A trivial kernel, run through the waits that the runtime uses. */
import { bufferUsage, listDevices, mapMode, type OpenDevice, openDevice } from "../../src/runtime/device/index.ts";

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
