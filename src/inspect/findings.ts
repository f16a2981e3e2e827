/** What the report's views of memory and passes find, as rows: who holds the peak, what is computed twice, what rules did. */
import type { KeptValue } from "../codegen/index.ts";
import { flopsOf } from "../ir/registry.ts";
import type { StageName } from "../program/index.ts";
import { computedBy, heldAt, liveBytes, peakAt, repeated } from "./memory-facts.ts";
import { isAt, lineOf, type ModelPlace } from "./places.ts";
import { nodeTitle } from "./report-data.ts";
import { ruleRecords } from "./report-passes.ts";
import { unknownName, unknownStage } from "./unknown.ts";
import type { InspectedProgram } from "./views.ts";

interface FindingOptions extends ModelPlace {
  /** `micro` where the program trains, else `forward`. */
  readonly stage?: StageName | "step" | undefined;
}

/** A node of a stage. */
interface PlacedRow {
  /** `stage/%number`. */
  readonly node: string;
  readonly what: string;
  readonly module: string;
  /** `file:line` of the formula, or nothing. */
  readonly line: string;
}

/** A value that is in memory at the peak. */
interface HeldRow extends PlacedRow, Pick<KeptValue, "bytes" | "first" | "last" | "why"> {}

/** A value that several dispatches compute. */
interface RepeatedRow extends PlacedRow {
  /** By their places in the stage. */
  readonly dispatches: readonly number[];
  /** Flops of all times but the first. */
  readonly flops: number;
}

export interface MemoryFindings {
  readonly stage: string;
  /** The dispatch at which most is in memory, and the bytes that are. */
  readonly dispatch: number;
  readonly bytes: number;
  /** The largest first. */
  readonly held: readonly HeldRow[];
  /** The most flops first. */
  readonly repeated: readonly RepeatedRow[];
}

/** Who holds the peak of a stage, and what it computes more than once. Throws `INSPECT-UNKNOWN` for a stage without kernels. */
export function memoryFindings(program: InspectedProgram, options: FindingOptions = {}): MemoryFindings {
  const { stage = program.mainStage } = options;
  const { plan, values } = program.generated;
  const planned = plan.stages.find(({ name }) => name === stage);
  if (planned === undefined)
    throw unknownStage(
      stage,
      plan.stages.map(({ name }) => name),
    );
  const graph = program.graph("tensor", planned.name);
  const rowOf = (id: number): PlacedRow => {
    const node = graph.nodes[id];
    const [what, module] = [node === undefined ? "copy" : nodeTitle(node), node?.scope ?? ""];
    return { node: `${stage}/%${id}`, what, module, line: node === undefined ? "" : lineOf(node) };
  };
  const isMeant = ({ module }: PlacedRow): boolean => isAt({ scope: module }, options);
  const kept = values.find((own) => own.stage === stage)?.values ?? [];
  const live = liveBytes(kept, planned.dispatches.length);
  const dispatch = peakAt(live);
  const held = heldAt(kept, dispatch).map(({ node, bytes, first, last, why }) => ({
    ...rowOf(node),
    ...{ bytes, first, last, why },
  }));
  const again = repeated(computedBy(planned.dispatches), (id) => {
    const node = graph.nodes[id];
    return node === undefined ? 0 : flopsOf(graph, node);
  }).map(({ node, dispatches, extra }) => ({ ...rowOf(node), dispatches, flops: extra }));
  return {
    ...{ stage, dispatch, bytes: live[dispatch] ?? 0 },
    ...{ held: held.filter(isMeant), repeated: again.filter(isMeant) },
  };
}

/** How often a pass applied a rule to the graph of a stage. */
export interface RuleRow {
  readonly stage: string;
  readonly pass: string;
  readonly rule: string;
  /** Where the rule is written, `file:line`, or nothing where that is not known. */
  readonly place: string;
  readonly rewrites: number;
  /** What it does. */
  readonly doc: string;
}

/** What rules did, of all stages or of one, those with the most rewrites first. Throws `INSPECT-UNKNOWN` for a stage that no pass was run on. */
export function ruleRows({ timeline }: Pick<InspectedProgram, "timeline">, stage?: string): RuleRow[] {
  const meant = timeline.filter((entry) => stage === undefined || entry.stage === stage);
  if (meant.length === 0)
    throw unknownName(
      "stage with passes",
      stage ?? "",
      timeline.map((entry) => entry.stage),
    );
  const records = ruleRecords();
  return meant
    .flatMap((entry) =>
      Object.entries(entry.hits).map(([rule, rewrites]) => {
        const { doc = "", place = "" } = records[rule] ?? {};
        return { stage: entry.stage, pass: entry.pass, rule, place, rewrites, doc };
      }),
    )
    .sort((a, b) => b.rewrites - a.rewrites);
}
