/**
 * `compile`: a model and an adapter config in, a program out. A pure function of the model's config and tensor headers, the adapter config,
 * the options and the target; it needs no device and reads no weights.
 */

import { fullPlan } from "../adapters/all-weights.ts";
import { PlannedAdapter } from "../adapters/one.ts";
import { activeAttachment, activePlan } from "../adapters/together.ts";
import { defaultTarget } from "../codegen/index.ts";
import { DiagnosticSink } from "../ir/diagnostics.ts";
import { type Graph, ports } from "../ir/graph.ts";
import { once } from "../ir/remember.ts";
import { sizeOf, type TensorType } from "../ir/types.ts";
import { verify } from "../ir/verify.ts";
import { evaluation, type Situation } from "../methods/index.ts";
import { ownMethods } from "../methods/registry.ts";
import { buildModel } from "../models/index.ts";
import { type BuiltModel, type ModuleInfo, noVirtualTokens, type VirtualTokens } from "../models/model.ts";
import { type Attachment, attachAlike } from "../passes/attach.ts";
import { PassManager } from "../passes/manager.ts";
import { mergeGraph, storedTensors } from "../passes/merge.ts";
import { lowerModelStage, lowerOperatorStage, partitionStage } from "../passes/pipeline.ts";
import { joinPrepared } from "../passes/prepare.ts";
import { type SiteKind, siteWeight } from "../passes/site-operands.ts";
import type { AdapterConfigs, AdapterPlan, ProgramMode, StageName } from "../program/index.ts";
import { configsOf, isRead } from "../runtime/files/adapter.ts";
import type { Model } from "../runtime/files/model.ts";
import { BaseWeights } from "./base-weights.ts";
import { type CompileOptions, checkCompile } from "./options.ts";
import { createProgram, type Program } from "./program.ts";
import { programStages, programStorage } from "./stages.ts";

export type { CompileOptions } from "./options.ts";

/** Elements of a graph's weights. */
const elementsOf = (graph: Graph): number =>
  ports(graph, "weight").reduce((sum, { node }) => sum + sizeOf((node.type as TensorType).shape), 0);

const operatorPasses = new Set(["build", "attach", "project", "algebra"]);

/**
 * Compiles a program. `config` is PEFT's `adapter_config.json` as an object, an adapter that `readAdapter` read, or null for the base model
 * alone. Throws `WebpeftError`.
 */
export async function compile(model: Model, config: unknown, options: CompileOptions = {}): Promise<Program> {
  checkCompile(options);
  if (config === null || config === undefined) return new Compilation(model, [], options).run();
  if (!isRead(config)) return new Compilation(model, [{ config, experts: options.experts }], options).run();
  return new Compilation(model, [configsOf(config)], { loaded: true, ...options }).run();
}

/** Compiles several adapters that are in use together, for inference or merging; see `adapters/together.ts`. */
async function compileActive(
  model: Model,
  adapters: readonly AdapterConfigs[],
  options: CompileOptions,
): Promise<Program> {
  return new Compilation(model, adapters, { ...options, mode: options.mode === "merge" ? "merge" : "infer" }).run();
}

class Compilation {
  private readonly sink: DiagnosticSink;
  private readonly manager: PassManager;
  private readonly mode: ProgramMode;
  private built: BuiltModel;
  private readonly batch: number;
  private readonly length: number;
  private weights: BaseWeights;
  private readonly own: ReturnType<typeof ownMethods>;

  constructor(
    private readonly source: Model,
    private readonly adapters: readonly AdapterConfigs[],
    private readonly options: CompileOptions,
  ) {
    this.mode = options.mode ?? "train";
    this.weights = new BaseWeights(source);
    this.own = ownMethods(options);
    this.sink = new DiagnosticSink(options.strict ?? false);
    for (const { code, ...fields } of source.diagnostics ?? []) this.sink.warn(code, fields);
    this.batch = options.batch ?? 8;
    this.length = options.length ?? 128;
    this.manager = new PassManager({
      verify: (graph, pass) => verify(graph, operatorPasses.has(pass) ? "operator" : "tensor"),
      now: () => performance.now(),
      timeline: true,
      onPass: options.onPass,
    });
    this.built = this.build(noVirtualTokens, this.sink);
    this.weights.check(this.built.graph);
  }

  private build(virtual: VirtualTokens, sink: DiagnosticSink): BuiltModel {
    return buildModel(this.source.config, {
      batch: this.batch,
      length: this.length,
      labels: true,
      mask: this.options.mask ?? false,
      virtual,
      weightTypes: (key) => this.weights.type(key),
      stored: (key) => this.source.weights.info(key) !== undefined,
      keys: this.source.weights.keys(),
      sink,
    });
  }

  async run(): Promise<Program> {
    await this.pause();
    const { loaded = false, encoder, initialTokens } = this.options;
    const { weights } = this;
    const request = {
      modules: this.built.modules,
      modelConfig: { ...this.source.config, _name_or_path: this.source.name === "memory" ? "" : this.source.name },
      ...this.own,
      base: {
        modelType: String(this.source.config.model_type ?? ""),
        hiddenWidth: this.built.defaults.hidden,
        elements: elementsOf(this.built.graph),
        samples: this.batch,
        length: this.length,
      },
      origin: { loaded, encoder: encoder ?? true, initialTokens },
      weightType: (key: string) => weights.type(key),
      weightShape: (key: string) => weights.info(key).shape,
      sink: this.sink,
    };
    const planned = this.adapters.map(
      ({ encoder: own = request.origin.encoder, ...adapter }) =>
        new PlannedAdapter({ ...request, ...adapter, origin: { ...request.origin, encoder: own } }),
    );
    this.replace(planned.flatMap(({ replaced }) => replaced));
    if (planned.length > 1) return this.active(planned);
    if (planned.length === 1) return this.adapted(planned[0]!);
    if (this.options.full !== true) return this.program({ forward: { sites: new Map(), trained: new Map() } });
    const { plan, attachment } = fullPlan(this.built.modules, request.weightShape);
    return this.program({ micro: attachment, forward: attachment, plan });
  }

  /** Makes room for tensors of adapters' files that take the place of the base's. What there is to warn of has been said. */
  private replace(keys: readonly string[]): void {
    if (keys.length === 0) return;
    this.weights = new BaseWeights(this.source, new Set(keys));
    this.built = this.build(noVirtualTokens, new DiagnosticSink());
  }

  private adapted(planned: PlannedAdapter): Promise<Program> {
    const padding = this.options.maximumRank;
    const situation: Situation = { ...evaluation, fixed: this.mode !== "train" };
    const own = planned.elaborate(situation);
    const running = padding === undefined ? own : planned.elaborate({ ...situation, padding });
    const virtual = planned.virtual(own);
    // Built again with room for what the adapter puts in front; what there is to warn of has been said.
    if (virtual !== noVirtualTokens) this.built = this.build(virtual, new DiagnosticSink());
    const trains = this.mode === "train" && own.trains(planned.resolved.trainedBase.length);
    const training = trains
      ? planned.elaborate({ purpose: "train", sampling: this.options.sampling ?? true, padding })
      : undefined;
    const projection = training?.projectionGraph();
    const labels = own.labelsGraph({ samples: this.batch, length: this.length });
    const computed = own.computedGraph();
    const init = this.initial(planned, own.initialGraph.bind(own));
    const merge = once(() => this.lowerMerge(planned.attachment(own)));
    // Tables are complete once the sites are built; without a forward stage the merge stage is what builds them.
    if (this.mode === "merge") merge();
    return this.program({
      virtual,
      ...(training === undefined ? {} : { micro: planned.attachment(training) }),
      predict: this.mode === "merge" ? undefined : planned.predictive(padding),
      forward: { ...planned.attachment(running), asMerged: this.options.asMerged ?? false },
      projection,
      computed,
      init,
      merge,
      // read last: an elaboration's tables are complete once its sites are built
      planOf: () => {
        const used = training === undefined ? [running] : [running, training];
        const plan = planned.plan(own, used, projection !== undefined);
        return labels === undefined ? plan : { ...plan, labels };
      },
    });
  }

  private active(planned: readonly PlannedAdapter[]): Promise<Program> {
    const elaborations = planned.map((adapter) => adapter.elaborate(evaluation));
    const forward = activeAttachment(planned, elaborations, this.built.modules);
    const merge = once(() => this.lowerMerge(forward));
    if (this.mode === "merge") merge();
    const planOf = () => activePlan(planned.map((adapter, place) => adapter.plan(elaborations[place]!, [], false)));
    return this.program({ forward, merge, planOf });
  }

  /** Built at once, because that completes the elaboration's tables; lowered when it is asked for. */
  private initial(planned: PlannedAdapter, make: ReturnType<PlannedAdapter["elaborate"]>["initialGraph"]): () => Graph {
    const modules = new Map(planned.resolved.sites.map((site) => [site.path, site]));
    const graph = make((builder, site) => {
      const module = modules.get(site.path) as ModuleInfo;
      const { weight, bias } = storedTensors(builder, module, (key) => this.weights.type(key));
      return {
        weight: siteWeight(builder, module.kind as SiteKind, weight),
        ...(bias === undefined ? {} : { bias }),
      };
    });
    return once(() => this.lowered("init", graph));
  }

  /** A graph beside the stages. */
  private lowered(name: string, graph: Graph): Graph {
    this.manager.run("build", name, () => ({ graph }));
    return lowerOperatorStage(this.manager, name, { gradients: false });
  }

  private lowerMerge(attachment: Attachment): Graph {
    const graph = mergeGraph(this.built.modules, attachment, (key) => this.weights.type(key));
    return this.lowered("merge", graph);
  }

  /** Lets the event loop turn where somebody may want to stop, so that the signal can be heard. */
  private async pause(): Promise<void> {
    const { signal } = this.options;
    if (signal === undefined) return;
    await new Promise((done) => setTimeout(done));
    signal.throwIfAborted();
  }

  private async program(parts: {
    readonly micro?: Attachment;
    readonly predict?: Attachment | undefined;
    readonly forward: Attachment;
    readonly projection?: Graph | undefined;
    readonly computed?: Graph | undefined;
    readonly init?: () => Graph;
    readonly merge?: () => Graph;
    readonly virtual?: VirtualTokens;
    readonly plan?: AdapterPlan;
    readonly planOf?: () => AdapterPlan;
  }): Promise<Program> {
    const { target = defaultTarget } = this.options;
    const names: StageName[] = [];
    const graphs: Graph[] = [];
    const lower = async (name: StageName, attachment: Attachment, gradients: boolean): Promise<void> => {
      await this.pause();
      names.push(name);
      const options = { gradients, fold: this.options.fold };
      graphs.push(lowerModelStage(this.manager, name, this.built.graph, attachment, options));
    };
    if (this.mode === "train" && parts.micro !== undefined) await lower("micro", parts.micro, true);
    if (this.mode !== "merge") await lower("forward", parts.forward, false);
    const { forward, predict = forward } = parts;
    if (!attachAlike(this.built.graph, forward, predict)) await lower("predict", predict, false);
    const prepared = joinPrepared(graphs);
    const mains = prepared.mains.map((graph, i) => partitionStage(this.manager, names[i]!, graph, target.limits));
    const joined = { ...prepared, mains };
    const adapter = parts.planOf?.() ?? parts.plan;
    const { accumulate = false } = this.options;
    const storage = programStorage(adapter, joined, { train: names.includes("micro"), accumulate });
    const stages = programStages(joined, names, { projection: parts.projection, accumulate }, storage);
    return createProgram({
      mode: this.mode,
      batch: this.batch,
      length: this.length,
      virtual: parts.virtual ?? noVirtualTokens,
      mask: ports(this.built.graph, "input").some(({ name }) => name === "attention_mask"),
      model: {
        modules: this.built.modules,
        inputs: [...this.built.inputs, ...(adapter?.inputs ?? [])],
        defaults: this.built.defaults,
      },
      modelConfig: this.source.config,
      ...(adapter === undefined ? {} : { adapter }),
      ...(parts.computed === undefined ? {} : { computed: this.lowered("computed", parts.computed) }),
      ...(parts.init === undefined ? {} : { init: parts.init }),
      ...(parts.merge === undefined ? {} : { merge: parts.merge }),
      diagnostics: this.sink.diagnostics,
      stages,
      storage,
      source: this.source,
      recompile: (adapters) => this.recompile(adapters),
      target,
      timeline: this.manager.timeline,
      operatorGraph: this.manager.after("algebra", names[0] ?? "merge")!,
    });
  }

  /** Another adapter, several or none, on the same model with the same options; stopping this compilation does not stop that one. */
  private recompile(adapters: readonly AdapterConfigs[]): Promise<Program> {
    const { signal: _signal, experts: _experts, method: _method, ...given } = this.options;
    const options = { ...given, methods: this.own.methods, loaded: true, encoder: true, full: false };
    if (adapters.length > 1) return compileActive(this.source, adapters, options);
    return new Compilation(this.source, adapters, options).run();
  }
}
