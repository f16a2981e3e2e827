/** Configs of OFT, typed. Made from the methods' declarations; `npx vitest run test/docs -u` writes it again. */
import type { FieldValue } from "../fields.ts";
import type { CommonConfig } from "./common.ts";

export interface OftConfig extends CommonConfig {
  /** number of blocks */
  readonly r?: number;
  /** width of a block */
  readonly oft_block_size?: number;
  /** has no effect, as in PEFT */
  readonly module_dropout?: number;
  /** keep every block near the identity */
  readonly coft?: boolean;
  /** how near, with coft */
  readonly eps?: number;
  /** one block for all places of a layer */
  readonly block_share?: boolean;
  /** a truncated series instead of an inverse */
  readonly use_cayley_neumann?: boolean;
  readonly num_cayley_neumann_terms?: number;
  /** false: normal instead of zeros */
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
export const oft = (config: OftConfig = {}) => ({ peft_type: "OFT", ...config }) as const;
