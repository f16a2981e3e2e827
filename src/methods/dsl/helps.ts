/** Helps for what people write who come from papers, NumPy and PyTorch. */
import type { Builder } from "../../ir/builder.ts";
import type { Expression } from "./ast.ts";
import { hint } from "./suggest.ts";
import type { Value } from "./value.ts";
import { siteNames } from "./words.ts";

/** Characters that begin no token, by how a run of them begins. */
const characters: Readonly<Record<string, string>> = {
  "'": "write texts in double quotes",
  '"': "the text is not closed",
  "#": "comments begin with //",
  "^": "write power(x, n)",
  "·": "@ is the product of matrices, .* that of entries, * that with a number",
  "⊙": ".* is the product entry by entry",
  "⊗": "write kron(A, B)",
  "×": "@ is the product of matrices, * that with a number",
};

export const foreignHelp = (text: string): string | undefined =>
  Object.entries(characters).find(([character]) => text.startsWith(character))?.[1];

const noInput = "a method is a formula of W: the layer's input and output are not known";
const orthogonal = "cayley(S - S.T) is an orthogonal matrix of a param S[n, n]";

/** What stands here for names that are known from elsewhere. */
const familiar: Readonly<Record<string, string>> = {
  eye: "write identity(n)",
  I: "write identity(n)",
  norm: "write sqrt(sum(x .* x))",
  mean: "write sum(x) / n; size(x, axis) is an extent",
  var: "write sum(x .* x) / n less the square of sum(x) / n",
  matmul: "write A @ B",
  mm: "write A @ B",
  dot: "write sum(x .* y), or A @ x",
  outer: "write reshape(x, [n, 1]) @ reshape(y, [1, m])",
  mul: "write x .* y",
  trace: "write sum(dense(A) .* dense(identity(n)))",
  pow: "write power(x, n)",
  inv: "write inverse(x)",
  pinv: "write inverse(P.T @ P) @ P.T",
  cat: "write concat(axis, ...)",
  randn: "write normal(0, 1)",
  gaussian: "write normal(mean, deviation)",
  xavier_uniform: "write uniform(-a, a), a being sqrt(6 / (in + out))",
  xavier_normal: "write normal(0, sqrt(2 / (in + out)))",
  kaiming_normal: "write normal(0, sqrt(2 / in))",
  qr: orthogonal,
  orthogonal,
  x: noInput,
  y: noInput,
};

export const familiarHelp = (name: string): string | undefined =>
  Object.hasOwn(familiar, name) ? familiar[name] : undefined;

export const targetHelp = (name: string, targets: readonly string[]): string | undefined =>
  name === "x" || name === "y" ? noInput : hint(name, targets);

/** The target that a statement means which begins with two words: `W = ...` and `delta W = ...` mean W'. */
export function targetMeant(word: string, next: string): string | undefined {
  const replaced = Object.values(siteNames).flatMap(({ weight, bias }) => [weight, bias]);
  if (next === "=") return replaced.find((name) => name === word);
  return replaced.find((name) => name === next);
}

const shown = (expression: Expression): string | undefined =>
  expression.kind === "name" ? expression.name : expression.kind === "literal" ? String(expression.value) : undefined;

/** For an extent that is a quotient. */
export function wholeHelp(extent: Expression): string | undefined {
  if (extent.kind !== "binary" || extent.operator !== "/") return undefined;
  const [divisor, n] = [shown(extent.right) ?? "divisor", shown(extent.left) ?? "n"];
  return `Demand it: require divides(${divisor}, ${n}) else "...";`;
}

const isNumber = (side: Value): boolean => side.kind === "known" && typeof side.value === "number";

/** For two sides that an operator does not go with. */
export function togetherHelp(operator: string, sides: readonly Value[], builder?: Builder): string | undefined {
  const ranks = sides.map((side) => {
    if (side.kind === "operator") return 2;
    return side.kind === "tensor" ? builder?.shape(side.id).length : undefined;
  });
  const isSum = operator === "+" || operator === "-";
  const isOperator = sides.some(({ kind }) => kind === "operator");
  if (isSum && isOperator && sides.some(isNumber))
    return "identity(n) is the operator 1; dense(x) is the matrix to which numbers add entry by entry";
  const hasVector = ranks.includes(1);
  if (isSum && isOperator && hasVector)
    return "diag(a) is the operator; dense(x) is the matrix, along whose last axis a vector goes";
  const isEntrywise = isSum || operator === ".*" || operator === "/";
  if (isEntrywise && hasVector && ranks.includes(2))
    return "a vector goes along the last axis; diag(a) @ W scales rows";
  return undefined;
}
