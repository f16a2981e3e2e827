/** Configs of WAVEFT, typed. Made from the methods' declarations; `npx vitest run test/docs -u` writes it again. */
import type { CommonConfig, SharedConfig } from "./common.ts";

export interface WaveftConfig extends CommonConfig, Omit<SharedConfig, "init_weights"> {
  /** trained coefficients */
  readonly n_frequency?: number;
  /** scale of the update */
  readonly scaling?: number;
  /** only db1 (Haar) is built */
  readonly wavelet_family?: string;
  /** false: the coefficients are entries of the update themselves */
  readonly use_idwt?: boolean;
  /** seed of their places */
  readonly random_loc_seed?: number;
  /** n_frequency is the mean over the layers, larger ones get more */
  readonly proportional_parameters?: boolean;
  readonly n_frequency_pattern?: Readonly<Record<string, number>>;
  /** false: small normal values instead of zeros */
  readonly init_weights?: boolean;
}

export const waveft = (config: WaveftConfig = {}) => ({ peft_type: "WAVEFT", ...config }) as const;
