/** What the engine can do beyond what every one does. */
import { type Target, wasmTarget } from "../../../codegen/index.ts";
import { encodeModule, relaxedSimd } from "../../../codegen/wasm/index.ts";
import { isThere } from "./engine.ts";

const load = (address: number) =>
  [
    { op: "i32.const", immediates: [0] },
    { op: "v128.load", immediates: [address] },
  ] as const;

/** Multiplies and adds what stands at 0, 16 and 32, and puts the result to 48. */
const multiplyAdd = {
  name: "probe",
  parameters: [],
  results: [],
  locals: [],
  body: [
    { op: "i32.const", immediates: [0] },
    ...[0, 16, 32].flatMap(load),
    { op: "f32x4.relaxed_madd", immediates: [] },
    { op: "v128.store", immediates: [48] },
  ],
  exported: true,
} as const;

const memoryType = { pages: 1, most: 1, shared: false } as const;

let known: WebAssembly.Module | false | undefined;
let fuses: boolean | undefined;

/** A page may forbid it: whoever runs a program is told. */
function compiled(binary: Uint8Array<ArrayBuffer>): WebAssembly.Module | false {
  try {
    return new WebAssembly.Module(binary);
  } catch {
    return false;
  }
}

/** Whether the engine has instructions that may add products without rounding in between (relaxed SIMD). */
function hasRelaxedSimd(): boolean {
  if (known === undefined) {
    const binary = encodeModule({ memory: memoryType, globals: [], functions: [multiplyAdd] });
    known = isThere() && WebAssembly.validate(binary) && compiled(binary);
  }
  return known !== false;
}

/** Whether the processor does so: numbers then differ in their last bits from those that are rounded. */
function fusesProducts(): boolean {
  if (!hasRelaxedSimd()) return false;
  fuses ??= probe(known as WebAssembly.Module);
  return fuses;
}

function probe(module: WebAssembly.Module): boolean {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1 });
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  const numbers = new Float32Array(memory.buffer, 0, 16);
  // (1 + e)^2 - (1 + 2 e) is e^2, which is lost where the product is rounded.
  const e = 2 ** -12;
  [1 + e, 1 + e, -1 - 2 * e].forEach((x, i) => {
    numbers.fill(x, 4 * i, 4 * i + 4);
  });
  (exports.probe as () => void)();
  return numbers[12] !== 0;
}

/** How kernels for a target add products here, in words: what decides the last bits of numbers. */
export const arithmeticOf = ({ features }: Target): string =>
  features.includes(relaxedSimd) && fusesProducts()
    ? "products are added without rounding in between"
    : "products are rounded before they are added";

/** The target of this engine: no register holds a product, so that tiles have four more vectors of sums. */
export const wasmTargetHere = (): Target =>
  hasRelaxedSimd()
    ? { ...wasmTarget, features: [relaxedSimd], tuning: { ...wasmTarget.tuning, panelTile: { rows: 6, columns: 8 } } }
    : wasmTarget;
