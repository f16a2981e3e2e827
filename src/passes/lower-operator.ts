/**
 * Lowers operators to tensor ops and decides how: which factors of a product are collapsed before they are applied, and whether an
 * adapted weight is applied term by term to the activations or folded into one matrix first. Every decision compares costs and is recorded.
 */
import type { Builder } from "../ir/builder.ts";
import { WebpeftError } from "../ir/diagnostics.ts";
import type { Node } from "../ir/graph.ts";
import { formRecord, hasForm } from "./forms.ts";
import { type CostOptions, type Cut, OperatorCost } from "./operator-cost.ts";
import { remembered } from "./remembered.ts";

/** A decision and what it was made from; shown by the inspector. */
export interface CostNote {
  readonly scope: string;
  readonly decision: string;
  /** Flops of every candidate; of values in chunks, bytes of the largest one. */
  readonly candidates: Readonly<Record<string, number>>;
}

export interface LowerOptions extends CostOptions {
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

export class OperatorLowering {
  private readonly cost: OperatorCost;
  /** What was made before: operators stand in many places of a product that repeats itself. */
  private readonly applied = new Map<string, number>();
  private readonly matrices = new Map<string, number>();
  private readonly turned = new Map<number, number>();

  constructor(
    private readonly builder: Builder,
    private readonly options: LowerOptions,
  ) {
    this.cost = new OperatorCost(builder, options);
  }

  private node(id: number): Node {
    return this.builder.node(id);
  }

  /** y[..., out] = x[..., in] through the operator. Throws COMPILE-LIMIT where a product repeats without end and has no matrix. */
  apply(id: number, x: number): number {
    return remembered(this.applied, `${id} ${x}`, () => {
      if (this.applied.size >= mostApplied) throw tooMany(this.node(id).scope);
      return this.applyOnce(id, x);
    });
  }

  private applyOnce(id: number, x: number): number {
    const node = this.node(id);
    switch (node.op) {
      case "op.add":
        return node.inputs.map((i) => this.apply(i, x)).reduce((a, b) => this.builder.plus(a, b));
      case "op.scale":
        return this.applyScaled(node.inputs[0]!, node.inputs[1]!, x);
      case "op.compose":
        return this.applyProduct(node.inputs, x);
      case "op.transpose":
        return this.applyTransposed(node.inputs[0]!, x);
      case "op.hadamard":
        return this.applyHadamard(id, x);
      case "op.kron":
        return this.applyKronecker(id, x);
      default:
        return formRecord(node.op).apply(this.builder, node, x);
    }
  }

  /** y[..., in] = x[..., out] through the transposed operator; before the algebra it may stand anywhere, not only at a leaf. */
  private applyTransposed(id: number, x: number): number {
    const node = this.node(id);
    return hasForm(node.op)
      ? formRecord(node.op).applyTransposed(this.builder, node, x)
      : this.apply(this.transposed(id), x);
  }

  private applyProduct(factors: readonly number[], x: number): number {
    const vectors = this.vectors(x);
    const cut = this.cost.cut(factors, vectors);
    const distributed = this.cost.distributed(factors, vectors);
    if (distributed === undefined || cut.cost <= distributed.cost) return this.applyRuns(this.chain(cut), x);
    const terms = distributed.terms.map((term) =>
      this.scaledRuns(this.chain(this.cost.cut(term.factors, vectors)), term.scalars, x),
    );
    return terms.reduce((a, b) => this.builder.plus(a, b));
  }

  /** One operator per run: several factors become their matrix. */
  private chain(cut: Cut): number[] {
    return cut.runs.map((run) => (run.length === 1 ? run[0]! : this.builder.dense(this.dense(run))));
  }

  private applyRuns(factors: readonly number[], x: number): number {
    return [...factors].reverse().reduce((value, factor) => this.apply(factor, value), x);
  }

  private applyScaled(id: number, scalar: number, x: number): number {
    const node = this.node(id);
    if (node.op !== "op.compose") return this.builder.mul(this.apply(id, x), scalar);
    return this.scaledRuns(this.chain(this.cost.cut(node.inputs, this.vectors(x))), [scalar], x);
  }

  /** Scalars are applied where the vectors of the chain are shortest. */
  private scaledRuns(factors: readonly number[], scalars: readonly number[], x: number): number {
    const widths = factors.map((f) => this.builder.operator(f).out);
    const at = widths.indexOf(Math.min(...widths));
    const short = scalars.reduce((value, s) => this.builder.mul(value, s), this.applyRuns(factors.slice(at), x));
    return this.applyRuns(factors.slice(0, at), short);
  }

  /** An entrywise product through its matrix, or as a product of low rank where that is cheaper. */
  private applyHadamard(id: number, x: number): number {
    const vectors = this.vectors(x);
    const lowRank = this.cost.lowRankHadamard(id, vectors);
    if (lowRank === undefined || (this.options.fold && this.cost.folded(id, vectors) <= lowRank.cost))
      return this.apply(this.builder.dense(this.dense([id])), x);
    const [first, second] = lowRank.halves;
    const right = pairs(this.builder, this.dense(first.right), this.dense(second.right), 0);
    const left = pairs(this.builder, this.dense(first.left), this.dense(second.left), 1);
    return this.applyRuns([this.builder.dense(left), this.builder.dense(right)], x);
  }

  /** x as a matrix of vectors: one factor acts on its rows, the other on its columns. */
  private applyKronecker(id: number, x: number): number {
    const [a, b] = this.node(id).inputs as [number, number];
    const { builder } = this;
    const leading = builder.shape(x).slice(0, -1);
    const rank = leading.length;
    const swap = (value: number): number => builder.transpose(value, [...leading.keys(), rank + 1, rank]);
    const onRows = (value: number): number => swap(this.apply(a, swap(value)));
    const matrix = builder.reshape(x, [...leading, builder.operator(a).in, builder.operator(b).in]);
    const made = this.cost.kronecker(id, this.vectors(x)).secondFirst
      ? onRows(this.apply(b, matrix))
      : this.apply(b, onRows(matrix));
    return builder.reshape(made, [...leading, builder.operator(id).out]);
  }

  private vectors(x: number): number {
    return this.builder
      .shape(x)
      .slice(0, -1)
      .reduce((p, n) => p * n, 1);
  }

  /** The matrix [out, in] of a product of operators (or of one). */
  dense(factors: readonly number[]): number {
    return remembered(this.matrices, factors.join(" "), () =>
      factors.length > 1 ? this.denseProduct(factors) : this.denseOnce(factors[0]!),
    );
  }

  private denseOnce(id: number): number {
    const node = this.node(id);
    switch (node.op) {
      case "op.add":
        return node.inputs.map((i) => this.dense([i])).reduce((a, b) => this.builder.plus(a, b));
      case "op.scale":
        return this.builder.mul(this.dense([node.inputs[0]!]), node.inputs[1]!);
      case "op.transpose":
        return this.builder.transpose(this.dense([node.inputs[0]!]), [1, 0]);
      case "op.compose":
        return this.denseProduct(node.inputs);
      case "op.hadamard":
        return this.builder.mul(this.dense([node.inputs[0]!]), this.dense([node.inputs[1]!]));
      case "op.kron":
        return kronecker(this.builder, this.dense([node.inputs[0]!]), this.dense([node.inputs[1]!]));
      default:
        return formRecord(node.op).dense(this.builder, node);
    }
  }

  private denseProduct(factors: readonly number[]): number {
    const costs = factors.map((_f, at) => this.cost.productAround(factors, at));
    const at = costs.indexOf(Math.min(...costs));
    const start = this.dense([factors[at]!]);
    const right = factors.slice(at + 1).reduce((rows, f) => this.apply(this.transposed(f), rows), start);
    if (at === 0) return right;
    const columns = this.builder.transpose(right, [1, 0]);
    const left = factors.slice(0, at).reduceRight((value, f) => this.apply(f, value), columns);
    return this.builder.transpose(left, [1, 0]);
  }

  private transposed(id: number): number {
    return remembered(this.turned, id, () => this.transposedOnce(id));
  }

  private transposedOnce(id: number): number {
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
      case "op.hadamard":
      case "op.kron":
        return this.builder.add(
          node.op,
          node.inputs.map((i) => this.transposed(i)),
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
    const activation = this.cost.apply(id, vectors);
    const weightSide = this.cost.folded(id, vectors);
    const folds = this.options.fold && weightSide < activation;
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
    const rowsOfFirst = this.dense([first!]);
    const applied = chain.length === 0 ? rowsOfFirst : this.apply(this.builder.add("op.compose", chain), rowsOfFirst);
    return this.builder.sum(this.builder.mul(applied, this.dense([head])), [1]);
  }
}

/** Products of all pairs of rows (axis 0) or columns (axis 1) of two matrices: pair (i, j) stands at i q + j. */
function pairs(b: Builder, first: number, second: number, axis: 0 | 1): number {
  const [p, q] = [b.shape(first)[axis]!, b.shape(second)[axis]!];
  const other = b.shape(first)[1 - axis]!;
  const shaped = (id: number, m: number, n: number): number =>
    b.reshape(id, axis === 0 ? [m, n, other] : [other, m, n]);
  const product = b.mul(shaped(first, p, 1), shaped(second, 1, q));
  return b.reshape(product, axis === 0 ? [p * q, other] : [other, p * q]);
}

function kronecker(b: Builder, first: number, second: number): number {
  const [[m, n], [p, q]] = [b.shape(first), b.shape(second)] as [[number, number], [number, number]];
  const product = b.mul(b.reshape(first, [m, 1, n, 1]), b.reshape(second, [1, p, 1, q]));
  return b.reshape(product, [m * p, n * q]);
}
