/** Keys of the tensors in an adapter's file. */
/** Before a module's path. */
export const modulePrefix = "base_model.model.";
/** Before the name of a tensor that belongs to the whole adapter. */
export const sharedPrefix = "base_model.";

/** Key of a site's tensor: `base_model.model.<path>.<name>`. */
export const siteKey = (path: string, name: string): string => `${modulePrefix}${path}.${name}`;

/** The name behind the last dot. */
export const lastPart = (name: string): string => name.slice(name.lastIndexOf(".") + 1);

/** A key without `base_model.model.` or `base_model.`. */
export function withoutPrefix(key: string): string {
  const prefix = [modulePrefix, sharedPrefix].find((start) => key.startsWith(start)) ?? "";
  return key.slice(prefix.length);
}
