/** Changes of the files of a run's checkpoints, as data. */
import fc from "fast-check";

/** Contents by path. */
export type Files = Map<string, Uint8Array>;

/** A place as a fraction of what there is, so that it fits whatever is there when it is done. */
type At = number;

export type Change =
  | { readonly flip: At; readonly at: At; readonly bit: number }
  | { readonly cut: At; readonly at: At }
  | { readonly grow: At; readonly by: number }
  | { readonly drop: At }
  | { readonly fill: At; readonly text: string }
  | { readonly copy: At; readonly to: At }
  | { readonly swap: At; readonly with: At }
  | { readonly rename: At; readonly as: string }
  | { readonly clone: At; readonly as: string }
  | { readonly forget: At }
  | { readonly edit: At; readonly field: readonly string[]; readonly value: unknown };

/** As literals are, so that a case can be pasted. */
const record = <T>(shape: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> =>
  fc.record(shape, { noNullPrototype: true }) as fc.Arbitrary<T>;
const at = fc.noBias(fc.nat(9999)).map((n) => n / 10_000);
const folderNames = fc.oneof(
  fc.nat(12).map((step) => `checkpoint-${step}`),
  fc.constantFrom(
    "checkpoint-",
    "checkpoint--5",
    "checkpoint-08",
    "checkpoint-1e3",
    "checkpoint-99999999999999999999",
    "x",
  ),
);
const fields = fc.oneof(
  fc.constantFrom<string[]>(
    ["step"],
    ["identity"],
    ["identity", "data"],
    ["files"],
    ["digest"],
    ["new"],
    ["__proto__"],
  ),
  fc
    .tuple(
      fc.constantFrom("optimizer.safetensors", "adapter_config.json", "training.json", "../x", "__proto__"),
      fc.constantFrom("bytes", "sha256"),
    )
    .map(([name, field]) => ["files", name, field]),
);
const values = fc.oneof(
  fc.constantFrom<unknown>(null, -5, "8", 8.5, 1e300, 0, 4, 6, "", [], {}, true, "../../x"),
  fc.jsonValue({ maxDepth: 1 }),
);

export const changes: fc.Arbitrary<Change> = fc.oneof(
  record({ flip: at, at, bit: fc.nat(7) }),
  record({ cut: at, at }),
  record({ grow: at, by: fc.integer({ min: 1, max: 9 }) }),
  record({ drop: at }),
  record({ fill: at, text: fc.constantFrom("", "null", "{}", "[]", "x", '{"step":6}', "\u0000".repeat(64)) }),
  record({ copy: at, to: at }),
  record({ swap: at, with: at }),
  record({ rename: at, as: folderNames }),
  record({ clone: at, as: folderNames }),
  record({ forget: at }),
  record({ edit: at, field: fields, value: values }),
);

const pick = <T>(list: readonly T[], where: At): T | undefined => list[Math.floor(where * list.length)];
const foldersOf = (files: Files): string[] => [...new Set([...files.keys()].map((path) => path.split("/")[0]!))];

function edited(bytes: Uint8Array, field: readonly string[], value: unknown): Uint8Array {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return bytes;
  }
  let inner = json;
  // Own fields only: the prototype of all objects is not part of the file.
  for (const name of field.slice(0, -1))
    inner =
      inner instanceof Object && Object.hasOwn(inner, name) ? (inner as Record<string, unknown>)[name] : undefined;
  if (typeof inner === "object" && inner !== null)
    Object.defineProperty(inner, field.at(-1)!, { value, enumerable: true, configurable: true, writable: true });
  return new TextEncoder().encode(JSON.stringify(json));
}

/** Does one change in place; one that finds nothing to change does nothing. */
export function apply(files: Files, change: Change): void {
  const paths = [...files.keys()];
  const bytesAt = (where: At): [string, Uint8Array] | undefined => {
    const path = pick(paths, where);
    return path === undefined ? undefined : [path, files.get(path)!];
  };
  if ("edit" in change) {
    const path = pick(
      paths.filter((name) => name.endsWith(".json")),
      change.edit,
    );
    if (path !== undefined) files.set(path, edited(files.get(path)!, change.field, change.value));
  } else if ("rename" in change || "clone" in change || "forget" in change) {
    const where = "rename" in change ? change.rename : "clone" in change ? change.clone : change.forget;
    const folder = pick(foldersOf(files), where);
    for (const path of paths.filter((name) => name.split("/")[0] === folder)) {
      const bytes = files.get(path)!;
      if (!("clone" in change)) files.delete(path);
      if ("as" in change) files.set([change.as, ...path.split("/").slice(1)].join("/"), bytes);
    }
  } else applyToFile(files, change, bytesAt);
}

type FileChange = Exclude<Change, { edit: At } | { rename: At } | { clone: At } | { forget: At }>;

function applyToFile(files: Files, change: FileChange, bytesAt: (where: At) => [string, Uint8Array] | undefined): void {
  const [where] = Object.values(change) as [At];
  const found = bytesAt(where);
  if (found === undefined) return;
  const [path, bytes] = found;
  if ("flip" in change) {
    const copy = bytes.slice();
    if (copy.length > 0) copy[Math.floor(change.at * copy.length)]! ^= 1 << change.bit;
    files.set(path, copy);
  } else if ("cut" in change) files.set(path, bytes.slice(0, Math.floor(change.at * bytes.length)));
  else if ("grow" in change) files.set(path, Uint8Array.from([...bytes, ...new Uint8Array(change.by)]));
  else if ("drop" in change) files.delete(path);
  else if ("fill" in change) files.set(path, new TextEncoder().encode(change.text));
  else if ("copy" in change) files.set(bytesAt(change.to)![0], bytes);
  else {
    const [other, others] = bytesAt(change.with)!;
    files.set(other, bytes);
    files.set(path, others);
  }
}
