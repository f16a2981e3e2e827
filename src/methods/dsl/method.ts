/** A method as the rest of webpeft sees it. */
import type { Diagnostic } from "../../ir/diagnostics.ts";
import type { DefaultTargets } from "../config/defaults.ts";
import { usualTargets } from "../config/defaults.ts";
import { type MethodProfile, profileOf } from "../config/profiles.ts";
import type { FieldDeclaration, FieldValue } from "../fields.ts";
import type { Builtin } from "../lib/builtin.ts";
import type { MethodRecord } from "../record.ts";
import { advice } from "./advice.ts";
import type { MethodAst } from "./ast.ts";
import { checkMethod } from "./check.ts";
import { Elaboration } from "./elaborate.ts";
import type { ElaborationInput } from "./elaboration-types.ts";
import { fieldDeclaration, fieldItems, patternFields, settledFields } from "./field.ts";
import { parseFragment } from "./parse.ts";
import { itemsOf, usedPaths } from "./walk.ts";

export interface Method {
  readonly name: string;
  /** `peft_type` of its configs: the name in upper case. */
  readonly peftType: string;
  readonly source: string;
  readonly file: string;
  readonly profile: MethodProfile;
  readonly targets: DefaultTargets;
  readonly files: MethodRecord["files"];
  readonly combine: MethodRecord["combine"];
  /** The builtins that serve it alone. */
  readonly builtins: readonly Builtin[];
  /** The method that configs with a field that begins so are for. */
  readonly variant?: { readonly prefix: string; readonly method: Method };
  readonly ast: MethodAst;
  /** The method's own config fields, in the order of the text. */
  readonly fields: readonly FieldDeclaration[];
  /** Field -> the field that overrides it per module, e.g. r -> rank_pattern. */
  readonly patterns: ReadonlyMap<string, string>;
  /** Kinds of sites that it can change where `target_modules` names them. */
  readonly siteKinds: readonly string[];
  /** Fields that name sites themselves, and of which kinds (LoRA's `trainable_token_indices`). */
  readonly fieldSites: readonly { readonly field: string; readonly siteKinds: readonly string[] }[];
  /** Whether a layer that shares the weight of such a site changes with it. */
  followsTie(siteKind: string, from: string | undefined): boolean;
  /** Whether of several adapters the last is the first to change the weight of such a site (OFT rotates inputs in the adapters' order). */
  isBackwards(siteKind: string): boolean;
  /** The lines of the fragment that are neither config nor comment: declarations, constraints and formulas. */
  readonly formulaLines: readonly string[];
  /** The fields to change because their seed default depends on which others are present; for configs without `peft_version`. */
  settle(fields: Readonly<Record<string, FieldValue>>, present: ReadonlySet<string>): Record<string, FieldValue>;
  /** Whether it may draw weights for predictions; which configs do is seen when they are compiled. */
  readonly predicts: boolean;
  /** Whether it reads the last hidden states of a first pass over the model. */
  readonly readsHidden: boolean;
  /** Names of what of a forward pass can be read afterwards. */
  readonly reports: readonly string[];
  /** The field that names other adapters which it mixes; its sites are theirs. */
  readonly expertsFrom: string | undefined;
  /** Warnings about its text: names that hide words, parameters that nothing reads. */
  readonly warnings: readonly Diagnostic[];
}

/** Lines with tensors, lets and targets. */
function formulaLines(ast: MethodAst): string[] {
  const lines = ast.source.split("\n");
  const formulas = itemsOf(ast).filter(
    ({ kind }) => kind === "let" || kind === "target" || kind === "tensor" || kind === "stream",
  );
  const numbers = new Set(formulas.map((item) => item.at.line));
  return [...numbers].sort((a, b) => a - b).map((line) => lines[line - ast.firstLine]!.trim());
}

/** The line where the text of a built-in method begins unless its record says another. */
const usualLine = 5;

/** A method that webpeft brings. Its text is parsed when something is asked of it, and once. */
export function builtIn(record: MethodRecord): Method {
  const [, name = ""] = /^method (\w+)/.exec(record.text) ?? [];
  return lazyMethod(name, { file: `${name.replaceAll("_", "-")}.ts`, line: usualLine, ...record });
}

/** `ready` is the tree of the text where it has been parsed already. Errors (METHOD-SYNTAX, METHOD-NAME ...) come from the first use. */
function lazyMethod(name: string, record: MethodRecord, ready?: MethodAst): Method {
  const { text: source, file = "method", targets = usualTargets, builtins = [], files, combine, variant } = record;
  let parsed = ready;
  let declared: readonly FieldDeclaration[] | undefined;
  const ast = (): MethodAst => {
    if (parsed === undefined) {
      const fresh = parseFragment(record);
      checkMethod(fresh);
      parsed = fresh;
    }
    return parsed;
  };
  return {
    name,
    peftType: name.toUpperCase(),
    source,
    file,
    profile: profileOf(record.profile),
    targets,
    files,
    combine,
    builtins,
    ...(variant === undefined ? {} : { variant: { prefix: variant.prefix, method: builtIn(variant.record) } }),
    get ast() {
      return ast();
    },
    get fields() {
      declared ??= fieldItems(ast()).map((item) => fieldDeclaration(ast(), item));
      return declared;
    },
    get patterns() {
      return patternFields(ast());
    },
    get siteKinds() {
      return ast().blocks.flatMap(({ siteKind, from }) => (from === undefined ? [siteKind] : []));
    },
    get fieldSites() {
      const { expertsFrom } = this;
      const all = ast().blocks.flatMap(({ from }) => (from === undefined || from === expertsFrom ? [] : [from]));
      const fields = [...new Set(all)];
      return fields.map((field) => ({
        field,
        siteKinds: ast().blocks.flatMap(({ siteKind, from }) => (from === field ? [siteKind] : [])),
      }));
    },
    followsTie(siteKind, from) {
      return ast().blocks.some((block) => block.siteKind === siteKind && block.from === from && block.tied);
    },
    isBackwards(siteKind) {
      return ast().blocks.some((block) => block.siteKind === siteKind && block.backwards);
    },
    get formulaLines() {
      return formulaLines(ast());
    },
    settle: (fields, present) => settledFields(ast(), fields, present),
    get predicts() {
      return [...usedPaths(ast())].some((path) => path.startsWith("drawn_"));
    },
    get readsHidden() {
      return usedPaths(ast()).has("hidden");
    },
    get reports() {
      return ast().items.flatMap((item) => (item.kind === "report" ? [item.name] : []));
    },
    get expertsFrom() {
      return ast().items.find((item) => item.kind === "mixes")?.field;
    },
    get warnings() {
      return advice(ast());
    },
  };
}

/** A method of a record whose text may have faults. Throws WebpeftError with all of them. */
export function readMethod(record: MethodRecord): Method {
  const ast = parseFragment(record);
  checkMethod(ast);
  return lazyMethod(ast.name, record, ast);
}

/** The adapter of a method on the sites of a model. */
export function elaborateModel(method: Method, input: ElaborationInput): Elaboration {
  return new Elaboration(method.ast, input);
}
