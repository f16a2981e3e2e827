/** What a method is: the text with its formula, and beside it what PEFT's config class and files have that is no formula. */

import type { FileRules } from "../program/index.ts";
import type { Combine } from "./combine/sources.ts";
import type { DefaultTargets } from "./config/defaults.ts";
import type { MethodProfile } from "./config/profiles.ts";
import type { Builtin } from "./lib/builtin.ts";

export interface MethodRecord {
  /** The fragment. */
  readonly text: string;
  /** What messages call the file of the text, and the line of that file where the text begins. */
  readonly file?: string;
  readonly line?: number;
  /** Number of the text's first call: random draws go by these numbers, so that they stay what they are when the order of the text changes. */
  readonly calls?: number;
  /** What its config class has beside its own fields. Without one: every shared field of PEFT, and no special rule. */
  readonly profile?: Partial<MethodProfile>;
  /** `target_modules` by the base's model type, for configs that name none. */
  readonly targets?: DefaultTargets;
  /** What is special about its files. */
  readonly files?: FileRules;
  /** Functions that its text calls beside those that every method may; one of the same name stands in front of theirs. */
  readonly builtins?: readonly Builtin[];
  /** How adapters of it become one (`session.addWeighted`); those of a method without cannot. */
  readonly combine?: Combine;
  /** A method of the same `peft_type`, for configs with a field that begins so. */
  readonly variant?: { readonly prefix: string; readonly record: MethodRecord };
}
