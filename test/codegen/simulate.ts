/** Runs a generated plan on the JavaScript interpreter of kernel IR. */
import type { Generated } from "../../src/codegen/index.ts";
import { type DeviceChoices, interpret } from "../../src/codegen/index.ts";
import type { PlannedValue } from "../../src/codegen/plan.ts";
import { forEachIndex } from "../../src/ir/ops/common.ts";
import { type DType, sizeOf, stridesOf } from "../../src/ir/types.ts";
import { fromFloat32 } from "../../src/runtime/files/tensor.ts";

export type Feeds = Readonly<Record<string, ArrayLike<number>>>;

/** The memory image of numbers of a dtype, as 32-bit words. */
function wordsOf(data: ArrayLike<number>, dtype: DType): Uint32Array {
  if (dtype === "f32") return new Uint32Array(Float32Array.from(data).buffer);
  if (dtype === "bf16" || dtype === "f16") {
    const numbers = Float32Array.from(data);
    const { bytes } = fromFloat32(numbers, dtype === "bf16" ? "BF16" : "F16", [numbers.length]);
    const padded = new Uint8Array(Math.ceil(bytes.length / 4) * 4);
    padded.set(bytes);
    return new Uint32Array(padded.buffer);
  }
  return Uint32Array.from(data, (x) => x >>> 0);
}

function numbersOf(words: Uint32Array, dtype: DType): Float64Array {
  if (dtype === "f32") return Float64Array.from(new Float32Array(words.slice().buffer));
  return Float64Array.from(words, (w) => (dtype === "i32" ? w | 0 : w));
}

function inOrder(data: ArrayLike<number>, shape: readonly number[], order: readonly number[]): Float64Array {
  const strides = stridesOf(shape);
  const result = new Float64Array(data.length);
  forEachIndex(
    order.map((axis) => shape[axis]!),
    order.map((axis) => strides[axis]!),
    (position, offset) => {
      result[position] = data[offset]!;
    },
  );
  return result;
}

const rowsOf = (data: ArrayLike<number>, shape: readonly number[], [from, to]: readonly [number, number]): number[] =>
  Array.from(data).slice(from * sizeOf(shape.slice(1)), to * sizeOf(shape.slice(1)));

/** Memory of a plan; storage starts as `storage` says. */
export class Simulation {
  readonly memory: Map<string, Uint32Array>;

  constructor(
    private readonly generated: Generated,
    private readonly choices: DeviceChoices = {},
  ) {
    const memory = new Map<string, Uint32Array>();
    for (const { name, bytes, within } of generated.plan.buffers) {
      const from = (within?.offset ?? 0) / 4;
      memory.set(
        name,
        within === undefined ? new Uint32Array(bytes / 4) : memory.get(within.buffer)!.subarray(from, from + bytes / 4),
      );
    }
    this.memory = memory;
  }

  write(at: { readonly buffer: string; readonly offset: number }, words: Uint32Array): void {
    this.memory.get(at.buffer)!.set(words, at.offset / 4);
  }

  read(value: PlannedValue): Float64Array {
    const from = value.offset / 4;
    return numbersOf(this.memory.get(value.buffer)!.subarray(from, from + sizeOf(value.shape)), value.dtype);
  }

  run(stageName: string, feeds: Feeds): Record<string, Float64Array> {
    const { plan, kernels } = this.generated;
    for (const port of [...plan.inputs, ...plan.weights]) {
      const whole = feeds[port.name];
      if (whole === undefined) continue;
      const data = port.rows === undefined ? whole : rowsOf(whole, port.shape, port.rows);
      this.write(port, wordsOf(port.order === undefined ? data : inOrder(data, port.shape, port.order), port.dtype));
    }
    const stage = plan.stages.find((s) => s.name === stageName)!;
    for (const dispatch of stage.dispatches) {
      const kernel = kernels.find((k) => k.name === dispatch.kernel)!.ir;
      const memory = dispatch.bindings.map((b) => {
        const all = this.memory.get(b.buffer)!;
        return all.subarray(b.offset / 4, (b.offset + b.size) / 4);
      });
      interpret(kernel, memory, dispatch.sizes, dispatch.grid[0] * dispatch.grid[1], this.choices);
    }
    for (const { from, to, size } of stage.copies) {
      this.write(to, this.memory.get(from.buffer)!.slice(from.offset / 4, (from.offset + size) / 4));
    }
    const results: Record<string, Float64Array> = {};
    for (const o of stage.outputs) {
      const before = o.from === undefined ? [] : (results[o.name] ?? []);
      results[o.name] = Float64Array.from([...before, ...this.read(o)]);
    }
    return results;
  }
}
