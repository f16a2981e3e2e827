/** Training without an adapter: every tensor of the base model. */
import type { ModuleInfo } from "../models/model.ts";
import type { AdapterTensor } from "../program/index.ts";
import { type Adapter, noAdapter } from "./adapter.ts";
import { blankPlan } from "./plan.ts";

/** The keys of a module's tensors in the base's file, by the names that `Attachment.trained` has for them. */
const tensorsOf = ({ path, weight, bias, parameters = {} }: ModuleInfo): [string, string][] => [
  ...(weight === undefined ? [] : [[`${path}.weight`, weight] as [string, string]]),
  ...(bias === undefined ? [] : [[`${path}.bias`, bias] as [string, string]]),
  ...Object.entries(parameters).map(([name, { key }]): [string, string] => [`${path}.${name}`, key]),
];

/** Every tensor of the base model is trained, and a model folder written instead of an adapter's. */
export function allWeights(modules: readonly ModuleInfo[], weightShape: (key: string) => readonly number[]): Adapter {
  const trained = new Map(modules.flatMap(tensorsOf));
  const tensors = [...new Set(trained.values())].map(
    (key): AdapterTensor => ({
      ...{ key, shape: weightShape(key), role: "param", dtype: "f32", aliases: [], saved: true, copyOf: key },
    }),
  );
  return {
    ...noAdapter,
    name: "full",
    trains: true,
    attach: () => ({ sites: new Map(), trained }),
    plan: () => ({ ...blankPlan, peftType: "FULL", method: "full", tensors }),
  };
}
