/**
 * `compile`: a model and an adapter config in, a program out. A pure function of the model's config and tensor headers, the adapter config,
 * the options and the target; it needs no device and reads no weights.
 */

import { type Adapter, noAdapter } from "../adapters/adapter.ts";
import { allWeights } from "../adapters/all-weights.ts";
import { oneAdapter } from "../adapters/one.ts";
import { together } from "../adapters/together.ts";
import { defaultTarget } from "../codegen/index.ts";
import { compiledBefore } from "../inspect/index.ts";
import { DiagnosticSink, WebpeftError } from "../ir/diagnostics.ts";
import { type Graph, ports } from "../ir/graph.ts";
import { once } from "../ir/remember.ts";
import { verify } from "../ir/verify.ts";
import { evaluation, type Situation } from "../methods/index.ts";
import { ownMethods } from "../methods/registry.ts";
import { buildModel } from "../models/index.ts";
import { type BuiltModel, noVirtualTokens, type VirtualTokens } from "../models/model.ts";
import { attachAlike } from "../passes/attach.ts";
import { PassManager } from "../passes/manager.ts";
import { mergeGraph, storedOperands } from "../passes/merge.ts";
import { lowerHoistedStage, lowerOperatorStage, partitionStage } from "../passes/pipeline.ts";
import { joinPrepared } from "../passes/prepare.ts";
import type { AdapterConfigs, MainStage, ProgramMode, Stage } from "../program/index.ts";
import { unlessStopped } from "../runtime/executors/event-loop.ts";
import { configsOf, isRead } from "../runtime/files/adapter.ts";
import { withHead } from "../runtime/files/fresh-head.ts";
import type { Model } from "../runtime/files/model.ts";
import { forecastTarget } from "../runtime/session/memory.ts";
import { BaseWeights, elementsOf } from "./base-weights.ts";
import { orOwnFault, withDrawn } from "./head.ts";
import { type CompileOptions, checkCompile } from "./options.ts";
import { createProgram, type Program } from "./program.ts";
import { givenAgain, type Reproduction } from "./reproduction.ts";
import { type ModelStages, programStages, programStorage, type StageFacts, stagesOf } from "./stages.ts";
import { type Fitted, fitted, inHalves, mostThrift, type Thrift, type Thrifts, thriftsOf, tooLarge } from "./thrift.ts";

export type { CompileOptions } from "./options.ts";

type Situations = ReadonlyMap<MainStage, Situation>;

const operatorPasses = new Set(["build", "attach", "algebra"]);

/**
 * Compiles a program. `config` is PEFT's `adapter_config.json` as an object, an adapter that `readAdapter` read, or null for the base model
 * alone. Throws `WebpeftError`.
 */
export async function compile(model: Model, config: unknown, options: CompileOptions = {}): Promise<Program> {
  checkCompile(options);
  return isRead(config) ? compileRead(model, configsOf(config), options) : compileConfig(model, config, options);
}

/** Compiles what a reproduction of an error has. Throws that error, where it was one of compiling and is still there. */
export function compileAgain(given: Reproduction, more: Pick<CompileOptions, "onPass"> = {}): Promise<Program> {
  const { model, configs, config, options: plain } = givenAgain(given);
  const options = { ...plain, ...more };
  return configs === undefined ? compile(model, config, options) : compileRead(model, configs, options);
}

function compileRead(model: Model, read: AdapterConfigs, options: CompileOptions): Promise<Program> {
  return new Compilation(withHead(model, options.head ?? {}, read), [read], { loaded: true, ...options }).program();
}

async function compileConfig(model: Model, config: unknown, options: CompileOptions): Promise<Program> {
  const { head = {} } = options;
  if (config === null || config === undefined) return new Compilation(withHead(model, head, {}), [], options).program();
  const adapter = (given: unknown): AdapterConfigs[] => [{ config: given, experts: options.experts }];
  const headed = await orOwnFault(
    () => withHead(model, head, { config }),
    () => new Compilation(model, adapter(config), options).program(),
  );
  return new Compilation(headed, adapter(withDrawn(config, headed)), options).program();
}

class Compilation {
  private readonly mode: ProgramMode;
  private readonly batch: number;
  private readonly length: number;
  private readonly own: ReturnType<typeof ownMethods>;
  private readonly sink: DiagnosticSink;
  private readonly manager: PassManager;
  private weights: BaseWeights;
  private built: BuiltModel;

  /** `configs`: of one adapter, of several that are in use together, for inference or merging, or of none. */
  constructor(
    private readonly source: Model,
    private readonly configs: readonly AdapterConfigs[],
    private readonly options: CompileOptions,
  ) {
    const { mode = "train", batch = 8, length = 128, strict = false, onPass } = options;
    this.mode = configs.length > 1 && mode === "train" ? "infer" : mode;
    this.batch = batch;
    this.length = length;
    this.own = ownMethods(options);
    this.sink = new DiagnosticSink(strict);
    for (const { code, ...fields } of source.diagnostics ?? []) this.sink.warn(code, fields);
    this.manager = new PassManager({
      verify: (graph, pass) => verify(graph, operatorPasses.has(pass) ? "operator" : "tensor"),
      now: () => performance.now(),
      onPass,
    });
    this.weights = new BaseWeights(source);
    this.built = this.build(noVirtualTokens, this.sink);
    this.weights.check(this.built.graph);
  }

  async program(): Promise<Program> {
    try {
      return await this.fittedProgram();
    } catch (error) {
      const { mode, batch, length, manager, sink, source, graphAfter } = this;
      const facts = { mode, batch, length, modelConfig: source.config, target: this.options.target ?? defaultTarget };
      throw compiledBefore(error, { ...facts, diagnostics: sink.diagnostics, ...manager.soFar, graphAfter });
    }
  }

  private readonly graphAfter = (pass: string, stage: string) => this.manager.after(pass, stage);

  private async fittedProgram(): Promise<Program> {
    const { mode, batch, length } = this;
    const { memory } = this.options;
    const { thrifts, make } = await this.plans();
    if (memory === undefined) return make(thrifts.chunked[0]!);
    const made = await fitted(thrifts, memory, (thrift) => this.forecast(make(thrift)));
    if (made.bytes <= memory) return made.program;
    throw await tooLarge({ memory, mode, batch, length }, made.forecast, this.least);
  }

  /** Everything of a program but its stages, and what makes it with more or less thrift; what was made before is forgotten. */
  private async plans(): Promise<{ readonly thrifts: Thrifts; make(thrift: Thrift): Program }> {
    await this.pause();
    const adapter = this.adapter();
    this.makeRoom(adapter);
    const { source, mode, batch, length, sink, manager, built } = this;
    const { target = defaultTarget, accumulate = false } = this.options;
    const situations = this.situations(adapter);
    const training = situations.get("micro");
    const projection = training === undefined ? undefined : adapter.projection(training);
    const graph = adapter.computed();
    const initial = adapter.initial(storedOperands(this.weightType));
    const merge = adapter.merges ? once(() => this.merge(adapter)) : undefined;
    // A program that does nothing else fails here where it cannot be merged.
    if (mode === "merge") merge?.();
    const facts = { accumulate, computed: graph && this.lowered("computed", graph) };
    const lowered = await this.modelStages(adapter, situations, facts);
    const plan = adapter.plan([...situations.values()]);
    const tables = target.limits.maxStorageBufferBindingSize;
    const forget = manager.mark();
    const make = ({ limit: values, recomputed }: Thrift): Program => {
      forget();
      const stages = lowered.stages.map(({ name, graph: whole }) => {
        const sizes = { values, tables, recomputed: name === "micro" ? recomputed : 0 };
        return { name, graph: partitionStage(manager, name, whole, sizes) };
      });
      const main = { ...lowered, stages };
      const storage = programStorage(plan, main, facts);
      return createProgram({
        ...{ mode, batch, length, source, target, storage, merge },
        virtual: adapter.virtual,
        mask: ports(built.graph, "input").some(({ name }) => name === "attention_mask"),
        model: {
          modules: built.modules,
          inputs: [...built.inputs, ...(plan?.inputs ?? [])],
          defaults: built.defaults,
        },
        modelConfig: source.config,
        head: source.head,
        adapter: plan,
        stages: programStages(main, { projection, accumulate }, storage),
        computed: facts.computed,
        init: initial && once(() => this.lowered("init", initial)),
        diagnostics: sink.diagnostics,
        timeline: manager.timeline,
        operatorGraph: manager.after("algebra", mode === "merge" ? mode : [...situations.keys()][0]!)!,
        graphAfter: this.graphAfter,
        methods: this.own.methods,
        recompile: (configs) => this.recompile(configs),
      });
    };
    return { thrifts: thriftsOf(lowered.stages, tables), make };
  }

  /** A program with what it takes. */
  private async forecast(program: Program): Promise<Fitted<Program>> {
    await this.pause();
    const forecast = (await this.options.forecast?.(program)) ?? forecastTarget(program, this.source);
    return { program, forecast, bytes: forecast.bytes };
  }

  /** What a program with other options takes at most thrift. */
  private readonly least = async (change: CompileOptions, halves = false): Promise<number> => {
    const source = halves ? inHalves(this.source) : this.source;
    const other = new Compilation(source, this.configs, { ...this.options, ...change });
    const { thrifts, make } = await other.plans();
    return (await other.forecast(make(mostThrift(thrifts)))).bytes;
  };

  private readonly weightType = (key: string) => this.weights.type(key);

  private build(virtual: VirtualTokens, sink: DiagnosticSink): BuiltModel {
    const { mask = false, pooling, labelLength } = this.options;
    const built = buildModel(this.source.config, {
      ...{ batch: this.batch, length: this.length, labelLength, virtual, sink, mask, pooling },
      labels: true,
      weightTypes: this.weightType,
      stored: (key) => this.source.weights.info(key) !== undefined,
      keys: this.source.weights.keys(),
    });
    const { kind } = built.defaults.head;
    if (pooling === undefined || kind === "none") return built;
    throw new WebpeftError("COMPILE-OPTION", {
      message: "what is pooled are the hidden states of a model without a head",
      where: "pooling",
      got: `a model whose head is of the kind ${kind}`,
    });
  }

  /** What is attached to the model. */
  private adapter(): Adapter {
    const { source, weights, options, configs, built, sink } = this;
    const { loaded, encoder = true, initialTokens, mode = "train" } = options;
    const weightShape = (key: string) => weights.info(key).shape;
    if (configs.length === 0) return options.full === true ? allWeights(built.modules, weightShape) : noAdapter;
    const adapters = configs.map((one) =>
      oneAdapter({
        ...{ ...this.own, ...one, modules: built.modules, weightShape, sink },
        weightType: (key) => weights.type(key),
        modelConfig: { ...source.config, _name_or_path: source.name === "memory" ? "" : source.name },
        origin: { loaded, encoder: one.encoder ?? encoder, initialTokens, fixed: mode !== "train" },
        base: {
          modelType: String(source.config.model_type ?? ""),
          ...{ hiddenWidth: built.defaults.hidden, encoderDecoder: built.defaults.head.kind === "decoder" },
          elements: elementsOf(built.graph),
          ...{ samples: this.batch, length: this.length },
        },
      }),
    );
    return adapters.length === 1 ? adapters[0]! : together(adapters);
  }

  /** Room for tensors that take the place of the base's, and for what is put in front. What there is to warn of has been said. */
  private makeRoom({ replaced, virtual }: Adapter): void {
    if (replaced.length > 0) this.weights = new BaseWeights(this.source, new Set(replaced));
    if (replaced.length > 0 || virtual !== noVirtualTokens) this.built = this.build(virtual, new DiagnosticSink());
  }

  /** What the adapter's graphs are for, by the stages that hold the model. */
  private situations({ trains, predicts }: Adapter): Situations {
    const { sampling = true, asMerged = false, maximumRank: padding } = this.options;
    const situations = new Map<MainStage, Situation>();
    const learns = this.built.defaults.head.kind !== "none";
    if (this.mode === "train" && trains && learns) situations.set("micro", { purpose: "train", sampling, padding });
    situations.set("forward", { purpose: asMerged ? "merge" : "evaluate", sampling: false, padding });
    if (this.mode !== "merge" && predicts) situations.set("predict", { purpose: "predict", sampling: false, padding });
    return situations;
  }

  /** The stages that hold the model, lowered, with those of parameters alone; none where a program only merges. */
  private async modelStages(adapter: Adapter, situations: Situations, facts: StageFacts): Promise<ModelStages> {
    const { manager, built } = this;
    const { fold } = this.options;
    const attached = [...situations].map(([name, situation]) => [name, adapter.attach(situation)] as const);
    const forward = new Map(attached).get("forward")!;
    const stages: Stage[] = [];
    for (const [name, attachment] of this.mode === "merge" ? [] : attached) {
      if (name === "predict" && attachAlike(built.graph, forward, attachment)) continue;
      await this.pause();
      const made = lowerHoistedStage(manager, name, built.graph, attachment, { gradients: name === "micro", fold });
      stages.push(...stagesOf(name, made, facts));
    }
    const { mains, ...prepared } = joinPrepared(stages.map(({ graph }) => graph));
    return { ...prepared, stages: mains.map((graph, i) => ({ name: stages[i]!.name, graph })) };
  }

  private merge(adapter: Adapter): Graph {
    return this.lowered("merge", mergeGraph(this.built.modules, adapter.attach(evaluation), this.weightType));
  }

  /** A graph beside the stages. */
  private lowered(name: string, graph: Graph): Graph {
    this.manager.run("build", name, () => ({ graph }));
    return lowerOperatorStage(this.manager, name, { gradients: false });
  }

  /** A page stands still for a stage and not for a program, and the signal is heard. */
  private readonly pause = (): Promise<void> => unlessStopped(this.options.signal);

  /** Other adapters, or none, on the same model with the same options; stopping this compilation does not stop that one. */
  private recompile(configs: readonly AdapterConfigs[]): Promise<Program> {
    const { signal: _signal, experts: _experts, method: _method, ...given } = this.options;
    const options = { ...given, methods: this.own.methods, loaded: true, encoder: true, full: false };
    return new Compilation(this.source, configs, options).program();
  }
}
