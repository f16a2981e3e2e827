/** Walks over kernel IR, by what the records of its constructs say is inside of them. */
import { recordOf } from "./expressions.ts";
import type { Expr, Statement } from "./kernel.ts";
import { statementRecordOf } from "./statements.ts";

type Fields = Record<string, unknown>;

/** Calls `visit` with what is in some fields of a thing, one by one. */
function each<P>(thing: object, fields: readonly string[], visit: (part: P) => void): void {
  for (const field of fields) {
    const part = (thing as Fields)[field] as P | readonly P[];
    if (!Array.isArray(part)) visit(part as P);
    else for (const p of part as readonly P[]) visit(p);
  }
}

/** The operands of an expression, in order. */
export function childrenOf(e: Expr): readonly Expr[] {
  const found: Expr[] = [];
  each(e, recordOf(e).operands, (child: Expr) => found.push(child));
  return found;
}

/** A copy with what is in some fields replaced, one by one; the thing itself where nothing is. */
function replaced<T extends object, P>(thing: T, fields: readonly string[], visit: (part: P) => P): T {
  let copy: Fields | undefined;
  for (const field of fields) {
    const part = (thing as Fields)[field] as P | readonly P[];
    const made = Array.isArray(part) ? eachReplaced(part as readonly P[], visit) : visit(part as P);
    if (made === part) continue;
    copy ??= { ...thing } as Fields;
    copy[field] = made;
  }
  return (copy ?? thing) as T;
}

function eachReplaced<P>(parts: readonly P[], visit: (part: P) => P): readonly P[] {
  let copy: P[] | undefined;
  for (let i = 0; i < parts.length; i++) {
    const made = visit(parts[i]!);
    if (made !== parts[i]) copy ??= parts.slice(0, i);
    copy?.push(made);
  }
  return copy ?? parts;
}

/** Rebuilds an expression, operands first; `visit` gets the node with its new operands. */
export function mapExpr(e: Expr, visit: (e: Expr) => Expr): Expr {
  return visit(replaced(e, recordOf(e).operands, (child: Expr) => mapExpr(child, visit)));
}

/** What to do with the parts of a statement; they are gone through in this order. */
export interface StatementVisitor {
  expr(e: Expr): Expr;
  /** The name that it declares or assigns. */
  name?(name: string, statement: Statement): string;
}

/** Rebuilds statements with their parts replaced, in order of the text. */
export function mapStatements(body: readonly Statement[], visitor: StatementVisitor): Statement[] {
  return body.map((s) => {
    const { operands, blocks } = statementRecordOf(s);
    let made = replaced(s, operands, (e: Expr) => visitor.expr(e));
    if ("name" in made && visitor.name !== undefined) made = { ...made, name: visitor.name(made.name, s) };
    const present = blocks.filter((block) => (s as unknown as Fields)[block] !== undefined);
    const copy = present.length === 0 ? made : ({ ...made } as Statement);
    for (const block of present) {
      const inner = (s as unknown as Fields)[block] as readonly Statement[];
      (copy as unknown as Fields)[block] = mapStatements(inner, visitor);
    }
    return copy;
  });
}

/** Calls `visit` with every statement, those inside of others after them. */
export function visitStatements(body: readonly Statement[], visit: (s: Statement) => void): void {
  for (const s of body) {
    visit(s);
    for (const block of blocksOf(s)) visitStatements(block, visit);
  }
}

/** The expressions of a statement itself. */
export function operandsOf(s: Statement): readonly Expr[] {
  const found: Expr[] = [];
  each(s, statementRecordOf(s).operands, (e: Expr) => found.push(e));
  return found;
}

/** The blocks of a statement. */
export const blocksOf = (s: Statement): readonly (readonly Statement[])[] =>
  statementRecordOf(s).blocks.flatMap((field) => {
    const block = (s as unknown as Fields)[field] as readonly Statement[] | undefined;
    return block === undefined ? [] : [block];
  });

/** Calls `visit` with every expression of the statements, the parts of expressions included. */
export function visitExpressions(body: readonly Statement[], visit: (e: Expr) => void): void {
  const go = (e: Expr): void => {
    visit(e);
    each(e, recordOf(e).operands, go);
  };
  visitStatements(body, (s) => each(s, statementRecordOf(s).operands, go));
}
