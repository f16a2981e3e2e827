/** Keys of the tensors in an adapter's file. */
import { WebpeftError } from "../../ir/diagnostics.ts";
import type { ModuleInfo } from "../../models/model.ts";

/** Before a module's path. */
export const modulePrefix = "base_model.model.";
/** Before the name of a tensor that belongs to the whole adapter. */
export const sharedPrefix = "base_model.";

/** Key of a site's tensor: `base_model.model.<path>.<name>`. */
export const siteKey = (path: string, name: string): string => `${modulePrefix}${path}.${name}`;

/** The name behind the last dot. */
export const lastPart = (name: string): string => name.slice(name.lastIndexOf(".") + 1);

/** Key of a tensor that all sites share: `base_model.<name>`. */
export const sharedKey = (name: string): string => `${sharedPrefix}${name}`;

export type ParsedKey =
  | { readonly kind: "site"; readonly path: string; readonly name: string }
  | { readonly kind: "shared"; readonly name: string };

/** Splits keys into the path of a module of the model and the rest. A key without the prefix is accepted. */
export function keyParser(modules: readonly ModuleInfo[]): (key: string) => ParsedKey {
  const paths = new Set(modules.map((module) => module.path));
  return (key) => {
    const inside = withoutPrefix(key);
    for (let dot = inside.lastIndexOf("."); dot > 0; dot = inside.lastIndexOf(".", dot - 1)) {
      const path = inside.slice(0, dot);
      if (paths.has(path)) return { kind: "site", path, name: inside.slice(dot + 1) };
    }
    return { kind: "shared", name: inside };
  };
}

/** A key without `base_model.model.` or `base_model.`. */
export function withoutPrefix(key: string): string {
  const prefix = [modulePrefix, sharedPrefix].find((start) => key.startsWith(start)) ?? "";
  return key.slice(prefix.length);
}

/**
 * Throws CONFIG-ADAPTER-NAME for names that would be confused with parts of the model's paths: PEFT filters keys by the
 * plain text of an adapter's name, and loses tensors with such a name.
 */
export function checkAdapterName(name: string, modules: readonly ModuleInfo[]): void {
  const isPart = modules.some((module) => module.path.split(".").includes(name));
  if (name !== "" && !/[./\\]/.test(name) && !isPart) return;
  throw new WebpeftError("CONFIG-ADAPTER-NAME", {
    message: `An adapter cannot be called ${JSON.stringify(name)}.`,
    where: "adapter name",
    expected: "a name without dots and slashes that is no part of a module's path",
    got: JSON.stringify(name),
  });
}
