/** What can be said about a fragment without a model: unknown and repeated names, wrong kinds and options. All faults at once. */
import type { Code } from "../../ir/codes/index.ts";
import { type Diagnostic, WebpeftError } from "../../ir/diagnostics.ts";
import { codings } from "../../program/index.ts";
import { checkField } from "../config/values.ts";
import { fieldTypes } from "../fields.ts";
import type { FieldItem, InputItem, Item, MethodAst, Place, SiteBlock, TensorItem } from "./ast.ts";
import { collected } from "./collected.ts";
import { fieldDeclaration, fieldItems, fieldOptions } from "./field.ts";
import { familiarHelp, targetHelp } from "./helps.ts";
import { declarations } from "./scope.ts";
import { patchForms } from "./site-entries.ts";
import { hint } from "./suggest.ts";
import { expressionsOf, itemsOf, type NameUse, placeholder, targetsOf, visitNames } from "./walk.ts";
import { namesOf, predefined, siteNames } from "./words.ts";

/** Types of fields that hold values by name. */
const mapTypes = ["int_map", "float_map", "bool_list_map", "any"];

/** Functions that the evaluator knows itself. */
const specialCalls = ["present", "prod", "iterate", "site.matches", "site.ends_with"];

/** Whether no block has such an item. */
const isOfMethod = (item: Item): boolean =>
  ["input", "option", "report", "mixes"].includes(item.kind) || (item.kind === "let" && item.shared === true);

class Checker {
  readonly faults: Diagnostic[] = [];

  constructor(private readonly method: MethodAst) {}

  must(holds: boolean, at: Place, message: string, help?: string, code: Code = "METHOD-DECLARATION"): void {
    const where = `${this.method.file}:${at.line}:${at.column}`;
    if (!holds) this.faults.push({ code, severity: "error", message, where, help });
  }

  /** A name must be one of those that are known. */
  private known(name: string, known: Iterable<string>, at: Place, message: string, help?: string): void {
    const all = known instanceof Set ? (known as ReadonlySet<string>) : new Set(known);
    if (!all.has(name)) this.must(false, at, message, help ?? hint(name, all), "METHOD-NAME");
  }

  /** A word, where it stands there, must be one of some. */
  private oneOf(what: string, word: string | undefined, known: Iterable<string>, at: Place, help?: string): void {
    if (word !== undefined) this.known(word, known, at, `There is no ${what} ${word}.`, help);
  }

  private configField(name: string | undefined, at: Place): void {
    const fields = fieldItems(this.method).map((field) => field.name);
    this.oneOf("config field", name, fields, at);
  }

  item(item: Item): void {
    if (item.kind === "field") this.field(item);
    if (item.kind === "tensor") this.tensor(item);
    if (item.kind === "input") this.input(item);
    if (item.kind === "mixes") this.configField(item.field, item.at);
  }

  private input({ name, per, option, at }: InputItem): void {
    this.oneOf("axis", per, ["length"], at);
    const [isTold, ofToken] = [option !== undefined, per !== undefined];
    this.must(isTold || ofToken, at, `Nothing says how merging is told the value of ${name}.`, "add as option");
    const both = `${name} differs from token to token, and merging cannot be told one value.`;
    this.must(!(isTold && ofToken), at, both, "leave as out");
  }

  private field(item: FieldItem): void {
    this.oneOf("type", item.type, Object.keys(fieldTypes), item.at);
    for (const { name, value, at } of item.options) {
      this.must(name !== undefined, at, `An option of ${item.name} has no name.`, "write (minimum: 1)");
      this.oneOf("option", name, Object.keys(fieldOptions), at);
      if (name !== "pattern") continue;
      // What overrides a field per module is a field with a value for every name.
      const isName = value.kind === "name";
      this.must(isName, at, `The pattern of ${item.name} is no config field.`, "write (pattern: field)");
      if (!isName) continue;
      this.configField(value.name, at);
      const type = fieldItems(this.method).find((field) => field.name === value.name)?.type ?? "any";
      const noMap = `${value.name} has no value for every module, and cannot be the pattern of ${item.name}.`;
      this.must(mapTypes.includes(type), at, noMap, `declare it as one of ${mapTypes.join(", ")}`);
    }
    if (Object.hasOwn(fieldTypes, item.type)) this.fieldValues(item);
  }

  /** The default is a value of the field, and so are those of its options. */
  private fieldValues(item: FieldItem): void {
    try {
      const declared = fieldDeclaration(this.method, item);
      checkField(declared, declared.default);
    } catch (error) {
      if (!(error instanceof WebpeftError)) throw error;
      if (error.code.startsWith("METHOD-")) this.faults.push(...error.diagnostics);
      else this.must(false, item.at, `The default of ${item.name} is no value of it.`, error.expected);
    }
  }

  private tensor({ role, name, at, key, trained, also, family, ...item }: TensorItem): void {
    this.oneOf("dtype or form", item.storedAs, ["base", ...patchForms], at);
    this.oneOf("file", item.file, ["encoder"], at);
    this.oneOf("form in files", item.coded?.form, Object.keys(codings), at);
    const isSaved = role === "const" || key !== undefined;
    this.must(isSaved, at, `The ${role} ${name} has no key in the adapter file.`, 'add at "key"');
    const number = `{${family?.name}}`;
    const areApart = family === undefined || (key?.includes(number) ?? true);
    this.must(areApart, at, `All tensors of ${name} have one key.`, `write ${number} in it`);
    const isOne = family === undefined || role !== "computed";
    this.must(isOne, at, `What is computed can be no family; ${name} is one.`);
    const [isShared, isParam] = [role === "shared", role === "param"];
    const paths = `Only what is shared can also be saved under the paths of its sites; ${name} is not.`;
    this.must(isShared || !trained, at, `Only what is shared can also be declared as param; ${name} is not.`);
    this.must(isShared || also === undefined, at, paths);
    this.must(isParam || item.project === undefined, at, `Only a param is projected, and ${name} is a ${role}.`);
    this.must(isParam || item.replaces === undefined, at, `Only a param replaces rows, and ${name} is a ${role}.`);
  }

  repeated(items: readonly Item[]): void {
    const seen = new Map<string, Place>();
    const keys = new Map<string, boolean>();
    for (const item of items) {
      if (!("name" in item)) continue;
      const name = item.kind === "target" ? `${item.name}'` : item.name;
      const before = seen.get(name);
      this.must(before === undefined, item.at, `${name} is declared twice, first in line ${before?.line}.`);
      seen.set(name, item.at);
      if (item.kind !== "tensor" || item.key === undefined) continue;
      // Variants of one tensor may share a key: only one of them exists, by their conditions.
      const conditional = item.when !== undefined;
      const isFree = !keys.has(item.key) || (conditional && keys.get(item.key) === true);
      this.must(isFree, item.at, `The key ${item.key} is used twice.`);
      keys.set(item.key, conditional);
    }
  }

  /** Every name of the items must mean something in the block. */
  names(items: readonly Item[], block: SiteBlock | undefined): void {
    const { builtins } = this.method;
    const weights = namesOf(siteNames[block?.siteKind ?? "linear"] ?? siteNames.linear!);
    const bare = [...builtins.values()].filter((b) => b.parameters.every((p) => p.preset !== undefined));
    const words = new Set([
      ...[...declarations(this.method, block).keys(), ...Object.keys(predefined), ...weights],
      ...bare.map(({ name }) => name),
    ]);
    const functions = new Set([...builtins.keys(), ...specialCalls]);
    const word = (name: string, at: Place, help?: string): void =>
      this.known(name, words, at, `Nothing is called ${name} here.`, help);
    const check = ({ path, at, called }: NameUse): void => {
      if (called) this.known(path, functions, at, `No function is called ${path || "that"}.`, familiarHelp(path));
      else word(path, at, builtins.has(path) ? `${path} is a function: call it` : familiarHelp(path));
    };
    for (const item of items) {
      const family = item.kind === "tensor" ? item.family : undefined;
      const own = new Set(family === undefined ? [] : [family.name]);
      for (const expression of expressionsOf(item)) visitNames(expression, check, own);
      for (const bound of [family?.from, family?.to, family?.by]) if (bound !== undefined) visitNames(bound, check);
      if (item.kind === "require") for (const [, name] of item.message.matchAll(placeholder)) word(name!, item.at);
    }
  }

  block(block: SiteBlock): void {
    const { siteKind, items, from, at } = block;
    const { targets = [] } = siteNames[siteKind] ?? {};
    this.oneOf("kind of site", siteKind, Object.keys(siteNames), at);
    this.repeated(itemsOf(this.method, [block]));
    this.names(itemsOf(this.method, [block]), block);
    this.configField(from, at);
    const [first] = targets;
    if (first === undefined) return;
    for (const item of items) {
      const what = "name" in item ? `The ${item.kind} ${item.name}` : item.kind;
      this.must(!isOfMethod(item), item.at, `${what} belongs to the whole method, outside of on.`);
      if (item.kind === "on") this.must(false, item.head, "An on block cannot stand in another.");
    }
    const assigned = targetsOf(block);
    for (const target of assigned)
      this.oneOf("target", target.name, targets, target.at, targetHelp(target.name, targets));
    this.must(assigned.length > 0, at, `The block on ${siteKind} changes nothing.`, `assign ${first}'`);
  }
}

/** Throws one error with all faults of the fragment. */
export function checkMethod(method: MethodAst): void {
  const checker = new Checker(method);
  for (const item of itemsOf(method)) checker.item(item);
  checker.repeated(method.items);
  if (method.blocks.length === 0) {
    checker.names(method.items, undefined);
    checker.must(false, method.at, "The method changes nothing.", "write: method name on linear { ... W' = ...; }");
  }
  for (const block of method.blocks) checker.block(block);
  const error = collected(checker.faults);
  if (error !== undefined) throw error;
}
