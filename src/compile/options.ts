/** What callers of `compile` may choose. */
import { defaultTarget, type Target } from "../codegen/index.ts";
import { WebpeftError } from "../ir/diagnostics.ts";
import { Methods } from "../methods/registry.ts";
import type { HeadOptions } from "../models/choose-head.ts";
import type { Pooling } from "../models/model.ts";
import type { PassListener } from "../passes/manager.ts";
import type { CompiledProgram, ExpertConfigs, ProgramMode } from "../program/index.ts";
import {
  anything,
  type Check,
  type Checks,
  callable,
  checkOptions,
  count,
  flag,
  list,
  oneOf,
  record,
  signal,
  text,
} from "../runtime/options.ts";
import type { MemoryForecast } from "../runtime/session/memory.ts";

export interface CompileOptions {
  /** `train` (the default) also evaluates and merges; `infer` has no gradients; `merge` only merges. */
  readonly mode?: ProgramMode;
  /** Rows and tokens per row; 8 and 128 (or the model's length) unless given. */
  readonly batch?: number;
  readonly length?: number;
  /** Labels of a row, of models whose decoder reads them (T5); as many as tokens unless given. */
  readonly labelLength?: number;
  /** The device that kernels are made for; WebGPU's default limits unless given. */
  readonly target?: Target;
  /** Configs of the adapters that the config names, by name: X-LoRA's experts. */
  readonly experts?: ExpertConfigs;
  /** Warnings are errors. */
  readonly strict?: boolean;
  /** Fragment text of the method that the config is for, when it is one's own, and what its error messages call it. */
  readonly method?: string;
  readonly methodFile?: string;
  /** Methods of one's own beside the built-in ones: `registry(text, ...)`. A config is for the one that its `peft_type` names. */
  readonly methods?: Methods;
  /** Draw dropout and relaxed gates in training; true unless given. */
  readonly sampling?: boolean;
  /** Gradients of several micro-batches are added before an update. */
  readonly accumulate?: boolean;
  /** Read `attention_mask`. */
  readonly mask?: boolean;
  /** The adapter's tensors come from a file. */
  readonly loaded?: boolean;
  /** Token ids of the text that a fresh prompt begins as (`prompt_tuning_init: "TEXT"`); repeated or cut to its length. */
  readonly initialTokens?: readonly number[];
  /** The adapter's folder has `encoder.safetensors`; true unless given. Prompts without their encoder can be used, not trained. */
  readonly encoder?: boolean;
  /** Fold the adapter into weights where that costs less; true unless given. False is for comparing with merged weights. */
  readonly fold?: boolean;
  /**
   * Compute what merging would: an adapter whose weights vary with the batch (Poly, X-LoRA) uses the numbers of `start`'s option `fixed`
   * instead. Inference only.
   */
  readonly asMerged?: boolean;
  /** Told of every pass when it has run: what is made before a compilation fails. */
  readonly onPass?: PassListener;
  /** Stops compiling between two stages. */
  readonly signal?: AbortSignal;
  /**
   * Adapters of smaller ranks share the program of this one: tensors are padded with zeros, and scales are inputs. For methods whose fragment
   * marks a field as `padded` (LoRA's r); a larger rank has a program of its own.
   */
  readonly maximumRank?: number;
  /** Train every tensor of the base model; the config must be null. */
  readonly full?: boolean;
  /** A head that the base model does not have; drawn, and trained as one of `modules_to_save`. */
  readonly head?: HeadOptions;
  /** Of a base model without a head: `forward` also gives one vector of each row, the mean of its tokens or the first one. */
  readonly pooling?: Pooling;
  /**
   * Bytes that the program may take, as `forecast` tells them: where it would take more, large values are made in chunks and parts of the
   * forward pass are made again for the backward pass, at the cost of time. Throws `COMPILE-MEMORY` with what would fit.
   */
  readonly memory?: number;
  /** What a program takes where it will run (`forecastSession`); by its plan for the target unless given. */
  readonly forecast?: (program: CompiledProgram) => Promise<MemoryForecast | undefined>;
}

/** A whole number above 0; throws COMPILE-OPTION for anything else. */
function positive(name: string, value: number): number {
  if (Number.isInteger(value) && value > 0) return value;
  throw new WebpeftError("COMPILE-OPTION", {
    message: `${name} must be a positive whole number`,
    where: name,
    got: String(value),
  });
}

/** Codegen reads all of it, so all of it must be there. */
const wholeTarget: Check = (value) => {
  const { limits, ...fields } = (value ?? {}) as Partial<Target>;
  const names = Object.keys(defaultTarget).filter((name) => name !== "limits");
  const isWhole = names.every((name) => name in fields);
  const numbers = Object.keys(defaultTarget.limits).map((name) => limits?.[name as keyof Target["limits"]]);
  const areCounts = numbers.every((n) => count(n) === undefined);
  return isWhole && areCounts ? undefined : `a target with limits, ${names.join(", ")}, such as a preset with changes`;
};

const checks: Checks<CompileOptions> = {
  mode: oneOf(["train", "infer", "merge"]),
  batch: anything,
  length: anything,
  labelLength: anything,
  target: wholeTarget,
  experts: record,
  strict: flag,
  method: text,
  methodFile: text,
  methods: (value) => (value instanceof Methods ? undefined : "what registry(...) gives"),
  sampling: flag,
  accumulate: flag,
  mask: flag,
  loaded: flag,
  initialTokens: list,
  encoder: flag,
  fold: flag,
  asMerged: flag,
  onPass: callable,
  signal,
  maximumRank: anything,
  full: flag,
  head: record,
  pooling: oneOf(["mean", "cls"]),
  memory: count,
  forecast: callable,
};

/** Throws COMPILE-OPTION for names that do not exist and values of another kind. */
export function checkCompile(options: CompileOptions): void {
  checkOptions(options, checks, "COMPILE-OPTION");
  for (const name of ["batch", "length", "labelLength", "maximumRank"] as const)
    if (options[name] !== undefined) positive(name, options[name]);
}
