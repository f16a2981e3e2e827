/** Expressions of kernel IR as trees of WebAssembly: u32 numbers as sums (`index-form.ts`), everything else as it stands. */
import { byteWidth } from "../../ir/types.ts";
import type { BinaryOperator, Expr, Scalar } from "../kernel/kernel.ts";
import { lanesOf } from "../kernel/kernel.ts";
import { fromBits } from "../kernel/numbers.ts";
import { addressOf } from "./addresses.ts";
import { f32, f32x4, get, i32, i32x4, type Tree, tree } from "./function-writer.ts";
import {
  addForms,
  baseForm,
  constantForm,
  constantOf,
  formTree,
  type IndexForm,
  keyOfForm,
  localForm,
  mostWord,
  rangeOf,
} from "./index-form.ts";
import type { ValueType } from "./instructions.ts";
import { call } from "./math.ts";
import { loadSpread, loadTree } from "./memory.ts";
import { kindOf, pointwiseTree } from "./pointwise.ts";
import type { ArrayPlace, Context } from "./specialization.ts";

export const valueType = (e: Expr): ValueType => (lanesOf(e) === 4 ? "v128" : e.type === "f32" ? "f32" : "i32");

const isIndex = (e: Expr): boolean => e.type === "u32" && lanesOf(e) === 1;

type ExprOf<K extends Expr["kind"]> = Extract<Expr, { readonly kind: K }>;

const values: { readonly [K in Expr["kind"]]: (c: Context, e: ExprOf<K>) => Tree } = {
  literal: (_c, { type, value }) => (type === "f32" ? f32(value) : i32(value)),
  base: () => notCanonical(),
  size: (c, { index, type }) => {
    const word = c.specialization.sizes[index]!;
    return type === "f32" ? f32(fromBits(word)) : i32(word);
  },
  variable: (c, { name }) => {
    const named = c.names.get(name)!;
    if (named.kind === "index") return formTree(named.form);
    if (named.kind === "array") throw new Error(`${name} is an array`);
    return named.isSpread ? tree("f32x4.extract_lane", [get(named.local)], 0) : get(named.local);
  },
  builtin: (c, e) => formTree(indexOf(c, e)),
  binary: (c, e) => {
    const { operator, a, b, lanes } = e;
    const fused = fusedProduct(c, e);
    if (fused !== undefined) return fused;
    const args = lanes === 4 ? [wideTree(c, a), wideTree(c, b)] : [valueTree(c, a), valueTree(c, b)];
    return pointwiseTree(operatorNames[operator], args, kindOf(a.type, lanes), kindOf(e.type, lanes), binder(c));
  },
  op: (c, { op, args, type, lanes }) => {
    const trees = args.map((a) => (lanes === 4 ? wideTree(c, a) : valueTree(c, a)));
    return pointwiseTree(op, trees, kindOf(args[0]!.type, lanes), kindOf(type, lanes), binder(c));
  },
  random: (c, { seed, step, site, tensor, counter }) =>
    call("uniform", ...[seed, step, site, tensor, counter].map((e) => valueTree(c, e))),
  load: (c, e) => {
    const { dtype } = c.specialization.kernel.tensors[e.tensor]!;
    return loadTree(dtype, e.lanes, tensorAddress(c, e.tensor, e.index, e.lanes), binder(c));
  },
  shared: (c, { array, index }) => arrayLoad(c, c.shared.get(array)!, index),
  item: (c, { array, index }) => arrayLoad(c, c.names.get(array) as ArrayPlace, index),
  vector: (c, e) => {
    const [first] = e.parts as [Expr];
    if (e.parts.every((part) => isSame(part, first))) return wideTree(c, first);
    const counted = countedWords(c, e);
    if (counted !== undefined) return counted;
    const gathered = sameComponents(c, e.parts);
    if (gathered !== undefined) return gathered;
    const set = e.type === "f32" ? "f32x4.replace_lane" : "i32x4.replace_lane";
    const trees = e.parts.map((part) => (e.type === "bool" ? mask(valueTree(c, part)) : valueTree(c, part)));
    const start = tree(e.type === "f32" ? "f32x4.splat" : "i32x4.splat", [trees[0]!]);
    return trees.slice(1).reduce((made, part, i) => tree(set, [made, part], i + 1), start);
  },
  component: (c, { of, at, type }) => {
    if (type === "f32") return tree("f32x4.extract_lane", [valueTree(c, of)], at);
    const word = tree("i32x4.extract_lane", [valueTree(c, of)], at);
    return type === "bool" ? tree("i32.and", [word, i32(1)]) : word;
  },
};

/** The value of an expression. */
export function valueTree(c: Context, e: Expr): Tree {
  if (isIndex(e)) return formTree(indexOf(c, e));
  return (values[e.kind] as (c: Context, e: Expr) => Tree)(c, e);
}

const mask = (truth: Tree): Tree => tree("i32.sub", [i32(0), truth]);

/** The value in four lanes. */
export function wideTree(c: Context, e: Expr): Tree {
  if (lanesOf(e) === 4) return valueTree(c, e);
  if (e.kind === "variable") {
    const named = c.names.get(e.name)!;
    if (named.kind === "local" && named.isSpread) return get(named.local);
  }
  if (e.kind === "load" && c.specialization.kernel.tensors[e.tensor]!.dtype === "f32")
    return loadSpread(tensorAddress(c, e.tensor, e.index, 1));
  const value = valueTree(c, e);
  if (value.op === "f32.const") return f32x4(value.immediates[0]!);
  if (e.type === "bool") return tree("i32x4.splat", [mask(value)]);
  if (value.op === "i32.const") return i32x4(value.immediates[0]!);
  return tree(e.type === "f32" ? "f32x4.splat" : "i32x4.splat", [value]);
}

/** Whether two parts of a vector are one number: copies of one literal or name. */
const isSame = (a: Expr, b: Expr): boolean =>
  a === b ||
  (a.kind === "variable" && b.kind === "variable" && a.name === b.name) ||
  (a.kind === "literal" && b.kind === "literal" && Object.is(a.value, b.value)) ||
  (a.kind === "size" && b.kind === "size" && a.index === b.index);

/** Integers at constant distances, as the columns of a mask are: the first, and how much more the others are. */
function countedWords(c: Context, { parts, type }: ExprOf<"vector">): Tree | undefined {
  const forms = parts.map((part) => (type === "i32" ? countOf(c, part) : undefined));
  const [first] = forms;
  const key = first && keyOfForm(first);
  if (!forms.every((form) => form !== undefined && keyOfForm(form) === key)) return undefined;
  const distances = Int32Array.from(forms, (form) => form!.constant - first!.constant);
  return tree("i32x4.add", [tree("i32x4.splat", [formTree(first!)]), i32x4(distances)]);
}

/** The sum that an i32 is, where it is a u32. */
export function countOf(c: Context, e: Expr): IndexForm | undefined {
  if (e.kind === "op" && e.op === "cast" && e.type === "i32" && isIndex(e.args[0]!)) return indexOf(c, e.args[0]!);
  const named = e.kind === "variable" ? c.names.get(e.name) : undefined;
  return named?.kind === "index" ? named.form : undefined;
}

/** The same component of four vectors: two and two together, then all. */
function sameComponents(c: Context, parts: readonly Expr[]): Tree | undefined {
  const components = parts.filter((part) => part.kind === "component" && part.of.kind === "variable");
  const [first] = components as ExprOf<"component">[];
  if (first === undefined || components.length < 4) return undefined;
  const vectors = (components as ExprOf<"component">[]).map(({ of }) => valueTree(c, of));
  if (!(components as ExprOf<"component">[]).every(({ at }) => at === first.at)) return undefined;
  const [x, y, z, w] = vectors as [Tree, Tree, Tree, Tree];
  const two = (a: Tree, b: Tree): Tree => shuffle(a, b, [first.at, 4 + first.at, first.at, 4 + first.at]);
  return shuffle(two(x, y), two(z, w), [0, 1, 4, 5]);
}

/** Four of the eight numbers of two vectors. */
const shuffle = (a: Tree, b: Tree, lanes: readonly number[]): Tree =>
  tree("i8x16.shuffle", [a, b], ...lanes.flatMap((lane) => [0, 1, 2, 3].map((byte) => 4 * lane + byte)));

/** a * b + c in one instruction, where the engine may. */
function fusedProduct(c: Context, { operator, a, b, type, lanes }: ExprOf<"binary">): Tree | undefined {
  if (!c.specialization.fuses || operator !== "+" || type !== "f32" || lanes !== 4) return undefined;
  const [product, other] = b.kind === "binary" && b.operator === "*" ? [b, a] : [a, b];
  if (product.kind !== "binary" || product.operator !== "*") return undefined;
  return tree(
    "f32x4.relaxed_madd",
    [product.a, product.b, other].map((e) => wideTree(c, e)),
  );
}

/** Names values in the text of the context. */
const binder =
  (c: Context) =>
  (type: ValueType, value: Tree): Tree =>
    value.op === "local.get" || value.op.endsWith(".const") ? value : c.writer.bind(type, value);

const operatorNames: Readonly<Record<BinaryOperator, string>> = {
  "+": "add",
  "-": "sub",
  "*": "mul",
  "/": "div",
  "%": "mod",
  "<": "lt",
  "&&": "and",
  "&": "bits",
  "|": "or",
  "^": "xor",
  "<<": "shl",
  ">>": "shr",
};

function notCanonical(): never {
  throw new Error("the kernel is not in canonical form");
}

/** Where elements of a tensor are; `lanes` of them in a row. */
export function tensorAddress(c: Context, tensor: number, index: Expr, lanes: number) {
  const width = byteWidth(c.specialization.kernel.tensors[tensor]!.dtype);
  return addressOf(c, indexOf(c, index), width, lanes * width, tensor);
}

export function arrayAddress(c: Context, { offset, lanes }: ArrayPlace, index: Expr) {
  const width = 4 * lanes;
  const form = addForms(baseForm(c.scratch), indexOf(c, index))!;
  const { tree: address, offset: more } = addressOf(c, form, width, width, "own");
  return { tree: address, offset: offset + more };
}

function arrayLoad(c: Context, array: ArrayPlace, index: Expr): Tree {
  return loadTree(array.type as Scalar, array.lanes, arrayAddress(c, array, index), binder(c));
}

/** A u32 number as a sum. */
export function indexOf(c: Context, e: Expr): IndexForm {
  switch (e.kind) {
    case "literal":
      return constantForm(e.value >>> 0);
    case "size": {
      const word = c.specialization.sizes[e.index];
      return word === undefined ? baseForm(c.places.get(e.index)!) : constantForm(word);
    }
    case "builtin":
      return e.name === "block" ? c.block : constantForm(0);
    case "variable": {
      const named = c.names.get(e.name)!;
      return named.kind === "index" ? named.form : localForm((named as { local: number }).local);
    }
    case "binary":
      return binaryForm(c, e);
    case "op":
      if (e.op === "minimum") return smallerForm(c, indexOf(c, e.args[0]!), indexOf(c, e.args[1]!));
      if (e.op === "cast" && e.args[0]!.type === "u32") return indexOf(c, e.args[0]!);
      break;
    default:
  }
  return named(c, (values[e.kind] as (c: Context, e: Expr) => Tree)(c, e), 0, mostWord);
}

/** A number in a local of its own, with its bounds. */
function named(c: Context, value: Tree, lo: number, hi: number): IndexForm {
  if (value.op === "i32.const") return constantForm(value.immediates[0]! >>> 0);
  return localForm(c.writer.bind("i32", value).immediates[0]!, lo, hi);
}

function binaryForm(c: Context, e: ExprOf<"binary">): IndexForm {
  const [a, b] = [indexOf(c, e.a), indexOf(c, e.b)];
  const form = binaryForms[e.operator]?.(c, a, b);
  if (form !== undefined) return form;
  const most = e.operator === "&" ? Math.min(rangeOf(a)[1], rangeOf(b)[1]) : mostWord;
  const value = pointwiseTree(operatorNames[e.operator], [formTree(a), formTree(b)], "u32", "u32", binder(c));
  return named(c, value, 0, most);
}

type BinaryForm = (c: Context, a: IndexForm, b: IndexForm) => IndexForm | undefined;

/** What is known of sums that meet in an operator. */
const binaryForms: { readonly [K in BinaryOperator]?: BinaryForm } = {
  "+": (_c, a, b) => addForms(a, b),
  "-": (_c, a, b) => addForms(a, b, -1),
  "*": (c, a, b) => {
    const [x, y] = [constantOf(a), constantOf(b)];
    const [factor, other] = x === undefined ? [y, a] : [x, b];
    const scaled = factor === undefined ? undefined : addForms(constantForm(0), other, factor);
    if (scaled !== undefined) return scaled;
    const [[aLow, aHigh], [bLow, bHigh]] = [rangeOf(a), rangeOf(b)];
    if (aHigh * bHigh > mostWord) return undefined;
    return named(c, tree("i32.mul", [formTree(a), formTree(b)]), aLow * bLow, aHigh * bHigh);
  },
  "/": (c, a, b) => {
    const [y, [low, high]] = [constantOf(b), rangeOf(a)];
    if (y === undefined || y <= 0) return undefined;
    if (high < y) return constantForm(0);
    return named(c, tree("i32.div_u", [formTree(a), i32(y)]), Math.floor(low / y), Math.floor(high / y));
  },
  "%": (c, a, b) => {
    const [y, [, high]] = [constantOf(b), rangeOf(a)];
    if (y === undefined || y <= 0) return undefined;
    if (high < y && a.lo >= 0) return a;
    return named(c, tree("i32.rem_u", [formTree(a), i32(y)]), 0, Math.min(high, y - 1));
  },
};

function smallerForm(c: Context, a: IndexForm, b: IndexForm): IndexForm {
  const [[aLow, aHigh], [bLow, bHigh]] = [rangeOf(a), rangeOf(b)];
  if (aHigh <= bLow) return a;
  if (bHigh <= aLow) return b;
  const value = pointwiseTree("minimum", [formTree(a), formTree(b)], "u32", "u32", binder(c));
  return named(c, value, Math.min(aLow, bLow), Math.min(aHigh, bHigh));
}
