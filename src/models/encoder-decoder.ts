/** Models of two stacks: an encoder over the tokens, and a decoder over the labels that also attends to what the encoder made. */
import type { Builder } from "../ir/builder.ts";
import { specialTokens } from "./config.ts";
import { embedding, linear, type Unary } from "./layers.ts";
import { ignoredLabel } from "./loss.ts";
import { type BuildOptions, type ModelConfig, noVirtualTokens, tokenInput } from "./model.ts";
import { block, type ModelTree, named } from "./module.ts";
import { Sequence } from "./sequence.ts";
import type { EncoderDecoderSpec } from "./spec.ts";
import { type Stack, stack } from "./stack.ts";
import { sequenceOf } from "./tree.ts";

export function encoderDecoder(spec: EncoderDecoderSpec, config: ModelConfig): ModelTree {
  const { encoder, decoder, table, head, padToken } = spec;
  const { modelType, vocabulary, hidden, layers, maximumLength } = encoder;
  const [reads, writes] = [encoder, decoder].map(({ names }) => names.path[0]!) as [string, string];
  const root = block(
    {
      [table]: embedding(vocabulary, hidden),
      ...{ [reads]: stack(encoder), [writes]: stack(decoder) },
      [head]: linear(hidden, vocabulary, false),
    },
    (modules, { builder, sites }) =>
      (asked: BuildOptions) => {
        // There is no place for virtual tokens, which would have to be told apart by stack.
        const options = { ...asked, virtual: noVirtualTokens };
        const { batch, length, labelLength = length } = options;
        const sequence = sequenceOf(encoder, sites, options);
        const { hidden: stream } = named<Stack>(modules, reads)(sequence);
        const labels = builder.port("labels", "input", "i32", [batch, labelLength]);
        const written = { ...options, length: labelLength, mask: false };
        const memory = { stream, seen: sequence.unpadded(labelLength) };
        const made = named<Stack>(modules, writes)(
          new Sequence(sites, written, shifted(builder, labels, spec)),
          memory,
        );
        return named<Unary>(modules, head)(made.hidden);
      },
  );
  return {
    root,
    inputs: [tokenInput(vocabulary)],
    defaults: {
      ...{ modelType, head: { kind: "decoder", classes: vocabulary }, vocabulary, hidden },
      ...{ layers: layers.length, maximumLength, ...specialTokens(config), padToken },
    },
  };
}

/** What the decoder reads: the start token, then the labels but the last, padding where they do not count. */
function shifted(builder: Builder, labels: number, { startToken, padToken }: EncoderDecoderSpec): number {
  const [batch, length] = builder.shape(labels) as [number, number];
  const ignored = builder.compare("eq", labels, builder.constantLike(labels, ignoredLabel));
  const tokens = builder.select(ignored, builder.constantLike(labels, padToken), labels);
  const start = builder.constant(startToken, [batch, 1], "i32");
  return length === 1 ? start : builder.concat([start, builder.slice(tokens, [0, 0], [batch, length - 1])], 1);
}
