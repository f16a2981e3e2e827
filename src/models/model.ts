/** What a base model tells about itself: its modules, in the order and with the names that transformers 5 has in memory. */

export type ModuleKind = "linear" | "embedding" | "norm" | "attention" | "container";

/** One module of the base model, as `named_modules()` lists it. */
export interface ModuleInfo {
  /** Path in memory, e.g. `model.layers.0.self_attn.q_proj`. */
  readonly path: string;
  readonly kind: ModuleKind;
  /** Key of the weight in the base model's file. */
  readonly weight?: string;
  /** Key of the bias in the base model's file. */
  readonly bias?: string;
  /** Width of the input (an embedding: its vocabulary). */
  readonly in?: number;
  /** Width of the output. */
  readonly out?: number;
  /** How the file stores the weight: `linear` is [out, in], `conv1d` (GPT-2) is [in, out]. */
  readonly layout: "linear" | "conv1d";
}
