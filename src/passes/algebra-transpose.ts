/** Algebra of transposed operators: transposes go to the leaves, and leaves are transposed. */
import type { Attributes } from "../ir/graph.ts";
import { list } from "./candidate.ts";
import type { Candidate, Rewriter, Rule } from "./rewrite.ts";

/** The operator that a candidate transposes. */
const inputOf = (rewriter: Rewriter, candidate: Candidate) => rewriter.node(candidate.inputs[0]!);

/** Operators that are their own transposed. */
const symmetric: readonly string[] = ["op.diag", "op.identity", "op.dropout", "op.gate", "op.scalar_gate"];

/** The attributes of the shuffle that undoes one with these attributes. */
export function undoing(attributes: Attributes): { shape: number[]; permutation: number[] } {
  const [shape, permutation] = [list(attributes.shape), list(attributes.permutation)];
  return {
    shape: permutation.map((axis) => shape[axis]!),
    permutation: permutation.map((_axis, i) => permutation.indexOf(i)),
  };
}

export const transposeRules: readonly Rule[] = [
  {
    name: "transpose-of-transpose",
    ops: ["op.transpose"],
    doc: "A.T.T -> A",
    rewrite: (c, r) => (inputOf(r, c).op === "op.transpose" ? inputOf(r, c).inputs[0] : undefined),
  },
  {
    name: "transpose-of-product",
    ops: ["op.transpose"],
    doc: "(A B).T -> B.T A.T",
    rewrite: (c, r) => {
      const node = inputOf(r, c);
      if (node.op !== "op.compose") return undefined;
      return r.add(
        "op.compose",
        [...node.inputs].reverse().map((i) => r.add("op.transpose", [i])),
      );
    },
  },
  {
    name: "transpose-of-sum",
    ops: ["op.transpose"],
    doc: "(A + B).T -> A.T + B.T",
    rewrite: (c, r) => {
      const node = inputOf(r, c);
      return node.op === "op.add"
        ? r.add(
            "op.add",
            node.inputs.map((i) => r.add("op.transpose", [i])),
          )
        : undefined;
    },
  },
  {
    name: "transpose-of-scale",
    ops: ["op.transpose"],
    doc: "(s A).T -> s A.T",
    rewrite: (c, r) => {
      const node = inputOf(r, c);
      return node.op === "op.scale"
        ? r.add("op.scale", [r.add("op.transpose", [node.inputs[0]!]), node.inputs[1]!])
        : undefined;
    },
  },
  {
    name: "transpose-of-pair",
    ops: ["op.transpose"],
    doc: "(A .* B).T -> A.T .* B.T; kron(A, B).T -> kron(A.T, B.T)",
    rewrite: (c, r) => {
      const node = inputOf(r, c);
      if (node.op !== "op.hadamard" && node.op !== "op.kron") return undefined;
      return r.add(
        node.op,
        node.inputs.map((i) => r.add("op.transpose", [i])),
      );
    },
  },
  {
    name: "transpose-of-symmetric",
    ops: ["op.transpose"],
    doc: "diag(d).T -> diag(d); I.T -> I; dropout.T -> dropout; gate(g).T -> gate(g)",
    rewrite: (c, r) => (symmetric.includes(inputOf(r, c).op) ? c.inputs[0] : undefined),
  },
  {
    name: "transpose-of-blocks",
    ops: ["op.transpose"],
    doc: "blockdiag(T).T -> blockdiag(T transposed per block)",
    rewrite: (c, r) => {
      const node = inputOf(r, c);
      return node.op === "op.blockdiag" ? r.add("op.blockdiag", [r.transpose(node.inputs[0]!, [0, 2, 1])]) : undefined;
    },
  },
  {
    name: "transpose-of-shuffle",
    ops: ["op.transpose"],
    doc: "shuffle.T -> the inverse shuffle",
    rewrite: (c, r) => {
      const { op, attributes } = inputOf(r, c);
      return op === "op.shuffle" ? r.add("op.shuffle", [], undoing(attributes)) : undefined;
    },
  },
  {
    name: "transpose-of-dense",
    ops: ["op.transpose"],
    doc: "dense(M).T -> dense(M transposed)",
    rewrite: (c, r) =>
      inputOf(r, c).op === "op.dense" ? r.dense(r.transpose(inputOf(r, c).inputs[0]!, [1, 0])) : undefined,
  },
];
