/**
 * What `compile` makes and executors run. Plain data: no device, no tensors.
 *
 * A program is a set of *stages*, each a tensor-level graph. Stages meet in named *storage*: flat f32 buffers that outlive a run.
 * A port or an output of a stage is bound by its name to a slice of storage (`bindings`); a port without a binding is fed at every run
 * (role `input`), or is a weight or buffer that is uploaded once.
 *
 * Stages of a training program, run in this order in one submit: `prepare` (once at start: what depends on frozen weights only),
 * `project` (projections of parameters, in place), `micro_parameters` (values of parameters alone), `micro` (forward, backward: outputs
 * `loss`, `logits` if asked, and gradients `grad.<param>`), `parameters_backward` (gradients of those values to gradients of parameters),
 * `update` (clipping, AdamW on the flat buffers, in place). With accumulation `micro` runs several times and `accumulate` adds gradients.
 * Evaluation: `forward`, and `predict` with weights drawn from a posterior, each behind its stage of values of parameters. Merging and fresh
 * adapters are graphs beside the stages: `merge` has one output per changed base tensor, named by its file key, `init` one per trained tensor.
 */
import type { Diagnostic } from "../ir/diagnostics.ts";
import type { Graph } from "../ir/graph.ts";
import type { HeadLabels } from "../models/choose-head.ts";
import type { ModelDescription, VirtualTokens } from "../models/model.ts";
import type { AdapterPlan } from "./adapter.ts";
import type { ExecutableProgram } from "./stages.ts";

export {
  type AdapterConfigs,
  type AdapterInput,
  type AdapterPlan,
  type ExpertConfigs,
  type ExpertPlan,
  type FileRules,
  placePrefix,
} from "./adapter.ts";
export {
  type ExecutableProgram,
  isMainStage,
  type MainStage,
  type ProgramStorage,
  parameterStages,
  type Stage,
  type StageName,
  type StorageBuffer,
  type StorageSlice,
  sliceOf,
} from "./stages.ts";
export { type AdapterTensor, type CodingName, codings, type PatchForm, type TensorCoding } from "./tensors.ts";

export type ProgramMode = "train" | "infer" | "merge";

/** A program as executors, sessions and the inspector take it. */
export interface CompiledProgram extends ExecutableProgram {
  readonly mode: ProgramMode;
  readonly batch: number;
  readonly length: number;
  /** What the adapter puts in front of the text; the logits cover `virtual.tokens`. */
  readonly virtual: VirtualTokens;
  /** Whether the graphs read `attention_mask`. */
  readonly mask: boolean;
  readonly model: ModelDescription;
  readonly modelConfig: Readonly<Record<string, unknown>>;
  /** What an adapter's folder tells of a head that the base model's files do not have. */
  readonly head?: HeadLabels | undefined;
  /** Absent when the base model runs alone. */
  readonly adapter?: AdapterPlan;
  /** Initial values of the trained tensors by key; evaluated on the host. Lowered when first asked for. */
  readonly init?: () => Graph;
  /** What the adapter's file holds of its computed tensors, from parameters, by key: outputs of `forward_parameters` too. */
  readonly computed?: Graph;
  /** Merged base tensors by file key; run tensor by tensor, so it is not among the stages. Lowered when first asked for. */
  readonly merge?: () => Graph;
  readonly diagnostics: readonly Diagnostic[];
}
