/** Configs of FOURIERFT, typed. Made from the methods' declarations; `npx vitest run test/docs -u` writes it again. */
import type { FieldValue } from "../fields.ts";
import type { CommonConfig } from "./common.ts";

export interface FourierftConfig extends CommonConfig {
  /** trained entries of the spectrum */
  readonly n_frequency?: number;
  /** scale of the update */
  readonly scaling?: number;
  /** seed of their places */
  readonly random_loc_seed?: number;
  readonly n_frequency_pattern?: Readonly<Record<string, number>>;
  /** true: zeros instead of normal */
  readonly init_weights?: boolean;
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
  /** Which biases train: none, all, or those of the targets (any name that ends with _only). */
  readonly bias?: string;
  /** Whether the base stores its weights as [in, out]; corrected to what the base has. */
  readonly fan_in_fan_out?: boolean;
}

/** A config as `compile` takes it, with its `peft_type`. */
export const fourierft = (config: FourierftConfig = {}) => ({ peft_type: "FOURIERFT", ...config }) as const;
