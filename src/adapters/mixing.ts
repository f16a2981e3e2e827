/** Adapters that another adapter mixes (X-LoRA's LoRAs): what each adds to a site, and what the plan of the one that mixes says of them. */
import { WebpeftError } from "../ir/diagnostics.ts";
import type { ResolvedAdapter } from "../methods/config/index.ts";
import type { Expert, Situation } from "../methods/index.ts";
import type { ModuleInfo } from "../models/model.ts";
import type { AdapterPlan, ExpertPlan } from "../program/index.ts";
import type { Adapter } from "./adapter.ts";
import { commonInputs, joinedPorts, prefixedPlan } from "./plan.ts";
import { delta, prefixed } from "./site-adapter.ts";

/** An adapter that can be mixed. */
export interface MixedAdapter extends Adapter {
  readonly resolved: ResolvedAdapter;
  plan(situations: readonly Situation[]): AdapterPlan;
}

/** Before the names of an expert's ports. */
const expertPrefix = (name: string): string => `expert.${name}:`;

/** The experts of one adapter, in the order of its config. */
export class Mixture {
  /** Throws CONFIG-EXPERTS for one that also trains tensors of the base itself: there is one base for all of them. */
  constructor(private readonly experts: readonly (readonly [string, MixedAdapter])[]) {
    for (const [name, { resolved }] of experts) {
      const [copy] = resolved.trainedBase;
      if (copy !== undefined) throw trainsBase(name, copy.names[0]!);
    }
  }

  /** The modules that any of them changes, in the model's order. */
  modules(all: readonly ModuleInfo[]): ModuleInfo[] {
    const paths = new Set(this.experts.flatMap(([, { resolved }]) => resolved.sites.map(({ path }) => path)));
    return all.filter(({ path }) => paths.has(path));
  }

  /** What each adds to the weight of a site. */
  attach(situation: Situation): Expert[] {
    return this.experts.map(([name, adapter]): Expert => {
      const { sites } = adapter.attach(situation);
      const { fields, peftType } = adapter.resolved;
      return {
        fields: { ...fields, peft_type: peftType },
        delta(path, builder, operands) {
          const adapted = sites.get(path);
          return adapted && delta(prefixed(expertPrefix(name), adapted))(builder, operands);
        },
      };
    });
  }

  /** The plan of the adapter that mixes them, with theirs. Without training their tensors are buffers. */
  within(plan: AdapterPlan, situations: readonly Situation[], trained: boolean): AdapterPlan {
    const experts = this.experts.map(([name, adapter]): ExpertPlan => {
      return { name, prefix: expertPrefix(name), trained, plan: adapter.plan([]) };
    });
    const running = this.experts.map(([, adapter]) => adapter.plan(situations));
    const inside = this.experts.map(([name], i) => prefixedPlan(expertPrefix(name), running[i]!));
    const ports = joinedPorts([plan, ...inside]);
    const isOwn = new Set(plan.tensors);
    const tensors = ports.tensors.map((tensor) =>
      trained || isOwn.has(tensor) ? tensor : { ...tensor, role: "buffer" as const },
    );
    return { ...plan, ...ports, ...commonInputs([plan, ...running]), tensors, experts };
  }
}

const trainsBase = (name: string, tensor: string): WebpeftError =>
  new WebpeftError("CONFIG-EXPERTS", {
    message: "an adapter that is mixed trains tensors of the base itself",
    where: `${name}: ${tensor}`,
    expected: "adapters without modules_to_save and biases",
    help: "merge that adapter into the base, or leave it out",
  });
