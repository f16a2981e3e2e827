/**
 * Algebra on operators: named rules that bring an adapted weight to a normal form: flat sums and products, transposes at the leaves,
 * scalars as far as possible where the vectors are shortest, adjacent diagonals and blocks merged, terms that cancel removed.
 */
import { operatorRecord, operators } from "../ir/operators/index.ts";
import { undoing } from "../ir/operators/places.ts";
import { fitsF32, sameShape } from "../ir/types.ts";
import { constantMultiple, differentOperators, leavesOf, scalarConstant, varies } from "./operator-view.ts";
import { type Candidate, list, type Rewriter, type Rule } from "./rewrite.ts";

const inputOf = (rewriter: Rewriter, candidate: Candidate) => rewriter.node(candidate.inputs[0]!);

/** Inputs with those of op `op` replaced by their own inputs; undefined when there are none, or when they would be too many. */
function flattened(candidate: Candidate, rewriter: Rewriter, op: string): number[] | undefined {
  if (!candidate.inputs.some((i) => rewriter.node(i).op === op)) return undefined;
  const inputs = candidate.inputs.flatMap((i) => (rewriter.node(i).op === op ? rewriter.node(i).inputs : [i]));
  return inputs.length > mostInputs ? undefined : inputs;
}

/** Factors of a product, and terms of a sum. Longer ones stay nested: to spread them out again and again has no end. */
const mostInputs = 512;

/** Leaves of a product or sum that repeats itself; see the rule `repeated-operator`. */
const mostLeaves = 64;

/** Merges the first adjacent pair that `merge` can, in a product. */
function mergeAdjacent(
  candidate: Candidate,
  rewriter: Rewriter,
  merge: (a: number, b: number) => number | undefined,
): number | undefined {
  for (let i = 0; i + 1 < candidate.inputs.length; i++) {
    const merged = merge(candidate.inputs[i]!, candidate.inputs[i + 1]!);
    if (merged === undefined) continue;
    return rewriter.add("op.compose", [...candidate.inputs.slice(0, i), merged, ...candidate.inputs.slice(i + 2)]);
  }
  return undefined;
}

/** Transposes go to the leaves, and leaves are transposed: a rule for every kind of transposed operator that the records know. */
const transposeRules = [...new Set(operators.flatMap(({ transpose }) => transpose ?? []))].map(
  (transpose): Rule => ({
    name: transpose.name,
    ops: ["op.transpose"],
    doc: transpose.doc,
    rewrite: (c, r) => {
      const turned = (id: number): number => r.add("op.transpose", [id]);
      return operatorRecord(inputOf(r, c).op).transpose === transpose
        ? transpose.rewrite(r, c.inputs[0]!, turned)
        : undefined;
    },
  }),
);

export const algebraRules: readonly Rule[] = [
  ...transposeRules,
  {
    name: "identity-shuffle",
    ops: ["op.shuffle"],
    doc: "a shuffle that moves nothing -> I",
    rewrite: ({ attributes }, r) => {
      const shape = attributes.shape as readonly number[];
      const moved = (attributes.permutation as readonly number[]).filter((axis) => shape[axis] !== 1);
      const still = moved.every((axis, i) => i === 0 || moved[i - 1]! < axis);
      return still ? r.add("op.identity", [], { size: shape.reduce((p, n) => p * n, 1) }) : undefined;
    },
  },
  {
    name: "no-dropout",
    ops: ["op.dropout"],
    doc: "dropout(0) -> I",
    rewrite: ({ attributes }, r) =>
      attributes.p === 0 ? r.add("op.identity", [], { size: attributes.size! }) : undefined,
  },
  {
    name: "repeated-operator",
    ops: ["op.compose", "op.add"],
    doc: "A A, A + s A for an A that is large written out and small when shared -> its matrix; powers would otherwise grow without end",
    rewrite: (c, r) => {
      const leaves = c.inputs.map((input) => leavesOf(r, input));
      const all = leaves.reduce((a, b) => a + b, 0);
      if (all <= mostLeaves || all <= 4 * differentOperators(r, c.inputs)) return undefined;
      const inputs = c.inputs.map((input, i) => {
        const isLarge = leaves[i]! > 1 && leaves[i]! >= all / 8;
        return isLarge && !varies(r, input) ? r.dense(r.add("op.to_dense", [input])) : input;
      });
      return sameShape(inputs, c.inputs) ? undefined : r.add(c.op, inputs);
    },
  },
  {
    name: "flatten-product",
    ops: ["op.compose"],
    doc: "A (B C) -> A B C",
    rewrite: (c, r) => {
      const inputs = flattened(c, r, "op.compose");
      return inputs === undefined ? undefined : r.add("op.compose", inputs);
    },
  },
  {
    name: "identity-in-product",
    ops: ["op.compose"],
    doc: "A I -> A",
    rewrite: (c, r) => {
      const kept = c.inputs.filter((i) => r.node(i).op !== "op.identity");
      if (kept.length === c.inputs.length) return undefined;
      return kept.length === 0 ? c.inputs[0] : r.add("op.compose", kept);
    },
  },
  {
    name: "single-factor",
    ops: ["op.compose", "op.add"],
    doc: "product or sum of one -> it",
    rewrite: (c) => (c.inputs.length === 1 ? c.inputs[0] : undefined),
  },
  {
    name: "diagonals-merge",
    ops: ["op.compose"],
    doc: "diag(a) diag(b) -> diag(a .* b)",
    rewrite: (c, r) =>
      mergeAdjacent(c, r, (a, b) => {
        const [x, y] = [r.node(a), r.node(b)];
        return x.op === "op.diag" && y.op === "op.diag"
          ? r.add("op.diag", [r.mul(x.inputs[0]!, y.inputs[0]!)])
          : undefined;
      }),
  },
  {
    name: "blocks-merge",
    ops: ["op.compose"],
    doc: "blockdiag(S) blockdiag(T) -> blockdiag(S T), blocks of one size",
    rewrite: (c, r) =>
      mergeAdjacent(c, r, (a, b) => {
        const [x, y] = [r.node(a), r.node(b)];
        if (x.op !== "op.blockdiag" || y.op !== "op.blockdiag") return undefined;
        const [s, t] = [x.inputs[0]!, y.inputs[0]!];
        if (r.shape(s)[0] !== r.shape(t)[0] || r.shape(s)[2] !== r.shape(t)[1]) return undefined;
        return r.add("op.blockdiag", [r.einsum("gij,gjk->gik", s, t)]);
      }),
  },
  {
    name: "shuffles-cancel",
    ops: ["op.compose"],
    doc: "P P.T -> I for shuffles",
    rewrite: (c, r) =>
      mergeAdjacent(c, r, (a, b) => {
        const [x, y] = [r.node(a), r.node(b)];
        if (x.op !== "op.shuffle" || y.op !== "op.shuffle") return undefined;
        const { shape, permutation } = undoing(x.attributes);
        const cancel =
          sameShape(shape, list(y.attributes.shape)) && sameShape(permutation, list(y.attributes.permutation));
        return cancel ? r.add("op.identity", [], { size: r.operator(a).out }) : undefined;
      }),
  },
  {
    name: "narrow-gate",
    ops: ["op.compose"],
    doc: "A B g -> A g B for a gate g that is one number for every vector: it goes to where the vectors are shortest",
    rewrite: (c, r) => {
      const isGate = (id: number): boolean => r.node(id).op === "op.scalar_gate";
      const [gates, others] = [c.inputs.filter(isGate), c.inputs.filter((id) => !isGate(id))];
      if (gates.length === 0 || others.length === 0) return undefined;
      const widths = [r.operator(others[0]!).out, ...others.map((id) => r.operator(id).in)];
      const [size, at] = [Math.min(...widths), widths.indexOf(Math.min(...widths))];
      const narrow = gates.map((id) => r.add("op.scalar_gate", r.node(id).inputs, { size }));
      const moved = [...others.slice(0, at), ...narrow, ...others.slice(at)];
      return sameShape(moved, c.inputs) ? undefined : r.add("op.compose", moved);
    },
  },
  {
    name: "scale-in-product",
    ops: ["op.compose"],
    doc: "A (s B) C -> s (A B C)",
    rewrite: (c, r) => {
      const at = c.inputs.findIndex((i) => r.node(i).op === "op.scale");
      if (at < 0) return undefined;
      const [inner, s] = r.node(c.inputs[at]!).inputs as [number, number];
      return r.add("op.scale", [r.add("op.compose", [...c.inputs.slice(0, at), inner, ...c.inputs.slice(at + 1)]), s]);
    },
  },
  {
    name: "scale-in-pair",
    ops: ["op.hadamard", "op.kron"],
    doc: "(s A) .* B -> s (A .* B); kron(s A, B) -> s kron(A, B)",
    rewrite: (c, r) => {
      const at = c.inputs.findIndex((i) => r.node(i).op === "op.scale");
      if (at < 0) return undefined;
      const [inner, s] = r.node(c.inputs[at]!).inputs as [number, number];
      const pair = c.inputs.map((input, i) => (i === at ? inner : input));
      return r.add("op.scale", [r.add(c.op, pair), s]);
    },
  },
  {
    name: "scale-by-one",
    ops: ["op.scale"],
    doc: "1 A -> A",
    rewrite: (c, r) => (scalarConstant(r, c.inputs[1]!) === 1 ? c.inputs[0] : undefined),
  },
  {
    name: "scale-of-scale",
    ops: ["op.scale"],
    doc: "s (t A) -> (s t) A",
    rewrite: (c, r) => {
      const node = inputOf(r, c);
      if (node.op !== "op.scale") return undefined;
      const [s, t] = [scalarConstant(r, c.inputs[1]!), scalarConstant(r, node.inputs[1]!)];
      const folds = s !== undefined && t !== undefined && fitsF32(s * t);
      const factor = folds ? r.constant(s * t) : r.mul(c.inputs[1]!, node.inputs[1]!);
      return r.add("op.scale", [node.inputs[0]!, factor]);
    },
  },
  {
    name: "scale-of-sum",
    ops: ["op.scale"],
    doc: "s (A + B) -> s A + s B",
    rewrite: (c, r) => {
      const node = inputOf(r, c);
      return node.op === "op.add" && node.inputs.length <= mostInputs / 2
        ? r.add(
            "op.add",
            node.inputs.map((i) => r.add("op.scale", [i, c.inputs[1]!])),
          )
        : undefined;
    },
  },
  {
    name: "flatten-sum",
    ops: ["op.add"],
    doc: "A + (B + C) -> A + B + C",
    rewrite: (c, r) => {
      const inputs = flattened(c, r, "op.add");
      return inputs === undefined ? undefined : r.add("op.add", inputs);
    },
  },
  {
    name: "equal-terms",
    ops: ["op.add"],
    doc: "a A + b A -> (a + b) A, dropped when a + b = 0",
    rewrite: (c, r) => {
      const factors = new Map<number, number>();
      for (const input of c.inputs) {
        const [factor, operator] = constantMultiple(r, input);
        factors.set(operator, (factors.get(operator) ?? 0) + factor);
      }
      if (factors.size === c.inputs.length || ![...factors.values()].every(fitsF32)) return undefined;
      const terms = [...factors].filter(([_operator, factor]) => factor !== 0);
      if (terms.length === 0) return undefined;
      return r.add(
        "op.add",
        terms.map(([operator, factor]) => r.add("op.scale", [operator, r.constant(factor)])),
      );
    },
  },
  {
    name: "apply-identity",
    ops: ["op.apply"],
    doc: "I x -> x",
    rewrite: (c, r) => (inputOf(r, c).op === "op.identity" ? c.inputs[1] : undefined),
  },
  {
    name: "dense-of-dense",
    ops: ["op.to_dense"],
    doc: "to_dense(dense(M)) -> M",
    rewrite: (c, r) => (inputOf(r, c).op === "op.dense" ? inputOf(r, c).inputs[0] : undefined),
  },
];
