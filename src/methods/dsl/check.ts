/** What can be said about a fragment without a model: unknown and repeated names, wrong kinds and options. All faults at once. */
import type { Code } from "../../ir/codes/index.ts";
import { type Diagnostic, WebpeftError } from "../../ir/diagnostics.ts";
import { checkField } from "../config/values.ts";
import type { Argument, FieldItem, InputItem, Item, MethodAst, Place, SiteBlock, TensorItem } from "./ast.ts";
import { collected } from "./collected.ts";
import { fieldDeclaration, fieldItems, fieldOptions, fieldTypes } from "./field.ts";
import { codings, patchForms } from "./file-forms.ts";
import { familiarHelp, targetHelp } from "./helps.ts";
import { declarations } from "./scope.ts";
import { hint } from "./suggest.ts";
import { expressionsOf, itemsOf, type NameUse, placeholder, visitNames } from "./walk.ts";
import { namesOf, predefined, siteNames } from "./words.ts";

/** Types of fields that hold values by name. */
const mapTypes: readonly string[] = ["int_map", "float_map", "bool_list_map", "any"];

/** Clauses of what trains alone, and what it then does. */
const ofParams = [
  ["project", "is projected"],
  ["replaces", "replaces rows"],
] as const;

/** Kinds of items that no block has. */
const ofMethod: readonly Item["kind"][] = ["input", "option", "report", "mixes"];

/** Functions that the evaluator knows itself. */
const specialCalls = ["present", "prod", "iterate", "site.matches", "site.ends_with"];

class Checker {
  readonly faults: Diagnostic[] = [];

  constructor(private readonly method: MethodAst) {}

  fault(at: Place, message: string, help?: string, code: Code = "METHOD-DECLARATION"): void {
    const where = `${this.method.file}:${at.line}:${at.column}`;
    this.faults.push({ code, severity: "error", message, where, ...(help === undefined ? {} : { help }) });
  }

  /** A name must be one of those that are known. */
  private known(name: string, known: ReadonlySet<string>, at: Place, message: string, help?: string): void {
    if (!known.has(name)) this.fault(at, message, help ?? hint(name, known), "METHOD-NAME");
  }

  oneOf(what: string, name: string, known: readonly string[], at: Place, help?: string): void {
    this.known(name, new Set(known), at, `There is no ${what} ${name}.`, help);
  }

  items(items: readonly Item[]): void {
    for (const item of items) {
      if (item.kind === "field") this.field(item);
      if (item.kind === "tensor") this.tensor(item);
      if (item.kind === "input") this.input(item);
      if (item.kind === "mixes") this.configField(item.field, item.at);
    }
  }

  configField(name: string, at: Place): void {
    const fields = fieldItems(this.method).map((field) => field.name);
    this.oneOf("config field", name, fields, at);
  }

  private input({ name, per, option, at }: InputItem): void {
    if (per !== undefined) this.oneOf("axis", per, ["length"], at);
    if ((per === undefined) === (option !== undefined)) return;
    const message =
      per === undefined
        ? `Nothing says how merging is told the value of ${name}.`
        : `${name} differs from token to token, and merging cannot be told one value.`;
    this.fault(at, message, per === undefined ? "add as option" : "leave as out");
  }

  private field(item: FieldItem): void {
    this.oneOf("type", item.type, fieldTypes, item.at);
    for (const option of item.options) {
      if (option.name === undefined)
        this.fault(option.at, `An option of ${item.name} has no name.`, "write (minimum: 1)");
      else this.oneOf("option", option.name, fieldOptions, option.at);
    }
    const pattern = item.options.find(({ name }) => name === "pattern");
    if (pattern !== undefined) this.pattern(item, pattern);
    if (fieldTypes.some((type) => type === item.type)) this.fieldValues(item);
  }

  /** What overrides a field per module is a field with a value for every name. */
  private pattern({ name }: FieldItem, { value, at }: Argument): void {
    if (value.kind !== "name") {
      this.fault(at, `The pattern of ${name} is no config field.`, "write (pattern: field)");
      return;
    }
    const overriding = fieldItems(this.method).find((field) => field.name === value.name);
    if (overriding === undefined) this.configField(value.name, at);
    else if (!mapTypes.includes(overriding.type)) {
      const message = `${value.name} has no value for every module, and cannot be the pattern of ${name}.`;
      this.fault(at, message, `declare it as one of ${mapTypes.join(", ")}`);
    }
  }

  /** The default is a value of the field, and so are those of its options. */
  private fieldValues(item: FieldItem): void {
    try {
      const declared = fieldDeclaration(this.method, item);
      checkField(declared, declared.default);
    } catch (error) {
      if (!(error instanceof WebpeftError)) throw error;
      if (error.code.startsWith("METHOD-")) this.faults.push(...error.diagnostics);
      else this.fault(item.at, `The default of ${item.name} is no value of it.`, error.expected);
    }
  }

  private tensor(item: TensorItem): void {
    if (item.storedAs !== undefined) this.oneOf("dtype or form", item.storedAs, ["base", ...patchForms], item.at);
    if (item.role !== "const" && item.key === undefined)
      this.fault(item.at, `The ${item.role} ${item.name} has no key in the adapter file.`, 'add at "key"');
    if (item.role !== "shared" && (item.trained === true || item.also !== undefined)) {
      const what = item.trained === true ? "declared as param" : "saved under the paths of its sites";
      this.fault(item.at, `Only what is shared can also be ${what}; ${item.name} is not.`);
    }
    if (item.family !== undefined && item.role === "computed")
      this.fault(item.at, `What is computed can be no family; ${item.name} is one.`);
    const number = `{${item.family?.name}}`;
    if (item.family !== undefined && item.key?.includes(number) === false)
      this.fault(item.at, `All tensors of ${item.name} have one key.`, `write ${number} in it`);
    if (item.file !== undefined) this.oneOf("file", item.file, ["encoder"], item.at);
    if (item.coded !== undefined) this.oneOf("form in files", item.coded.form, Object.keys(codings), item.at);
    for (const [clause, does] of ofParams) {
      if (item[clause] !== undefined && item.role !== "param")
        this.fault(item.at, `Only a param ${does}, and ${item.name} is a ${item.role}.`);
    }
  }

  repeated(items: readonly Item[]): void {
    const seen = new Map<string, Place>();
    const keys = new Map<string, boolean>();
    for (const item of items) {
      if (!("name" in item)) continue;
      const name = item.kind === "target" ? `${item.name}'` : item.name;
      const before = seen.get(name);
      if (before !== undefined) this.fault(item.at, `${name} is declared twice, first in line ${before.line}.`);
      seen.set(name, item.at);
      if (item.kind !== "tensor" || item.key === undefined) continue;
      // Variants of one tensor may share a key: only one of them exists, by their conditions.
      const conditional = item.when !== undefined;
      if (keys.has(item.key) && !(conditional && keys.get(item.key)))
        this.fault(item.at, `The key ${item.key} is used twice.`);
      keys.set(item.key, conditional);
    }
  }

  /** Every name of the items must mean something in the block. */
  names(items: readonly Item[], block: SiteBlock | undefined): void {
    const weights = namesOf(siteNames[block?.siteKind ?? "linear"] ?? siteNames.linear!);
    const declared = declarations(this.method, block);
    const bare = [...this.method.builtins.values()]
      .filter((b) => b.parameters.every((p) => p.preset !== undefined))
      .map((b) => b.name);
    const words = new Set([...declared.keys(), ...Object.keys(predefined), ...weights, ...bare]);
    const functions = new Set([...this.method.builtins.keys(), ...specialCalls]);
    const word = (name: string, at: Place, help?: string): void =>
      this.known(name, words, at, `Nothing is called ${name} here.`, help);
    const check = ({ path, at, called }: NameUse): void => {
      if (called) this.known(path, functions, at, `No function is called ${path || "that"}.`, familiarHelp(path));
      else word(path, at, this.method.builtins.has(path) ? `${path} is a function: call it` : familiarHelp(path));
    };
    for (const item of items) {
      const family = item.kind === "tensor" ? item.family : undefined;
      const own = new Set(family === undefined ? [] : [family.name]);
      for (const expression of expressionsOf(item)) visitNames(expression, check, own);
      for (const bound of [family?.from, family?.to, family?.by]) if (bound !== undefined) visitNames(bound, check);
      if (item.kind === "require") for (const [, name] of item.message.matchAll(placeholder)) word(name!, item.at);
    }
  }
}

/** Throws one error with all faults of the fragment. */
export function checkMethod(method: MethodAst): void {
  const checker = new Checker(method);
  checker.items(itemsOf(method));
  checker.repeated(method.items);
  if (method.blocks.length === 0) {
    checker.names(method.items, undefined);
    checker.fault(method.at, "The method changes nothing.", "write: method name on linear { ... W' = ...; }");
  }
  for (const block of method.blocks) checkBlock(checker, method, block);
  const error = collected(checker.faults);
  if (error !== undefined) throw error;
}

function checkBlock(checker: Checker, method: MethodAst, block: SiteBlock): void {
  const names = siteNames[block.siteKind];
  checker.oneOf("kind of site", block.siteKind, Object.keys(siteNames), block.at);
  checker.repeated(itemsOf(method, [block]));
  checker.names(itemsOf(method, [block]), block);
  if (block.from !== undefined) checker.configField(block.from, block.at);
  if (names === undefined) return;
  const targets = block.items.filter((item) => item.kind === "target");
  for (const item of block.items) {
    if (ofMethod.includes(item.kind) || (item.kind === "let" && item.shared)) {
      const what = "name" in item ? `The ${item.kind} ${item.name}` : item.kind;
      checker.fault(item.at, `${what} belongs to the whole method, outside of on.`);
    }
    if (item.kind === "on") checker.fault(item.at, "An on block cannot stand in another.");
  }
  for (const target of targets)
    checker.oneOf("target", target.name, names.targets, target.at, targetHelp(target.name, names.targets));
  if (targets.length === 0)
    checker.fault(block.at, `The block on ${block.siteKind} changes nothing.`, `assign ${names.targets[0]}'`);
}
