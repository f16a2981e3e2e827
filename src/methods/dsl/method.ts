/** A method as the rest of webpeft sees it. */
import type { Diagnostic } from "../../ir/diagnostics.ts";
import { once } from "../../ir/remember.ts";
import { type DefaultTargets, usualTargets } from "../config/defaults.ts";
import { type MethodProfile, profileOf } from "../config/profiles.ts";
import type { FieldDeclaration, FieldValue } from "../fields.ts";
import type { MethodRecord } from "../record.ts";
import { advice } from "./advice.ts";
import type { MethodAst } from "./ast.ts";
import { checkMethod } from "./check.ts";
import { Elaboration } from "./elaborate.ts";
import type { ElaborationInput } from "./elaboration-types.ts";
import { fieldDeclaration, fieldItems, patternFields, settledFields } from "./field.ts";
import { parseFragment } from "./parse.ts";
import { itemsOf, usedPaths } from "./walk.ts";

/** The text of a built-in method is parsed when something is asked of it, and once: errors (METHOD-SYNTAX, METHOD-NAME ...) come then. */
export class Method {
  /** `peft_type` of its configs: the name in upper case. */
  readonly peftType: string;
  readonly source: string;
  readonly file: string;
  readonly profile: MethodProfile;
  readonly targets: DefaultTargets;
  /** The method that configs with a field that begins so are for. */
  readonly variant: { readonly prefix: string; readonly method: Method } | undefined;
  private readonly tree: () => MethodAst;
  private readonly declared: () => readonly FieldDeclaration[];

  constructor(
    readonly name: string,
    readonly record: MethodRecord,
    tree: () => MethodAst,
  ) {
    const { variant } = record;
    this.peftType = name.toUpperCase();
    this.source = record.text;
    this.file = record.file ?? "method";
    this.profile = profileOf(record.profile);
    this.targets = record.targets ?? usualTargets;
    this.variant = variant && { prefix: variant.prefix, method: builtIn(variant.record) };
    this.tree = once(tree);
    this.declared = once(() => fieldItems(this.ast).map((item) => fieldDeclaration(this.ast, item)));
  }

  get ast(): MethodAst {
    return this.tree();
  }

  /** The method's own config fields, in the order of the text. */
  get fields(): readonly FieldDeclaration[] {
    return this.declared();
  }

  /** Field -> the field that overrides it per module, e.g. r -> rank_pattern. */
  get patterns(): ReadonlyMap<string, string> {
    return patternFields(this.ast);
  }

  private kindsFrom(field: string | undefined): string[] {
    return this.ast.blocks.flatMap(({ siteKind, from }) => (from === field ? [siteKind] : []));
  }

  /** Kinds of sites that it can change where `target_modules` names them. */
  get siteKinds(): readonly string[] {
    return this.kindsFrom(undefined);
  }

  /** Fields that name sites themselves, and of which kinds (LoRA's `trainable_token_indices`). */
  get fieldSites(): readonly { readonly field: string; readonly siteKinds: readonly string[] }[] {
    const fields = new Set(this.ast.blocks.map(({ from }) => from));
    return [...fields].flatMap((field) =>
      field === undefined || field === this.expertsFrom ? [] : [{ field, siteKinds: this.kindsFrom(field) }],
    );
  }

  /** Whether a layer that shares the weight of such a site changes with it. */
  followsTie(siteKind: string, from: string | undefined): boolean {
    return this.ast.blocks.some((block) => block.siteKind === siteKind && block.from === from && block.tied);
  }

  /** Whether of several adapters the last is the first to change the weight of such a site (OFT rotates inputs in the adapters' order). */
  isBackwards(siteKind: string): boolean {
    return this.ast.blocks.some((block) => block.siteKind === siteKind && block.backwards);
  }

  /** The lines of the fragment with tensors, lets and targets. */
  get formulaLines(): readonly string[] {
    const { source, firstLine } = this.ast;
    const formulas = itemsOf(this.ast).filter(({ kind }) => ["let", "target", "tensor", "stream"].includes(kind));
    const numbers = new Set(formulas.map((item) => item.at.line));
    const lines = source.split("\n");
    return [...numbers].sort((a, b) => a - b).map((line) => lines[line - firstLine]!.trim());
  }

  /** The fields to change because their seed default depends on which others are present; for configs without `peft_version`. */
  settle(fields: Readonly<Record<string, FieldValue>>, present: ReadonlySet<string>): Record<string, FieldValue> {
    return settledFields(this.ast, fields, present);
  }

  /** Whether it may draw weights for predictions; which configs do is seen when they are compiled. */
  get predicts(): boolean {
    return [...usedPaths(this.ast)].some((path) => path.startsWith("drawn_"));
  }

  /** Whether it reads the last hidden states of a first pass over the model. */
  get readsHidden(): boolean {
    return usedPaths(this.ast).has("hidden");
  }

  /** Names of what of a forward pass can be read afterwards. */
  get reports(): readonly string[] {
    return this.ast.items.flatMap((item) => (item.kind === "report" ? [item.name] : []));
  }

  /** The field that names other adapters which it mixes; its sites are theirs. */
  get expertsFrom(): string | undefined {
    return this.ast.items.find((item) => item.kind === "mixes")?.field;
  }

  /** Warnings about its text: names that hide words, parameters that nothing reads. */
  get warnings(): readonly Diagnostic[] {
    return advice(this.ast);
  }
}

function checked(record: MethodRecord): MethodAst {
  const ast = parseFragment(record);
  checkMethod(ast);
  return ast;
}

/** A method that webpeft brings. Its text begins in line 5 of its file unless the record says otherwise. */
export function builtIn(record: MethodRecord): Method {
  const [, name = ""] = /^method (\w+)/.exec(record.text) ?? [];
  const whole = { file: `${name.replaceAll("_", "-")}.ts`, line: 5, ...record };
  return new Method(name, whole, () => checked(whole));
}

/** A method of a record whose text may have faults. Throws WebpeftError with all of them. */
export function readMethod(record: MethodRecord): Method {
  const ast = checked(record);
  return new Method(ast.name, record, () => ast);
}

/** The adapter of a method on the sites of a model. */
export const elaborateModel = (method: Method, input: ElaborationInput): Elaboration =>
  new Elaboration(method.ast, input);
