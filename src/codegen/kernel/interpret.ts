/**
 * Runs kernel IR in JavaScript, invocation by invocation, in f32 and 32-bit integers: the check of lowering without a device. Invocations of
 * a workgroup run as generators that stop where they have to wait for others. Reads outside a tensor give 0.
 */
import type { Machine, Pause, Run, Value } from "./contexts.ts";
import { recordOf } from "./expressions.ts";
import { type Expr, type KernelIR, partWords, type Scalar, type Statement, type SubgroupOperation } from "./kernel.ts";
import { arithmetic, expandHalf, fromBits, toBits } from "./numbers.ts";
import { statementRecordOf } from "./statements.ts";

/** The memory of one binding, as 32-bit words. */
export type BindingMemory = Uint32Array;

/** What a device is free to choose. */
export interface DeviceChoices {
  /** The subgroup of every invocation of a workgroup; one for all unless told. */
  readonly subgroupOf?: (local: number) => number;
  /** Which invocations of a workgroup run, where none waits for another; all unless told. */
  readonly runs?: (local: number) => boolean;
}

/** Runs a dispatch of `workgroups` workgroups. `memory` is by binding and is written in place; `uniformBlock` is what the dispatch gives. */
export function interpret(
  kernel: KernelIR,
  memory: readonly BindingMemory[],
  uniformBlock: readonly number[],
  workgroups: number,
  { subgroupOf = () => 0, runs = () => true }: DeviceChoices = {},
): void {
  const record = partWords(kernel.sizes);
  for (let workgroup = 0; workgroup < workgroups; workgroup++) {
    const part = [0, 1, 2, 3].find((i) => workgroup < uniformBlock[i * record]!);
    if (part === undefined) continue;
    const sizes = uniformBlock.slice(part * record + 2, (part + 1) * record);
    const block = workgroup - uniformBlock[part * record + 1]!;
    const shared = new Map(kernel.shared.map((s) => [s.name, new Array<Value>(s.length).fill(0)]));
    const invocations = Array.from({ length: kernel.workgroup }, (_unused, local) => local)
      .filter(runs)
      .map((local) => new Invocation(kernel, memory, shared, sizes, block, local).run(kernel.body));
    runTogether(invocations, subgroupOf);
  }
}

/** Runs the invocations of a workgroup from one place where all of them wait to the next. */
function runTogether(invocations: readonly Run[], subgroupOf: (local: number) => number): void {
  let answers = invocations.map((): number | undefined => undefined);
  for (;;) {
    const states = invocations.map((invocation, local) => invocation.next(answers[local]));
    const waiting = states.flatMap((state) => (state.done === true ? [] : [state.value]));
    if (waiting.length === 0) return;
    if (waiting.length !== states.length || waiting.some((w) => w?.combine !== waiting[0]?.combine))
      throw new Error("a barrier that not all invocations reach");
    answers = combined(waiting, subgroupOf);
  }
}

/** What subgroups make of the numbers of their invocations; nothing at a barrier. */
function combined(waiting: readonly Pause[], subgroupOf: (local: number) => number): (number | undefined)[] {
  const sums = new Map<number, number>();
  const before = waiting.map((pause, local) => {
    if (pause === undefined) return undefined;
    const group = subgroupOf(local);
    const known = sums.get(group);
    sums.set(group, known === undefined ? pause.value : joined[pause.combine](known, pause.value, pause.type));
    return known ?? 0;
  });
  return waiting.map((pause, local) =>
    pause?.combine === "exclusive sum" ? before[local] : sums.get(subgroupOf(local)),
  );
}

const sum = (a: number, b: number, type: Scalar): number => arithmetic("+", type, a, b);

const joined: Readonly<Record<SubgroupOperation, (a: number, b: number, type: Scalar) => number>> = {
  sum,
  "exclusive sum": sum,
  maximum: (a, b) => Math.max(a, b),
};

class Invocation implements Machine {
  readonly names = new Map<string, Value>();
  readonly arrays = new Map<string, readonly Value[]>();

  constructor(
    private readonly kernel: KernelIR,
    private readonly memory: readonly BindingMemory[],
    readonly shared: ReadonlyMap<string, Value[]>,
    readonly sizes: readonly number[],
    readonly block: number,
    readonly local: number,
  ) {}

  *run(body: readonly Statement[]): Run {
    for (const s of body) {
      const rest = statementRecordOf(s).run(s, this);
      if (rest !== undefined) yield* rest;
    }
  }

  evaluate(e: Expr): Value {
    return recordOf(e).value(e, this);
  }

  store(tensor: number, index: number, value: Value): void {
    const { binding, dtype, name } = this.kernel.tensors[tensor]!;
    const memory = this.memory[binding]!;
    (typeof value === "number" ? [value] : value).forEach((v, lane) => {
      if (index + lane >= memory.length) throw new Error(`a store at ${index + lane}, outside ${name}`);
      memory[index + lane] = dtype === "f32" ? toBits(v) : v >>> 0;
    });
  }

  load(tensor: number, index: number): number {
    const { binding, dtype } = this.kernel.tensors[tensor]!;
    const memory = this.memory[binding]!;
    const at = index >>> 0;
    if (dtype === "bf16" || dtype === "f16") {
      const half = ((memory[at >>> 1] ?? 0) >>> (16 * (at & 1))) & 0xffff;
      return dtype === "bf16" ? fromBits((half << 16) >>> 0) : expandHalf(half);
    }
    const word = memory[at] ?? 0;
    return dtype === "f32" ? fromBits(word) : dtype === "i32" ? word | 0 : dtype === "bool" ? Number(word !== 0) : word;
  }
}
