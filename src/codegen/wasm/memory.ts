/** Numbers as memory has them, as WebAssembly loads and stores them. */
import type { DType } from "../../ir/types.ts";
import type { Lanes } from "../kernel/kernel.ts";
import type { Address } from "./addresses.ts";
import { type FunctionWriter, f32x4, i32, i32x4, type Tree, tree } from "./function-writer.ts";
import type { Opcode } from "./instructions.ts";
import type { Binder } from "./pointwise.ts";

const at = (op: Opcode, { tree: address, offset }: Address): Tree => tree(op, [address], offset);

export function loadTree(dtype: DType, lanes: Lanes, address: Address, bind: Binder): Tree {
  if (dtype === "bf16" || dtype === "f16") {
    if (lanes === 4) return expand(dtype, at("v128.load16x4_u", address), bind);
    const half = at("i32.load16_u", address);
    if (dtype === "bf16") return tree("f32.reinterpret_i32", [tree("i32.shl", [half, i32(16)])]);
    return tree("f32x4.extract_lane", [expand(dtype, tree("i32x4.splat", [half]), bind)], 0);
  }
  if (lanes === 1) return at(dtype === "f32" ? "f32.load" : "i32.load", address);
  const words = at("v128.load", address);
  return dtype === "bool" ? tree("v128.not", [tree("i32x4.eq", [words, i32x4(0)])]) : words;
}

/** Four numbers of 16 bits, each in the low half of a word, as f32. */
function expand(dtype: "bf16" | "f16", words: Tree, bind: Binder): Tree {
  if (dtype === "bf16") return tree("i32x4.shl", [words, i32(16)]);
  const half = bind("v128", words);
  const size = bind("v128", tree("i32x4.shl", [tree("v128.and", [half, i32x4(0x7fff)]), i32(13)]));
  // The exponent is 112 too small; where it is the largest there is (infinity, NaN) it has to be the largest of f32.
  const finite = tree("f32x4.mul", [size, f32x4(2 ** 112)]);
  const isLargest = tree("i32x4.le_u", [i32x4(0x7c00 << 13), size]);
  const number = tree("v128.or", [finite, tree("v128.and", [isLargest, i32x4(0x7f800000)])]);
  const sign = tree("i32x4.shl", [tree("v128.and", [half, i32x4(0x8000)]), i32(16)]);
  return tree("v128.or", [number, sign]);
}

/** One number in all lanes. */
export const loadSpread = (address: Address): Tree => at("v128.load32_splat", address);

export function storeNumbers(
  writer: FunctionWriter,
  dtype: DType,
  lanes: Lanes,
  { tree: address, offset }: Address,
  value: Tree,
): void {
  const op = lanes === 4 ? "v128.store" : dtype === "f32" ? "f32.store" : "i32.store";
  const numbers = lanes === 4 && dtype === "bool" ? tree("v128.and", [value, i32x4(1)]) : value;
  writer.push(tree(op, [address, numbers], offset));
}
