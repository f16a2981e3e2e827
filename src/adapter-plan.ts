/** From an adapter config to what is attached to a model: the method's elaborations, trained copies of base tensors, and the adapter's tensors. */
import { type DiagnosticSink, WebpeftError } from "./ir/diagnostics.ts";
import type { DType } from "./ir/types.ts";
import { peftTypeOf, type ResolvedAdapter, resolveAdapter } from "./methods/config/index.ts";
import { type Elaboration, elaborateModel, type Method, methods, parseMethod } from "./methods/index.ts";
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
      sites: this.resolved.sites.map(({ module, index, fields }) => ({
        path: module.path,
        kind: module.kind,
        in: module.in!,
        out: module.out!,
        fields,
        index,
        hasBias: module.bias !== undefined,
      })),
      fields: this.resolved.fields,
      present: this.resolved.present,
      loaded,
      bfloat16: this.resolved.sites.some(({ module }) => weightType(module.weight!) === "bf16"),
      sink,
    });
  }

  attachment(elaboration: Elaboration): Attachment {
    const sites = this.resolved.sites.map(({ module, index }): [string, SiteAdapter] => [
      module.path,
      (builder, operands) => elaboration.site(index, builder, operands),
    ]);
    const trained = this.resolved.trainedBase.map(({ weight, keys }): [string, string] => [weight, keys[0]!]);
    return { sites: new Map(sites), trained: new Map(trained) };
  }

  /** The plan; `elaboration` must have built all its sites, so that its tables are complete. */
  plan(elaboration: Elaboration, projects: boolean): AdapterPlan {
    const { resolved, method } = this;
    const own = elaboration.tensors.map(({ key, shape, role, dtype, aliases, saved }) => ({
      key,
      shape,
      role,
      dtype,
      aliases,
      saved,
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
  return { plan, attachment: { sites: new Map(), trained: new Map(keys.map((key) => [key, key])) } };
}
