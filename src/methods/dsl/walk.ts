/** Walks over the expressions of a fragment. */
import type { Argument, Expression, Item, MethodAst, Place, SiteBlock } from "./ast.ts";

/** A name in braces, in the text of a message. */
export const placeholder = /\{([A-Za-z_]\w*)\}/g;

/** The items outside of a method's blocks, then those of all blocks, or of some. */
export const itemsOf = (method: MethodAst, blocks: readonly (SiteBlock | undefined)[] = method.blocks): Item[] => [
  ...method.items,
  ...blocks.flatMap((block) => block?.items ?? []),
];

/** A use of a name, or of a dotted path such as `sites.max.in`. */
export interface NameUse {
  readonly path: string;
  readonly at: Place;
  /** True for the function of a call. */
  readonly called: boolean;
  readonly arguments?: readonly Argument[];
}

/** The expressions directly inside one; names and calls are read by `visitNames`. */
function parts(expression: Expression): readonly Expression[] {
  switch (expression.kind) {
    case "list":
      return expression.items;
    case "map":
      return expression.entries.map(([, value]) => value);
    case "unary":
      return [expression.operand];
    case "binary":
      return [expression.left, expression.right];
    case "choice":
      return [expression.condition, expression.yes, expression.no];
    case "index": {
      const bounds = expression.items.flatMap((item) =>
        item.kind === "element" ? [item.value] : [item.start, item.limit],
      );
      return [expression.object, ...bounds.filter((bound) => bound !== undefined)];
    }
    default:
      return [];
  }
}

/** Visits every use of a name in an expression, outermost first; names bound by `prod` and `iterate` are left out. */
export function visitNames(
  expression: Expression,
  visit: (use: NameUse) => void,
  bound: ReadonlySet<string> = new Set(),
): void {
  if (expression.kind === "name") {
    if (!bound.has(expression.name)) visit({ path: expression.name, at: expression.at, called: false });
  } else if (expression.kind === "member") {
    visitMember(expression, visit, bound);
  } else if (expression.kind === "call") {
    visitCall(expression, visit, bound);
  } else {
    for (const part of parts(expression)) visitNames(part, visit, bound);
  }
}

/** `sites.max.in` is one path; `(A @ B).T` and `A.T` are a member of an expression. */
function visitMember(
  expression: Extract<Expression, { kind: "member" }>,
  visit: (use: NameUse) => void,
  bound: ReadonlySet<string>,
): void {
  const path = memberPath(expression);
  if (path !== undefined && /^(sites?|experts)\./.test(path)) visit({ path, at: expression.at, called: false });
  else visitNames(expression.object, visit, bound);
}

/** `a.b.c` as a text, when the expression is nothing else. */
export function memberPath(expression: Expression): string | undefined {
  if (expression.kind === "name") return expression.name;
  if (expression.kind !== "member") return undefined;
  const object = memberPath(expression.object);
  return object === undefined ? undefined : `${object}.${expression.name}`;
}

const isLoop = (path: string | undefined): boolean => path === "prod" || path === "iterate";

function visitCall(
  expression: Extract<Expression, { kind: "call" }>,
  visit: (use: NameUse) => void,
  bound: ReadonlySet<string>,
): void {
  const path = memberPath(expression.callee);
  visit({ path: path ?? "", at: expression.at, called: true, arguments: expression.arguments });
  const names = new Set(bound);
  for (const argument of expression.arguments) {
    for (const part of [argument.value, argument.to]) if (part !== undefined) visitNames(part, visit, names);
    if (isLoop(path) && argument.name !== undefined) names.add(argument.name);
  }
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

const expressionKinds = new Set<unknown>([
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
] satisfies Expression["kind"][]);

/** The expressions of an item, wherever they stand in it; those of a family's range, which another name holds in, and of a block are left out. */
export function expressionsOf(item: Item): readonly Expression[] {
  const found: Expression[] = [];
  const collect = (part: unknown): void => {
    if (typeof part !== "object" || part === null) return;
    if ("kind" in part && expressionKinds.has(part.kind)) found.push(part as Expression);
    else for (const [name, inner] of Object.entries(part)) if (name !== "family" && name !== "items") collect(inner);
  };
  collect(item);
  return found;
}
