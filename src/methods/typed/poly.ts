/** Configs of POLY, typed. Made from the methods' declarations; `npx vitest run test/docs -u` writes it again. */
import type { CommonConfig, SharedConfig } from "./common.ts";

export interface PolyConfig
  extends CommonConfig,
    Pick<SharedConfig, "target_modules" | "modules_to_save" | "exclude_modules"> {
  /** rank of every skill */
  readonly r?: number;
  /** the kind of mixture; there is one */
  readonly poly_type?: string;
  /** tasks: rows of the routing table */
  readonly n_tasks?: number;
  /** pairs of matrices that are mixed */
  readonly n_skills?: number;
  /** blocks of the features, each with its own mixture */
  readonly n_splits?: number;
  /** false: B is random too */
  readonly init_weights?: boolean;
}

export const poly = (config: PolyConfig = {}) => ({ peft_type: "POLY", ...config }) as const;
