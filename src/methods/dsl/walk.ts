/** Walks over the expressions of a fragment. */
import { remembered } from "../../ir/remember.ts";
import type { Argument, Expression, Item, MethodAst, Place, SiteBlock, ValueItem } from "./ast.ts";

/** A name in braces, in the text of a message. */
export const placeholder = /\{([A-Za-z_]\w*)\}/g;

/** The items outside of a method's blocks, then those of all blocks, or of some. */
export const itemsOf = (method: MethodAst, blocks: readonly (SiteBlock | undefined)[] = method.blocks): Item[] => [
  ...method.items,
  ...blocks.flatMap((block) => block?.items ?? []),
];

/** What a block assigns. */
export const targetsOf = ({ items }: SiteBlock): ValueItem[] =>
  items.flatMap((item) => (item.kind === "target" ? [item] : []));

/** A use of a name, or of a dotted path such as `sites.max.in`. */
export interface NameUse {
  readonly path: string;
  readonly at: Place;
  /** True for the function of a call. */
  readonly called: boolean;
  readonly arguments?: readonly Argument[];
}

const kinds: Expression["kind"][] = [
  "literal",
  "name",
  "list",
  "map",
  "unary",
  "binary",
  "choice",
  "member",
  "call",
  "index",
];
const expressionKinds: ReadonlySet<unknown> = new Set(kinds);

/** The outermost expressions of a part of the tree. */
function outermost(part: unknown): readonly Expression[] {
  const found: Expression[] = [];
  collect(part, found);
  return found;
}

function collect(part: unknown, found: Expression[]): void {
  if (typeof part !== "object" || part === null) return;
  if ("kind" in part && expressionKinds.has(part.kind)) found.push(part as Expression);
  else for (const inner of Object.values(part)) collect(inner, found);
}

/** The outermost expressions inside of an expression. */
function partsOf(expression: Expression): readonly Expression[] {
  const found: Expression[] = [];
  for (const part of Object.values(expression)) collect(part, found);
  return found;
}

/** The expressions of an item, wherever they stand in it; those of a family's range, which another name holds in, and of a block are left out. */
export const expressionsOf = (item: Item): Expression[] =>
  Object.entries(item).flatMap(([name, part]) => (name === "family" || name === "items" ? [] : outermost(part)));

const isLoop = (path: string | undefined): boolean => path === "prod" || path === "iterate";
const none: ReadonlySet<string> = new Set();

const usesOf = new WeakMap<Expression, readonly NameUse[]>();

/** Visits every use of a name in an expression, outermost first; names bound by `prod` and `iterate` are left out. */
export function visitNames(expression: Expression, visit: (use: NameUse) => void, bound = none): void {
  if (bound.size > 0) {
    walkNames(expression, visit, bound);
    return;
  }
  const uses = remembered(usesOf, expression, () => {
    const found: NameUse[] = [];
    walkNames(expression, (use) => found.push(use), none);
    return found;
  });
  for (const use of uses) visit(use);
}

function walkNames(expression: Expression, visit: (use: NameUse) => void, bound: ReadonlySet<string>): void {
  const { kind, at } = expression;
  const path = memberPath(expression);
  if (kind === "name") {
    if (!bound.has(expression.name)) visit({ path: expression.name, at, called: false });
  } else if (kind === "member" && path !== undefined && /^(sites?|experts)\./.test(path)) {
    visit({ path, at, called: false });
  } else if (kind === "call") {
    const called = memberPath(expression.callee);
    visit({ path: called ?? "", at, called: true, arguments: expression.arguments });
    const names = new Set(bound);
    for (const argument of expression.arguments) {
      for (const part of outermost(argument)) walkNames(part, visit, names);
      if (isLoop(called) && argument.name !== undefined) names.add(argument.name);
    }
  } else for (const part of partsOf(expression)) walkNames(part, visit, bound);
}

/** `a.b.c` as a text, when the expression is nothing else. */
export function memberPath(expression: Expression): string | undefined {
  if (expression.kind === "name") return expression.name;
  if (expression.kind !== "member") return undefined;
  const object = memberPath(expression.object);
  return object === undefined ? undefined : `${object}.${expression.name}`;
}

/** All names and paths that the formulas of a method read or call. */
export function usedPaths(method: MethodAst): ReadonlySet<string> {
  const used = new Set<string>();
  for (const expression of itemsOf(method).flatMap(expressionsOf)) visitNames(expression, ({ path }) => used.add(path));
  return used;
}

/** The names and paths that expressions are made of; `behind` gives the expressions that a name stands for. */
export function namesBehind(
  expressions: readonly Expression[],
  behind: (path: string) => readonly Expression[],
): ReadonlySet<string> {
  const [names, waiting] = [new Set<string>(), [...expressions]];
  // A list and no recursion: lets may stand on each other by the thousand.
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    visitNames(next, ({ path }) => {
      if (!names.has(path)) waiting.push(...behind(path));
      names.add(path);
    });
  }
  return names;
}

/** Visits the names that `prod` and `iterate` bind in an expression. */
export function visitBound(expression: Expression, visit: (name: string, at: Place) => void): void {
  visitNames(expression, ({ path, called, arguments: given = [] }) => {
    if (!called || !isLoop(path)) return;
    for (const { name, at } of given) if (name !== undefined) visit(name, at);
  });
}
