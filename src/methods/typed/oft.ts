/** Configs of OFT, typed. Made from the methods' declarations; `npx vitest run test/docs -u` writes it again. */
import type { CommonConfig, SharedConfig } from "./common.ts";

export interface OftConfig extends CommonConfig, Omit<SharedConfig, "init_weights"> {
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
}

export const oft = (config: OftConfig = {}) => ({ peft_type: "OFT", ...config }) as const;
