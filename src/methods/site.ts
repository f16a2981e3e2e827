/** Where an adapter changes a base model. */
import type { ModuleInfo } from "../models/model.ts";
import type { FieldValue } from "./fields.ts";

/** A module of the base model with what an adapter's config says of it. A prompt has the sizes of the table of tokens, and the path "". */
export interface Site extends ModuleInfo {
  readonly in: number;
  readonly out: number;
  /** The config fields that hold here: patterns applied. */
  readonly fields: Readonly<Record<string, FieldValue>>;
  /** Number of the site in the model's order; sites that another field names come last. */
  readonly index: number;
  /** The field that names the site, when it is not `target_modules`. */
  readonly from?: string;
  /** The path under which an adapter's file has its tensors, where that is not its own. */
  readonly keys?: string;
  /** The modules that share the weight of an embedding and change with it: a layer, and tables of other stacks. */
  readonly followers?: readonly ModuleInfo[];
}

/** A module as a site. The modules that adapters change have weights, or an attention's widths, so their extents are known. */
export const siteAt = (module: ModuleInfo, more: Omit<Site, keyof ModuleInfo>): Site => ({
  ...module,
  in: module.in!,
  out: module.out!,
  ...more,
});

/** What stands before a module's path in the keys of an adapter's file. */
export const modulePrefix = "base_model.model.";

/** Key in the adapter's file of a tensor of the module at a path; a prompt belongs to no module, and its tensors have their key alone. */
export const siteKey = (path: string, key: string): string => (path === "" ? key : `${modulePrefix}${path}.${key}`);

/** Key in the adapter's file of a tensor of a site. */
export const keyAt = ({ path, keys = path }: Pick<Site, "path" | "keys">, key: string): string => siteKey(keys, key);
