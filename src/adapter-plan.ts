/** From an adapter config to what is attached to a model: the method's elaborations, trained copies of base tensors, and the adapter's tensors. */
import { type DiagnosticSink, WebpeftError } from "./ir/diagnostics.ts";
import type { DType } from "./ir/types.ts";
import { type AdapterSite, peftTypeOf, type ResolvedAdapter, resolveAdapter } from "./methods/config/index.ts";
import {
  type Elaboration,
  elaborateModel,
  type Method,
  type MethodSite,
  methods,
  parseMethod,
} from "./methods/index.ts";
import type { ModelConfig, ModuleInfo } from "./models/model.ts";
import type { Attachment, SiteAdapter } from "./passes/attach.ts";
import type { AdapterPlan, AdapterTensor } from "./program.ts";

export interface AdapterRequest {
  readonly config: unknown;
  readonly modules: readonly ModuleInfo[];
  readonly modelConfig: ModelConfig;
  /** Fragment text of a method that webpeft does not bring. */
  readonly method?: string | undefined;
  readonly methodFile?: string | undefined;
  readonly loaded: boolean;
  readonly weightType: (key: string) => DType;
  readonly weightShape: (key: string) => readonly number[];
  readonly sink: DiagnosticSink;
}

/** How an elaboration behaves: training projects in a stage of its own, sampling draws dropout. */
export interface ElaborationMode {
  readonly train: boolean;
  readonly sampling: boolean;
}

function methodOf(request: AdapterRequest): Method {
  if (request.method !== undefined) return parseMethod(request.method, request.methodFile);
  const type = peftTypeOf(request.config as Parameters<typeof peftTypeOf>[0], [...methods.keys()]);
  const method = type === undefined ? undefined : methods.get(type);
  if (method !== undefined) return method;
  throw new WebpeftError("CONFIG-PEFT-TYPE", {
    message: "the config does not say which method it is for",
    where: "peft_type",
    expected: [...methods.keys()].join(", "),
    help: "add peft_type, or give a method of your own as text",
  });
}

export class PlannedAdapter {
  readonly method: Method;
  readonly resolved: ResolvedAdapter;

  constructor(private readonly request: AdapterRequest) {
    const { config, modules, modelConfig, sink } = request;
    this.method = methodOf(request);
    this.resolved = resolveAdapter(config, this.method, modules, modelConfig, sink);
  }

  elaborate(mode: ElaborationMode): Elaboration {
    const { loaded, weightType, sink } = this.request;
    return elaborateModel(this.method, {
      ...mode,
      sites: this.resolved.sites.map((site) => this.methodSite(site)),
      fields: this.resolved.fields,
      present: this.resolved.present,
      loaded,
      bfloat16: this.resolved.sites.some(({ module }) => weightType(module.weight!) === "bf16"),
      sink,
    });
  }

  private methodSite({ module, index, fields, from }: AdapterSite): MethodSite {
    const tied = this.tiedTo(module);
    return {
      path: module.path,
      kind: module.kind,
      in: module.in!,
      out: module.out!,
      fields,
      index,
      hasBias: module.bias !== undefined,
      ...(from === undefined ? {} : { from }),
      ...(tied === undefined ? {} : { tiedTo: tied.path }),
    };
  }

  /** The linear layer that shares an embedding's table. */
  private tiedTo(module: ModuleInfo): ModuleInfo | undefined {
    if (module.kind !== "embedding") return undefined;
    return this.request.modules.find(({ kind, weight }) => kind === "linear" && weight === module.weight);
  }

  /** Sites of one module are applied one after the other, each to the running weight. */
  attachment(elaboration: Elaboration): Attachment {
    const sites = new Map<string, SiteAdapter>();
    const [own, tied] = [new Set<string>(), new Map<string, string>()];
    const put = (path: string, adapter: SiteAdapter): void => {
      const before = sites.get(path);
      sites.set(path, before === undefined ? adapter : inTurn(before, adapter));
    };
    for (const { module, index } of this.resolved.sites) {
      const adapter: SiteAdapter = (builder, operands) => elaboration.site(index, builder, operands);
      put(module.path, adapter);
      const other = this.tiedTo(module);
      if (other === undefined || !elaboration.followsTie(index)) own.add(module.path);
      else {
        put(other.path, transposed(adapter));
        tied.set(other.path, module.path);
      }
    }
    const follows = new Map([...tied].filter((ends) => !ends.some((path) => own.has(path))));
    const trained = this.resolved.trainedBase.map(({ name, keys }): [string, string] => [name, keys[0]!]);
    return { sites, trained: new Map(trained), follows };
  }

  /** The plan; `elaboration` must have built all its sites, so that its tables are complete. */
  plan(elaboration: Elaboration, projects: boolean): AdapterPlan {
    const { resolved, method } = this;
    const own = elaboration.tensors.map(({ key, shape, role, dtype, aliases, saved, coding }) => ({
      key,
      shape,
      role,
      dtype,
      aliases,
      saved,
      ...(coding === undefined ? {} : { coding }),
    }));
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
    return {
      peftType: resolved.peftType,
      method: method.name,
      source: method.source,
      savedConfig: resolved.savedConfig,
      floatFields: resolved.floatFields,
      fields: resolved.fields,
      tensors: [...own, ...copies],
      data: elaboration.data,
      sites: resolved.sites.map(({ module }) => module.path),
      projects,
    };
  }
}

const inTurn =
  (first: SiteAdapter, second: SiteAdapter): SiteAdapter =>
  (builder, operands) => {
    const { bias: _bias, ...rest } = operands;
    return second(builder, { ...rest, ...first(builder, operands) });
  };

/** The adapter of an embedding as the layer that shares its table sees it. */
const transposed =
  (adapter: SiteAdapter): SiteAdapter =>
  (builder, { weight, base, bias, scalars }) => {
    const turned = (id: number): number => builder.add("op.transpose", [id]);
    const result = adapter(builder, { weight: turned(weight), base: turned(base), scalars });
    return { weight: turned(result.weight), ...(bias === undefined ? {} : { bias }) };
  };

/** A plan that trains every tensor of the base model and writes a model folder instead of an adapter. */
export function fullPlan(
  modules: readonly ModuleInfo[],
  weightShape: (key: string) => readonly number[],
): { plan: AdapterPlan; attachment: Attachment } {
  const keys = [...new Set(modules.flatMap(({ weight, bias }) => [weight, bias].filter((key) => key !== undefined)))];
  const tensors = keys.map(
    (key): AdapterTensor => ({
      key,
      shape: weightShape(key),
      role: "param",
      dtype: "f32",
      aliases: [],
      saved: true,
      copyOf: key,
    }),
  );
  const plan: AdapterPlan = {
    peftType: "FULL",
    method: "full",
    source: "",
    savedConfig: {},
    floatFields: new Set(),
    fields: {},
    tensors,
    data: new Map(),
    sites: [],
    projects: false,
  };
  const trained = modules.flatMap(({ path, weight, bias }): [string, string][] => [
    ...(weight === undefined ? [] : [[`${path}.weight`, weight] as [string, string]]),
    ...(bias === undefined ? [] : [[`${path}.bias`, bias] as [string, string]]),
  ]);
  return { plan, attachment: { sites: new Map(), trained: new Map(trained) } };
}
