/** Which tensor of a file is which tensor of an adapter. */
import { type Diagnostic, type DiagnosticSink, WebpeftError } from "../../ir/diagnostics.ts";
import { sameShape } from "../../ir/types.ts";
import { lastPart, modulePrefix, withoutPrefix } from "./keys.ts";

export interface TensorSpec {
  readonly key: string;
  readonly shape: readonly number[];
  /** Several keys may hold one tensor; a file needs one of those with the same name here. */
  readonly tensor?: string;
}

export interface LoadRequest {
  readonly peftType: string;
  /** What the adapter has: everything that trains or is saved. */
  readonly expected: readonly TensorSpec[];
  /** What the file may hold of the base model, with the base's shapes. */
  readonly base?: readonly TensorSpec[];
  /** What the file has. */
  readonly file: readonly TensorSpec[];
  readonly fields: Readonly<Record<string, unknown>>;
}

export interface LoadPlan {
  /** Key in the file by key of the adapter. */
  readonly mapping: ReadonlyMap<string, string>;
  /** Key in the file by key of `base`. */
  readonly base: ReadonlyMap<string, string>;
  /** Keys of the adapter that the file lacks and that are rebuilt. */
  readonly absent: readonly string[];
  /** Keys of the file that no tensor of the adapter takes but that are written back as they were read. */
  readonly carried: readonly string[];
  /** Keys of the file that mean nothing here. */
  readonly unexpected: readonly string[];
}

/** The last part of tensors that can be rebuilt when a file lacks them. */
const rebuildable = new Set(["shira_indices", "randlora_A", "randlora_B", "boft_P"]);
const veraProjections = new Set(["vera_A", "vera_B"]);

/**
 * Plans the loading of a file. Keys are equal with and without `base_model.model.`. Throws FILE-ADAPTER-OLD (OFT before
 * PEFT 0.14), FILE-ADAPTER-AMBIGUOUS, FILE-ADAPTER-MISSING and FILE-ADAPTER-SHAPE (all problems at once); warns of keys
 * that nothing takes and of projections that are rebuilt.
 */
export function planLoading(request: LoadRequest, sink: DiagnosticSink): LoadPlan {
  const { expected, base = [], file, fields } = request;
  refuseOldFiles(request);
  const taken = new Map<string, string>();
  const absent: string[] = [];
  const problems: Diagnostic[] = [];
  const byName = fileByName(file, [...expected, ...base]);
  const ofBase = base.flatMap((tensor) => {
    const found = byName.get(tensor.key);
    if (found !== undefined && !sameShape(found.shape, tensor.shape)) problems.push(resized(tensor, found));
    return found === undefined ? [] : [[tensor.key, found.key] as const];
  });
  for (const tensor of expected) {
    const found = byName.get(tensor.key);
    if (found === undefined) {
      absent.push(tensor.key);
      continue;
    }
    taken.set(tensor.key, found.key);
    if (!sameShape(found.shape, tensor.shape)) problems.push(wrongShape(tensor, found));
  }
  const found = new Set(
    expected.flatMap(({ key, tensor }) => (tensor !== undefined && taken.has(key) ? [tensor] : [])),
  );
  const held = new Set(expected.flatMap(({ key, tensor }) => (tensor !== undefined && found.has(tensor) ? [key] : [])));
  const missing = absent.filter((key) => !held.has(key) && !mayBeAbsent(key, fields));
  if (missing.length > 0) problems.unshift(missingKeys(missing, file, fields));
  throwAll(problems);
  const rebuilt = absent.filter((key) => !held.has(key));
  if (rebuilt.length > 0) tellAbsent(rebuilt, fields, sink);
  warnPrefix(taken, sink);
  const used = new Set([...taken.values(), ...ofBase.map(([, inFile]) => inFile)]);
  const left = file.map((tensor) => tensor.key).filter((key) => !used.has(key));
  const carried = left.filter(isCarried);
  const unexpected = left.filter((key) => !carried.includes(key));
  if (unexpected.length > 0) warnUnexpected(unexpected, fields, sink);
  return { mapping: taken, base: new Map(ofBase), absent, carried, unexpected };
}

function refuseOldFiles({ peftType, file }: LoadRequest): void {
  const old = peftType === "OFT" ? file.find((tensor) => `${tensor.key}.`.includes(".oft_r.")) : undefined;
  if (old === undefined) return;
  throw new WebpeftError("FILE-ADAPTER-OLD", {
    message:
      "OFT has been updated since PEFT 0.14.0. Your trained adapter weights are incompatible with the latest version of OFT.",
    where: old.key,
    expected: "keys that end with oft_R.weight",
    got: old.key,
    help: "Train the adapter again, or use the version of PEFT that made it.",
  });
}

/** The file's tensors by the adapter's keys: the same text, else the same text without prefixes. */
function fileByName(file: readonly TensorSpec[], expected: readonly TensorSpec[]): Map<string, TensorSpec> {
  const exact = new Map(file.map((tensor) => [tensor.key, tensor]));
  const bare = new Map<string, TensorSpec[]>();
  for (const tensor of file) {
    const name = withoutPrefix(tensor.key);
    bare.set(name, [...(bare.get(name) ?? []), tensor]);
  }
  const found = new Map<string, TensorSpec>();
  for (const { key } of expected) {
    const name = withoutPrefix(key);
    const [first, second] = exact.has(key) ? [exact.get(key)!] : (bare.get(name) ?? []);
    if (second !== undefined) throw ambiguous(name, first!.key, second.key);
    if (first !== undefined) found.set(key, first);
  }
  return found;
}

const ambiguous = (name: string, first: string, second: string): WebpeftError =>
  new WebpeftError("FILE-ADAPTER-AMBIGUOUS", {
    message: `Two tensors of the file mean ${name}: ${first} and ${second}.`,
    where: second,
  });

function mayBeAbsent(key: string, fields: LoadRequest["fields"]): boolean {
  const name = lastPart(key);
  return rebuildable.has(name) || (veraProjections.has(name) && fields.save_projection === false);
}

const torchSize = (shape: readonly number[]): string => `torch.Size([${shape.join(", ")}])`;

function wrongShape(expected: TensorSpec, found: TensorSpec): Diagnostic {
  return {
    code: "FILE-ADAPTER-SHAPE",
    severity: "error",
    message:
      `size mismatch for ${expected.key}: copying a param with shape ${torchSize(found.shape)} from checkpoint, ` +
      `the shape in current model is ${torchSize(expected.shape)}.`,
    where: found.key,
    expected: `[${expected.shape.join(", ")}]`,
    got: `[${found.shape.join(", ")}]`,
    help: "The file belongs to another config or another base model.",
  };
}

/** A tensor of the base with more or fewer rows than the base has, as a tokenizer with other tokens makes it. */
const resized = (expected: TensorSpec, found: TensorSpec): Diagnostic => ({
  ...wrongShape(expected, found),
  help: "The file holds a tensor of another base model, perhaps one that was resized for more tokens: use that model.",
});

/** Parts, counted from the end, that two keys have in common. */
function commonEnd(a: string, b: string): number {
  const [left, right] = [a.split(".").reverse(), b.split(".").reverse()];
  const other = left.findIndex((part, i) => part !== right[i]);
  return other < 0 ? left.length : other;
}

/** The tensor of a file that is most like a missing one: same name, same module, at another path. */
function likest(missing: string, file: readonly TensorSpec[]): string | undefined {
  const [first] = file
    .map(({ key }) => ({ key, common: commonEnd(key, missing) }))
    .filter(({ common }) => common > 1)
    .sort((a, b) => b.common - a.common);
  return first?.key;
}

function missingKeys(
  missing: readonly string[],
  file: readonly TensorSpec[],
  fields: LoadRequest["fields"],
): Diagnostic {
  const alike = likest(missing[0]!, file);
  const isVera = missing.some((key) => veraProjections.has(lastPart(key))) && fields.save_projection !== false;
  const message = isVera
    ? "Specified to load vera_A and vera_B from state dictionary however they were not present!"
    : `Found missing adapter keys while loading the checkpoint: ${shownKeys(missing)}.`;
  return {
    code: "FILE-ADAPTER-MISSING",
    severity: "error",
    message,
    where: missing[0]!,
    expected: shownKeys(missing),
    got: alike === undefined ? "no such tensor" : `${alike}, and ${file.length - 1} others`,
    ...(alike !== undefined && {
      help: "The file's keys have other paths than the modules of this base model: it was made for another one, or with another wrapper around it.",
    }),
  };
}

/** PEFT finds no tensor whose key lacks the prefix, and goes on with random numbers. */
function warnPrefix(taken: ReadonlyMap<string, string>, sink: DiagnosticSink): void {
  const bare = [...taken].filter(([key, inFile]) => key.startsWith(modulePrefix) && !inFile.startsWith(modulePrefix));
  if (bare.length === 0) return;
  sink.warn("FILE-ADAPTER-PREFIX", {
    message: `${bare.length} keys of the file lack the prefix ${modulePrefix}; they are read here, and PEFT does not find them.`,
    where: bare[0]![1],
    expected: bare[0]![0],
    got: bare[0]![1],
    help: "Saving the adapter writes the keys as PEFT has them.",
  });
}

function throwAll(problems: readonly Diagnostic[]): void {
  const [first, ...also] = problems;
  if (first !== undefined) throw new WebpeftError(first.code, first, { also });
}

function shownKeys(keys: readonly string[]): string {
  const first = keys.slice(0, 10).join(", ");
  return keys.length > 10 ? `${first} and ${keys.length - 10} more` : first;
}

/** Indices are functions of the config alone; RandLoRA's projections also depend on the machine that drew them. */
function tellAbsent(absent: readonly string[], fields: LoadRequest["fields"], sink: DiagnosticSink): void {
  const promised = absent.some((key) => lastPart(key).startsWith("randlora_")) && fields.save_projection !== false;
  const message = `The file lacks ${shownKeys(absent)}; they are rebuilt from the config.`;
  if (promised) sink.warn("FILE-ADAPTER-REBUILT", { message, where: absent[0]! });
  else sink.note("FILE-ADAPTER-REBUILT", { message, where: absent[0]! });
}

/** Originals of modules that train in full, which no forward pass reads, and permutations of old BOFT files. */
const isCarried = (key: string): boolean => key.includes(".original_module.") || lastPart(key) === "boft_P";

function warnUnexpected(unexpected: readonly string[], fields: LoadRequest["fields"], sink: DiagnosticSink): void {
  const projections = unexpected.filter((key) => veraProjections.has(lastPart(key)));
  if (projections.length > 0 && fields.save_projection === false) {
    sink.warn("FILE-ADAPTER-PROJECTIONS", {
      message: `save_projection is false, so ${shownKeys(projections)} of the file are ignored.`,
      where: projections[0]!,
    });
  }
  const others = unexpected.filter((key) => !projections.includes(key) || fields.save_projection !== false);
  if (others.length === 0) return;
  sink.warn("FILE-ADAPTER-UNEXPECTED", {
    message: `The file holds tensors that the adapter does not have: ${shownKeys(others)}.`,
    where: others[0]!,
    help: "They are ignored. The config may belong to another file.",
  });
}
