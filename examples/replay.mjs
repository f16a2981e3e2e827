// Runs a training step from what `webpeft inspect` wrote, with nothing of webpeft: the dump is the program.
//
//   node examples/replay.mjs DUMP BATCH.safetensors WEIGHTS.safetensors...
//
// DUMP holds plan.json and kernels/*.wgsl, BATCH holds input_ids and labels, the WEIGHTS files are the base model's and the adapter's.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const usage = { MAP_READ: 1, COPY_SRC: 4, COPY_DST: 8, UNIFORM: 64, STORAGE: 128 };
const compute = 4;
const width = { F64: 8, I64: 8, F32: 4, I32: 4, U32: 4, F16: 2, BF16: 2 };
const up = (n, to) => Math.ceil(n / to) * to;
const count = (shape) => shape.reduce((product, n) => product * n, 1);

/** Tensors of a safetensors file by name: their bytes, dtype and shape. */
export async function readTensors(path) {
  const file = await readFile(path);
  const end = 8 + Number(file.readBigUInt64LE(0));
  const { __metadata__, ...header } = JSON.parse(file.subarray(8, end).toString());
  const entries = Object.entries(header).map(
    ([
      name,
      {
        dtype,
        shape,
        data_offsets: [from, to],
      },
    ]) => {
      return [name, { dtype, shape, bytes: Uint8Array.from(file.subarray(end + from, end + to)) }];
    },
  );
  return new Map(entries);
}

/** Bytes of a tensor as the device holds it; the plan asks for the dtype that the file has, and i32 for integers. */
function deviceBytes({ dtype, bytes }) {
  if (dtype === "I64") return new Uint8Array(Int32Array.from(new BigInt64Array(bytes.buffer), Number).buffer);
  const padded = new Uint8Array(up(bytes.length, 4));
  padded.set(bytes);
  return padded;
}

/** A row-major tensor with its axes laid out in another order, outermost first. */
function reordered(bytes, size, shape, order) {
  const strides = shape.map((_n, axis) => count(shape.slice(axis + 1)));
  const result = new Uint8Array(bytes.length);
  const Words = size === 2 ? Uint16Array : Uint32Array;
  const [from, to] = [new Words(bytes.buffer, bytes.byteOffset), new Words(result.buffer)];
  const [extents, steps] = [order.map((axis) => shape[axis]), order.map((axis) => strides[axis])];
  const last = order.length - 1;
  const places = new Array(order.length).fill(0);
  // Where the innermost axis begins in `from`; models have hundreds of millions of numbers, so that each is one copy of a word.
  for (let [at, begin] = [0, 0]; at < to.length; ) {
    for (let i = 0, source = begin; i < extents[last] && at < to.length; i++, source += steps[last])
      to[at++] = from[source];
    let axis = last - 1;
    for (; axis >= 0; axis--) {
      begin += steps[axis];
      if (++places[axis] < extents[axis]) break;
      begin -= steps[axis] * extents[axis];
      places[axis] = 0;
    }
    if (axis < 0) break;
  }
  return result;
}

/**
 * Waits for what a device has to do. Dawn asks for it again and again, on a core that a driver in software needs itself, so that every turn
 * of the loop sleeps for a moment.
 */
async function waited(promise) {
  let isOver = false;
  const cell = new Int32Array(new SharedArrayBuffer(4));
  const turn = () => {
    if (isOver) return;
    Atomics.wait(cell, 0, 0, 1);
    setImmediate(turn);
  };
  setImmediate(turn);
  return promise.finally(() => {
    isOver = true;
  });
}

/** The stages of a step; a plan has those that its method needs. */
const stepStages = ["project", "micro_parameters", "micro", "parameters_backward", "update"];

/** Labels that count: not -100, and not the first of a row, which predicts nothing. */
const counted = (labels, length) => labels.filter((label, i) => i % length !== 0 && label !== -100).length;

class Replay {
  constructor(device, plan, wgsl, pipelines) {
    Object.assign(this, { device, plan, wgsl, pipelines, buffers: new Map() });
    for (const { name, bytes, within } of plan.buffers) {
      if (within !== undefined) continue;
      this.buffers.set(
        name,
        device.createBuffer({ size: bytes, usage: usage.STORAGE | usage.COPY_SRC | usage.COPY_DST }),
      );
    }
  }

  /** A place of the plan on the device: a buffer of the plan may be a part of another. */
  locate({ buffer, offset }) {
    const within = this.plan.buffers.find(({ name }) => name === buffer).within ?? { buffer, offset: 0 };
    return { buffer: this.buffers.get(within.buffer), offset: offset + within.offset };
  }

  write(place, bytes) {
    const { buffer, offset } = this.locate(place);
    this.device.queue.writeBuffer(buffer, offset, bytes);
  }

  /** Weights and tables go where the plan has them, parameters to their slice of storage; moments start as zeros, as buffers do. */
  upload(tensors) {
    const tables = this.plan.tables.map(({ name, data }) => [
      name,
      { dtype: "I32", bytes: Uint8Array.from(Buffer.from(data, "base64")) },
    ]);
    const all = new Map([...tensors, ...tables]);
    for (const { name, dtype, shape, order, rows, ...place } of this.plan.weights) {
      if (!all.has(name)) throw new Error(`no file has the tensor ${name}`);
      const size = dtype === "bf16" || dtype === "f16" ? 2 : 4;
      const row = size * count(shape.slice(1));
      const whole = deviceBytes(all.get(name));
      const bytes = rows === undefined ? whole : whole.slice(row * rows[0], up(row * rows[1], 4));
      this.write(place, order === undefined ? bytes : reordered(bytes, size, shape, order));
    }
    for (const [name, { buffer, offset }] of Object.entries(this.plan.storage.bindings)) {
      if (all.has(name)) this.write({ buffer, offset: 4 * offset }, deviceBytes(all.get(name)));
    }
  }

  pipeline({ kernel, bindings }) {
    const { device } = this;
    const code = this.wgsl.get(kernel);
    // what the comment says is not part of what the kernel is
    const text = code.replace(/^(\/\/.*\n)+/, "");
    const known = this.pipelines.get(text);
    if (known !== undefined) return known;
    const buffers = [...bindings.map(({ access }) => (access === "read" ? "read-only-storage" : "storage")), "uniform"];
    const layout = device.createBindGroupLayout({
      entries: buffers.map((type, binding) => ({ binding, visibility: compute, buffer: { type } })),
    });
    const pipeline = device.createComputePipeline({
      layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
      compute: { module: device.createShaderModule({ code }), entryPoint: "main" },
    });
    this.pipelines.set(text, { layout, pipeline });
    return { layout, pipeline };
  }

  dispatch(encoder, dispatch) {
    const { device } = this;
    const { layout, pipeline } = this.pipeline(dispatch);
    const size = 4 * dispatch.sizes.length;
    const words = device.createBuffer({ size: up(Math.max(size, 16), 16), usage: usage.UNIFORM | usage.COPY_DST });
    device.queue.writeBuffer(words, 0, Uint32Array.from(dispatch.sizes));
    const ranges = dispatch.bindings.map(({ buffer, offset, size }) => ({
      buffer: this.buffers.get(buffer),
      offset,
      size,
    }));
    const entries = [...ranges, { buffer: words }].map((resource, binding) => ({ binding, resource }));
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, device.createBindGroup({ layout, entries }));
    pass.dispatchWorkgroups(...dispatch.grid);
    pass.end();
  }

  /** Runs stages in order: dispatches that always run, then the copies within storage. */
  run(names, inputs) {
    for (const { name, dtype, shape, ...place } of this.plan.inputs) {
      if (inputs[name] === undefined) continue;
      if (inputs[name].length !== count(shape)) throw new Error(`${name} must have ${count(shape)} numbers`);
      const words = dtype === "f32" ? Float32Array.from(inputs[name]) : Int32Array.from(inputs[name], Number);
      this.write(place, new Uint8Array(words.buffer));
    }
    const encoder = this.device.createCommandEncoder();
    for (const stage of this.plan.stages.filter(({ name }) => names.includes(name))) {
      for (const dispatch of stage.dispatches) if (dispatch.always) this.dispatch(encoder, dispatch);
      for (const { from, to, size } of stage.copies) {
        const [source, target] = [this.locate(from), this.locate(to)];
        encoder.copyBufferToBuffer(source.buffer, source.offset, target.buffer, target.offset, size);
      }
    }
    this.device.queue.submit([encoder.finish()]);
  }

  /** A buffer of storage, or a bound slice of one, as f32. */
  async read(name) {
    const { bindings, buffers } = this.plan.storage;
    const slice = bindings[name] ?? {
      buffer: name,
      offset: 0,
      size: buffers.find((buffer) => buffer.name === name).size,
    };
    const { buffer, offset } = this.locate({ buffer: slice.buffer, offset: 4 * slice.offset });
    const staging = this.device.createBuffer({ size: 4 * slice.size, usage: usage.MAP_READ | usage.COPY_DST });
    const encoder = this.device.createCommandEncoder();
    encoder.copyBufferToBuffer(buffer, offset, staging, 0, 4 * slice.size);
    this.device.queue.submit([encoder.finish()]);
    await waited(staging.mapAsync(1));
    const values = new Float32Array(staging.getMappedRange().slice(0));
    staging.destroy();
    return values;
  }

  dispose() {
    for (const buffer of this.buffers.values()) buffer.destroy();
  }
}

/**
 * Opens a dump on a GPUDevice and uploads tensors. `step` is forward, backward and AdamW on one batch, and gives what the status buffer
 * holds: the loss and the norm of the gradient. It is what a session's `step` does. Dumps on one device that share `pipelines` have equal
 * kernels compiled once.
 */
export async function openDump(device, folder, tensors, { seed = 0, pipelines = new Map() } = {}) {
  const plan = JSON.parse(await readFile(join(folder, "plan.json"), "utf8"));
  const files = plan.kernels.map(async ({ name, file }) => [name, await readFile(join(folder, file), "utf8")]);
  const replay = new Replay(device, plan, new Map(await Promise.all(files)), pipelines);
  replay.upload(tensors);
  if (plan.stages.some(({ name }) => name === "prepare")) replay.run(["prepare"], {});
  let steps = 0;
  return {
    read: (name) => replay.read(name),
    dispose: () => replay.dispose(),
    async step({ input_ids, labels }, { lr = 1e-3 } = {}) {
      const t = ++steps;
      const scalars = {
        seed: [seed],
        step: [t - 1],
        sample_offset: [0],
        label_scale: [1 / counted(labels, plan.length)],
      };
      const optimizer = {
        lr: [lr],
        bias1: [1 - 0.9 ** t],
        bias2: [Math.sqrt(1 - 0.999 ** t)],
        weight_decay: [0],
        max_norm: [0],
      };
      replay.run(stepStages, { input_ids, labels, ...scalars, ...optimizer });
      const [loss, gradNorm, finite] = await replay.read("status");
      return { loss, gradNorm, finite: finite === 1 };
    },
  };
}

async function main([dump, batchFile, ...weightFiles]) {
  if (weightFiles.length === 0)
    throw new Error("usage: node examples/replay.mjs DUMP BATCH.safetensors WEIGHTS.safetensors...");
  const { create } = await import("webgpu");
  // Dawn's instance must outlive everything that came of it
  globalThis.dawn = create([]);
  const adapter = await globalThis.dawn.requestAdapter();
  if (adapter === null) throw new Error("no WebGPU adapter");
  const batch = await readTensors(batchFile);
  const ids = (name) => {
    const { dtype, bytes } = batch.get(name);
    return width[dtype] === 8 ? Array.from(new BigInt64Array(bytes.buffer), Number) : [...new Int32Array(bytes.buffer)];
  };
  const tensors = new Map((await Promise.all(weightFiles.map(readTensors))).flatMap((file) => [...file]));
  const device = await adapter.requestDevice();
  const replay = await openDump(device, dump, tensors);
  console.log(JSON.stringify(await replay.step({ input_ids: ids("input_ids"), labels: ids("labels") })));
  replay.dispose();
  device.destroy();
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  main(process.argv.slice(2)).catch((error) => {
    console.error(error.message);
    process.exitCode = 1;
  });
}
