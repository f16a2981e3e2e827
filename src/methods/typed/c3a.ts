/** Configs of C3A, typed. Made from the methods' declarations; `npx vitest run test/docs -u` writes it again. */
import type { FieldValue } from "../fields.ts";
import type { CommonConfig } from "./common.ts";

export interface C3aConfig extends CommonConfig {
  /** width of a block; divides both widths of the layer */
  readonly block_size?: number;
  /** "xavier_uniform" or false, "kaiming_uniform", "gaussian"; true: zeros */
  readonly init_weights?: FieldValue;
  readonly block_size_pattern?: Readonly<Record<string, number>>;
  /** Names of modules, one regular expression, or "all-linear". */
  readonly target_modules?: FieldValue;
  /** Modules that are trained and saved in full. */
  readonly modules_to_save?: readonly string[] | null;
  /** Indices of the layers that get an adapter. */
  readonly layers_to_transform?: FieldValue;
  /** Name of the list of layers that layers_to_transform counts in. */
  readonly layers_pattern?: FieldValue;
  /** Which biases train: none, all, or those of the targets (any name that ends with _only). */
  readonly bias?: string;
}

/** A config as `compile` takes it, with its `peft_type`. */
export const c3a = (config: C3aConfig = {}) => ({ peft_type: "C3A", ...config }) as const;
