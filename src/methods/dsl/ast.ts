/** The tree of a method fragment: plain data, every part with its place in the fragment. */

import type { Builtin } from "../lib/builtin.ts";

/** Line of the fragment's file, and column in the line; both from 1. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

export type BinaryOperator = "+" | "-" | "*" | "/" | ".*" | "@" | "==" | "!=" | "<" | "<=" | ">" | ">=" | "and" | "or";

export interface Argument {
  /** `a` in `kaiming_uniform(a: 0)`. */
  readonly name?: string;
  readonly value: Expression;
  /** The end (exclusive) of a range `value .. to`. */
  readonly to?: Expression;
  readonly at: Place;
}

export type IndexItem =
  | { readonly kind: "slice"; readonly start?: Expression; readonly limit?: Expression; readonly at: Place }
  | { readonly kind: "element"; readonly value: Expression; readonly at: Place };

export type Expression = { readonly at: Place } & (
  | { readonly kind: "literal"; readonly value: number | string | boolean | null }
  | { readonly kind: "name"; readonly name: string }
  | { readonly kind: "list"; readonly items: readonly Expression[] }
  | { readonly kind: "map"; readonly entries: readonly (readonly [string, Expression])[] }
  | { readonly kind: "unary"; readonly operator: "-" | "not"; readonly operand: Expression }
  | {
      readonly kind: "binary";
      readonly operator: BinaryOperator;
      readonly left: Expression;
      readonly right: Expression;
    }
  | { readonly kind: "choice"; readonly condition: Expression; readonly yes: Expression; readonly no: Expression }
  | { readonly kind: "member"; readonly object: Expression; readonly name: string }
  /** `ordinal` counts the calls of a fragment: it keeps the random draws of two `dropout` calls apart. */
  | {
      readonly kind: "call";
      readonly callee: Expression;
      readonly arguments: readonly Argument[];
      readonly ordinal: number;
    }
  | { readonly kind: "index"; readonly object: Expression; readonly items: readonly IndexItem[] }
);

export type CallExpression = Extract<Expression, { kind: "call" }>;

interface Declared {
  readonly name: string;
  readonly at: Place;
}

export interface FieldItem extends Declared {
  readonly kind: "field";
  readonly type: string;
  readonly nullable: boolean;
  readonly default: Expression;
  /** What stands in parentheses after the default: `(seed: 8, minimum: 0)`. */
  readonly options: readonly Argument[];
  readonly doc?: string;
}

/** See the statements of these names; `shared` is frozen, but for `shared param`, and `const` is saved where it has a key. */
export type TensorRole = "param" | "shared" | "buffer" | "const" | "computed";

/** What each clause says is told in `clauses`. */
export interface TensorItem extends Declared {
  readonly kind: "tensor";
  readonly role: TensorRole;
  /** One tensor for every number of a range: `weight[n] for k: 0 .. m by 2`, read as weight[k]. Gone once the config is known. */
  readonly family?: Family;
  readonly shape: readonly Expression[];
  readonly value: Expression;
  /** `shared param`. */
  readonly trained?: boolean;
  readonly key?: string;
  readonly file?: string;
  readonly also?: string;
  readonly tied?: boolean;
  readonly storedAs?: string;
  readonly saveIf?: Expression;
  readonly within?: Expression;
  /** No two adapters that are in use together may replace the same rows. */
  readonly replaces?: Expression;
  readonly coded?: {
    readonly form: string;
    readonly at: Place;
    readonly arguments: readonly Argument[];
    readonly condition?: Expression;
  };
  readonly project?: { readonly condition?: Expression; readonly call: CallExpression };
  readonly when?: Expression;
  /** Place in the order of declarations; the number of the tensor's random stream. */
  readonly ordinal: number;
}

/** The numbers from, from + by, ... below to, and what they are called in the declaration; in its key `{name}` stands for the number. */
export interface Family {
  readonly name: string;
  readonly from: Expression;
  readonly to: Expression;
  readonly by?: Expression;
}

/**
 * Whole numbers that come with the batch. One for every sample: merging then takes one number for all, which the user gives under the name of
 * `option`. Or one for every token: nothing that reads them can be merged.
 */
export interface InputItem extends Declared {
  readonly kind: "input";
  /** The word in brackets behind the name: `length` where there is a number for every token. */
  readonly per?: string;
  /** The numbers lie in 0 .. below - 1. */
  readonly below: Expression;
  readonly option?: string;
  /** What the numbers are where a batch lacks them; without, a batch must have them. */
  readonly fill?: Expression;
}

/** f32 numbers that stand for what varies with the batch where weights are merged, given under their name. */
export interface OptionItem extends Declared {
  readonly kind: "option";
  readonly size: Expression;
}

/** Other adapters, named by a config field, of which `mixture` adds up what they change; the field names the sites of `on ... from` too. */
interface MixesItem {
  readonly kind: "mixes";
  readonly field: string;
  /** Whether they train too. */
  readonly trained?: Expression;
  readonly at: Place;
}

/** A name with a value: of a target (`W' = ...`) what the method puts at a site. */
export interface ValueItem extends Declared {
  readonly kind: "let" | "stream" | "report" | "target";
  readonly value: Expression;
  /** A let that is worked out once for the model, where no site is known. */
  readonly shared?: boolean;
}

export interface RequireItem {
  readonly kind: "require";
  readonly condition: Expression;
  /** `file`: a note when it is compiled, and a warning when the adapter's file is written. */
  readonly severity: "error" | "warning" | "file";
  /** `{name}` stands for the value of a name. */
  readonly message: string;
  readonly help?: string;
  readonly at: Place;
}

/** What a method says of sites of one kind: in the end the items of all `on` blocks that name it, in the order of the text. */
export interface SiteBlock {
  readonly kind: "on";
  readonly siteKind: string;
  /** The config field that names these sites and holds their values, in place of `target_modules`. */
  readonly from?: string;
  /** A linear layer that shares the weight of such a site gets the transposed W'. */
  readonly tied: boolean;
  /** Of several adapters that are in use the last is the first to change W; else they change it in their order. */
  readonly backwards: boolean;
  readonly items: readonly Item[];
  /** Place of the kind, and of the word `on`. */
  readonly at: Place;
  readonly head: Place;
}

export type Item = FieldItem | TensorItem | InputItem | OptionItem | MixesItem | ValueItem | RequireItem | SiteBlock;

export interface MethodAst extends Declared {
  readonly file: string;
  readonly source: string;
  /** The line of the file where the text begins. */
  readonly firstLine: number;
  /** The functions that it may call, by name. */
  readonly builtins: ReadonlyMap<string, Builtin>;
  /** Items outside a block count for all blocks; `method m on linear { ... }` is one block with all targets. */
  readonly items: readonly Item[];
  readonly blocks: readonly SiteBlock[];
}
