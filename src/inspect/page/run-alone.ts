/** A kernel as a page of its own, which runs it on WebGPU and says whether it agrees with the interpreter. */
import type { AloneRecord, KernelRecord } from "../report-types.ts";
import { seededWord } from "../seeded.ts";

interface Outcome {
  /** How many results were compared, and how far away the farthest is. */
  readonly compared: number;
  readonly largest: number;
  /** Those that are too far away. */
  readonly wrong: readonly string[];
}

/** Runs in the kernel's page: it may use what it is given and the browser, and nothing else of this file. */
async function runKernel(
  { wgsl, alone }: { readonly wgsl: string; readonly alone: AloneRecord },
  seeded: typeof seededWord,
): Promise<Outcome> {
  const adapter = await navigator.gpu?.requestAdapter();
  if (!adapter) throw new Error("There is no WebGPU here.");
  const requiredFeatures = [...wgsl.matchAll(/^enable ([\w-]+);/gm)].map(([, name]) =>
    name === "f16" ? "shader-f16" : name,
  ) as GPUFeatureName[];
  const { maxStorageBufferBindingSize, maxBufferSize, maxStorageBuffersPerShaderStage } = adapter.limits;
  const requiredLimits = { maxStorageBufferBindingSize, maxBufferSize, maxStorageBuffersPerShaderStage };
  const device = await adapter.requestDevice({ requiredFeatures, requiredLimits });
  device.pushErrorScope("validation");
  const buffers = alone.bindings.map(([size], binding) => {
    const buffer = device.createBuffer({ size, usage: 0x80 | 0x04 | 0x08, mappedAtCreation: true });
    const words = new Uint32Array(buffer.getMappedRange());
    for (let at = 0; at < words.length; at++) words[at] = seeded("f32", at);
    for (const [of, from, count, dtype] of alone.ranges)
      if (of === binding)
        for (let at = from; at < Math.min(from + count, words.length); at++) words[at] = seeded(dtype, at);
    buffer.unmap();
    return buffer;
  });
  const sizes = device.createBuffer({ size: 4 * alone.sizes.length, usage: 0x40 | 0x08 });
  device.queue.writeBuffer(sizes, 0, Uint32Array.from(alone.sizes));
  const layout = device.createBindGroupLayout({
    entries: [
      ...alone.bindings.map(([, access]) => (access === "read" ? "read-only-storage" : "storage")),
      "uniform",
    ].map((type, binding) => ({ binding, visibility: 4, buffer: { type: type as GPUBufferBindingType } })),
  });
  const pipeline = await device.createComputePipelineAsync({
    layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
    compute: { module: device.createShaderModule({ code: wgsl }), entryPoint: "main" },
  });
  const entries = [...buffers, sizes].map((buffer, binding) => ({ binding, resource: { buffer } }));
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, device.createBindGroup({ layout, entries }));
  pass.dispatchWorkgroups(alone.grid[0]!, alone.grid[1], alone.grid[2]);
  pass.end();
  const copy = device.createBuffer({ size: Math.max(4, 4 * alone.samples.length), usage: 0x01 | 0x08 });
  alone.samples.forEach(([binding, at], i) => {
    encoder.copyBufferToBuffer(buffers[binding]!, 4 * at, copy, 4 * i, 4);
  });
  device.queue.submit([encoder.finish()]);
  const error = await device.popErrorScope();
  if (error) throw new Error(error.message);
  await copy.mapAsync(1);
  const got = new Uint32Array(copy.getMappedRange().slice(0));
  const asFloat = (word: number): number => new Float32Array(Uint32Array.of(word).buffer)[0]!;
  const wrong: string[] = [];
  let largest = 0;
  alone.samples.forEach(([binding, at, want], i) => {
    const isFloat = !alone.ranges.some(([of, from, count]) => of === binding && from <= at && at < from + count);
    const [a, b] = isFloat ? [asFloat(want), asFloat(got[i]!)] : [want, got[i]!];
    const apart = Object.is(a, b) ? 0 : Math.abs(a - b) / Math.max(1, Math.abs(a));
    if (apart > largest) largest = apart;
    if (!(apart <= 1e-4)) wrong.push(`binding ${binding}, place ${at}: the interpreter says ${a}, the device ${b}`);
  });
  device.destroy();
  return { compared: alone.samples.length, largest, wrong };
}

/** Shows what came of it; runs in the kernel's page too. */
function showOutcome(running: Promise<Outcome>): void {
  const out = document.getElementById("result")!;
  running.then(
    ({ compared, largest, wrong }) => {
      out.className = wrong.length === 0 ? "good" : "bad";
      out.textContent =
        wrong.length === 0
          ? `It agrees: ${compared} results, the farthest ${largest.toExponential(1)} away.`
          : `It does not agree at ${wrong.length} of ${compared} results.\n${wrong.slice(0, 20).join("\n")}`;
    },
    (error: unknown) => {
      out.className = "bad";
      out.textContent = String(error);
    },
  );
}

const escaped = (text: string): string => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");

export function kernelPage({ name, wgsl }: KernelRecord, alone: AloneRecord): string {
  const data = JSON.stringify({ wgsl, alone }).replaceAll("<", "\\u003c");
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'">
<title>${name}</title>
<style>
:root { color-scheme: light dark; font: 14px/1.5 system-ui, sans-serif; }
body { max-width: 1000px; margin: 0 auto; padding: 16px; }
pre { overflow: auto; padding: 10px; border: 1px solid #8888; border-radius: 6px; }
#result { white-space: pre-wrap; font-weight: 600; }
.good { color: light-dark(#1c7430, #7ed491); }
.bad { color: light-dark(#b42318, #ff8f83); }
</style>
</head>
<body>
<h1>${name}</h1>
<p>Dispatch ${alone.at} of ${alone.stage}, on numbers that are made of their places, with loops of at most 32 turns. What it should give was computed by the interpreter of kernel IR.</p>
<p id="result" role="status">Running.</p>
<pre tabindex="0" aria-label="WGSL">${escaped(wgsl)}</pre>
<script type="application/json" id="data">${data}</script>
<script>
const seeded = ${seededWord.toString()};
const run = ${runKernel.toString()};
(${showOutcome.toString()})(run(JSON.parse(document.getElementById("data").textContent), seeded));
</script>
</body>
</html>
`;
}
