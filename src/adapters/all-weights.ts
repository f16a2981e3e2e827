/** Training without an adapter: every tensor of the base model. */
import type { ModuleInfo } from "../models/model.ts";
import type { Attachment } from "../passes/attach.ts";
import type { AdapterPlan, AdapterTensor } from "../program/index.ts";

/** A plan that trains every tensor of the base model and writes a model folder instead of an adapter. */
export function fullPlan(
  modules: readonly ModuleInfo[],
  weightShape: (key: string) => readonly number[],
): { plan: AdapterPlan; attachment: Attachment } {
  const named = modules.flatMap(({ path, weight, bias, parameters = {} }): [string, string][] => [
    ...(weight === undefined ? [] : [[`${path}.weight`, weight] as [string, string]]),
    ...(bias === undefined ? [] : [[`${path}.bias`, bias] as [string, string]]),
    ...Object.entries(parameters).map(([name, { key }]): [string, string] => [`${path}.${name}`, key]),
  ]);
  const keys = [...new Set(named.map(([, key]) => key))];
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
    inputs: [],
    data: new Map(),
    settings: new Map(),
    padded: new Map(),
    frozen: [],
    baseKeys: new Map(),
    sites: [],
    projects: false,
    lacksEncoder: false,
    experts: [],
    options: [],
    reports: [],
  };
  return { plan, attachment: { sites: new Map(), trained: new Map(named) } };
}
