/** Where a merged model has another form than its base: ties that are given up, and biases of layers that had none. */
import type { DiagnosticSink } from "../../ir/diagnostics.ts";
import { untiedFields } from "../../models/index.ts";
import { switchedBias } from "../../models/layers.ts";
import type { ModuleInfo } from "../../models/model.ts";
import type { CompiledProgram } from "../../program/index.ts";
import type { JsonObject } from "../files/json.ts";
import type { WeightInfo, Weights } from "../files/weights.ts";

export interface MergedForm {
  /** Layers that shared their weight and no longer do. */
  readonly apart: readonly ModuleInfo[];
  /** Fields of the config that give biases to layers, and all layers that they give one to: those without an adapter's get zeros. */
  readonly biasFields: readonly string[];
  readonly biased: readonly ModuleInfo[];
  /** Type and shape of each tensor that the base lacks, or that its file holds without reading it. */
  readonly added: ReadonlyMap<string, WeightInfo>;
  /** Keys of added tensors that are copies, and of what: loaders tie the bias of a head to nothing where its weight is tied to nothing. */
  readonly copies: ReadonlyMap<string, string>;
  /** What the config says of all that. */
  readonly fields: Readonly<Record<string, unknown>>;
}

const ownWeight = ({ path }: ModuleInfo): string => `${path}.weight`;

/** The biases of the ends of ties that part, where the file has them under other names only: their own key, and that one. */
function biasCopies(
  modules: readonly ModuleInfo[],
  apart: readonly ModuleInfo[],
  weights: Pick<Weights, "info">,
): [string, string][] {
  const parted = new Set(apart.map(({ weight }) => weight));
  return modules.flatMap(({ path, weight, bias }): [string, string][] => {
    const own = `${path}.bias`;
    const isElsewhere = bias !== undefined && bias !== own && parted.has(weight) && weights.info(own) === undefined;
    return isElsewhere ? [[own, bias]] : [];
  });
}

/** The form of a program's merged model, from the names of what merging makes. */
export function mergedForm(
  { model, merge }: CompiledProgram,
  weights: Pick<Weights, "info">,
  config: JsonObject,
): MergedForm {
  const names = new Set<string | undefined>(merge?.().outputs.map((output) => output.name));
  const apart = model.modules.filter(
    (module) => ![undefined, ownWeight(module)].includes(module.weight) && names.has(ownWeight(module)),
  );
  const copies = biasCopies(model.modules, apart, weights);
  const switched = model.modules.filter((module) => names.has(switchedBias(module)));
  const biasFields = [...new Set(switched.map(({ biasField }) => biasField!))];
  const biased = model.modules.filter(({ biasField = "" }) => biasFields.includes(biasField));
  const stored = ({ weight }: ModuleInfo): WeightInfo => weights.info(weight!)!;
  return {
    apart,
    biasFields,
    biased,
    copies: new Map(copies),
    added: new Map([
      ...apart.map((module): [string, WeightInfo] => [ownWeight(module), stored(module)]),
      ...copies.map(([own, bias]): [string, WeightInfo] => [own, weights.info(bias)!]),
      ...biased.map((module): [string, WeightInfo] => [
        switchedBias(module)!,
        { dtype: stored(module).dtype, shape: [module.out!] },
      ]),
    ]),
    fields: {
      ...(apart.length === 0 ? {} : untiedFields(config)),
      ...Object.fromEntries(biasFields.map((field) => [field, true])),
    },
  };
}

/** Warns with `MERGE-UNTIED` and `MERGE-BIAS-ADDED` where the merged model's config differs from the base's. */
export function warnOfForm(
  { apart, biasFields, biased }: Pick<MergedForm, "apart" | "biasFields" | "biased">,
  sink: DiagnosticSink,
): void {
  if (apart.length > 0)
    sink.warn("MERGE-UNTIED", {
      message: `the adapter changes one end of a tied weight alone: the merged model gets ${apart.map(ownWeight).join(", ")} and is no longer tied`,
      where: "tie_word_embeddings",
    });
  for (const field of biasFields) {
    const count = biased.filter(({ biasField }) => biasField === field).length;
    sink.warn("MERGE-BIAS-ADDED", {
      message: `the adapter gives a bias to layers that have none: the merged model gets ${field} true and ${count} biases, zeros where the adapter has none`,
      where: field,
    });
  }
}
