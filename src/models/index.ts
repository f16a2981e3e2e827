/** The base models that can be built. A new family is a `ModelFamily` in the list below, and nothing else. */
import { DiagnosticSink, WebpeftError } from "../ir/diagnostics.ts";
import { tooManyLayers } from "./config.ts";
import { decoders } from "./decoders/index.ts";
import { bert } from "./encoders/bert.ts";
import { deberta } from "./encoders/deberta.ts";
import { distilbert } from "./encoders/distilbert.ts";
import { modernbert } from "./encoders/modernbert.ts";
import { t5 } from "./encoders/t5.ts";
import { dinov2, dinov2WithRegisters, vit } from "./encoders/vit.ts";
import { finishHeadless, finishModel, labelsOfText } from "./head.ts";
import {
  type BuildOptions,
  type BuiltModel,
  type HeadNames,
  type ModelConfig,
  type ModelDescription,
  type ModuleParameter,
  noVirtualTokens,
} from "./model.ts";
import { bind, type ModelFamily, type ModelTree, namedModules } from "./module.ts";
import { SiteBuilder } from "./sites.ts";

export * from "./head.ts";
export * from "./model.ts";

const families: readonly ModelFamily[] = [
  ...decoders,
  bert,
  deberta,
  distilbert,
  modernbert,
  vit,
  dinov2,
  dinov2WithRegisters,
  t5,
];

/** By `model_type` of config.json. */
const modelFamilies: ReadonlyMap<string, ModelFamily> = new Map(
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

/** The heads that are built for the family of a config. */
export const familyHeads = (config: ModelConfig): HeadNames => familyOf(config).heads;

/** What the config says of a model whose ends part, and that nothing else of it changes. */
export const untiedFields = (config: ModelConfig): ModelConfig => ({
  tie_word_embeddings: false,
  ...familyOf(config).untied?.(config),
});

/** Modules, inputs and defaults of a model, without building its graph. `stored` tells which keys its file has. */
export function describeModel(
  config: ModelConfig,
  sink = new DiagnosticSink(),
  stored?: (key: string) => boolean,
): ModelDescription {
  return described(config, sink, stored).description;
}

/** With the tree of modules that the graph is built of. */
function described(
  config: ModelConfig,
  sink: DiagnosticSink,
  stored: (key: string) => boolean = () => true,
): { readonly root: ModelTree["root"]; readonly description: ModelDescription } {
  const family = familyOf(config);
  const { root, ...tree } = family.read(config, sink);
  const description = { ...tree, modules: namedModules(root) };
  // A tied weight may stand in the file under the name of either end.
  const ends = new Map<string, string[]>();
  for (const { path, weight = "" } of description.modules)
    ends.set(weight, [...(ends.get(weight) ?? []), `${path}.weight`]);
  const spelled = (key: string): string =>
    [...spellings(key, tree, family), ...(ends.get(key) ?? [])].find(stored) ?? key;
  const modules = description.modules.map(({ weight, bias, parameters, slice, ...rest }) => ({
    ...rest,
    ...(slice === undefined
      ? {}
      : { slice: { ...slice, path: spelled(`${slice.path}.weight`).replace(/\.weight$/, "") } }),
    ...(weight === undefined ? {} : { weight: spelled(weight) }),
    ...(bias === undefined ? {} : { bias: spelled(bias) }),
    ...(parameters === undefined ? {} : { parameters: respelled(parameters, spelled) }),
  }));
  return { root, description: { ...description, modules } };
}

/** The keys that a tensor may have in files, its own first: with the prefix of a model that has a head, without, or with another. */
function spellings(
  key: string,
  { prefix, otherPrefixes = [], defaults }: Omit<ModelTree, "root">,
  { otherKeys }: ModelFamily,
): string[] {
  const isWhole = prefix === undefined || defaults.head.kind !== "none";
  const full = isWhole ? key : `${prefix}.${key}`;
  const names = [full, ...(otherKeys?.(full) ?? [])];
  if (prefix === undefined) return names;
  const inside = names.map((name) => (name.startsWith(`${prefix}.`) ? name.slice(prefix.length + 1) : name));
  const others = otherPrefixes.flatMap((other) => inside.map((name) => `${other}.${name}`));
  return isWhole ? [...names, ...inside, ...others] : [...inside, ...names, ...others];
}

const respelled = (
  parameters: Readonly<Record<string, ModuleParameter>>,
  spelled: (key: string) => string,
): Readonly<Record<string, ModuleParameter>> =>
  Object.fromEntries(
    Object.entries(parameters).map(([name, { key, parts, ...rest }]) => [
      name,
      { ...rest, key: spelled(key), ...(parts === undefined ? {} : { parts: parts.map(spelled) }) },
    ]),
  );

/** The graph of a base model for one batch x length; see `BuiltModel` for its ports and outputs. */
export function buildModel(config: ModelConfig, options: BuildOptions): BuiltModel {
  const sink = options.sink ?? new DiagnosticSink();
  checkLayers(config, options.keys ?? []);
  const { root, description: plain } = described(config, sink, options.stored);
  const description = withLabelLength(plain, options);
  checkLength(description, options, sink);
  const sites = new SiteBuilder(description.defaults.modelType, description.modules, options.weightTypes);
  const { builder } = sites;
  const made = bind(root, { path: "", sites, builder })(options);
  const { head } = description.defaults;
  const tokens = options.virtual?.tokens ?? 0;
  const graph =
    typeof made === "number"
      ? finishModel(builder, head, made, options, { tokens: labelsOfText(head) ? tokens : 0, losses: sites.losses })
      : finishHeadless(builder, made, { ...options, mask: options.mask && readsTokens(description) }, tokens);
  return { graph, ...description };
}

/** The description for labels of a length of their own, where a decoder reads them. */
function withLabelLength(description: ModelDescription, { labelLength }: BuildOptions): ModelDescription {
  const { defaults } = description;
  if (labelLength === undefined || defaults.head.kind !== "decoder") return description;
  return { ...description, defaults: { ...defaults, head: { ...defaults.head, length: labelLength } } };
}

/** Images have no mask. */
const readsTokens = ({ inputs }: ModelDescription): boolean => inputs.some(({ name }) => name === "input_ids");

/** Every layer has a tensor of its own. Throws `MODEL-LAYERS` before anything is made for layers that the files do not have. */
export function checkLayers(config: ModelConfig, keys: readonly string[]): void {
  if (keys.length === 0) return;
  for (const field of familyOf(config).layerFields) {
    const count = config[field];
    if (typeof count !== "number" || count <= keys.length) continue;
    const numbers = keys.flatMap((key) => (key.match(/(?<=\.)\d+(?=\.)/g) ?? []).map(Number));
    throw tooManyLayers(field, `${Math.max(-1, ...numbers) + 1}, as many as the model's files hold`, count);
  }
}

function checkLength({ defaults }: ModelDescription, options: BuildOptions, sink: DiagnosticSink): void {
  const { maximumLength, limitsLength } = defaults;
  const { tokens, keys } = options.virtual ?? noVirtualTokens;
  const length = Math.max(tokens + keys + options.length, defaults.head.length ?? 0);
  if (length <= maximumLength) return;
  const where = "config.json: max_position_embeddings";
  const facts = { where, expected: `at most ${maximumLength} tokens`, got: String(length) };
  if (limitsLength)
    throw new WebpeftError("MODEL-LENGTH", {
      message: "the sequences are longer than the model has positions",
      ...facts,
    });
  sink.warn("MODEL-LENGTH", { message: "the sequences are longer than the model was trained for", ...facts });
}
