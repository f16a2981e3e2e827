/** Configs of ROAD, typed. Made from the methods' declarations; `npx vitest run test/docs -u` writes it again. */
import type { CommonConfig, SharedConfig } from "./common.ts";

export interface RoadConfig extends CommonConfig, Pick<SharedConfig, "target_modules" | "modules_to_save"> {
  /** one angle and scale for a pair, one for each output, or two */
  readonly variant?: "road_1" | "road_2" | "road_4";
  /** outputs in a group; entry i of its first half is paired with entry i of its second */
  readonly group_size?: number;
  /** false: normal instead of no rotation */
  readonly init_weights?: boolean;
}

export const road = (config: RoadConfig = {}) => ({ peft_type: "ROAD", ...config }) as const;
