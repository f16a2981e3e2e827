/**
 * Lowers operators to tensor ops by their records. What was made or worked out once is remembered, for operators stand in many places of a
 * product that repeats itself; and every adapted weight is applied on the side that costs less, which is recorded.
 */
import type { Builder } from "../ir/builder.ts";
import { WebpeftError } from "../ir/diagnostics.ts";
import type { Node } from "../ir/graph.ts";
import { operatorRecord } from "../ir/operators/index.ts";
import {
  type Choosing,
  type ColumnEntry,
  foldedFlops,
  type OperatorLowering,
  type OperatorRecord,
  vectorsOf,
} from "../ir/operators/record.ts";
import { isDense } from "../ir/operators/view.ts";
import { remembered } from "../ir/remember.ts";
import { type CostTerm, costTerms } from "./cost-terms.ts";
import { type Flip, flipsOf } from "./flips.ts";
import { varies } from "./operator-view.ts";

/** A decision and what it was made from; shown by the inspector. */
export interface CostNote {
  readonly scope: string;
  readonly decision: string;
  /** Flops of every candidate; of values in chunks, bytes of the largest one. */
  readonly candidates: Readonly<Record<string, number>>;
  /** What the cost of a candidate is a sum of. */
  readonly terms?: Readonly<Record<string, readonly CostTerm[]>>;
  /** At which numbers of vectors another one is taken; absent where there is no choice. */
  readonly flips?: readonly Flip[];
  /** What candidates cost more with every further vector that the operator is applied to, and how many those are. */
  readonly growth?: { readonly vectors: number; readonly each: Readonly<Record<string, number>> };
}

export interface LowerOptions {
  /** With gradients, a product counts once forward and twice backward where parameters are involved. */
  readonly train: boolean;
  /** True for nodes that depend on a parameter. */
  readonly trained: (id: number) => boolean;
  readonly fold: boolean;
  readonly note: (note: CostNote) => void;
}

/** Operators that a program may apply, each place counted. */
const mostApplied = 250_000;

const tooMany = (scope: string | undefined): WebpeftError =>
  new WebpeftError("COMPILE-LIMIT", {
    message: "the formula of the method applies too many operators",
    ...(scope === undefined ? {} : { where: scope }),
    expected: `at most ${mostApplied}`,
    help: "a product that repeats itself and varies with the batch, by dropout or gates, grows with every repetition",
  });

function growthOf(vectors: number, flops: Readonly<Record<string, (vectors: number) => number>>): CostNote["growth"] {
  const each = Object.entries(flops).map(([name, of]) => [name, (of(2 * vectors) - of(vectors)) / vectors]);
  return { vectors, each: Object.fromEntries(each) };
}

export class LoweredOperators implements OperatorLowering, Choosing {
  readonly fold: boolean;
  private readonly applied = new Map<string, number>();
  private readonly matrices = new Map<number, number>();
  private readonly turned = new Map<number, number>();
  private readonly costs = new Map<string, number>();
  private readonly flips = new Map<string, readonly Flip[]>();
  private readonly matrixCosts = new Map<number, number>();

  constructor(
    readonly builder: Builder,
    private readonly options: LowerOptions,
  ) {
    this.fold = options.fold;
  }

  private of(id: number): { readonly node: Node; readonly record: OperatorRecord } {
    const node = this.builder.node(id);
    return { node, record: operatorRecord(node.op) };
  }

  /** What an operator is lowered to stands where the operator was written, not where it is applied. */
  private lowered<T>(id: number, body: (record: OperatorRecord, node: Node) => T): T {
    const { node, record } = this.of(id);
    return this.builder.within({ location: node.location }, () => body(record, node));
  }

  apply(id: number, x: number): number {
    return remembered(this.applied, `${id} ${x}`, () => {
      if (this.applied.size >= mostApplied) throw tooMany(this.builder.node(id).scope);
      return this.lowered(id, (record, node) => record.apply(this, node, x));
    });
  }

  applyTransposed(id: number, x: number): number {
    return this.lowered(
      id,
      (record, node) => record.applyTransposed?.(this, node, x) ?? this.apply(this.transposed(id), x),
    );
  }

  transposed(id: number): number {
    return remembered(this.turned, id, () => {
      const { transpose, applyTransposed } = this.of(id).record;
      return transpose === undefined || applyTransposed !== undefined
        ? this.builder.add("op.transpose", [id])
        : transpose.rewrite(this.builder, id, (inner) => this.transposed(inner));
    });
  }

  dense(id: number): number {
    return remembered(this.matrices, id, () => this.lowered(id, (record, node) => record.dense(this, node)));
  }

  columns(id: number, ids: number): number {
    return this.lowered(
      id,
      (record, node) =>
        record.columns?.(this, node, ids) ??
        this.builder.add("gather", [this.builder.transpose(this.dense(id), [1, 0]), ids]),
    );
  }

  columnEntry(id: number, ids: number): ColumnEntry | undefined {
    return this.lowered(id, (record, node) => record.columnEntry?.(this, node, ids));
  }

  varies(id: number): boolean {
    return varies(this.builder, id);
  }

  flops(id: number, vectors: number): number {
    const { node, record } = this.of(id);
    return remembered(this.costs, `${id} ${vectors}`, () => record.flops(this, node, vectors));
  }

  denseFlops(id: number): number {
    const { node, record } = this.of(id);
    return remembered(this.matrixCosts, id, () => record.denseFlops(this, node));
  }

  weight(ids: readonly number[]): number {
    if (!this.options.train) return 1;
    return ids.some((id) => this.options.trained(id)) ? 3 : 2;
  }

  applyCheapest(id: number, x: number, scope: string): number {
    if (isDense(this.builder, id)) return this.apply(id, x);
    const vectors = vectorsOf(this.builder, x);
    const activationFlops = (many: number): number => this.flops(id, many);
    const building = this.denseFlops(id);
    const weightFlops = (many: number): number => foldedFlops(this, this.builder.node(id), many, building);
    const [activation, weight] = [activationFlops(vectors), weightFlops(vectors)];
    const decide = (many: number): string =>
      this.fold && weightFlops(many) < activationFlops(many) ? "weight" : "activation";
    const decision = decide(vectors);
    const growth = growthOf(vectors, { activation: activationFlops, weight: weightFlops });
    this.options.note({
      scope,
      decision,
      candidates: { activation, weight: Number.isFinite(weight) ? weight : Number.MAX_VALUE },
      terms: this.termsOf(id, vectors, activation, weight),
      ...(Number.isFinite(weight)
        ? {
            // Places with the same costs are asked once.
            flips: remembered(this.flips, JSON.stringify([activation, weight, growth]), () => flipsOf(vectors, decide)),
            growth,
          }
        : {}),
    });
    return decision === "weight" ? this.apply(this.builder.dense(this.dense(id)), x) : this.apply(id, x);
  }

  /** Products of both candidates: of the parts with the activations, or of W' with them once it is made. */
  private termsOf(id: number, vectors: number, activation: number, weight: number): CostNote["terms"] {
    const { type } = this.builder.node(id);
    if (type.kind !== "operator") return {};
    const sizes = { vectors, out: type.out, in: type.in };
    const applied = 2 * vectors * type.out * type.in;
    const times = this.weight(this.builder.node(id).inputs);
    const made = weight - times * applied;
    const folded: CostTerm[] = [
      { what: "making W'", ...sizes, vectors: 1, times: 1, flops: made },
      { what: "W'", ...sizes, times, flops: times * applied },
    ];
    const parts = Number.isFinite(activation) ? costTerms(this.builder, this, id, vectors) : [];
    return { activation: parts, weight: Number.isFinite(weight) ? folded : [] };
  }
}
