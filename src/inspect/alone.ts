/**
 * Kernels by themselves: a dispatch of each on numbers that are made of their places, and what the interpreter of kernel IR makes of some of
 * them. Loops are cut short by their words, and of invocations that do not meet a few are run, so that it takes no time that anybody notices.
 */
import { endsOfLoops, type Generated, interpret, type KernelIR, meets, partWords } from "../codegen/index.ts";
import { byteWidth, sizeOf } from "../ir/types.ts";
import type { AloneRecord } from "./report-types.ts";
import { type SeededType, seededWord } from "./seeded.ts";

/** Turns of a loop whose end is a word, at most; workgroups that are run, and results that are kept of them. */
const [mostTurns, mostSamples] = [32, 48] as const;

/** Memory that is made when it is read, and remembers what was written. */
function sparseMemory(
  words: number,
  typeAt: (at: number) => SeededType,
): { readonly memory: Uint32Array; readonly written: Map<number, number> } {
  const written = new Map<number, number>();
  const memory = new Proxy(new Uint32Array(0), {
    get: (_target, key) => {
      if (key === "length") return words;
      const at = Number(key);
      return at < words ? (written.get(at) ?? seededWord(typeAt(at), at)) : undefined;
    },
    set: (_target, key, value: number) => {
      written.set(Number(key), value >>> 0);
      return true;
    },
  });
  return { memory, written };
}

/** Words of workgroup memory from which on a workgroup takes too long to interpret. */
const mostShared = 512;

/** Nothing for kernels whose workgroups do too much together. */
export function aloneRecord(generated: Generated, kernel: string, ir: KernelIR): AloneRecord | undefined {
  if (ir.shared.reduce((sum, { length, lanes }) => sum + length * lanes, 0) > mostShared) return undefined;
  const runs = generated.plan.stages.flatMap(({ name: stage, dispatches }) =>
    dispatches.flatMap((dispatch, at) => (dispatch.kernel === kernel ? [{ stage, at, dispatch }] : [])),
  );
  const bound = ({ dispatch }: (typeof runs)[number]): number =>
    dispatch.bindings.reduce((sum, { size }) => sum + size, 0);
  const { stage, at, dispatch } = runs.reduce((least, run) => (bound(run) < bound(least) ? run : least));
  const { bindings, grid } = dispatch;
  const touched = generated.tensors.find((own) => own.stage === stage)!.dispatches[at]!;
  const ranges = touched
    .filter(({ dtype }) => dtype !== "f32")
    .map(({ dtype, shape, buffer, offset }) => {
      const within = generated.plan.buffers.find(({ name }) => name === buffer)?.within;
      const place = { buffer: within?.buffer ?? buffer, offset: offset + (within?.offset ?? 0) };
      const binding = bindings.findIndex(
        (own) => own.buffer === place.buffer && own.offset <= place.offset && place.offset < own.offset + own.size,
      );
      const words = Math.ceil((sizeOf(shape) * byteWidth(dtype)) / 4);
      return [binding, (place.offset - bindings[binding]!.offset) / 4, words, dtype as SeededType] as const;
    });
  const typeIn =
    (binding: number) =>
    (place: number): SeededType =>
      ranges.find(([of, from, words]) => of === binding && from <= place && place < from + words)?.[3] ?? "f32";
  const sizes = [...dispatch.sizes];
  const [record, ends] = [partWords(ir.sizes), endsOfLoops(ir)];
  for (let part = 0; part * record < sizes.length; part++)
    for (const word of ends) sizes[part * record + 2 + word] = Math.min(sizes[part * record + 2 + word]!, mostTurns);
  const memories = bindings.map(({ size }, binding) => sparseMemory(size / 4, typeIn(binding)));
  const few = new Set([0, 1, ir.workgroup >> 1, ir.workgroup - 1]);
  interpret(
    ir,
    memories.map(({ memory }) => memory),
    sizes,
    1,
    meets(ir) ? {} : { runs: (local) => few.has(local) },
  );
  const results = memories.flatMap(({ written }, binding) =>
    [...written].map(([place, word]) => [binding, place, word] as const),
  );
  const every = Math.max(1, Math.ceil(results.length / mostSamples));
  return {
    ...{ stage, at, grid, sizes, ranges },
    bindings: bindings.map(({ size, access }) => [size, access] as const),
    samples: results.filter((_result, i) => i % every === 0),
  };
}
