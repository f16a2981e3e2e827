/**
 * Lowers operators to tensor ops and decides how: which factors of a product are collapsed before they are applied, and whether an
 * adapted weight is applied term by term to the activations or folded into one matrix first. Every decision compares costs and is recorded.
 */
import type { Builder } from "../ir/builder.ts";
import type { Node } from "../ir/graph.ts";
import { formRecord } from "./forms.ts";

/** A decision and what it was made from; shown by the inspector. */
export interface CostNote {
  readonly scope: string;
  readonly decision: string;
  /** Flops of every candidate. */
  readonly candidates: Readonly<Record<string, number>>;
}

export interface LowerOptions {
  /** With gradients, a product counts once forward and twice backward where parameters are involved. */
  readonly train: boolean;
  /** True for nodes that depend on a parameter. */
  readonly trained: (id: number) => boolean;
  readonly note: (note: CostNote) => void;
}

interface Chain {
  readonly factors: readonly number[];
  readonly cost: number;
}

export class OperatorLowering {
  constructor(
    private readonly builder: Builder,
    private readonly options: LowerOptions,
  ) {}

  private node(id: number): Node {
    return this.builder.node(id);
  }

  /** y[..., out] = x[..., in] through the operator. */
  apply(id: number, x: number): number {
    const node = this.node(id);
    switch (node.op) {
      case "op.add":
        return node.inputs.map((i) => this.apply(i, x)).reduce((a, b) => this.builder.plus(a, b));
      case "op.scale":
        return this.applyScaled(node.inputs[0]!, node.inputs[1]!, x);
      case "op.compose":
        return this.applyChain(this.plan(node.inputs, this.vectors(x)).factors, x);
      case "op.transpose":
        return formRecord(this.node(node.inputs[0]!).op).applyTransposed(this.builder, this.node(node.inputs[0]!), x);
      default:
        return formRecord(node.op).apply(this.builder, node, x);
    }
  }

  private applyChain(factors: readonly number[], x: number): number {
    return [...factors].reverse().reduce((value, factor) => this.apply(factor, value), x);
  }

  /** The scalar is applied where the vectors of the chain are shortest. */
  private applyScaled(id: number, scalar: number, x: number): number {
    const node = this.node(id);
    if (node.op !== "op.compose") return this.builder.mul(this.apply(id, x), scalar);
    const factors = this.plan(node.inputs, this.vectors(x)).factors;
    const widths = factors.map((f) => this.builder.operator(f).out);
    const at = widths.indexOf(Math.min(...widths));
    const inner = this.builder.mul(this.applyChain(factors.slice(at), x), scalar);
    return this.applyChain(factors.slice(0, at), inner);
  }

  private vectors(x: number): number {
    return this.builder
      .shape(x)
      .slice(0, -1)
      .reduce((p, n) => p * n, 1);
  }

  /** Weight of work on an operator: parameters need gradients of their own. */
  private weight(ids: readonly number[]): number {
    if (!this.options.train) return 1;
    return ids.some((id) => this.options.trained(id)) ? 3 : 2;
  }

  /** Flops to apply the operator to `vectors` vectors, forward and (when training) backward. */
  applyCost(id: number, vectors: number): number {
    const node = this.node(id);
    switch (node.op) {
      case "op.add":
        return node.inputs.reduce((sum, i) => sum + this.applyCost(i, vectors), 0);
      case "op.scale":
        return this.applyCost(node.inputs[0]!, vectors);
      case "op.transpose":
        return this.applyCost(node.inputs[0]!, vectors);
      case "op.compose":
        return this.plan(node.inputs, vectors).cost;
      default:
        return formRecord(node.op).flops(this.builder, node) * vectors * this.weight([id]);
    }
  }

  /** Flops to build the matrix of the operator. */
  denseCost(id: number): number {
    const node = this.node(id);
    switch (node.op) {
      case "op.dense":
        return 0;
      case "op.add":
        return node.inputs.reduce((sum, i) => sum + this.denseCost(i), 0) + this.size(id) * node.inputs.length;
      case "op.scale":
      case "op.transpose":
        return this.denseCost(node.inputs[0]!) + this.size(id);
      case "op.compose":
        return this.productCost(node.inputs);
      case "op.dropout":
        return Number.POSITIVE_INFINITY;
      default:
        return this.size(id);
    }
  }

  private size(id: number): number {
    const type = this.builder.operator(id);
    return type.out * type.in;
  }

  /** Whether the operator differs from token to token: it has no matrix, and nothing that holds it may be folded. */
  private varies(id: number): boolean {
    const node = this.node(id);
    return node.op === "op.dropout" || (node.type.kind === "operator" && node.inputs.some((i) => this.varies(i)));
  }

  /** Flops of the matrix of a product: one factor dense, the others applied to it from their side. */
  private productCost(factors: readonly number[]): number {
    if (factors.some((factor) => this.varies(factor))) return Number.POSITIVE_INFINITY;
    return Math.min(...factors.map((_f, at) => this.productCostAround(factors, at)));
  }

  private productCostAround(factors: readonly number[], at: number): number {
    const rows = this.builder.operator(factors[0]!).out;
    const columns = this.builder.operator(factors[at]!).in;
    const left = factors.slice(0, at).reduce((sum, f) => sum + this.applyCost(f, columns), 0);
    const right = factors
      .slice(at + 1)
      .reduce((sum, f) => sum + this.applyCost(f, at === 0 ? rows : this.builder.operator(factors[0]!).out), 0);
    return this.denseCost(factors[at]!) + left + right;
  }

  /**
   * The cheapest way to run a product over `vectors` vectors: factors in sequence, where adjacent ones may be collapsed into a matrix
   * first. All ways to cut the product into runs are compared; the list is short.
   */
  private plan(factors: readonly number[], vectors: number): Chain {
    const count = factors.length;
    let best: { cuts: number; cost: number } = { cuts: (1 << (count - 1)) - 1, cost: Number.POSITIVE_INFINITY };
    for (let cuts = (1 << (count - 1)) - 1; cuts >= 0; cuts--) {
      const cost = this.runs(factors, cuts).reduce((sum, run) => sum + this.runCost(run, vectors), 0);
      if (cost < best.cost) best = { cuts, cost };
    }
    const chain = this.runs(factors, best.cuts).map((run) =>
      run.length === 1 ? run[0]! : this.builder.dense(this.dense(run)),
    );
    return { factors: chain, cost: best.cost };
  }

  private runs(factors: readonly number[], cuts: number): number[][] {
    const runs: number[][] = [[factors[0]!]];
    for (let i = 1; i < factors.length; i++) {
      if (cuts & (1 << (i - 1))) runs.push([factors[i]!]);
      else runs.at(-1)!.push(factors[i]!);
    }
    return runs;
  }

  private runCost(run: readonly number[], vectors: number): number {
    if (run.length === 1) return this.applyCost(run[0]!, vectors);
    const rows = this.builder.operator(run[0]!).out;
    const columns = this.builder.operator(run.at(-1)!).in;
    return this.productCost(run) + 2 * rows * columns * vectors * this.weight(run);
  }

  /** The matrix [out, in] of a product of operators (or of one). */
  dense(factors: readonly number[]): number {
    if (factors.length > 1) return this.denseProduct(factors);
    const node = this.node(factors[0]!);
    switch (node.op) {
      case "op.add":
        return node.inputs.map((i) => this.dense([i])).reduce((a, b) => this.builder.plus(a, b));
      case "op.scale":
        return this.builder.mul(this.dense([node.inputs[0]!]), node.inputs[1]!);
      case "op.transpose":
        return this.builder.transpose(this.dense([node.inputs[0]!]), [1, 0]);
      case "op.compose":
        return this.denseProduct(node.inputs);
      default:
        return formRecord(node.op).dense(this.builder, node);
    }
  }

  private denseProduct(factors: readonly number[]): number {
    const costs = factors.map((_f, at) => this.productCostAround(factors, at));
    const at = costs.indexOf(Math.min(...costs));
    const start = this.dense([factors[at]!]);
    const right = factors.slice(at + 1).reduce((rows, f) => this.apply(this.transposed(f), rows), start);
    if (at === 0) return right;
    const columns = this.builder.transpose(right, [1, 0]);
    const left = factors.slice(0, at).reduceRight((value, f) => this.apply(f, value), columns);
    return this.builder.transpose(left, [1, 0]);
  }

  private transposed(id: number): number {
    const node = this.node(id);
    switch (node.op) {
      case "op.add":
        return this.builder.add(
          "op.add",
          node.inputs.map((i) => this.transposed(i)),
        );
      case "op.scale":
        return this.builder.add("op.scale", [this.transposed(node.inputs[0]!), node.inputs[1]!]);
      case "op.compose":
        return this.builder.add(
          "op.compose",
          [...node.inputs].reverse().map((i) => this.transposed(i)),
        );
      case "op.transpose":
        return node.inputs[0]!;
      default:
        return this.builder.add("op.transpose", [id]);
    }
  }

  /** `x` through the operator, on the side that costs less; the comparison is recorded when there is a choice. */
  applyCheapest(id: number, x: number, scope: string): number {
    const node = this.node(id);
    if (node.op === "op.dense") return this.apply(id, x);
    const vectors = this.vectors(x);
    const activation = this.applyCost(id, vectors);
    const weightSide = this.denseCost(id) * this.weight([id]) + 2 * this.size(id) * vectors * this.weight([id]);
    const folds = weightSide < activation;
    this.options.note({
      scope,
      decision: folds ? "weight" : "activation",
      candidates: { activation, weight: Number.isFinite(weightSide) ? weightSide : Number.MAX_VALUE },
    });
    return folds ? this.apply(this.builder.dense(this.dense([id])), x) : this.apply(id, x);
  }

  /** Norm of every row, expanded over the terms of the operator so that the matrix is never formed. */
  rowNorm(id: number): number {
    const terms = this.node(id).op === "op.add" ? this.node(id).inputs : [id];
    const products = terms.flatMap((a, i) =>
      terms.slice(i).map((b, j) => {
        const product = this.rowDot(a, b);
        return j === 0 ? product : this.builder.scale(product, 2);
      }),
    );
    return this.builder.add("sqrt", [products.reduce((a, b) => this.builder.plus(a, b))]);
  }

  /** sum_j A[i, j] B[i, j] for every row i. */
  private rowDot(a: number, b: number): number {
    const [x, y] = [this.node(a), this.node(b)];
    if (x.op === "op.scale") return this.builder.mul(this.rowDot(x.inputs[0]!, b), x.inputs[1]!);
    if (y.op === "op.scale") return this.builder.mul(this.rowDot(a, y.inputs[0]!), y.inputs[1]!);
    if (x.op === "op.compose" && y.op !== "op.compose") return this.rowDot(b, a);
    if (y.op === "op.compose") {
      const [head, ...tail] = y.inputs;
      const rows = x.op === "op.compose" ? x.inputs : [a];
      return this.rowDotWithRest(rows, head!, tail);
    }
    return this.builder.sum(this.builder.mul(this.dense([a]), this.dense([b])), [1]);
  }

  /** rowDot(A, H T) = rowDot(A T.T, H): the long axis is contracted first. */
  private rowDotWithRest(rows: readonly number[], head: number, tail: readonly number[]): number {
    const [first, ...rest] = rows;
    const chain = [...tail, ...[...rest].reverse().map((f) => this.transposed(f))];
    // rows of A = first rest; first's rows times (rest tail.T) are applied as vectors through tail rest.T
    const applied = this.apply(this.builder.add("op.compose", chain), this.dense([first!]));
    return this.builder.sum(this.builder.mul(applied, this.dense([head])), [1]);
  }
}
