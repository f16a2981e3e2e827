/** How an adapter's files hold one of its tensors. */

import type { AdapterTensor, CodingName, CompiledProgram, TensorCoding } from "../../../program/index.ts";
import type { Model } from "../../files/model.ts";
import type { HostTensor } from "../../files/tensor.ts";
import type { TensorSpec } from "../load-plan.ts";

export type Numbers = Float32Array | Int32Array;

/** A tensor that a file has, and its key there. */
export interface FoundTensor {
  readonly inFile: string;
  readonly tensor: HostTensor;
}

export interface TensorCodec {
  /** What a file holds in place of the tensor. Of several with one `tensor` any will do; without, each is needed. */
  readonly specs: readonly TensorSpec[];
  /** The tensor's numbers; undefined where the file has nothing of it. `read`: what the file has under a key of `specs`. */
  decode(read: (key: string) => Promise<FoundTensor | undefined>): Promise<Numbers | undefined>;
  /** What a file holds of these numbers, by the keys of `specs`. */
  encode(numbers: Numbers): Promise<ReadonlyMap<string, HostTensor>>;
}

/** What else the form of a tensor may depend on. */
export interface CodecSource {
  readonly program: Pick<CompiledProgram, "stages" | "adapter">;
  /** The base as the adapter sees it; known when the first numbers are read or written. */
  readonly model: () => Model;
}

export type CodingOf<Name extends CodingName> = Extract<TensorCoding, { readonly name: Name }>;

/** A codec of the tensors that a fragment marks with one coding. */
export type CodecOf<Name extends CodingName> = (
  coding: CodingOf<Name>,
  tensor: AdapterTensor,
  source: CodecSource,
) => TensorCodec;
