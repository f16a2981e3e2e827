/** The codec of every tensor of an adapter that is in a file. */
import type { AdapterTensor, CodingName } from "../../../program/index.ts";
import type { CodecOf, CodecSource, TensorCodec } from "./codec.ts";
import { onRowsCodec } from "./on-rows.ts";
import { plainCodec } from "./plain.ts";
import { topKCodec } from "./top-k.ts";

/** By the word behind `coded` in a fragment. */
const codecs: { readonly [Name in CodingName]: CodecOf<Name> } = {
  on_rows: onRowsCodec,
  top_k: topKCodec,
};

function codecOf(tensor: AdapterTensor, source: CodecSource): TensorCodec {
  const { coding } = tensor;
  return coding === undefined
    ? plainCodec(tensor)
    : (codecs[coding.name] as CodecOf<CodingName>)(coding, tensor, source);
}

/** By the tensors' keys. */
export const codecsOf = (source: CodecSource): Map<string, TensorCodec> =>
  new Map(
    (source.program.adapter?.tensors ?? []).flatMap((tensor) =>
      tensor.saved ? [[tensor.key, codecOf(tensor, source)] as const] : [],
    ),
  );
