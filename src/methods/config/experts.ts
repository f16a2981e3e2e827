/** Adapters that a config names, to be mixed: their names and their configs. */
import { WebpeftError } from "../../ir/diagnostics.ts";
import type { ExpertConfigs } from "../../program/index.ts";

/** Whether a text can be the name of one folder inside of another, on every system. */
const isFolderName = (name: string): boolean =>
  !/^[. ]*$|[\\/]|^[A-Za-z]:/.test(name) && ![...name].some((character) => character < " ");

/**
 * Names of adapters that are mixed become names of folders. Throws `CONFIG-EXPERT-NAME` for one that cannot be; `where` is the config that
 * gives it.
 */
export function checkExpertName(name: string, where: string): void {
  if (isFolderName(name)) return;
  throw new WebpeftError("CONFIG-EXPERT-NAME", {
    message: "the name of an adapter that is mixed cannot be the name of a folder",
    where,
    expected: "a name without slashes, backslashes, drives and control characters, not of dots alone",
    got: JSON.stringify(name),
    help: "rename it in the config's field adapters",
  });
}

/**
 * The configs of the experts that `field` of a config names, in its order. Throws CONFIG-FIELD-TYPE for a field that is no map of names,
 * CONFIG-EXPERT-NAME for a name that no folder can have, CONFIG-EXPERTS for an expert that was not given.
 */
export function namedExperts(config: unknown, field: string, given: ExpertConfigs): [string, unknown][] {
  const named = (config as Readonly<Record<string, unknown>> | null)?.[field] ?? null;
  if (named === null) return [];
  if (typeof named !== "object" || Array.isArray(named)) {
    throw new WebpeftError("CONFIG-FIELD-TYPE", {
      message: `${field} does not name adapters.`,
      where: field,
      expected: 'an object: {"name": "folder", ...}',
      got: JSON.stringify(named).slice(0, 80),
    });
  }
  return Object.entries(named).map(([name, folder]) => {
    checkExpertName(name, field);
    if (Object.hasOwn(given, name)) return [name, given[name]];
    throw new WebpeftError("CONFIG-EXPERTS", {
      message: "the config of an adapter that is mixed was not given",
      where: `${field}: ${JSON.stringify(name)}`,
      expected: `the adapter of ${JSON.stringify(folder)}`,
      help: "read the adapter with readAdapter(folder), and compile with { experts: configsOf(adapter).experts }",
    });
  });
}
