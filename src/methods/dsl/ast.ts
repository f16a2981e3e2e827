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
  | {
      readonly kind: "choice";
      readonly condition: Expression;
      readonly yes: Expression;
      readonly no: Expression;
    }
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

export interface FieldItem {
  readonly kind: "field";
  readonly name: string;
  readonly type: string;
  readonly nullable: boolean;
  readonly default: Expression;
  /** What stands in parentheses after the default: `(seed: 8, minimum: 0)`. */
  readonly options: readonly Argument[];
  readonly doc?: string;
  readonly at: Place;
}

/**
 * - `param`  trained and saved, one per site
 * - `shared` one per model, saved unless `save if` says no; frozen, but for `shared param`
 * - `buffer` frozen and saved, one per site
 * - `const`  frozen, numbers of the host; saved where it has a key, and then the file's count
 * - `computed` one per model, a function of what trains; saved for those who cannot compute it, and not read back
 */
export type TensorRole = "param" | "shared" | "buffer" | "const" | "computed";

export interface TensorItem {
  readonly kind: "tensor";
  readonly role: TensorRole;
  readonly name: string;
  /** One tensor for every number of a range: `weight[n] for k: 0 .. m by 2`, read as weight[k]. Gone once the config is known. */
  readonly family?: Family;
  readonly shape: readonly Expression[];
  readonly value: Expression;
  readonly key?: string;
  /** The file beside the adapter's that holds it: `encoder`. */
  readonly file?: string;
  /** A shared tensor that trains. */
  readonly trained?: boolean;
  /** A shared tensor is saved under the path of every site too, with this ending. */
  readonly also?: string;
  /** At a site with a tie the tensor is also saved under the path of the other end. */
  readonly tied?: boolean;
  /** Written in the dtype of the base's weight (`base`) instead of f32, or at a layer on patches in a form of `PatchForm`. */
  readonly storedAs?: string;
  readonly saveIf?: Expression;
  /** A saved constant holds places in an array of this shape: a row per axis, increasing in row-major order. */
  readonly within?: Expression;
  /** Which rows of the weight's table it replaces: whole numbers. No two adapters that are in use together may replace the same. */
  readonly replaces?: Expression;
  /** The file holds the tensor in another form: `coded top_k(k) if condition`. */
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
  readonly at: Place;
}

/** The numbers from, from + by, ... below to, and what they are called in the declaration; in its key `{name}` stands for the number. */
export interface Family {
  readonly name: string;
  readonly from: Expression;
  readonly to: Expression;
  readonly by?: Expression;
}

interface StreamItem {
  readonly kind: "stream";
  readonly name: string;
  readonly value: Expression;
  readonly at: Place;
}

/**
 * Whole numbers that come with the batch. One for every sample: merging then takes one number for all, which the user gives under the name of
 * `option`. Or one for every token: nothing that reads them can be merged.
 */
export interface InputItem {
  readonly kind: "input";
  readonly name: string;
  /** The word in brackets behind the name: `length` where there is a number for every token. */
  readonly per?: string;
  /** The numbers lie in 0 .. below - 1. */
  readonly below: Expression;
  readonly option?: string;
  /** What the numbers are where a batch lacks them; without, a batch must have them. */
  readonly fill?: Expression;
  readonly at: Place;
}

/** f32 numbers that stand for what varies with the batch where weights are merged, given under their name. */
export interface OptionItem {
  readonly kind: "option";
  readonly name: string;
  readonly size: Expression;
  readonly at: Place;
}

/** Other adapters, named by a config field, of which `mixture` adds up what they change; the field names the sites of `on ... from` too. */
export interface MixesItem {
  readonly kind: "mixes";
  readonly field: string;
  /** Whether they train too. */
  readonly trained?: Expression;
  readonly at: Place;
}

/** What of the forward pass can be read afterwards, under its name. */
interface ReportItem {
  readonly kind: "report";
  readonly name: string;
  readonly value: Expression;
  readonly at: Place;
}

export interface LetItem {
  readonly kind: "let";
  /** Worked out once for the model, where no site is known. */
  readonly shared?: boolean;
  readonly name: string;
  readonly value: Expression;
  readonly at: Place;
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

/** `W' = ...`: what the method puts at a site; `gain' = ...` at a norm. */
interface TargetItem {
  readonly kind: "target";
  readonly name: string;
  readonly value: Expression;
  readonly at: Place;
}

/** `on linear, embedding { ... }` as it is written. A site has the items of every block that names its kind. */
export interface OnItem {
  readonly kind: "on";
  readonly siteKinds: readonly { readonly name: string; readonly at: Place }[];
  readonly from?: string;
  readonly tied: boolean;
  readonly backwards: boolean;
  readonly items: readonly Item[];
  readonly at: Place;
}

/** All that a method says of one kind of site: the items of the `on` blocks that name it, in the order of the text. */
export interface SiteBlock {
  readonly siteKind: string;
  /** The config field that names these sites and holds their values, in place of `target_modules`. */
  readonly from?: string;
  /** A linear layer that shares the weight of such a site gets the transposed W'. */
  readonly tied: boolean;
  /** Of several adapters that are in use the last is the first to change W; else they change it in their order. */
  readonly backwards: boolean;
  readonly items: readonly Item[];
  readonly at: Place;
}

export type Item =
  | FieldItem
  | TensorItem
  | StreamItem
  | InputItem
  | OptionItem
  | MixesItem
  | ReportItem
  | LetItem
  | RequireItem
  | TargetItem
  | OnItem;

export interface MethodAst {
  readonly name: string;
  readonly file: string;
  readonly source: string;
  /** The line of the file where the text begins. */
  readonly firstLine: number;
  /** The functions that it may call, by name. */
  readonly builtins: ReadonlyMap<string, Builtin>;
  /** Items outside a block count for all blocks; `method m on linear { ... }` is one block with all targets. */
  readonly items: readonly Item[];
  readonly blocks: readonly SiteBlock[];
  readonly at: Place;
}
