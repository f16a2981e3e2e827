/**
 * What it costs to run an operator on vectors or to build its matrix, in flops, and the ways to run it that costs decide between: how a
 * product is cut into runs, whether it is distributed over a sum, and in which order a Kronecker product is applied.
 */
import type { Builder } from "../ir/builder.ts";
import type { Node } from "../ir/graph.ts";
import { formRecord } from "./forms.ts";
import { varies } from "./operator-view.ts";
import { remembered } from "./remembered.ts";

export interface CostOptions {
  /** With gradients, a product counts once forward and twice backward where parameters are involved. */
  readonly train: boolean;
  /** True for nodes that depend on a parameter. */
  readonly trained: (id: number) => boolean;
  /** False runs every product factor by factor: no two of them, and no sum, become a matrix before they are applied. */
  readonly fold: boolean;
}

/** A product cut into runs of adjacent factors; a run of several is collapsed into one matrix before it is applied. */
export interface Cut {
  readonly runs: readonly (readonly number[])[];
  readonly cost: number;
}

/** One term of a product that was distributed over a sum: its factors, and scalars that it is multiplied by. */
export interface Term {
  readonly factors: readonly number[];
  readonly scalars: readonly number[];
}

/** An operator of low rank as a product of two parts, cut where the vectors are shortest. */
export interface Halves {
  readonly left: readonly number[];
  readonly right: readonly number[];
  readonly rank: number;
}

/** Every cut of so many factors is compared; of more only those whose runs are no longer than this. */
const fewFactors = 24;
const longestRun = 8;

export class OperatorCost {
  /** What was worked out before: operators stand in many places of a product that repeats itself. */
  private readonly applied = new Map<string, number>();
  private readonly built = new Map<string, number>();

  constructor(
    private readonly builder: Builder,
    private readonly options: CostOptions,
  ) {}

  private node(id: number): Node {
    return this.builder.node(id);
  }

  /** Weight of work on an operator: parameters need gradients of their own. */
  weight(ids: readonly number[]): number {
    if (!this.options.train) return 1;
    return ids.some((id) => this.options.trained(id)) ? 3 : 2;
  }

  /** Entries of the matrix. */
  size(id: number): number {
    const type = this.builder.operator(id);
    return type.out * type.in;
  }

  /** Flops to apply the operator to `vectors` vectors, forward and (when training) backward. */
  apply(id: number, vectors: number): number {
    return remembered(this.applied, `${id} ${vectors}`, () => this.applyOnce(id, vectors));
  }

  private applyOnce(id: number, vectors: number): number {
    const node = this.node(id);
    switch (node.op) {
      case "op.add":
        return node.inputs.reduce((sum, i) => sum + this.apply(i, vectors), 0);
      case "op.scale":
      case "op.transpose":
        return this.apply(node.inputs[0]!, vectors);
      case "op.compose":
        return Math.min(this.cut(node.inputs, vectors).cost, this.distributed(node.inputs, vectors)?.cost ?? Infinity);
      case "op.hadamard":
        return Math.min(this.folded(id, vectors), this.lowRankHadamard(id, vectors)?.cost ?? Infinity);
      case "op.kron":
        return this.kronecker(id, vectors).cost;
      default:
        return formRecord(node.op).flops(this.builder, node) * vectors * this.weight([id]);
    }
  }

  /** Flops to build the matrix and to apply it. */
  folded(id: number, vectors: number): number {
    return (this.dense(id) + 2 * this.size(id) * vectors) * this.weight([id]);
  }

  /** Flops to build the matrix of the operator. */
  dense(id: number): number {
    return remembered(this.built, String(id), () => this.denseOnce(id));
  }

  private denseOnce(id: number): number {
    const node = this.node(id);
    switch (node.op) {
      case "op.dense":
        return 0;
      case "op.add":
      case "op.hadamard":
      case "op.kron":
        return node.inputs.reduce((sum, i) => sum + this.dense(i), 0) + this.size(id) * node.inputs.length;
      case "op.scale":
      case "op.transpose":
        return this.dense(node.inputs[0]!) + this.size(id);
      case "op.compose":
        return this.product(node.inputs);
      default:
        return varies(this.builder, id) ? Number.POSITIVE_INFINITY : this.size(id);
    }
  }

  /** Flops of the matrix of a product: one factor dense, the others applied to it from their side. */
  product(factors: readonly number[]): number {
    if (factors.some((factor) => varies(this.builder, factor))) return Number.POSITIVE_INFINITY;
    return Math.min(...factors.map((_f, at) => this.productAround(factors, at)));
  }

  productAround(factors: readonly number[], at: number): number {
    const rows = this.builder.operator(factors[0]!).out;
    const columns = this.builder.operator(factors[at]!).in;
    const left = factors.slice(0, at).reduce((sum, f) => sum + this.apply(f, columns), 0);
    const right = factors
      .slice(at + 1)
      .reduce((sum, f) => sum + this.apply(f, at === 0 ? rows : this.builder.operator(factors[0]!).out), 0);
    return this.dense(factors[at]!) + left + right;
  }

  /**
   * The cheapest way to run a product over `vectors` vectors: factors in sequence, where adjacent ones may be collapsed into a matrix
   * first. The best cut of the first n factors is the best last run behind a best cut; of equal ones the one with more runs.
   */
  cut(factors: readonly number[], vectors: number): Cut {
    const best: Cut[] = [{ runs: [], cost: 0 }];
    for (let end = 1; end <= factors.length; end++) {
      const longest = factors.length > fewFactors ? longestRun : factors.length;
      const first = this.options.fold ? Math.max(0, end - longest) : end - 1;
      let found: Cut = { runs: [], cost: Number.POSITIVE_INFINITY };
      for (let start = end - 1; start >= first; start--) {
        const run = factors.slice(start, end);
        const cost = best[start]!.cost + this.run(run, vectors);
        if (cost < found.cost || start === end - 1) found = { runs: [...best[start]!.runs, run], cost };
      }
      best.push(found);
    }
    return best.at(-1)!;
  }

  private run(run: readonly number[], vectors: number): number {
    if (run.length === 1) return this.apply(run[0]!, vectors);
    const rows = this.builder.operator(run[0]!).out;
    const columns = this.builder.operator(run.at(-1)!).in;
    return this.product(run) + 2 * rows * columns * vectors * this.weight(run);
  }

  /** W (I + A B) as W + W A B: the terms of a product with one sum in it that holds an identity. */
  distributed(factors: readonly number[], vectors: number): { terms: readonly Term[]; cost: number } | undefined {
    const sums = factors.filter((f) => this.node(f).op === "op.add");
    const [sum] = sums;
    if (sum === undefined || sums.length > 1 || factors.length < 2) return undefined;
    const parts = this.node(sum).inputs;
    if (!parts.some((part) => this.node(part).op === "op.identity")) return undefined;
    const at = factors.indexOf(sum);
    const terms = parts.map((part): Term => {
      const scaled = this.node(part).op === "op.scale" ? this.node(part).inputs : undefined;
      const inner = scaled?.[0] ?? part;
      const node = this.node(inner);
      const own = node.op === "op.identity" ? [] : node.op === "op.compose" ? node.inputs : [inner];
      return {
        factors: [...factors.slice(0, at), ...own, ...factors.slice(at + 1)],
        scalars: scaled === undefined ? [] : [scaled[1]!],
      };
    });
    return { terms, cost: terms.reduce((total, { factors: f }) => total + this.cut(f, vectors).cost, 0) };
  }

  /** (a b) .* (c d) of low ranks is a product of rank |ab| |cd|, whose factors are row by row and column by column products. */
  lowRankHadamard(id: number, vectors: number): { halves: readonly [Halves, Halves]; cost: number } | undefined {
    const [first, second] = this.node(id).inputs.map((input) => this.halves(input));
    if (first === undefined || second === undefined) return undefined;
    const rank = first.rank * second.rank;
    const { out, in: width } = this.builder.operator(id);
    const parts = [first.left, first.right, second.left, second.right];
    const building = parts.reduce((sum, part) => sum + this.product(part), rank * (out + width));
    return {
      halves: [first, second],
      cost: (building + 2 * rank * (out + width) * vectors) * this.weight([id]),
    };
  }

  private halves(id: number): Halves | undefined {
    const { op, inputs } = this.node(id);
    if (op !== "op.compose" || inputs.length < 2) return undefined;
    const widths = inputs.slice(0, -1).map((factor) => this.builder.operator(factor).in);
    const rank = Math.min(...widths);
    const at = widths.indexOf(rank) + 1;
    return { left: inputs.slice(0, at), right: inputs.slice(at), rank };
  }

  /** Whether the second factor of a Kronecker product goes first, and what the cheaper order costs. */
  kronecker(id: number, vectors: number): { secondFirst: boolean; cost: number } {
    const [a, b] = this.node(id).inputs as [number, number];
    const [first, second] = [this.builder.operator(a), this.builder.operator(b)];
    const secondFirst = this.apply(b, vectors * first.in) + this.apply(a, vectors * second.out);
    const firstFirst = this.apply(a, vectors * second.in) + this.apply(b, vectors * first.out);
    return { secondFirst: secondFirst <= firstFirst, cost: Math.min(secondFirst, firstFirst) };
  }
}
