/** Whole models of one stack: with a head behind it, or alone. */
import { specialTokens } from "./config.ts";
import { freshHead } from "./head.ts";
import { imageShape } from "./image.ts";
import type { Unary } from "./layers.ts";
import { type BuildOptions, type ModelConfig, type ModelHead, type ModelInput, tokenInput } from "./model.ts";
import { allOfHead, block, type ModelTree, type Module, named, pathOf } from "./module.ts";
import { Sequence } from "./sequence.ts";
import type { SiteBuilder } from "./sites.ts";
import type { StackSpec } from "./spec.ts";
import { outputWidth, type Stack, type Stacked, stack } from "./stack.ts";

/** What stands behind the stack at the top of the model, and makes the logits of its stream. */
export interface Head {
  readonly modules: Readonly<Record<string, Module>>;
  readonly logits: (modules: Readonly<Record<string, Unary>>, stacked: Stacked, sequence: Sequence) => number;
  /** What the logits are of. */
  readonly is: ModelHead;
  /** Modules that are listed before the stack. */
  readonly before?: Readonly<Record<string, Module>>;
  /** The name of the model without its head, where it is not that of the spec. */
  readonly top?: string | undefined;
  /** A token that the head looks for in every row. */
  readonly inEveryRow?: number;
}

/** The model that a spec describes, with a head or without one; the config gives its special tokens. */
export function modelOf(spec: StackSpec, head: Head | undefined, config: ModelConfig): ModelTree {
  const { modelType, vocabulary, hidden, layers, maximumLength, positions, padToken } = spec;
  const [prefix, ...inside] = spec.names.path as [string, ...string[]];
  const limited = Object.values(spec.ropes).flatMap(({ longest }) => (longest === undefined ? [] : [longest]));
  const limits = positions !== undefined || limited.length > 0;
  const { is = { kind: "none", classes: outputWidth(spec) }, top = prefix } = head ?? {};
  const others = [prefix, spec.names.aboveSpans ?? prefix].filter((name) => name !== top);
  return {
    root: head === undefined ? headless(spec, inside) : headed(spec, [top, ...inside], head, config),
    prefix: top,
    ...(others.length === 0 ? {} : { otherPrefixes: others }),
    inputs: inputsOf(spec),
    defaults: {
      ...{ modelType, head: is, vocabulary, hidden, layers: layers.length },
      maximumLength: Math.min(maximumLength, ...limited),
      ...(limits ? { limitsLength: true } : {}),
      ...(padToken === undefined ? {} : { padToken }),
      ...specialTokens(config),
    },
  };
}

function inputsOf({ vocabulary, image, tokenTypes }: StackSpec): readonly ModelInput[] {
  if (image !== undefined) return [{ name: "pixel_values", dtype: "f32", rowShape: imageShape(image) }];
  const types = { name: "token_type_ids", dtype: "i32", limit: tokenTypes!, fill: 0 } as const;
  return [tokenInput(vocabulary), ...(tokenTypes === undefined ? [] : [types])];
}

/** The stack below the modules of a path. */
const below = (path: readonly string[], spec: StackSpec): Module<Stack> =>
  path.reduceRight<Module<Stack>>(
    (inner, name) => block({ [name]: inner }, (modules) => named<Stack>(modules, name)),
    stack(spec),
  );

/** What the stack reads of a batch. */
export function sequenceOf({ image }: StackSpec, sites: SiteBuilder, options: BuildOptions): Sequence {
  const { batch, length } = options;
  const { builder } = sites;
  if (image === undefined)
    return new Sequence(sites, options, builder.port("input_ids", "input", "i32", [batch, length]));
  const pixels = builder.port("pixel_values", "input", "f32", [batch, ...imageShape(image)]);
  return new Sequence(sites, { ...options, mask: false }, pixels);
}

function headed(
  spec: StackSpec,
  [top, ...inside]: readonly string[],
  { before = {}, modules: own, logits, is }: Head,
  config: ModelConfig,
): ModelTree["root"] {
  const ofHead = (modules: Head["modules"]) => (is.kind === "causal" ? modules : allOfHead(modules, freshHead(config)));
  return block(
    { ...ofHead(before), [top!]: below(inside, spec), ...ofHead(own) },
    (modules, { sites }) =>
      (options) => {
        const sequence = sequenceOf(spec, sites, options);
        const stacked = named<Stack>(modules, top!)(sequence);
        return logits(modules as object as Readonly<Record<string, Unary>>, stacked, sequence);
      },
  );
}

/** Its pooler computes only where the files hold its tensors. */
function headless(spec: StackSpec, path: readonly string[]): ModelTree["root"] {
  const alone = below(path, spec);
  return {
    ...alone,
    call: (place) => (options) => {
      const sequence = sequenceOf(spec, place.sites, options);
      const { hidden, pooler } = alone.call(place)(sequence);
      const isStored = pooler !== undefined && sequence.hasStored(place.sites.weightOf(`${pooler.path}.dense`));
      return { hidden, pooler: isStored ? pooler(hidden) : undefined };
    },
  };
}

/** Key of the weight of the spec's table. */
export const tableOf = ({ names }: StackSpec): string =>
  [...names.path, pathOf(names.parts, "embedding"), "weight"].join(".");
