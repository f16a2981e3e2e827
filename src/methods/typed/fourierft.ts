/** Configs of FOURIERFT, typed. Made from the methods' declarations; `npx vitest run test/docs -u` writes it again. */
import type { CommonConfig, SharedConfig } from "./common.ts";

export interface FourierftConfig extends CommonConfig, Omit<SharedConfig, "init_weights"> {
  /** trained entries of the spectrum */
  readonly n_frequency?: number;
  /** scale of the update */
  readonly scaling?: number;
  /** seed of their places */
  readonly random_loc_seed?: number;
  readonly n_frequency_pattern?: Readonly<Record<string, number>>;
  /** true: zeros instead of normal */
  readonly init_weights?: boolean;
}

export const fourierft = (config: FourierftConfig = {}) => ({ peft_type: "FOURIERFT", ...config }) as const;
