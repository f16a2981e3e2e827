/** Models of two stacks: an encoder over the tokens, and a decoder over labels or tokens that also attends to what the encoder made; or of the first alone. */
import type { Builder } from "../ir/builder.ts";
import { specialTokens } from "./config.ts";
import { freshHead } from "./head.ts";
import { embedding, type Unary } from "./layers.ts";
import { ignoredLabel } from "./loss.ts";
import { type BuildOptions, type ModelConfig, noVirtualTokens, tokenInput, type VirtualTokens } from "./model.ts";
import { allOfHead, block, type ModelTree, type Module, named, type Place } from "./module.ts";
import { Sequence } from "./sequence.ts";
import type { EncoderDecoderSpec } from "./spec.ts";
import { type Stack, type Stacked, stack } from "./stack.ts";
import { type Head, sequenceOf } from "./tree.ts";

/** What the last stack makes, and the text. */
type Stacks = (options: BuildOptions) => { readonly stacked: Stacked; readonly sequence: Sequence };

/** The model that a spec describes, with a head or without one. The stacks stand in the module `top` of the head, or beside its modules. */
export function encoderDecoder(spec: EncoderDecoderSpec, head: Head | undefined, config: ModelConfig): ModelTree {
  const { encoder, padToken } = spec;
  const { modelType, vocabulary, hidden, layers, maximumLength } = encoder;
  const { is = { kind: "none", classes: hidden }, top, inEveryRow } = head ?? {};
  return {
    root: head === undefined ? headless(spec) : headed(spec, head, config),
    ...(top === undefined ? {} : { prefix: top }),
    inputs: [{ ...tokenInput(vocabulary), ...(inEveryRow === undefined ? {} : { inEveryRow }) }],
    defaults: {
      ...{ modelType, head: is, vocabulary, hidden },
      ...{ layers: layers.length, maximumLength, ...specialTokens(config), padToken },
    },
  };
}

const nameOf = ({ names }: NonNullable<EncoderDecoderSpec["decoder"]>): string => names.path[0]!;

function stacksOf({ table, encoder, decoder }: EncoderDecoderSpec): Readonly<Record<string, Module>> {
  return {
    ...{ [table]: embedding(encoder.vocabulary, encoder.hidden), [nameOf(encoder)]: stack(encoder) },
    ...(decoder === undefined ? {} : { [nameOf(decoder)]: stack(decoder) }),
  };
}

/** The stacks in a block that has them among its modules. */
const running =
  (
    spec: EncoderDecoderSpec,
    reads: "labels" | "text",
    modules: Readonly<Record<string, unknown>>,
    place: Place,
  ): Stacks =>
  (asked) => {
    const { builder, sites } = place;
    const { encoder, decoder } = spec;
    const { tokens: rows, keys } = virtualIn(asked, decoder === undefined || reads === "labels");
    // Rows stand in front of the text, keys in front of those of what is written.
    const options = { ...asked, virtual: { tokens: rows, keys: decoder === undefined ? keys : 0 } };
    const { batch, length, labelLength = length } = options;
    const sequence = sequenceOf(encoder, sites, options);
    const encoded = named<Stack>(modules, nameOf(encoder))(sequence);
    if (decoder === undefined) return { stacked: encoded, sequence };
    const count = reads === "labels" ? labelLength : length;
    const tokens =
      reads === "labels"
        ? countedTokens(builder, builder.port("labels", "input", "i32", [batch, count]), spec)
        : sequence.content;
    const written = new Sequence(
      sites,
      { ...options, length: count, mask: false, virtual: { tokens: 0, keys } },
      shifted(builder, tokens, spec.startToken),
    );
    const memory = { stream: encoded.hidden, seen: sequence.unpadded(count) };
    return { stacked: named<Stack>(modules, nameOf(decoder))(written, memory), sequence };
  };

function headed(
  spec: EncoderDecoderSpec,
  { modules: own, logits, is, top }: Head,
  config: ModelConfig,
): ModelTree["root"] {
  const reads = is.kind === "decoder" ? "labels" : "text";
  const stacks = stacksOf(spec);
  const below: Readonly<Record<string, Module>> =
    top === undefined
      ? stacks
      : { [top]: block<typeof stacks, Stacks>(stacks, (modules, place) => running(spec, reads, modules, place)) };
  const ofHead = is.kind === "decoder" ? own : allOfHead(own, freshHead(config));
  return block({ ...below, ...ofHead }, (modules, place) => {
    const run = top === undefined ? running(spec, reads, modules, place) : named<Stacks>(modules, top);
    return (options: BuildOptions) => {
      const { stacked, sequence } = run(options);
      return logits(modules as object as Readonly<Record<string, Unary>>, stacked, sequence);
    };
  });
}

const headless = (spec: EncoderDecoderSpec): ModelTree["root"] =>
  block(stacksOf(spec), (modules, place) => (options: BuildOptions) => {
    const { hidden } = running(spec, "text", modules, place)(options).stacked;
    return { hidden };
  });

/** A decoder that reads the text again has no place for virtual tokens: its head finds rows and places in the text. */
const virtualIn = ({ virtual = noVirtualTokens }: BuildOptions, hasPlace: boolean): VirtualTokens =>
  hasPlace ? virtual : noVirtualTokens;

/** Labels i32[b, t] with padding in the place of those that do not count. */
function countedTokens(builder: Builder, labels: number, { padToken }: EncoderDecoderSpec): number {
  const ignored = builder.compare("eq", labels, builder.constantLike(labels, ignoredLabel));
  return builder.select(ignored, builder.constantLike(labels, padToken), labels);
}

/** What the decoder reads: the start token, then tokens i32[b, t] but the last. */
function shifted(builder: Builder, tokens: number, startToken: number): number {
  const [batch, length] = builder.shape(tokens) as [number, number];
  const start = builder.constant(startToken, [batch, 1], "i32");
  return length === 1 ? start : builder.concat([start, builder.slice(tokens, [0, 0], [batch, length - 1])], 1);
}
