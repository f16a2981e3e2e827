/** Reading candidates of rules: small questions that several rules ask. */
import { opRecord } from "../ir/registry.ts";
import type { TensorType } from "../ir/types.ts";
import type { Candidate, Rewriter } from "./rewrite.ts";

/** A list attribute. */
export const list = (value: unknown): readonly number[] => value as readonly number[];

/** The result type the op would have. */
export const typeOf = (c: Candidate, r: Rewriter): TensorType =>
  opRecord(c.op).infer(
    c.inputs.map((i) => r.type(i)),
    c.attributes,
  ) as TensorType;
