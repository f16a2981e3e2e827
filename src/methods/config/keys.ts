/** Keys of the tensors in an adapter's file. */
import { modulePrefix } from "../site.ts";

/** Before the name of a tensor that belongs to the whole adapter. */
export const sharedPrefix = "base_model.";

/** The name behind the last dot. */
export const lastPart = (name: string): string => name.slice(name.lastIndexOf(".") + 1);

/** A key without `base_model.model.` or `base_model.`. */
export function withoutPrefix(key: string): string {
  const prefix = [modulePrefix, sharedPrefix].find((start) => key.startsWith(start)) ?? "";
  return key.slice(prefix.length);
}
