/**
 * What surrounds a method in PEFT's config class: shared fields, checks, rules about targets. What it computes, and its own fields, are in its
 * fragment. Source: the config classes and tuner models of PEFT 0.21.2.
 */
import type { FieldValue } from "../fields.ts";
import type { SharedField } from "./common.ts";
import type { TargetTable } from "./defaults.ts";

export interface MethodProfile {
  /** PEFT's name of the config class, as its messages have it. */
  readonly className: string;
  readonly shared: readonly SharedField[];
  /** Which of the recurring checks a (pattern needs layers), b and c (no layers with a regex) apply. */
  readonly checks: string;
  /** Fields whose lists are sets: written sorted. */
  readonly sets: readonly string[];
  /** Lists of 20 or more targets are compressed. */
  readonly compresses: boolean;
  /** Layers that experts no longer have may be named; their parameters are adapted instead. */
  readonly fuses?: boolean;
  /** A string in `target_modules` is one name and no regular expression. */
  readonly targetIsName?: boolean;
  /** Any kind of module can be adapted. */
  readonly anyModule?: boolean;
  /** PEFT adapts `Linear` only, so a file with a `Conv1D` target is ours alone. */
  readonly linearOnly?: boolean;
  /** What PEFT does with a `Conv2d` is what the fragment does with a layer on patches. */
  readonly patches?: boolean;
  /** A name in a pattern needs a dot before it, or is the whole path of a module. */
  readonly dottedPatterns?: boolean;
  /** The field that says how many of the hits, from the last, are adapted. */
  readonly lastHits?: string;
  /** The error for a config that names no targets, where the base has no default; `{model_type}` stands for the base's. */
  readonly noTargets?: string;
  /** Fields that name some of the targets, with what they name by model type. */
  readonly subsets?: Readonly<Record<string, TargetTable>>;
  /** Rows of the table train and no layer is wrapped: files hold no base weights of adapted embeddings. */
  readonly trainsTokens?: boolean;
  /** Fields about the base model (`num_layers` ...) are filled in: for its embeddings or, of prefixes, for its keys. */
  readonly modelFacts?: "embeddings" | "keys";
  /**
   * With `ensure_weight_tying`, an output embedding that is adapted shares the input embedding's tensors: names of that one's by names of its
   * own, of which they are the transposes.
   */
  readonly tied?: Readonly<Record<string, string>>;
  /** The name in "No layers types compatible with ... were found", for methods that look for layers first. */
  readonly compatibleName?: string;
  /** PEFT's fields that only matter when they differ from these values, which then is refused unless the method declares them. */
  readonly passive: Readonly<Record<string, FieldValue>>;
  /** PEFT's fields that have no effect on what a method computes here, with their defaults; any value is kept. */
  readonly inert: Readonly<Record<string, FieldValue>>;
}

export const withTargets: readonly SharedField[] = ["target_modules", "modules_to_save"];
const withLayers: readonly SharedField[] = [...withTargets, "layers_to_transform", "layers_pattern"];
export const usual: readonly SharedField[] = [...withLayers, "exclude_modules", "bias", "init_weights"];
export const everything: readonly SharedField[] = [...usual, "fan_in_fan_out"];
export const without = (fields: readonly SharedField[], ...names: SharedField[]): SharedField[] =>
  fields.filter((field) => !names.includes(field));

const standard: MethodProfile = {
  className: "PeftConfig",
  shared: everything,
  checks: "",
  sets: ["target_modules", "exclude_modules"],
  compresses: true,
  passive: {},
  inert: {},
};

/** The whole profile of a method. One without any is the user's own, whose formula is what it does with a `Conv2d` too. */
export const profileOf = (own: Partial<MethodProfile> = { patches: true }): MethodProfile => ({ ...standard, ...own });
