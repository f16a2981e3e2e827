/** Which tensor of a file is which tensor of an adapter. */
import { type Diagnostic, type DiagnosticSink, WebpeftError } from "../../ir/diagnostics.ts";
import { sameShape } from "../../ir/types.ts";
import { lastPart, modulePrefix, withoutPrefix } from "../../methods/config/index.ts";
import type { FileRules } from "../../program/index.ts";

export interface TensorSpec {
  readonly key: string;
  readonly shape: readonly number[];
  /** Several keys may hold one tensor; a file needs one of those with the same name here. */
  readonly tensor?: string;
}

export interface LoadRequest {
  readonly rules?: FileRules | undefined;
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

const isNamed = (names: readonly string[] | undefined, key: string): boolean => names?.includes(lastPart(key)) === true;

/**
 * Plans the loading of a file. Keys are equal with and without `base_model.model.`. Throws FILE-ADAPTER-OLD (OFT before
 * PEFT 0.14), FILE-ADAPTER-AMBIGUOUS, FILE-ADAPTER-MISSING and FILE-ADAPTER-SHAPE (all problems at once); warns of keys
 * that nothing takes and of projections that are rebuilt.
 */
export function planLoading(request: LoadRequest, sink: DiagnosticSink): LoadPlan {
  const { expected, base = [], file, fields, rules = {} } = request;
  refuseOldFiles(file, rules.old);
  const promised = rules.heldIf !== undefined && fields[rules.heldIf] !== false;
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
  const refused = promised ? rules.missing : undefined;
  const isOptional = (key: string): boolean => isNamed(rules.rebuilt, key) && refused === undefined;
  const missing = absent.filter((key) => !held.has(key) && !isOptional(key));
  const text = missing.some((key) => isNamed(rules.rebuilt, key)) ? refused : undefined;
  const used = new Set([...taken.values(), ...ofBase.map(([, inFile]) => inFile)]);
  const left = file.map((tensor) => tensor.key).filter((key) => !used.has(key));
  if (missing.length > 0) problems.unshift(missingKeys(missing, left, taken.size, text));
  throwAll(problems);
  const rebuilt = absent.filter((key) => !held.has(key));
  if (rebuilt.length > 0) tellAbsent(rebuilt, promised, sink);
  warnPrefix(taken, sink);
  // Originals of modules that train in full are read by no forward pass.
  const carried = left.filter((key) => key.includes(".original_module.") || isNamed(rules.carried, key));
  const unexpected = left.filter((key) => !carried.includes(key));
  const isIgnored = (key: string): boolean => rules.missing !== undefined && !promised && isNamed(rules.rebuilt, key);
  warnIgnored(unexpected.filter(isIgnored), rules.heldIf!, sink);
  warnUnexpected(
    unexpected.filter((key) => !isIgnored(key)),
    sink,
  );
  return { mapping: taken, base: new Map(ofBase), absent, carried, unexpected };
}

function refuseOldFiles(file: readonly TensorSpec[], rule: FileRules["old"]): void {
  const old = rule && file.find((tensor) => `${tensor.key}.`.includes(rule.part));
  if (old === undefined) return;
  throw new WebpeftError("FILE-ADAPTER-OLD", {
    message: rule!.message,
    where: old.key,
    expected: rule!.expected,
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
function likest(missing: string, file: readonly string[]): string | undefined {
  const [first] = file
    .map((key) => ({ key, common: extraPart(key, missing) === undefined ? commonEnd(key, missing) : Infinity }))
    .filter(({ common }) => common > 1)
    .sort((a, b) => b.common - a.common);
  return first?.key;
}

/** The part that one key has more than another, of which it is otherwise a copy. */
function extraPart(longer: string, key: string): string | undefined {
  const parts = longer.split(".");
  return parts.find((_part, i) => parts.toSpliced(i, 1).join(".") === key);
}

/** What a file has in the place of a missing tensor: `left` is what nothing else takes. */
function inPlaceOf(missing: string, left: readonly string[], taken: number): Pick<Diagnostic, "got" | "help"> {
  const alike = likest(missing, left);
  if (alike !== undefined) {
    const part = extraPart(alike, missing);
    return {
      got: `${alike}, and ${left.length - 1} others`,
      help:
        part === undefined
          ? "The file's keys have other paths than the modules that the config names in this base model: it was made for another base model or config, or with another wrapper around the model."
          : `The file's keys have "${part}" in their paths: it was not written by PEFT's save_pretrained, which leaves the names of adapters and wrappers out.`,
    };
  }
  if (taken > 0)
    return {
      got: `the ${taken} other tensors of the adapter`,
      help: "The file is not whole, or the config names more than was trained: take both as they were saved together.",
    };
  const [first] = left;
  return {
    got: first === undefined ? "a file without tensors" : `${first}, and ${left.length - 1} others`,
    help: "The file belongs to another config: take both as they were saved together.",
  };
}

function missingKeys(
  missing: readonly string[],
  left: readonly string[],
  taken: number,
  message = `Found missing adapter keys while loading the checkpoint: ${shownKeys(missing)}.`,
): Diagnostic {
  return {
    code: "FILE-ADAPTER-MISSING",
    severity: "error",
    message,
    where: missing[0]!,
    expected: shownKeys(missing),
    ...inPlaceOf(missing[0]!, left, taken),
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

/** What is rebuilt may be a function of the config alone; where files are to hold it, it also depends on the machine that drew it. */
function tellAbsent(absent: readonly string[], promised: boolean, sink: DiagnosticSink): void {
  const message = `The file lacks ${shownKeys(absent)}; they are rebuilt from the config.`;
  if (promised) sink.warn("FILE-ADAPTER-REBUILT", { message, where: absent[0]! });
  else sink.note("FILE-ADAPTER-REBUILT", { message, where: absent[0]! });
}

function warnIgnored(keys: readonly string[], field: string, sink: DiagnosticSink): void {
  if (keys.length === 0) return;
  sink.warn("FILE-ADAPTER-PROJECTIONS", {
    message: `${field} is false, so ${shownKeys(keys)} of the file are ignored.`,
    where: keys[0]!,
  });
}

function warnUnexpected(keys: readonly string[], sink: DiagnosticSink): void {
  if (keys.length === 0) return;
  sink.warn("FILE-ADAPTER-UNEXPECTED", {
    message: `The file holds tensors that the adapter does not have: ${shownKeys(keys)}.`,
    where: keys[0]!,
    help: "They are ignored. The config may belong to another file.",
  });
}
