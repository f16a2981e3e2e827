/** From `adapter_config.json` to what is adapted where, and to the config that is written back. */
import { type DiagnosticSink, WebpeftError } from "../../ir/diagnostics.ts";
import type { ModuleInfo } from "../../models/model.ts";
import type { FieldDeclaration, FieldValue } from "../fields.ts";
import { modulePrefix, type Site, siteAt } from "../site.ts";
import { baseKeys } from "./base-keys.ts";
import { type DefaultTargets, untargetedHead } from "./defaults.ts";
import { checkFieldSites, type FieldSites, findFieldSites, type NamedModule } from "./field-sites.ts";
import { withFusedTargets } from "./fused-targets.ts";
import { sharedPrefix, withoutPrefix } from "./keys.ts";
import type { MatchRules } from "./match.ts";
import { withHiddenSize, withModelFacts } from "./model-facts.ts";
import { namedParameters, parameterKind, warnOfNone } from "./parameter-sites.ts";
import { compilePatterns } from "./patterns.ts";
import type { MethodProfile } from "./profiles.ts";
import { shown } from "./python-text.ts";
import { checkTogether, configObject, type Fields, list, readFields, settleSubsets, text } from "./read.ts";
import { peftFields, savedFields } from "./saved-config.ts";
import { savedEmbeddings } from "./saved-embeddings.ts";
import { findTargets, linearPaths } from "./targets.ts";
import {
  biasMode,
  findModulesToSave,
  frozenOriginals,
  type TrainedBaseTensor,
  trainedBaseTensors,
  withTaskHeads,
} from "./trained-base.ts";
import { checkAttentions, lastHits, openAttentions, promptSite } from "./virtual-sites.ts";
import { ensureTies, type TensorTie, tiedTensors, withTiedHits } from "./weight-tying.ts";

/** What the config reader needs to know of a method. */
export interface MethodConfig {
  readonly peftType: string;
  readonly profile: MethodProfile;
  /** What is adapted where a config names no targets. */
  readonly targets: DefaultTargets;
  readonly fields: readonly FieldDeclaration[];
  /** Kinds of modules it adapts: linear, embedding, norm, attention. */
  readonly siteKinds: readonly string[];
  /** Field -> the field that overrides it per module, e.g. r -> rank_pattern. */
  readonly patterns?: ReadonlyMap<string, string>;
  /** Fields that name sites themselves. */
  readonly fieldSites?: readonly FieldSites[];
  /**
   * Settles fields that depend on each other (OFT's `r` and `oft_block_size`): returns the fields to change. `present`
   * names the declared fields that the config holds.
   */
  settle?(fields: Fields, present: ReadonlySet<string>, sink: DiagnosticSink): Fields;
}

export interface ResolvedAdapter {
  readonly peftType: string;
  /** Every field with its value, `peft_type` excluded. */
  readonly fields: Fields;
  /** Names of the fields that the config held. */
  readonly present: ReadonlySet<string>;
  readonly sites: readonly Site[];
  /** Tensors of sites that are the transposes of other sites' tensors. */
  readonly ties: readonly TensorTie[];
  /** Paths of the modules that train in full. */
  readonly modulesToSave: readonly string[];
  readonly bias: "none" | "all" | "targets";
  /** Tensors of the base that train: those of `modulesToSave`, and biases. */
  readonly trainedBase: readonly TrainedBaseTensor[];
  /** Tensors of the base that the file of a fresh adapter holds unchanged: key in that file, and in the base's. */
  readonly frozenBase: readonly { readonly key: string; readonly weight: string }[];
  /** Every key under which a file may hold a tensor of the base that takes the place of the base's own, with the key in the base's file. */
  readonly baseKeys: ReadonlyMap<string, string>;
  /** `adapter_config.json` as it is written. */
  readonly savedConfig: Fields;
  /** Names of the fields that Python writes as floats (`1.0`). */
  readonly floatFields: ReadonlySet<string>;
}

export interface ResolveOptions {
  /** Sites of other adapters that the method mixes. */
  readonly ofExperts?: readonly NamedModule[];
  /** Keys of the adapter's file, where there is one. */
  readonly held?: Iterable<string> | undefined;
}

/**
 * Resolves a config for one method on one model. `modelConfig` is the base's `config.json`. Throws CONFIG-... and
 * METHOD-UNSUPPORTED; never anything but WebpeftError, whatever `config` holds.
 */
export function resolveAdapter(
  config: unknown,
  method: MethodConfig,
  modules: readonly ModuleInfo[],
  modelConfig: Readonly<Record<string, unknown>>,
  sink: DiagnosticSink,
  { ofExperts = [], held }: ResolveOptions = {},
): ResolvedAdapter {
  const given = configObject(config);
  checkType(given, method.peftType);
  const { profile } = method;
  const read = readFields(given, method.fields, profile, sink);
  const changed = { ...read.fields, ...method.settle?.(read.fields, read.present, sink) };
  const withFacts =
    profile.modelFacts === undefined ? changed : withModelFacts(changed, profile.modelFacts, modelConfig, modules);
  const ties = ensureTies(withHeads(withHiddenSize(withFacts, modelConfig)), modules, sink);
  checkTogether(ties.fields, profile);
  const modelType = typeof modelConfig.model_type === "string" ? modelConfig.model_type : "custom";
  const targeted = profile.fuses === true ? fused(ties.fields, modules) : ties.fields;
  const parameterFields = (method.fieldSites ?? []).filter(namesParameters);
  const parameters = parameterFields.flatMap((declared) => namedParameters(declared, targeted, modules));
  const located = locate(targeted, method, { modelType, beside: parameters.length > 0 }, modules, sink);
  const hits = withTiedHits(located.hits, ties, modules);
  const fields = correctLayout(located.fields, read.present, hits, profile, sink);
  const patterns = compilePatterns(fields, read.declarations, method.patterns ?? new Map(), profile.dottedPatterns);
  const sites = hits.map((module, index) => siteAt(module, { index, fields: patterns.fieldsOf(module.path) }));
  const ownNamed = (method.fieldSites ?? []).flatMap((declared) =>
    namesParameters(declared)
      ? parameters.flatMap((named) =>
          named.from === declared.field ? [{ ...named, fields: patterns.fieldsOf(named.module.path) }] : [],
        )
      : findFieldSites(declared, fields, modules),
  );
  for (const declared of parameterFields) warnOfNone(declared, fields, parameters, sink);
  patterns.finish(sink);
  const named = [...ownNamed, ...ofExperts.map((hit) => ({ ...hit, fields }))];
  const bias = biasMode(typeof fields.bias === "string" ? fields.bias : "none");
  const targets = new Set(hits.map((module) => module.path));
  const modulesToSave = findModulesToSave(
    {
      names: list(fields.modules_to_save) ?? [],
      taskType: text(fields.task_type),
      modules,
      targets,
      held: heldModules(held),
    },
    sink,
  );
  checkFieldSites(ownNamed, targets, modulesToSave);
  // Prompts wrap no module of the model, so that keys have one part less.
  const isPrompt = profile.modelFacts !== undefined;
  const saved = { paths: modulesToSave, tied: ties.saved };
  const trainedBase = trainedBaseTensors(modules, targets, saved, bias, isPrompt ? sharedPrefix : modulePrefix);
  const embeddings = savedEmbeddings(profile, fields, modules, targets);
  return {
    peftType: method.peftType,
    fields,
    present: read.present,
    sites: [...sites, ...named.map(({ module, ...more }, i) => siteAt(module, { ...more, index: sites.length + i }))],
    ties: ties.adapted.flatMap(({ path }) => tiedTensors(path, ties.source!.path, profile.tied ?? {})),
    modulesToSave,
    bias,
    trainedBase,
    frozenBase: [...embeddings, ...frozenOriginals(trainedBase)],
    baseKeys: baseKeys({
      modules,
      targets,
      tokenSites: new Set(ownNamed.map(({ module }) => module.path)),
      modulesToSave: [...modulesToSave, ...ties.saved.map(({ path }) => path)],
      trained: trainedBase,
      isPrompt,
    }),
    savedConfig: {
      ...read.unknown,
      ...savedFields(method.peftType, peftFields(fields, read), given, profile, modelConfig),
    },
    floatFields: new Set(read.declarations.filter((d) => d.type.startsWith("float")).map((d) => d.name)),
  };
}

/** A config for a method given beside it may leave its type out. */
function checkType(config: Fields, peftType: string): void {
  const given = config.peft_type ?? null;
  if (given === null || given === peftType) return;
  throw new WebpeftError("CONFIG-TYPE-MISMATCH", {
    message: "The config is for another method.",
    where: "peft_type",
    expected: peftType,
    got: shown(given),
  });
}

/** Whether a file holds a tensor of the module under a path, by the names of the file's tensors. */
function heldModules(held: Iterable<string> | undefined): ((path: string) => boolean) | undefined {
  if (held === undefined) return undefined;
  const names = [...held].map(withoutPrefix);
  return (path) => names.some((name) => name.startsWith(`${path}.`));
}

const namesParameters = ({ siteKinds }: FieldSites): boolean => siteKinds.includes(parameterKind);

/** Fields whose targets name layers that a model's experts no longer have. */
function fused(fields: Fields, modules: readonly ModuleInfo[]): Fields {
  const head = untargetedHead(modules, text(fields.task_type));
  return withFusedTargets(fields, rulesOf(fields), modules, () => linearPaths(modules, head));
}

const names = (value: FieldValue | undefined): MatchRules["targets"] => text(value) ?? list(value);

function withHeads(fields: Fields): Fields {
  if (!Object.hasOwn(fields, "modules_to_save")) return fields;
  return { ...fields, modules_to_save: withTaskHeads(list(fields.modules_to_save), text(fields.task_type)) };
}

const isAttention = (kinds: readonly string[]): boolean =>
  kinds.length > 0 && kinds.every((kind) => kind === "attention");

function rulesOf(fields: Fields): MatchRules {
  const layers = fields.layers_to_transform ?? null;
  return {
    targets: names(fields.target_modules),
    exclude: names(fields.exclude_modules),
    modulesToSave: list(fields.modules_to_save) ?? [],
    layers: typeof layers === "number" || layers === null ? layers : (layers as readonly number[]),
    layersPattern: names(fields.layers_pattern),
  };
}

/**
 * Finds the targets and stores them in the fields as PEFT does. Without targets the sites are the place of a prompt and all attentions, where the method
 * has them.
 */
function locate(
  fields: Fields,
  method: MethodConfig,
  { modelType, beside }: { readonly modelType: string; readonly beside: boolean },
  modules: readonly ModuleInfo[],
  sink: DiagnosticSink,
): { fields: Fields; hits: readonly ModuleInfo[] } {
  const { peftType, siteKinds, profile, targets: defaults } = method;
  const prompts = method.siteKinds.includes("prompt") ? [promptSite(modules)] : [];
  const others = method.siteKinds.filter((kind) => kind !== "prompt");
  const everywhere = (fields.target_modules ?? null) === null && profile.lastHits === undefined;
  if (
    (prompts.length > 0 && others.length === 0) ||
    !Object.hasOwn(fields, "target_modules") ||
    (everywhere && isAttention(others))
  ) {
    const attentions = others.includes("attention") ? openAttentions(modules) : [];
    return { fields, hits: [...prompts, ...attentions] };
  }
  const rules = rulesOf(fields);
  const taskType = text(fields.task_type);
  const settled = settleSubsets(fields, profile, modelType);
  const found = findTargets(
    { peftType, profile, defaults, siteKinds, rules, taskType, modelType, modules, beside },
    sink,
  );
  const kept = profile.targetIsName ? (fields.target_modules ?? found.targets?.[0] ?? null) : found.targets;
  const last = profile.lastHits;
  const hits = last === undefined ? found.hits : lastHits(found.hits, last, fields[last]);
  checkAttentions(hits);
  return { fields: { ...settled, target_modules: kept }, hits: [...prompts, ...hits] };
}

/** `fan_in_fan_out` is what the base stores: the value of the last adapted layer, corrected with a warning. */
function correctLayout(
  fields: Fields,
  present: ReadonlySet<string>,
  hits: readonly ModuleInfo[],
  profile: MethodProfile,
  sink: DiagnosticSink,
): Fields {
  const last = hits.filter(({ kind, layout }) => kind === "linear" && layout !== "patches").at(-1);
  if (last === undefined) return fields;
  const transposed = last.layout === "conv1d";
  if (transposed && profile.linearOnly) {
    sink.note("CONFIG-CONV1D", {
      message: "PEFT cannot load this adapter: it does not apply the method to Conv1D layers.",
      where: last.path,
    });
  }
  if (!Object.hasOwn(fields, "fan_in_fan_out") || fields.fan_in_fan_out === transposed) return fields;
  const [layer, now] = transposed ? ["Conv1D", "True"] : ["torch.nn.Linear", "False"];
  const message = `fan_in_fan_out is set to ${transposed ? "False" : "True"} but the target module is \`${layer}\`. Setting fan_in_fan_out to ${now}.`;
  if (present.has("fan_in_fan_out")) sink.warn("CONFIG-FAN-IN-FAN-OUT", { message, where: "fan_in_fan_out" });
  else sink.note("CONFIG-FAN-IN-FAN-OUT", { message, where: "fan_in_fan_out" });
  return { ...fields, fan_in_fan_out: transposed };
}
