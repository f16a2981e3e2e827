/**
 * Prints kernel IR as a function of WebAssembly, specialised to the sizes of one part of a dispatch: words that are sizes are constants, those
 * that are places of tensors are read when it begins. `(places, from, to)`: the address of the places, and which workgroups to run, one after
 * the other. A workgroup is one invocation, so that barriers are nothing and memory of the workgroup belongs to the thread.
 */
import { remembered } from "../../ir/remember.ts";
import { type Expr, type KernelIR, lanesOf, type Statement } from "../kernel/kernel.ts";
import { visitExpressions } from "../kernel/walk.ts";
import { FunctionWriter, get, i32, isConstant, type Tree, tree } from "./function-writer.ts";
import { constantOf, formTree, type IndexForm, localForm, rangeOf } from "./index-form.ts";
import type { WasmFunction } from "./instructions.ts";
import { storeNumbers } from "./memory.ts";
import type { ArrayPlace, Context, Loop, Reach, Specialization } from "./specialization.ts";
import { arrayAddress, countOf, indexOf, tensorAddress, valueTree, valueType, wideTree } from "./values.ts";

/** A function, and the bytes of memory of its own that a thread needs for it. */
interface PrintedKernel {
  readonly code: WasmFunction;
  readonly scratchBytes: number;
}

/** What it reads tells in which memories it fits. */
type PrintedAnywhere = PrintedKernel & { readonly reach: Reach };

const known = new WeakMap<KernelIR, Map<string, PrintedAnywhere>>();

/** The function of a kernel with these sizes: one that another program had, where all that it reads lies in this memory too. */
export function kernelFunction(name: string, specialization: Specialization): PrintedKernel {
  const { kernel, sizes, blocks, highest, memoryBytes, fuses } = specialization;
  const own = remembered(known, kernel, () => new Map<string, PrintedAnywhere>());
  const key = [blocks, fuses, ...sizes].join();
  const before = own.get(key);
  const fits = before?.reach.ends.every((end, tensor) => highest[tensor]! + end <= memoryBytes);
  const printed = before !== undefined && fits ? before : printKernelFunction(name, specialization);
  if (!printed.reach.fixed) own.set(key, printed);
  return { ...printed, code: { ...printed.code, name } };
}

const [placesParameter, fromParameter, toParameter] = [0, 1, 2];

function printKernelFunction(name: string, specialization: Specialization): PrintedAnywhere {
  const { kernel, sizes, blocks } = specialization;
  const writer = new FunctionWriter(["i32", "i32", "i32"]);
  let scratchBytes = 0;
  const reserve = (bytes: number): number => {
    const offset = scratchBytes;
    scratchBytes += Math.ceil(bytes / 16) * 16;
    return offset;
  };
  const shared = kernel.shared.map(({ name: array, type, lanes, length }): [string, ArrayPlace] => [
    array,
    { kind: "array", offset: reserve(4 * lanes * length), type, lanes },
  ]);
  const scratch = writer.local("i32");
  writer.set(scratch, tree("global.get", [], 0));
  const words = sizes.flatMap((size, word) => (size === undefined ? [word] : []));
  const places = words.map((word, i): [number, number] => {
    const place = writer.bind("i32", tree("i32.load", [get(placesParameter)], 4 * i));
    return [word, place.immediates[0]!];
  });
  const context: Context = {
    specialization,
    writer,
    names: new Map(),
    variables: new Set(),
    places: new Map(places),
    block: localForm(fromParameter, 0, blocks - 1),
    scratch,
    shared: new Map(shared),
    loops: [],
    spreads: spreadNames(kernel.body),
    reserve,
    reach: { ends: [], fixed: false },
  };
  const body = writer.apart(() => {
    print(context, kernel.body);
    writer.set(fromParameter, tree("i32.add", [get(fromParameter), i32(1)]));
  });
  writer.repeat(body, tree("i32.lt_u", [get(fromParameter), get(toParameter)]));
  return { code: writer.finish(name, [], true), scratchBytes, reach: context.reach };
}

type StatementOf<K extends Statement["kind"]> = Extract<Statement, { readonly kind: K }>;

const statements: { readonly [K in Statement["kind"]]: (c: Context, s: StatementOf<K>) => void } = {
  let: (c, { name, value }) => {
    if (value.type === "u32" && lanesOf(value) === 1) {
      c.names.set(name, { kind: "index", form: settled(c, indexOf(c, value)) });
      return;
    }
    const count = countOf(c, value);
    if (count !== undefined) {
      c.names.set(name, { kind: "index", form: settled(c, count) });
      return;
    }
    const isSpread = c.spreads.has(name);
    const local = c.writer.local(isSpread ? "v128" : valueType(value));
    c.writer.set(local, isSpread ? wideTree(c, value) : valueTree(c, value));
    c.names.set(name, { kind: "local", local, isSpread });
  },
  var: (c, { name, value }) => {
    const local = c.writer.local(valueType(value));
    c.writer.set(local, valueTree(c, value));
    c.variables.add(local);
    c.names.set(name, { kind: "local", local, isSpread: false });
  },
  assign: (c, { name, value }) => c.writer.set((c.names.get(name) as { local: number }).local, valueTree(c, value)),
  array: (c, { name, values }) => {
    const lanes = lanesOf(values[0]!);
    const { type } = values[0]!;
    const array: ArrayPlace = { kind: "array", offset: c.reserve(4 * lanes * values.length), type, lanes };
    c.names.set(name, array);
    values.forEach((value, i) => {
      const address = { tree: get(c.scratch), offset: array.offset + 4 * lanes * i };
      storeNumbers(c.writer, type, lanes, address, valueTree(c, value));
    });
  },
  for: (c, s) => printLoop(c, s),
  if: (c, { condition, body, otherwise }) => {
    const test = valueTree(c, condition);
    if (isConstant(test, 1)) return print(c, body);
    if (isConstant(test, 0)) return print(c, otherwise ?? []);
    c.writer.when(test, () => print(c, body), otherwise === undefined ? undefined : () => print(c, otherwise));
  },
  store: (c, { tensor, index, value }) => {
    const { dtype } = c.specialization.kernel.tensors[tensor]!;
    const lanes = lanesOf(value);
    storeNumbers(c.writer, dtype, lanes, tensorAddress(c, tensor, index, lanes), valueTree(c, value));
  },
  "store-shared": (c, { array, index, value }) => {
    const place = c.shared.get(array)!;
    storeNumbers(c.writer, place.type, place.lanes, arrayAddress(c, place, index), valueTree(c, value));
  },
  barrier: () => {},
  subgroup: () => {
    throw new Error("there are no subgroups in WebAssembly");
  },
  comment: () => {},
};

function print(c: Context, body: readonly Statement[]): void {
  for (const s of body) (statements[s.kind] as (c: Context, s: Statement) => void)(c, s);
}

/** The same number later: what is made of variables is kept as it is now. */
function settled(c: Context, form: IndexForm): IndexForm {
  if (![...form.terms.keys()].some((local) => c.variables.has(local))) return form;
  const [lo, hi] = rangeOf(form);
  return localForm(c.writer.bind("i32", formTree(form)).immediates[0]!, lo, hi);
}

function printLoop(c: Context, { name, from, to, step, body }: StatementOf<"for">): void {
  const { writer } = c;
  const [start, given, stride] = [indexOf(c, from), indexOf(c, to), constantOf(indexOf(c, step))];
  if (stride === undefined) throw new Error(`the step of the loop over ${name} is not known`);
  const end = constantOf(given) === undefined ? settledEnd(c, given) : given;
  const [low] = rangeOf(start);
  const [endLow, endHigh] = rangeOf(end);
  if (endHigh === 0) return;
  const isOnce = constantOf(start) !== undefined && endHigh <= low + stride && endLow > low;
  if (isOnce) {
    c.names.set(name, { kind: "index", form: start });
    print(c, body);
    return;
  }
  const variable = writer.local("i32");
  writer.set(variable, formTree(start));
  const loop: Loop = { variable, step: stride, firstInside: writer.localCount, pointers: new Map() };
  c.names.set(name, { kind: "index", form: localForm(variable, low, endHigh - 1) });
  const inside = writer.apart(() => {
    c.loops.push(loop);
    print(c, body);
    c.loops.pop();
    for (const { local, stride: bytes } of loop.pointers.values())
      writer.set(local, tree("i32.add", [get(local), i32(bytes)]));
    writer.set(variable, tree("i32.add", [get(variable), i32(stride)]));
  });
  const goesOn = (): Tree => tree("i32.lt_u", [get(variable), formTree(end)]);
  const turns = (): void => {
    for (const { local, form, width } of loop.pointers.values()) writer.set(local, formTree(form, width));
    writer.repeat(inside, goesOn());
  };
  if (rangeOf(start)[1] < endLow) turns();
  else writer.when(goesOn(), turns);
}

/** The end of a loop is read once. */
function settledEnd(c: Context, form: IndexForm): IndexForm {
  const [lo, hi] = rangeOf(form);
  return localForm(c.writer.bind("i32", formTree(form)).immediates[0]!, lo, hi);
}

/** Names of numbers that are read as four equal lanes only: they are kept as such. */
function spreadNames(body: readonly Statement[]): ReadonlySet<string> {
  const [reads, spread] = [new Map<string, number>(), new Map<string, number>()];
  const count = (counts: Map<string, number>, e: Expr): void => {
    if (e.kind === "variable") counts.set(e.name, (counts.get(e.name) ?? 0) + 1);
  };
  visitExpressions(body, (e) => {
    if (e.kind === "variable" && e.type === "f32" && e.lanes === 1) count(reads, e);
    if (e.kind === "binary" && e.lanes === 4)
      for (const side of [e.a, e.b]) if (lanesOf(side) === 1) count(spread, side);
    if (e.kind !== "vector") return;
    const [first] = e.parts;
    const isOne = e.parts.every((p) => p.kind === "variable" && first?.kind === "variable" && p.name === first.name);
    if (isOne) for (const part of e.parts) count(spread, part);
  });
  return new Set([...reads].filter(([name, times]) => spread.get(name) === times).map(([name]) => name));
}
