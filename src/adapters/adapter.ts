/** What is attached to a base model: one adapter, several in use together, all of its weights, or nothing. */
import type { Graph } from "../ir/graph.ts";
import type { BaseOf, Situation } from "../methods/index.ts";
import { noVirtualTokens, type VirtualTokens } from "../models/model.ts";
import type { Attachment } from "../passes/attach.ts";
import type { AdapterPlan } from "../program/index.ts";

export interface Adapter {
  readonly name: string;
  /** What it puts in front of the text. */
  readonly virtual: VirtualTokens;
  /** Keys of tensors of the base whose place tensors of its file take. */
  readonly replaced: readonly string[];
  /** Whether something of it trains. */
  readonly trains: boolean;
  /** Whether weights are drawn for predictions. */
  readonly predicts: boolean;
  /** Whether it is anything that could be merged into the base. */
  readonly merges: boolean;
  /** What stands at the places of the model. */
  attach(situation: Situation): Attachment;
  /** How it begins: values of its tensors by key. Undefined where it does not begin by itself. */
  initial(baseOf: BaseOf): Graph | undefined;
  /** Parameters to projected parameters, for the start of a training step; undefined when nothing is projected. */
  projection(situation: Situation): Graph | undefined;
  /** Of parameters, what its file holds for those who cannot compute it. */
  computed(): Graph | undefined;
  /** What else a program of these situations says of it; undefined for the base model alone. */
  plan(situations: readonly Situation[]): AdapterPlan | undefined;
}

/** The base model alone. */
export const noAdapter: Adapter = {
  name: "base model",
  virtual: noVirtualTokens,
  replaced: [],
  trains: false,
  predicts: false,
  merges: false,
  attach: () => ({ sites: new Map(), trained: new Map() }),
  initial: () => undefined,
  projection: () => undefined,
  computed: () => undefined,
  plan: () => undefined,
};
