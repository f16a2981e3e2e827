/** What a program says of its adapter beside its graphs. */
import type { AdapterInput, AdapterPlan, AdapterTensor } from "../program/index.ts";

/** Of something without tensors, fields and a file. */
export const blankPlan: AdapterPlan = {
  peftType: "",
  method: "",
  source: "",
  fragments: [],
  savedConfig: {},
  floatFields: new Set(),
  fields: {},
  tensors: [],
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

/** What of a plan is known by the names of ports. */
export type PortPlan = Pick<AdapterPlan, "tensors" | "data" | "settings" | "padded" | "experts">;

/** Of an adapter whose ports begin with a prefix inside of another program; its own folder holds its tensors. */
export function prefixedPlan(prefix: string, plan: AdapterPlan): PortPlan {
  const renamed = <T>(entries: ReadonlyMap<string, T>): Map<string, T> =>
    new Map([...entries].map(([name, value]) => [`${prefix}${name}`, value]));
  return {
    tensors: plan.tensors.map(
      (tensor): AdapterTensor => ({ ...tensor, key: `${prefix}${tensor.key}`, aliases: [], saved: false }),
    ),
    data: renamed(plan.data),
    settings: renamed(plan.settings),
    padded: renamed(plan.padded),
    experts: plan.experts.map((expert) => ({ ...expert, prefix: `${prefix}${expert.prefix}` })),
  };
}

/** What the plans say of ports, one behind the other. */
export const joinedPorts = (plans: readonly PortPlan[]): PortPlan => ({
  tensors: plans.flatMap(({ tensors }) => tensors),
  data: new Map(plans.flatMap(({ data }) => [...data])),
  settings: new Map(plans.flatMap(({ settings }) => [...settings])),
  padded: new Map(plans.flatMap(({ padded }) => [...padded])),
  experts: plans.flatMap(({ experts }) => experts),
});

/**
 * What all of them read of a batch and are merged for: one input of a name serves all, so its numbers lie below every limit, and one option.
 */
export function commonInputs(plans: readonly AdapterPlan[]): Pick<AdapterPlan, "inputs" | "options"> {
  const inputs = new Map<string, AdapterInput>();
  for (const input of plans.flatMap((plan) => plan.inputs)) {
    const before = inputs.get(input.name);
    const limits = [before?.limit, input.limit].filter((limit) => limit !== undefined);
    inputs.set(input.name, { ...before, ...input, ...(limits.length === 0 ? {} : { limit: Math.min(...limits) }) });
  }
  const options = new Map(plans.flatMap((plan) => plan.options.map((option) => [option.name, option])));
  return { inputs: [...inputs.values()], options: [...options.values()] };
}
