/** What the parser makes of a text before names, ops and types are looked at. */
import type { CodeAfter } from "../codes/index.ts";
import type { DiagnosticFields } from "../diagnostics.ts";
import type { Attribute } from "../graph.ts";

/** Line and column count from 1. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

/** Takes a fault of the text at its place. */
export type Report = (code: CodeAfter<"IR-TEXT">, place: Place, fields: DiagnosticFields) => void;

/** A word, string or value with its place. */
export interface Spelled extends Place {
  readonly text: string;
}

export interface TypeSyntax extends Place {
  readonly head: string;
  readonly extents: readonly number[];
}

export interface AttributeSyntax {
  readonly name: Spelled;
  readonly value: Attribute;
}

export interface ParameterSyntax {
  readonly kind: "parameter";
  /** Without the percent sign. */
  readonly value: Spelled;
  readonly type: TypeSyntax;
  readonly role: Spelled;
  readonly name?: Spelled;
  readonly attributes: readonly AttributeSyntax[];
  readonly endLine: number;
}

export interface StatementSyntax {
  readonly kind: "statement";
  readonly value: Spelled;
  readonly op: Spelled;
  readonly operands: readonly Spelled[];
  readonly attributes: readonly AttributeSyntax[];
  readonly type: TypeSyntax;
  readonly endLine: number;
}

export interface OutputSyntax {
  readonly name: Spelled;
  readonly value: Spelled;
}

export interface GraphSyntax {
  readonly name: string;
  readonly parameters: readonly ParameterSyntax[];
  readonly statements: readonly StatementSyntax[];
  readonly outputs: readonly OutputSyntax[];
}
