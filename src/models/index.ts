/** The base models that can be built. A new family is a `ModelFamily` in the list below, and nothing else. */
import { DiagnosticSink, WebpeftError } from "../ir/diagnostics.ts";
import { llamaFamily } from "./llama.ts";
import type { BuildOptions, BuiltModel, ModelConfig, ModelDescription, ModelFamily } from "./model.ts";

export * from "./model.ts";

const families: readonly ModelFamily[] = [llamaFamily];

/** By `model_type` of config.json. */
export const modelFamilies: ReadonlyMap<string, ModelFamily> = new Map(
  families.flatMap((family) => family.modelTypes.map((type) => [type, family] as const)),
);

function familyOf(config: ModelConfig): ModelFamily {
  const family = typeof config.model_type === "string" ? modelFamilies.get(config.model_type) : undefined;
  if (family !== undefined) return family;
  throw new WebpeftError("MODEL-TYPE", {
    message: "no model family of this type is built",
    where: "config.json: model_type",
    expected: [...modelFamilies.keys()].join(", "),
    got: config.model_type === undefined ? "no such field" : JSON.stringify(config.model_type),
  });
}

/** Modules and defaults of a model, without building its graph. */
export function describeModel(config: ModelConfig, sink = new DiagnosticSink()): ModelDescription {
  return familyOf(config).describe(config, sink);
}

/** The graph of a base model for one batch x length; see `BuiltModel` for its ports and outputs. */
export function buildModel(config: ModelConfig, options: BuildOptions): BuiltModel {
  const sink = options.sink ?? new DiagnosticSink();
  const family = familyOf(config);
  const description = family.describe(config, sink);
  warnOfLength(description, options, sink);
  return { graph: family.build(config, options, sink), ...description };
}

function warnOfLength({ defaults }: ModelDescription, { length }: BuildOptions, sink: DiagnosticSink): void {
  if (length <= defaults.maximumLength) return;
  sink.warn("MODEL-LENGTH", {
    message: "the sequences are longer than the model was trained for",
    where: "config.json: max_position_embeddings",
    expected: `at most ${defaults.maximumLength} tokens`,
    got: String(length),
  });
}
