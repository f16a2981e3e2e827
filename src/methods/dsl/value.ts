/** What an expression of a fragment can be: known numbers, tensors and operators of the graph, and a few things of the host. */
import type { Builder } from "../../ir/builder.ts";
import { typeText } from "../../ir/types.ts";
import type { TorchGenerator } from "../random/torch.ts";

/** Known before the program is built: numbers, truth values, texts, null, lists and maps of them. */
export type Known = null | boolean | number | string | readonly Known[] | { readonly [key: string]: Known };

/** How a tensor begins. */
export interface Distribution {
  /** The numbers in a graph; draws depend on (seed, site, tensor, element) alone. Absent where they are drawn on the host. */
  readonly node?: (builder: Builder, shape: readonly number[], stream: DrawStream) => number;
  /** The numbers on the host: those of a torch-compatible stream are PyTorch's, bit for bit, rounded to bfloat16 when the base model is. */
  readonly values?: (shape: readonly number[], bfloat16: boolean) => Float32Array;
}

/** What keeps the draws of tensors apart; `seed` is a node. */
export interface DrawStream {
  readonly site: number;
  readonly tensor: number;
  readonly seed: number;
}

/** Numbers on the host, row-major. f64 because positions in a large weight do not fit i32. */
export interface HostArray {
  readonly data: Float64Array;
  readonly whole: boolean;
  /** The `const` whose numbers these are. */
  readonly named?: { readonly name: string; readonly shape: readonly number[]; readonly key: string | undefined };
  /** Ends of the keys of the saved constants that these numbers are, or were worked out from: the formula's numbers, which a file may replace. */
  readonly held?: readonly string[];
}

export type Value =
  | { readonly kind: "known"; readonly value: Known }
  | { readonly kind: "tensor"; readonly id: number }
  | { readonly kind: "operator"; readonly id: number }
  /** The bias of a layer that has none. It counts as zero: absent + x is x, absent .* x is absent. */
  | { readonly kind: "absent" }
  | { readonly kind: "distribution"; readonly distribution: Distribution }
  | { readonly kind: "stream"; readonly generator: TorchGenerator }
  | { readonly kind: "host"; readonly array: HostArray };

export const known = (value: Known): Value => ({ kind: "known", value });
export const tensorValue = (id: number): Value => ({ kind: "tensor", id });
export const operatorValue = (id: number): Value => ({ kind: "operator", id });
export const absent: Value = { kind: "absent" };

export const isWhole = (value: unknown, least = 0): value is number =>
  Number.isSafeInteger(value) && (value as number) >= least;

export const isNumbers = (value: Known): value is readonly number[] =>
  Array.isArray(value) && value.every((n) => typeof n === "number");

export function knownText(value: Known): string {
  if (typeof value === "string") return JSON.stringify(value);
  return typeof value === "object" ? JSON.stringify(value).slice(0, 80) : String(value);
}

/** What a value is, for messages. */
export function describe(value: Value, builder?: Builder): string {
  switch (value.kind) {
    case "known":
      return knownText(value.value);
    case "tensor":
    case "operator":
      return builder === undefined ? `a ${value.kind}` : typeText(builder.type(value.id));
    case "absent":
      return "the bias of a layer without bias";
    case "host":
      return `${value.array.data.length} numbers of the host`;
    default:
      return `a ${value.kind}`;
  }
}
