/** What a run of some stages is here: calls of functions, in pieces between which others come to their turn. */
import type { Dispatch, PlannedStage, PlannedValue } from "../../../codegen/plan.ts";
import { isNeeded, type Recipe } from "../recipes.ts";
import type { LoadedProgram } from "./load.ts";
import { type ScriptEntry, scriptOf } from "./script.ts";

/** Entries of a script, and the number of the first among all of the run. */
interface Piece {
  readonly script: Int32Array<ArrayBuffer>;
  readonly first: number;
}

/** Entries in their order, and the dispatches and stages that they are of. */
export interface Run {
  readonly recipe: Recipe;
  readonly entries: readonly ScriptEntry[];
  readonly sources: readonly { readonly stage: PlannedStage; readonly dispatch: Dispatch | undefined }[];
  readonly pieces: readonly Piece[];
}

/**
 * Operations and bytes from which a piece is over: some hundredths of a second on two threads, so that a step of many seconds does not keep signals,
 * timers and frames from their turn. To begin another costs a tenth of a millisecond.
 */
const pieceSize = 4e9;

type Loaded = Pick<LoadedProgram, "calls" | "threads"> & {
  readonly addressOf: (place: Pick<PlannedValue, "buffer" | "offset">) => number;
};

/** `cutsFrom`: operations and bytes of a dispatch from which all threads do it together. */
export function makeRun(recipe: Recipe, { calls, threads, addressOf }: Loaded, cutsFrom: number): Run {
  const [entries, sources]: [ScriptEntry[], Run["sources"][number][]] = [[], []];
  const begins = [0];
  let size = 0;
  for (const stage of recipe.stages) {
    for (const dispatch of stage.dispatches.filter((each) => isNeeded(each, recipe.want))) {
      const own = dispatch.flops + dispatch.bytes;
      if (size > 0 && size + own > pieceSize) begins.push(entries.length);
      size = begins.at(-1) === entries.length ? own : size + own;
      for (const call of calls.get(dispatch)!) {
        const share = own >= cutsFrom && call.blocks > 1 ? Math.ceil(call.blocks / (4 * threads)) : 0;
        entries.push({ ...call, share, target: 0 });
        sources.push({ stage, dispatch });
      }
    }
    for (const { from, to, size: blocks } of stage.copies) {
      entries.push({ kernel: -1, places: addressOf(from), blocks, share: 0, target: addressOf(to) });
      sources.push({ stage, dispatch: undefined });
    }
  }
  const pieces = begins.map((first, i) => ({ first, script: scriptOf(entries.slice(first, begins[i + 1])) }));
  return { recipe, entries, sources, pieces };
}
