/** From an adapter config to what is attached to a model: the method's elaborations, trained copies of base tensors, and the adapter's tensors. */

import type { DiagnosticSink } from "../ir/diagnostics.ts";
import type { DType } from "../ir/types.ts";
import { namedExperts, type ResolvedAdapter, resolveAdapter, withoutPrefix } from "../methods/config/index.ts";
import {
  type BaseFacts,
  type Elaboration,
  elaborateModel,
  type Method,
  type Origin,
  type Site,
  type Situation,
} from "../methods/index.ts";
import { type Methods, savedText, told, withoutText } from "../methods/registry.ts";
import { type ModelConfig, type ModuleInfo, noVirtualTokens, type VirtualTokens } from "../models/model.ts";
import type { Attachment, SiteAdapter } from "../passes/attach.ts";
import type { SiteAdditions } from "../passes/site-operands.ts";
import type { AdapterConfigs, AdapterPlan, AdapterTensor, ExpertConfigs } from "../program/index.ts";
import { ElaboratedExpert, expertModules, expertPlan, refuseCopies, tensorsInside } from "./mixing.ts";
import { changedAlike, inTurn, tiedSites, transposed } from "./ties.ts";

export interface AdapterRequest {
  readonly config: unknown;
  readonly modules: readonly ModuleInfo[];
  readonly modelConfig: ModelConfig;
  /** The method that the config is for; without, it is found among the methods by the config's type. */
  readonly method?: Method | undefined;
  readonly methods: Methods;
  /** Configs of the adapters that it mixes. */
  readonly experts?: ExpertConfigs | undefined;
  /** The tensors of the adapter's file by key. */
  readonly held?: AdapterConfigs["held"];
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

export class PlannedAdapter {
  readonly method: Method;
  readonly resolved: ResolvedAdapter;
  private readonly sites: readonly Site[];
  private readonly experts: readonly (readonly [string, PlannedAdapter])[];
  private readonly mixed = new WeakMap<Elaboration, readonly ElaboratedExpert[]>();

  constructor(private readonly request: AdapterRequest) {
    const { modules, modelConfig, sink, held, experts: given = {} } = request;
    const { method: ownMethod, experts: _experts, held: _held, ...shared } = request;
    this.method =
      ownMethod === undefined ? request.methods.methodOf(request.config, sink) : told(ownMethod, request.config, sink);
    const config = withoutText(request.config);
    const from = this.method.expertsFrom;
    const named = from === undefined ? [] : namedExperts(config, from, given);
    this.experts = named.map(([name, own], place) => {
      const origin = { ...shared.origin, loaded: true };
      const firstStream = (place + 1) * streamsOfAdapter;
      return [name, new PlannedAdapter({ ...shared, config: own, origin, firstStream })];
    });
    const all = this.experts.map(([, adapter]) => adapter);
    refuseCopies(this.experts);
    const ofExperts = from === undefined ? [] : expertModules(all, modules).map((module) => ({ module, from }));
    const more = { ofExperts, held: held?.keys() };
    this.resolved = resolveAdapter(config, this.method, modules, modelConfig, sink, more);
    this.sites = tiedSites(this.resolved, this.method, modules);
  }

  /** Keys of the base's tensors whose place tensors of the adapter's file take. */
  get replaced(): string[] {
    const names = new Map([...this.resolved.baseKeys].map(([key, weight]) => [withoutPrefix(key), weight]));
    return [...(this.request.held?.keys() ?? [])].flatMap((key) => names.get(withoutPrefix(key)) ?? []);
  }

  elaborate(situation: Situation): Elaboration {
    const { base, origin, weightType, firstStream, sink } = this.request;
    const experts = this.experts.map(
      ([name, adapter]) => new ElaboratedExpert(name, adapter, adapter.elaborate(situation)),
    );
    const { fields, present, ties } = this.resolved;
    const elaboration = elaborateModel(this.method, {
      ...{ experts, sites: this.sites, fields, present, firstStream, sink },
      situation: { ...situation, ...origin },
      base: {
        ...base,
        bfloat16: this.sites.some(({ weight }) => weight !== undefined && weightType(weight) === "bf16"),
      },
      tied: new Map(ties.map(({ key, of }) => [key, of])),
    });
    this.mixed.set(elaboration, experts);
    return elaboration;
  }

  /** How many virtual tokens the method puts in front: the rows of what it assigns. */
  virtual(elaboration: Elaboration): VirtualTokens {
    const [tokens, keys] = [elaboration.rows("prompt", "rows"), elaboration.rows("attention", "keys")];
    return tokens + keys === 0 ? noVirtualTokens : { tokens, keys };
  }

  /** Sites of one module are applied one after the other, each to the running weight. */
  attachment(elaboration: Elaboration): Attachment {
    const sites = new Map<string, SiteAdapter>();
    const [own, follows] = [new Set<string>(), new Map<string, string>()];
    const put = (path: string, adapter: SiteAdapter): void => {
      const before = sites.get(path);
      sites.set(path, before === undefined ? adapter : inTurn(before, adapter));
    };
    const additions = new Map<string, SiteAdditions>();
    for (const { path, kind, index, follower } of this.sites) {
      if (isAddition(kind)) {
        additions.set(path, (builder, operands) => elaboration.additions(index, builder, operands));
        continue;
      }
      const adapter: SiteAdapter = (builder, operands) => elaboration.site(index, builder, operands);
      put(path, adapter);
      if (follower === undefined) own.add(path);
      else {
        put(follower.path, transposed(adapter));
        follows.set(follower.path, path);
      }
    }
    for (const ends of [...follows]) if (ends.some((path) => own.has(path))) follows.delete(ends[0]);
    for (const [path, other] of changedAlike(this.resolved, elaboration)) follows.set(path, other);
    const trained = this.resolved.trainedBase.flatMap(({ names, keys }) =>
      names.map((name): [string, string] => [name, keys[0]!]),
    );
    const { readsHidden } = this.method;
    const reports: Attachment["reports"] = (builder, operands) => elaboration.reports(builder, operands);
    return { sites, trained: new Map(trained), follows, additions, readsHidden, reports };
  }

  /** Rows of tables that the adapter replaces, by the path of every layer where it does. */
  replacedRows(elaboration: Elaboration): ReadonlyMap<string, readonly number[]> {
    const rows = new Map<string, number[]>();
    for (const { site: index, replaces } of elaboration.tensors) {
      const site = replaces === undefined ? undefined : this.sites.find((one) => one.index === index)!;
      for (const layer of site === undefined ? [] : [site, site.follower])
        if (layer !== undefined) rows.set(layer.path, [...(rows.get(layer.path) ?? []), ...replaces!]);
    }
    return rows;
  }

  /** The weight that tells a module's dtype: its own, or of an attention its first layer's. */
  private weightOf({ path, weight }: ModuleInfo): string {
    const inner = this.request.modules.find(
      (module) => module.weight !== undefined && module.path.startsWith(`${path}.`),
    );
    return weight ?? inner!.weight!;
  }

  /** What draws weights for predictions; undefined where the method has no posterior. */
  predictive(padding: number | undefined): Attachment | undefined {
    if (!this.method.predicts) return undefined;
    return this.attachment(this.elaborate({ purpose: "predict", sampling: false, padding }));
  }

  /** The plan. `elaboration` has the sizes of the file, `running` those of the program. */
  plan(elaboration: Elaboration, running: readonly Elaboration[], projects: boolean): AdapterPlan {
    const { resolved, method } = this;
    const own = elaboration.tensors.map(({ project: _project, replaces: _rows, storedAsBase, site, ...tensor }) => {
      const module = storedAsBase ? this.sites.find(({ index }) => index === site) : undefined;
      const fileDtype = module === undefined ? undefined : this.request.weightType(this.weightOf(module));
      const pinned = [elaboration, ...running].some((one) => one.notes.pinned.has(tensor.key));
      return {
        ...tensor,
        ...(fileDtype === undefined ? {} : { fileDtype }),
        ...(pinned ? { pinned } : {}),
      } satisfies AdapterTensor;
    });
    const copies = resolved.trainedBase.map(
      ({ weight, keys }): AdapterTensor => ({
        key: keys[0]!,
        shape: this.request.weightShape(weight),
        role: "param",
        dtype: "f32",
        aliases: keys.slice(1),
        saved: true,
        copyOf: weight,
      }),
    );
    const experts = [elaboration, ...running].map((one) =>
      this.mixed.get(one)!.map((expert) => expertPlan(expert, elaboration.expertsTrain)),
    );
    const dataOfExperts = experts
      .flat()
      .flatMap(({ prefix, plan }) =>
        [...plan.data].map(([name, data]): [string, Float32Array | Int32Array] => [`${prefix}${name}`, data]),
      );
    return {
      peftType: resolved.peftType,
      method: method.name,
      source: method.source,
      savedConfig: { ...resolved.savedConfig, ...savedText(method) },
      floatFields: resolved.floatFields,
      fields: resolved.fields,
      fileRules: method.files,
      tensors: [...own, ...copies, ...experts[0]!.flatMap(tensorsInside)],
      inputs: elaboration.inputs,
      data: new Map([...[elaboration, ...running].flatMap(({ data }) => [...data]), ...dataOfExperts]),
      settings: new Map(running.flatMap(({ notes }) => [...notes.settings])),
      padded: new Map(running.flatMap(({ paddedShapes }) => [...paddedShapes])),
      frozen: resolved.frozenBase,
      baseKeys: resolved.baseKeys,
      held: this.request.held,
      sites: this.sites.map(({ path }) => path),
      projects,
      experts: experts[0]!,
      expertsFrom: method.expertsFrom,
      options: elaboration.options,
      reports: method.reports,
      lacksEncoder: elaboration.lacksEncoder,
    };
  }
}

/** Sites where something is put in front or added, and no weight replaced. */
const isAddition = (kind: string): boolean => kind === "prompt" || kind === "attention";
