/** Adapters that another adapter mixes (X-LoRA's LoRAs): what each adds to a site, and their plans. */

import type { Builder } from "../ir/builder.ts";
import { WebpeftError } from "../ir/diagnostics.ts";
import type { Elaboration, Expert, SiteOperands } from "../methods/index.ts";
import type { ModuleInfo } from "../models/model.ts";
import type { Attachment } from "../passes/attach.ts";
import type { AdapterTensor, ExpertPlan } from "../program/index.ts";
import type { PlannedAdapter } from "./one.ts";

/** Before the names of an expert's ports. */
const expertPrefix = (name: string): string => `expert.${name}:`;

/** One expert in one program. */
export class ElaboratedExpert implements Expert {
  private readonly attachment: Attachment;

  constructor(
    readonly name: string,
    readonly adapter: PlannedAdapter,
    readonly elaboration: Elaboration,
  ) {
    this.attachment = adapter.attachment(elaboration);
  }

  get fields(): Expert["fields"] {
    const { peftType, fields } = this.adapter.resolved;
    return { ...fields, peft_type: peftType };
  }

  /** W' - W0: what is left of it when terms that cancel are gone. */
  delta(path: string, builder: Builder, operands: SiteOperands): number | undefined {
    const adapted = this.attachment.sites.get(path);
    if (adapted === undefined) return undefined;
    const { base, scalars, samples } = operands;
    const given = { base, weight: base, scalars, ...(samples === undefined ? {} : { samples }) };
    const { weight } = builder.prefixed(expertPrefix(this.name), () => adapted(builder, given));
    return builder.add("op.add", [weight, builder.add("op.scale", [base, builder.constant(-1)])]);
  }
}

/** Throws CONFIG-EXPERTS for an adapter that also trains tensors of the base itself: there is one base for all of them. */
export function refuseCopies(experts: readonly (readonly [string, PlannedAdapter])[]): void {
  for (const [name, { resolved }] of experts) {
    const [copy] = resolved.trainedBase;
    if (copy === undefined) continue;
    throw new WebpeftError("CONFIG-EXPERTS", {
      message: "an adapter that is mixed trains tensors of the base itself",
      where: `${name}: ${copy.names[0]}`,
      expected: "adapters without modules_to_save and biases",
      help: "merge that adapter into the base, or leave it out",
    });
  }
}

/** The modules that any of the experts changes, in the model's order. */
export function expertModules(experts: readonly PlannedAdapter[], modules: readonly ModuleInfo[]): ModuleInfo[] {
  const paths = new Set(experts.flatMap(({ resolved }) => resolved.sites.map(({ path }) => path)));
  return modules.filter(({ path }) => paths.has(path));
}

export const expertPlan = ({ name, adapter, elaboration }: ElaboratedExpert, trained: boolean): ExpertPlan => ({
  name,
  prefix: expertPrefix(name),
  trained,
  plan: adapter.plan(elaboration, [], false),
});

/** An expert's tensors as the program that mixes it knows them; its own folder holds them. */
export const tensorsInside = ({ prefix, trained, plan }: ExpertPlan): AdapterTensor[] =>
  plan.tensors.map((tensor) => ({
    ...tensor,
    key: `${prefix}${tensor.key}`,
    role: trained ? tensor.role : "buffer",
    aliases: [],
    saved: false,
  }));
