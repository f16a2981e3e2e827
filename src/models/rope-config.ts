/** What a config says of rotary embedding, in the spellings of transformers 5 (`rope_parameters`) and before (`rope_theta`, `rope_scaling`). */
import { WebpeftError } from "../ir/diagnostics.ts";
import { positiveInteger, positiveNumber, present, section, text, wrong } from "./config.ts";
import type { ModelConfig } from "./model.ts";

/** How frequencies are scaled for sequences longer than those of the first training, whose length is `original`. */
export type RopeScaling =
  | { readonly kind: "default" }
  | { readonly kind: "linear"; readonly factor: number }
  | {
      readonly kind: "llama3";
      readonly factor: number;
      readonly low: number;
      readonly high: number;
      readonly original: number;
    }
  | {
      readonly kind: "yarn";
      readonly factor: number;
      /** Turns within the original length above which a frequency is kept, and below which it is divided. */
      readonly fast: number;
      readonly slow: number;
      readonly original: number;
      readonly truncate: boolean;
    }
  | {
      readonly kind: "longrope";
      readonly original: number;
      /** Divisors of the frequencies, by whether all positions lie within the original length. */
      readonly short: readonly number[];
      readonly long: readonly number[];
    };

export interface RopeSettings {
  /** Base of the geometric row of frequencies. */
  readonly theta: number;
  /** The part of a head that turns. */
  readonly fraction: number;
  readonly scaling: RopeScaling;
  /** Factor of cosines and sines. */
  readonly attention: number;
  /** The length up to which these tables hold, where longer ones would have others. */
  readonly longest?: number;
  /** What turns together: an element of the first half with its like in the second, or two neighbours. */
  readonly pairs?: "halves" | "neighbours";
}

/** What a family has where its config says nothing. */
export interface RopeDefaults {
  readonly theta?: number;
  /** The part of a head that turns; families that have none turn the whole head and refuse the field. */
  readonly fraction?: number;
  readonly maximum: number;
  /** What the field of this name is where the file lacks it, which counts more than what the rope's own parameters say. */
  readonly original_max_position_embeddings?: number;
  /** Kinds of scaling by the names that the family has for them. */
  readonly kinds?: Readonly<Record<string, string>>;
  /** Names of the fields outside of the rope's parameters. */
  readonly names?: { readonly theta: string; readonly fraction: string };
}

type Parameters = ModelConfig;

/** The rope's own parameters; empty where the config has none. */
const ropeSection = (config: ModelConfig): Parameters => {
  const old = section(config, "rope_scaling") ?? {};
  return Object.keys(old).length > 0 ? old : (section(config, "rope_parameters") ?? {});
};

const isNested = (parameters: Parameters): boolean =>
  Object.values(parameters).some((value) => typeof value === "object" && value !== null && !Array.isArray(value));

/**
 * One rope for all layers. Unknown kinds of scaling are refused with `MODEL-ROPE`, because leaving them out would change every number.
 */
export function readRope(config: ModelConfig, defaults: RopeDefaults): RopeSettings {
  const parameters = ropeSection(config);
  if (isNested(parameters)) throw refused("rope parameters per layer type", "rope_parameters");
  const names = defaults.names ?? { theta: "rope_theta", fraction: "partial_rotary_factor" };
  const outside = { rope_theta: config[names.theta], partial_rotary_factor: config[names.fraction] };
  const original = present(config, "original_max_position_embeddings") ?? defaults.original_max_position_embeddings;
  const top = original === undefined ? {} : { original_max_position_embeddings: original };
  return settings({ ...withFallbacks(parameters, outside), ...top }, config, defaults);
}

/**
 * A rope for each type of layers. In the old spelling `rope_scaling` is that of full attention. `thetas`: those of types of which the config
 * says nothing.
 */
export function readRopes<T extends string>(
  config: ModelConfig,
  { thetas, ...defaults }: RopeDefaults & { readonly thetas: Readonly<Record<T, unknown>> },
): Readonly<Record<T, RopeSettings>> {
  const nested = section(config, "rope_parameters") ?? {};
  if (Object.keys(nested).length > 0 && !isNested(nested))
    throw refused("one set of rope parameters for all layer types", "rope_parameters");
  const of = (type: string): RopeSettings => {
    const old = type === "full_attention" ? (section(config, "rope_scaling") ?? {}) : {};
    const { truncate: _own, ...own } = { ...section(nested, type), ...old };
    const theta = thetas[type as T];
    return settings(withFallbacks({ ...own, truncate: nested.truncate }, { rope_theta: theta }), config, defaults);
  };
  return Object.fromEntries(Object.keys(thetas).map((type) => [type, of(type)])) as Record<T, RopeSettings>;
}

const withFallbacks = (parameters: Parameters, fallbacks: Parameters): Parameters => ({
  ...parameters,
  ...Object.fromEntries(Object.entries(fallbacks).filter(([name]) => present(parameters, name) === undefined)),
});

function settings(parameters: Parameters, config: ModelConfig, defaults: RopeDefaults): RopeSettings {
  const fraction = positiveNumber(parameters, "partial_rotary_factor", defaults.fraction ?? 1);
  if (fraction > 1 || (defaults.fraction === undefined && fraction !== 1))
    throw refused(`partial_rotary_factor ${fraction}`, "partial_rotary_factor");
  const theta = positiveNumber(parameters, "rope_theta", defaults.theta ?? 10000);
  const named = text(parameters, "rope_type", text(parameters, "type", "default"));
  const kind = defaults.kinds?.[named] ?? named;
  const read = Object.hasOwn(scalings, kind) ? scalings[kind] : undefined;
  if (read === undefined) throw refused(`rope type ${kind}`, "rope_type");
  const maximum = positiveInteger(config, "max_position_embeddings", defaults.maximum);
  const original = positiveInteger(parameters, "original_max_position_embeddings", maximum);
  return { theta, fraction, attention: 1, ...read({ parameters, maximum, original }) };
}

interface ScalingInput {
  readonly parameters: Parameters;
  readonly maximum: number;
  readonly original: number;
}

/** By the kind that a config names. */
const scalings: Readonly<
  Record<
    string,
    (input: ScalingInput) => Pick<RopeSettings, "scaling"> & Partial<Pick<RopeSettings, "attention" | "longest">>
  >
> = {
  default: () => ({ scaling: { kind: "default" } }),
  linear: ({ parameters }) => ({ scaling: { kind: "linear", factor: positiveNumber(parameters, "factor") } }),
  // Within the trained length these are the plain tables; beyond it transformers' own depend on the calls before.
  dynamic: ({ parameters, maximum }) => {
    positiveNumber(parameters, "factor");
    return { scaling: { kind: "default" }, longest: maximum };
  },
  llama3: ({ parameters, original }) => {
    const [low, high] = ["low_freq_factor", "high_freq_factor"].map((name) => positiveNumber(parameters, name));
    if (high! <= low!) throw refused("high_freq_factor not above low_freq_factor", "high_freq_factor");
    const factor = positiveNumber(parameters, "factor");
    return { scaling: { kind: "llama3", factor, low: low!, high: high!, original } };
  },
  yarn: ({ parameters, maximum, original }) => {
    const factor = positiveNumber(parameters, "factor", maximum / original);
    const [fast, slow] = [positiveNumber(parameters, "beta_fast", 32), positiveNumber(parameters, "beta_slow", 1)];
    const truncate = present(parameters, "truncate") !== false;
    const grown = (scale: unknown = 1): number => (factor <= 1 ? 1 : 0.1 * Number(scale) * Math.log(factor) + 1);
    const { mscale, mscale_all_dim: all } = parameters;
    const attention = mscale && all ? grown(mscale) / grown(all) : grown();
    return {
      scaling: { kind: "yarn", factor, fast, slow, original, truncate },
      attention: positiveNumber(parameters, "attention_factor", attention),
    };
  },
  longrope: ({ parameters, maximum, original }) => {
    const [short, long] = ["short_factor", "long_factor"].map((name) => divisors(parameters, name));
    const factor = positiveNumber(parameters, "factor", maximum / original);
    const attention = factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(original));
    return {
      scaling: { kind: "longrope", original, short: short!, long: long! },
      attention: positiveNumber(parameters, "attention_factor", attention),
    };
  },
};

function divisors(parameters: Parameters, name: string): readonly number[] {
  const value = parameters[name];
  if (Array.isArray(value) && value.every((entry) => typeof entry === "number" && entry > 0)) return value;
  throw wrong(name, "a list of positive numbers", value);
}

export function refused(got: string, field: string): WebpeftError {
  return new WebpeftError("MODEL-ROPE", {
    message: "this kind of rotary embedding is not built",
    where: `config.json: ${field}`,
    expected: `rope type ${Object.keys(scalings).join(", ")} over the whole head; over a part of it, or by layer type, where the family has that`,
    got,
  });
}
