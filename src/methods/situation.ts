/** What an adapter's graphs are made for, and where its numbers come from. */

/** Where the numbers of an adapter come from. */
export interface Origin {
  /** Its tensors come from a file; they are fresh otherwise. */
  readonly loaded?: boolean | undefined;
  /** The file of its encoder is there, or the adapter is fresh; true unless given. */
  readonly encoder?: boolean;
  /** Token ids of the text that a fresh prompt begins as. */
  readonly initialTokens?: readonly number[] | undefined;
  /** The program never trains: what a file holds projected stays so. */
  readonly fixed?: boolean;
}

export interface Situation extends Origin {
  /**
   * - `train`: gradients follow, and projections are a stage of their own.
   * - `evaluate`: a forward pass, on projected copies of what projections change.
   * - `predict`: the same with weights that are drawn from a posterior.
   * - `merge`: the same without knowing of a batch: one W' for all of its samples.
   */
  readonly purpose: "train" | "evaluate" | "predict" | "merge";
  /** Dropout and relaxed gates are drawn. */
  readonly sampling: boolean;
  /**
   * Least extent of padded fields in the program's ports; without, a program is made for the sizes of one adapter. Numbers that
   * `per_adapter` marks are inputs of a padded program.
   */
  readonly padding?: number | undefined;
}

/** Graphs for an adapter as its file has it. */
export const evaluation: Situation = { purpose: "evaluate", sampling: false };
