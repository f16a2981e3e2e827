// dawn.node polls its event queue from setImmediate() while any GPU promise is pending, which burns one
// CPU core. On a software Vulkan driver (lavapipe/SwiftShader) that core is the "GPU": on a 2-core machine
// kernels run ~1.5x slower. This wraps the two waiting calls so that the poll loop sleeps between polls.
const sab = new Int32Array(new SharedArrayBuffer(4));
let pending = 0,
  t0 = 0,
  looping = false;
function loop() {
  if (pending === 0) {
    looping = false;
    return;
  }
  const el = performance.now() - t0;
  if (el > 0.25) Atomics.wait(sab, 0, 0, el < 4 ? 0.1 : el < 40 ? 0.3 : 1);
  setImmediate(loop);
}
function track(p) {
  if (pending++ === 0) t0 = performance.now();
  if (!looping) {
    looping = true;
    setImmediate(loop);
  }
  const end = () => {
    pending--;
  };
  p.then(end, end);
  return p;
}
export function installSleepingPoll(globals) {
  for (const [cls, name] of [
    ["GPUQueue", "onSubmittedWorkDone"],
    ["GPUBuffer", "mapAsync"],
    ["GPUDevice", "createComputePipelineAsync"],
    ["GPUDevice", "popErrorScope"],
  ]) {
    const proto = globals[cls].prototype,
      orig = proto[name];
    proto[name] = function (...a) {
      return track(orig.apply(this, a));
    };
  }
}
