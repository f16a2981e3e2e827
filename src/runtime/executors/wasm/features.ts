/** What the engine can do beyond what every one does. */
import { type Target, wasmTarget } from "../../../codegen/index.ts";
import { encodeModule, relaxedSimd } from "../../../codegen/wasm/index.ts";

const multiplyAdd = {
  name: "probe",
  parameters: ["v128", "v128", "v128"],
  results: ["v128"],
  locals: [],
  body: [
    ...[0, 1, 2].map((local) => ({ op: "local.get", immediates: [local] }) as const),
    { op: "f32x4.relaxed_madd", immediates: [] },
  ],
  exported: false,
} as const;

let known: boolean | undefined;

/** Whether it adds products without rounding in between (relaxed SIMD); numbers then differ in their last bits from those without. */
function fusesProducts(): boolean {
  const memory = { pages: 1, most: 1, shared: false };
  known ??= WebAssembly.validate(encodeModule({ memory, globals: [], functions: [multiplyAdd] }));
  return known;
}

/** The target of this engine: no register holds a product, so that tiles have four more vectors of sums. */
export const wasmTargetHere = (): Target =>
  fusesProducts()
    ? { ...wasmTarget, features: [relaxedSimd], tuning: { ...wasmTarget.tuning, panelTile: { rows: 6, columns: 8 } } }
    : wasmTarget;
