/** What records of the operator level share. */
import type { Attributes } from "../graph.ts";
import type { OpRecord } from "../op-record.ts";
import type { TensorType, Type } from "../types.ts";
import { noCost } from "./common.ts";

/** A record without gradient and cost: these nodes are lowered before either is asked for. */
export const operatorOp = (
  name: string,
  arity: OpRecord["arity"],
  doc: string,
  infer: (inputs: readonly Type[], attributes: Attributes) => Type,
  attributes: NonNullable<OpRecord["attributes"]> = {},
): OpRecord => ({ name, opClass: "operator", arity, attributes, doc, infer, vjp: "nondifferentiable", cost: noCost });

/** Whether a tensor is f32 of this rank. */
export const isFloat = (type: TensorType, rank: number): boolean => type.dtype === "f32" && type.shape.length === rank;
