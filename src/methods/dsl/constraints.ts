/** `require` lines: what a method demands of its config and of its sites. */
import type { DiagnosticSink } from "../../ir/diagnostics.ts";
import { remembered } from "../../ir/remember.ts";
import type { Expression, RequireItem } from "./ast.ts";
import { condition, evaluateKnown } from "./evaluate.ts";
import { patternFields } from "./field.ts";
import type { Scope } from "./scope.ts";
import { knownText } from "./value.ts";
import { namesBehind, placeholder } from "./walk.ts";
import { predefined } from "./words.ts";

/** Code of notes on what others make of the adapter's file. */
export const fileNote = "METHOD-FILE";

/** What a site is given: the operands of its layer. */
const operands = /^(W0?|gain0?|b)$/;
const isOfSite = (path: string): boolean => operands.test(path) || predefined[path]?.ofSite === true;

/** What `differsBySite` found, which is the same for all sites of a block. */
const differing = new WeakMap<Scope["declared"], Map<Expression, boolean>>();

/** Whether an expression can differ from site to site. */
function differsBySite(scope: Scope, expression: Expression): boolean {
  const patterns = patternFields(scope.model.method);
  const ofBlocks = new Set(
    scope.model.method.blocks.flatMap(({ items }) => items.flatMap((item) => ("name" in item ? [item.name] : []))),
  );
  const names = namesBehind([expression], (path) => {
    const item = scope.declared.get(path);
    return item?.kind === "let" ? [item.value] : [];
  });
  return [...names].some(
    (path) => isOfSite(path) || patterns.has(path) || ofBlocks.has(path) || scope.declared.get(path)?.kind === "tensor",
  );
}

/**
 * Checks what belongs to this scope: what the method demands of its config, once, or what it demands of one site.
 * Errors are METHOD-CONSTRAINT, warnings too; what is to be said of the file is a note METHOD-FILE.
 */
export function checkConstraints(scope: Scope, sink: DiagnosticSink): void {
  const ofSite = scope.site !== undefined;
  const known = remembered(differing, scope.declared, () => new Map<Expression, boolean>());
  const general = scope.model.method.items.filter(
    (item) =>
      item.kind === "require" &&
      remembered(known, item.condition, () => differsBySite(scope, item.condition)) === ofSite,
  );
  const own = ofSite ? (scope.block?.items ?? []) : [];
  for (const item of [...general, ...own]) {
    if (item.kind === "require" && !condition(scope, item.condition)) broken(scope, item, sink);
  }
}

function broken(scope: Scope, item: RequireItem, sink: DiagnosticSink): void {
  const help = item.help === undefined ? undefined : filled(scope, item.help, item);
  const fields = { message: filled(scope, item.message, item), help };
  const error = scope.error("METHOD-CONSTRAINT", item.at, fields);
  if (item.severity === "error") throw error;
  if (item.severity === "file") sink.note(fileNote, { ...fields, where: error.where! });
  else sink.warn("METHOD-CONSTRAINT", { ...fields, where: error.where! });
}

/** The message with names in braces replaced by their values. */
function filled(scope: Scope, text: string, item: RequireItem): string {
  return text.replace(placeholder, (_all, name: string) => {
    const value = evaluateKnown(scope, { kind: "name", name, at: item.at });
    return typeof value === "string" ? value : knownText(value);
  });
}
