/** One adapter: its config resolved on a model, its method elaborated for a situation, and the base's tensors that train beside it. */
import type { DiagnosticSink } from "../ir/diagnostics.ts";
import type { Graph } from "../ir/graph.ts";
import { remembered } from "../ir/remember.ts";
import type { DType } from "../ir/types.ts";
import { namedExperts, type ResolvedAdapter, resolveAdapter, withoutPrefix } from "../methods/config/index.ts";
import {
  type BaseFacts,
  type BaseOf,
  type Elaboration,
  elaborateModel,
  evaluation,
  type Method,
  type Origin,
  type Site,
  type Situation,
} from "../methods/index.ts";
import { type Methods, savedText, told, withoutText } from "../methods/registry.ts";
import { type ModelConfig, type ModuleInfo, noVirtualTokens, type VirtualTokens } from "../models/model.ts";
import type { Attachment, SiteAdapter } from "../passes/attach.ts";
import type { SiteAdditions } from "../passes/site-operands.ts";
import type { AdapterConfigs, AdapterPlan, AdapterTensor } from "../program/index.ts";
import { type MixedAdapter, Mixture } from "./mixing.ts";
import { joinedPorts } from "./plan.ts";
import { inTurn, transposed } from "./site-adapter.ts";
import { changedAlike, tiedSites } from "./ties.ts";
import type { Part } from "./together.ts";

export interface AdapterRequest extends AdapterConfigs {
  readonly modules: readonly ModuleInfo[];
  readonly modelConfig: ModelConfig;
  /** The method that the config is for; without, it is found among the methods by the config's type. */
  readonly method?: Method | undefined;
  readonly methods: Methods;
  readonly base: Omit<BaseFacts, "bfloat16">;
  readonly origin: Origin;
  /** Number of the first site's random streams. */
  readonly firstStream?: number;
  readonly weightType: (key: string) => DType;
  readonly weightShape: (key: string) => readonly number[];
  readonly sink: DiagnosticSink;
}

/** Random streams of one adapter's sites; those of the adapters that it mixes lie behind. */
const streamsOfAdapter = 0x100000;

/** Sites where something is put in front or added, and no weight replaced. */
const isAddition = ({ kind }: Site): boolean => kind === "prompt" || kind === "attention";

/** Throws `CONFIG-...` for a config that is not for the model, `METHOD-...` for what a method cannot do there. */
export const oneAdapter = (request: AdapterRequest): OneAdapter => new OneAdapter(request);

class OneAdapter implements MixedAdapter, Part {
  readonly resolved: ResolvedAdapter;
  private readonly method: Method;
  private readonly sites: readonly Site[];
  private readonly mixture: Mixture;
  private readonly elaborations = new Map<string, Elaboration>();

  constructor(private readonly request: AdapterRequest) {
    const { modules, modelConfig, methods, sink } = request;
    const { method: given, experts = {}, held, ...shared } = request;
    this.method = given === undefined ? methods.methodOf(request.config, sink) : told(given, request.config, sink);
    const config = withoutText(request.config);
    const from = this.method.expertsFrom;
    const named = from === undefined ? [] : namedExperts(config, from, experts);
    this.mixture = new Mixture(
      named.map(([name, own], place) => {
        const origin = { ...shared.origin, loaded: true };
        const firstStream = (place + 1) * streamsOfAdapter;
        return [name, oneAdapter({ ...shared, config: own, origin, firstStream })];
      }),
    );
    const ofExperts = from === undefined ? [] : this.mixture.modules(modules).map((module) => ({ module, from }));
    const more = { ofExperts, held: held?.keys() };
    this.resolved = resolveAdapter(config, this.method, modules, modelConfig, sink, more);
    this.sites = tiedSites(this.resolved, this.method, modules);
  }

  get name(): string {
    return this.method.name;
  }

  get replaced(): string[] {
    const held = [...(this.request.held?.keys() ?? [])];
    if (held.length === 0) return [];
    const names = new Map([...this.resolved.baseKeys].map(([key, weight]) => [withoutPrefix(key), weight]));
    return held.flatMap((key) => names.get(withoutPrefix(key)) ?? []);
  }

  get virtual(): VirtualTokens {
    const [tokens, keys] = [this.own.rows("prompt", "rows"), this.own.rows("attention", "keys")];
    return tokens + keys === 0 ? noVirtualTokens : { tokens, keys };
  }

  get trains(): boolean {
    return this.own.trains(this.resolved.trainedBase.length);
  }

  get predicts(): boolean {
    return this.method.predicts;
  }

  readonly merges = true;

  /** As the file has it. */
  private get own(): Elaboration {
    return this.in(evaluation);
  }

  /** The method here; merging differs from evaluating in what is known of the batch, and in nothing else. */
  private in({ purpose, sampling, padding }: Situation): Elaboration {
    const situation: Situation = { purpose: purpose === "merge" ? "evaluate" : purpose, sampling, padding };
    return remembered(this.elaborations, JSON.stringify(situation), () => this.elaborated(situation));
  }

  private elaborated(situation: Situation): Elaboration {
    const { base, origin, weightType, firstStream, sink } = this.request;
    const { fields, present, ties } = this.resolved;
    const isBfloat16 = ({ weight }: Site): boolean => weight !== undefined && weightType(weight) === "bf16";
    return elaborateModel(this.method, {
      ...{ sites: this.sites, fields, present, firstStream, sink },
      situation: { ...situation, ...origin },
      base: { ...base, bfloat16: this.sites.some(isBfloat16) },
      tied: new Map(ties.map(({ key, of }) => [key, of])),
      experts: this.mixture.attach(situation),
    });
  }

  /** Sites of one module are applied one after the other, each to the running weight. */
  attach(situation: Situation): Attachment {
    const elaboration = this.in(situation);
    const sites = new Map<string, SiteAdapter[]>();
    const [own, follows] = [new Set<string>(), new Map<string, string>()];
    const put = (path: string, adapter: SiteAdapter) => sites.set(path, [...(sites.get(path) ?? []), adapter]);
    for (const { path, index, kind, followers = [] } of this.sites.filter((site) => !isAddition(site))) {
      const adapter: SiteAdapter = (builder, operands) => elaboration.site(index, builder, operands);
      put(path, adapter);
      if (followers.length === 0) own.add(path);
      for (const follower of followers) {
        put(follower.path, follower.kind === kind ? adapter : transposed(adapter));
        follows.set(follower.path, path);
      }
    }
    for (const ends of [...follows]) if (ends.some((path) => own.has(path))) follows.delete(ends[0]);
    for (const [path, other] of changedAlike(this.resolved, elaboration)) follows.set(path, other);
    const addition = ({ path, index }: Site): [string, SiteAdditions] => [
      path,
      (builder, operands) => elaboration.additions(index, builder, operands),
    ];
    const copies = this.resolved.trainedBase.flatMap(({ names, keys }) =>
      names.map((name) => [name, keys[0]!] as const),
    );
    return {
      sites: new Map([...sites].map(([path, adapters]) => [path, inTurn(adapters)])),
      additions: new Map(this.sites.filter(isAddition).map(addition)),
      trained: new Map(copies),
      follows,
      readsHidden: this.method.readsHidden,
      reports: (builder, operands) => elaboration.reports(builder, operands),
      asMerged: situation.purpose === "merge",
    };
  }

  initial(baseOf: BaseOf): Graph {
    return this.own.initialGraph(baseOf);
  }

  projection(situation: Situation): Graph | undefined {
    return this.in(situation).projectionGraph();
  }

  computed(): Graph | undefined {
    return this.own.computedGraph();
  }

  isBackwards(path: string): boolean {
    const module = this.request.modules.find((one) => one.path === path);
    return module !== undefined && this.method.isBackwards(module.kind);
  }

  get replacedRows(): ReadonlyMap<string, readonly number[]> {
    const rows = new Map<string, number[]>();
    for (const { site: index, replaces = [] } of this.own.tensors) {
      const site = this.sites.find((one) => one.index === index);
      for (const layer of [site, ...(site?.followers ?? [])])
        if (layer !== undefined) rows.set(layer.path, [...(rows.get(layer.path) ?? []), ...replaces]);
    }
    return rows;
  }

  /** The weight that tells a site's dtype: its own, or of an attention its first layer's. */
  private weightAt(index: number | undefined): string {
    const { path, weight } = this.sites.find((site) => site.index === index)!;
    const inside = this.request.modules.filter((module) => module.path.startsWith(`${path}.`));
    return weight ?? inside.find((module) => module.weight !== undefined)!.weight!;
  }

  /** The adapter's tensors as its file holds them, then those of the base that train. */
  private tensors(elaborations: readonly Elaboration[]): AdapterTensor[] {
    const { weightType, weightShape } = this.request;
    const own = this.own.tensors.map(({ project: _project, replaces: _rows, storedAsBase, site, ...tensor }) => ({
      ...tensor,
      ...(storedAsBase ? { fileDtype: weightType(this.weightAt(site)) } : {}),
      ...(elaborations.some(({ notes }) => notes.pinned.has(tensor.key)) ? { pinned: true } : {}),
    }));
    const copies = this.resolved.trainedBase.map(({ weight, keys: [key, ...aliases] }) => ({
      ...({ key: key!, shape: weightShape(weight), role: "param", dtype: "f32" } as const),
      ...{ aliases, saved: true, copyOf: weight },
    }));
    return [...own, ...copies];
  }

  plan(situations: readonly Situation[]): AdapterPlan {
    const { resolved, method, own } = this;
    const running = situations.map((situation) => this.in(situation));
    const labels = own.labelsGraph();
    const ports = joinedPorts([own, ...running].map(portsOf));
    const training = running[situations.findIndex(({ purpose }) => purpose === "train")];
    const plan: AdapterPlan = {
      peftType: resolved.peftType,
      method: method.name,
      source: method.source,
      fragments: [{ file: method.file, line: method.record.line ?? 1, text: method.source }],
      savedConfig: { ...resolved.savedConfig, ...savedText(method) },
      floatFields: resolved.floatFields,
      fields: resolved.fields,
      fileRules: method.record.files,
      ...ports,
      tensors: this.tensors([own, ...running]),
      inputs: own.inputs,
      frozen: resolved.frozenBase,
      baseKeys: resolved.baseKeys,
      held: this.request.held,
      sites: this.sites.map(({ path }) => path),
      projects: training?.projectionGraph() !== undefined,
      ...(labels === undefined ? {} : { labels }),
      expertsFrom: method.expertsFrom,
      options: own.options,
      reports: method.reports,
      lacksEncoder: own.lacksEncoder,
    };
    return this.mixture.within(plan, situations, own.expertsTrain);
  }
}

/** What an elaboration takes from outside of its graphs. */
const portsOf = ({ notes, paddedShapes }: Elaboration) => ({
  ...{ tensors: [], experts: [] },
  ...{ data: notes.data, settings: notes.settings, padded: paddedShapes },
});
