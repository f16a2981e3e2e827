/** Configs of LOHA, typed. Made from the methods' declarations; `npx vitest run test/docs -u` writes it again. */
import type { FieldValue } from "../fields.ts";
import type { CommonConfig } from "./common.ts";

export interface LohaConfig extends CommonConfig {
  /** rank of both factors; the update has rank r^2 */
  readonly r?: number;
  /** scale of the update, divided by r */
  readonly alpha?: number;
  /** part of the update's rows that is left out in a training step */
  readonly rank_dropout?: number;
  /** how often a training step leaves the whole update out */
  readonly module_dropout?: number;
  /** for convolutions; no effect on linear layers */
  readonly use_effective_conv2d?: boolean;
  /** false: w2_b is random too */
  readonly init_weights?: boolean;
  readonly rank_pattern?: Readonly<Record<string, number>>;
  readonly alpha_pattern?: Readonly<Record<string, number>>;
  /** Names of modules, one regular expression, or "all-linear". */
  readonly target_modules?: FieldValue;
  /** Modules that are trained and saved in full. */
  readonly modules_to_save?: readonly string[] | null;
  /** Indices of the layers that get an adapter. */
  readonly layers_to_transform?: FieldValue;
  /** Name of the list of layers that layers_to_transform counts in. */
  readonly layers_pattern?: FieldValue;
  /** Names or one regular expression; wins over target_modules. */
  readonly exclude_modules?: FieldValue;
}

/** A config as `compile` takes it, with its `peft_type`. */
export const loha = (config: LohaConfig = {}) => ({ peft_type: "LOHA", ...config }) as const;
