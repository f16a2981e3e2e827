// Sets up navigator.gpu (Dawn in Node, or what Deno/a browser already has) and counts WebGPU calls.
const isNode = typeof process !== "undefined" && !!process.versions?.node && typeof Deno === "undefined";
export const opt = isNode ? process.env : typeof Deno !== "undefined" ? Deno.env.toObject() : {};
export const counts = {
  dispatches: 0,
  passes: 0,
  submits: 0,
  bytesBound: 0,
  workgroups: 0,
  pipelines: 0,
  buffersCreated: 0,
  bytesCreated: 0,
  writeBufferBytes: 0,
  copies: 0,
  maps: 0,
  bindGroups: 0,
};
export const live = { bytes: 0, peak: 0 };
export const snapshot = () => ({ ...counts });
export const diff = (a, b) => Object.fromEntries(Object.keys(a).map((k) => [k, b[k] - a[k]]));

function instrument(g) {
  const wrap = (cls, name, fn) => {
    const proto = g[cls]?.prototype;
    if (!proto?.[name]) return;
    const orig = proto[name];
    proto[name] = function (...a) {
      return fn.call(this, orig, a);
    };
  };
  const bgBytes = new WeakMap(),
    passGroups = new WeakMap();
  wrap("GPUDevice", "createBuffer", function (o, a) {
    const b = o.apply(this, a);
    counts.buffersCreated++;
    counts.bytesCreated += a[0].size;
    live.bytes += a[0].size;
    live.peak = Math.max(live.peak, live.bytes);
    return b;
  });
  wrap("GPUBuffer", "destroy", function (o, a) {
    live.bytes -= this.size;
    return o.apply(this, a);
  });
  wrap("GPUDevice", "createBindGroup", function (o, a) {
    const bg = o.apply(this, a);
    let n = 0;
    for (const e of a[0].entries) {
      const r = e.resource;
      const buf = r?.buffer ?? (typeof r?.mapState === "string" ? r : null);
      if (buf) n += r.size ?? buf.size - (r.offset ?? 0);
    }
    bgBytes.set(bg, n);
    counts.bindGroups++;
    return bg;
  });
  wrap("GPUDevice", "createComputePipeline", function (o, a) {
    counts.pipelines++;
    return o.apply(this, a);
  });
  wrap("GPUDevice", "createComputePipelineAsync", function (o, a) {
    counts.pipelines++;
    return o.apply(this, a);
  });
  wrap("GPUCommandEncoder", "beginComputePass", function (o, a) {
    counts.passes++;
    return o.apply(this, a);
  });
  wrap("GPUCommandEncoder", "copyBufferToBuffer", function (o, a) {
    counts.copies++;
    return o.apply(this, a);
  });
  wrap("GPUComputePassEncoder", "setBindGroup", function (o, a) {
    let m = passGroups.get(this);
    if (!m) {
      m = [];
      passGroups.set(this, m);
    }
    m[a[0]] = bgBytes.get(a[1]) ?? 0;
    return o.apply(this, a);
  });
  const disp = function (o, a) {
    counts.dispatches++;
    counts.workgroups += (a[0] ?? 1) * (a[1] ?? 1) * (a[2] ?? 1);
    for (const x of passGroups.get(this) ?? []) counts.bytesBound += x ?? 0;
    return o.apply(this, a);
  };
  wrap("GPUComputePassEncoder", "dispatchWorkgroups", disp);
  wrap("GPUQueue", "submit", function (o, a) {
    counts.submits++;
    return o.apply(this, a);
  });
  wrap("GPUQueue", "writeBuffer", function (o, a) {
    const d = a[2];
    counts.writeBufferBytes += a[4] != null ? a[4] * (d.BYTES_PER_ELEMENT ?? 1) : d.byteLength;
    return o.apply(this, a);
  });
  wrap("GPUBuffer", "mapAsync", function (o, a) {
    counts.maps++;
    return o.apply(this, a);
  });
}

export async function setupGpu() {
  if (isNode) {
    const { create, globals } = await import("webgpu");
    Object.assign(globalThis, globals);
    if (opt.NO_NICE !== "1") (await import("./sleeping-poll.mjs")).installSleepingPoll(globals);
    instrument(globals);
    const gpu = create((opt.DAWN_FLAGS ?? "").split(" ").filter(Boolean));
    Object.defineProperty(globalThis, "navigator", {
      value: { gpu, userAgent: "node", hardwareConcurrency: 2, platform: "linux" },
      configurable: true,
      writable: true,
    });
  } else instrument(globalThis);
  // tfjs 4.22 calls the removed GPUAdapter.requestAdapterInfo()
  if (globalThis.GPUAdapter && !GPUAdapter.prototype.requestAdapterInfo)
    GPUAdapter.prototype.requestAdapterInfo = async function () {
      return this.info;
    };
  const a = await navigator.gpu.requestAdapter();
  return { description: a?.info?.description || a?.info?.architecture || "?", vendor: a?.info?.vendor };
}
