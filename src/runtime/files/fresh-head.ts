/** A model with a head that its files do not have: drawn as transformers draws it, beside the tensors of the files. */
import type { Diagnostic } from "../../ir/diagnostics.ts";
import { openUniform, threefry } from "../../ir/threefry.ts";
import { sizeOf } from "../../ir/types.ts";
import { sharedPrefix } from "../../methods/config/keys.ts";
import { modulePrefix } from "../../methods/site.ts";
import { configuredLabels, type HeadOptions, headTasks, withChosenHead } from "../../models/choose-head.ts";
import { describeModel } from "../../models/index.ts";
import type { FreshHead, ModelDescription, ModuleInfo } from "../../models/model.ts";
import type { AdapterConfigs } from "../../program/index.ts";
import { type Checks, checkOptions, oneOf, seed, text } from "../options.ts";
import { isJsonObject, type JsonObject } from "./json.ts";
import type { Model } from "./model.ts";
import { fromFloat32, type HostTensor } from "./tensor.ts";
import type { WeightInfo, Weights } from "./weights.ts";

/** More labels than any head has: the names alone would take long to write. */
const mostLabels = 2 ** 20;

const labels = (value: unknown): string | undefined => {
  const isCount = Number.isSafeInteger(value) && (value as number) > 0 && (value as number) <= mostLabels;
  if (isCount) return undefined;
  const isNames = Array.isArray(value) && value.length > 0 && value.every((name) => typeof name === "string");
  if (!isNames || value.length > mostLabels) return `a number of labels, up to ${mostLabels}, or a list of their names`;
  const empty = value.indexOf("");
  if (empty >= 0) return `a name for every label: the name of label ${empty} is empty`;
  const repeated = value.find((name, i) => value.indexOf(name) < i);
  return repeated === undefined ? undefined : `a name of its own for every label: ${repeated} is repeated`;
};

const checks: Checks<HeadOptions> = { task: oneOf(headTasks), labels, problem: text, seed };

/**
 * The model with the head that is asked for, or that the adapter's task and file want: with another class and labels in its config, without the
 * tensors of the head that it had, and with tensors that are drawn where its files have none. The model as it is where it has the head.
 * Throws `CONFIG-HEAD` where it is not clear which head. A head of another number of labels than the files have is drawn, with a warning.
 */
export function withHead(model: Model, asked: HeadOptions, adapter: Partial<AdapterConfigs>): Model {
  checkOptions(asked, checks, "COMPILE-OPTION");
  const { config, held } = adapter;
  const { task_type: taskType, auto_mapping: mapping } = (config ?? {}) as JsonObject;
  const className = isJsonObject(mapping) ? mapping.base_model_class : undefined;
  const found = (key: string) => held?.get(`${modulePrefix}${key}`) ?? held?.get(`${sharedPrefix}${key}`);
  const rows = (path: string) => found(`${path}.weight`)?.shape[0];
  // What was chosen before goes before what the folder tells.
  const kept = model.head === undefined ? adapter.head : undefined;
  const chosen = withChosenHead(model.config, asked, { taskType, className, kept, held: held && rows });
  if (chosen === undefined) return model;
  const before = describeModel(model.config, undefined, (key) => model.weights.info(key) !== undefined);
  const moved = withoutOldHead({ ...model, config: chosen as JsonObject }, before);
  const drawn = drawnTensors(moved);
  const isLost = (key: string) => held !== undefined && found(key) === undefined;
  const lost = [...drawn.keys()].filter(isLost);
  const other = [...drawn.keys()].filter((key) => moved.weights.info(key) !== undefined);
  const paths = new Set([...drawn.keys()].map((key) => key.replace(/\.(weight|bias)$/, "")));
  return {
    ...moved,
    weights: withDrawn(moved.weights, drawn, asked.seed ?? 0),
    drawn: [...paths],
    head: configuredLabels(chosen),
    diagnostics: [
      ...(model.diagnostics ?? []),
      ...(lost.length === 0 ? [] : [lostHead(lost)]),
      ...(other.length === 0 || held !== undefined ? [] : [otherHead(other)]),
    ],
  };
}

const lostHead = (keys: readonly string[]): Diagnostic => ({
  code: "MODEL-HEAD-DRAWN",
  severity: "warning",
  message: "tensors of the head are neither in the base model's files nor in the adapter's: they are drawn anew",
  where: keys.join(", "),
  help: "train with these modules in modules_to_save, so that the adapter's file holds them",
});

const otherHead = (keys: readonly string[]): Diagnostic => ({
  code: "MODEL-HEAD-DRAWN",
  severity: "warning",
  message: "the head of the base model has another number of labels: its tensors are drawn anew",
  where: keys.join(", "),
});

type Described = ModelDescription & { readonly prefix?: string; readonly otherPrefixes?: readonly string[] };

const keysOf = ({ path, weight, bias, parameters = {} }: ModuleInfo): string[] => [
  ...[weight, bias].filter((key) => key !== undefined),
  ...Object.values(parameters).flatMap(({ key, parts = [] }) => [key, ...parts]),
  `${path}.weight`,
];

/** The model without the tensors that only its old head read, under the keys that a model with the new head has in files. */
function withoutOldHead(model: Model, before: ModelDescription): Model {
  const { weights } = model;
  const isStored = (key: string): boolean => weights.info(key) !== undefined;
  const now: Described = describeModel(model.config, undefined, isStored);
  const kept = new Set(now.modules.flatMap(keysOf));
  const gone = new Set(before.modules.flatMap(keysOf).filter((key) => !kept.has(key)));
  const prefix = `${now.prefix}.`;
  const others = (now.otherPrefixes ?? []).map((name) => `${name}.`);
  const isAlone = before.defaults.head.kind === "none" || (before as Described).prefix === undefined;
  const isBare =
    now.prefix !== undefined &&
    isAlone &&
    !weights.keys().some((key) => [prefix, ...others].some((p) => key.startsWith(p)));
  const name = (key: string): string => {
    const other = others.find((one) => key.startsWith(one));
    return isBare ? `${prefix}${key}` : other === undefined ? key : `${prefix}${key.slice(other.length)}`;
  };
  const renamed = (from: Weights): Weights =>
    underNames(
      from,
      new Map(
        from
          .keys()
          .filter((key) => !gone.has(key))
          .map((key) => [name(key), key]),
      ),
    );
  const stacks = model.stacks && {
    files: renamed(model.stacks.files),
    stacks: new Map(
      [...model.stacks.stacks].map(([key, { parts, info }]) => [name(key), { info, parts: parts.map(name) }]),
    ),
  };
  const slices = model.slices && {
    files: renamed(model.slices.files),
    slices: new Map(
      [...model.slices.slices].map(([key, slice]) => [name(key), { ...slice, whole: name(slice.whole) }]),
    ),
  };
  return { ...model, weights: renamed(weights), ...(stacks && { stacks }), ...(slices && { slices }) };
}

/** Tensors under other keys: `sources` has the key of each in `from`. */
const underNames = (from: Weights, sources: ReadonlyMap<string, string>): Weights => ({
  keys: () => [...sources.keys()],
  info: (key) => (sources.has(key) ? from.info(sources.get(key)!) : undefined),
  read: (key) => from.read(sources.get(key) ?? key),
});

interface Drawn extends WeightInfo {
  /** Of the numbers of a weight; ones or zeros where there is none. */
  readonly head?: FreshHead;
  readonly fill: number;
}

/** The tensors of the head that the files lack, or have for another number of labels, in the dtype of the others. */
function drawnTensors({ config, weights }: Model): ReadonlyMap<string, Drawn> {
  const dtype =
    weights
      .keys()
      .flatMap((key) => weights.info(key)?.dtype ?? [])
      .find((one) => ["F32", "F16", "BF16"].includes(one)) ?? "F32";
  const { modules } = describeModel(config, undefined, (key) => weights.info(key) !== undefined);
  const drawn = new Map<string, Drawn>();
  for (const { kind, weight, bias, in: width, out, head } of modules) {
    if (head === undefined) continue;
    const isNorm = kind === "norm";
    const shape = isNorm ? [out!] : [out!, width!];
    if (weight !== undefined) drawn.set(weight, { dtype, shape, fill: 1, ...(isNorm ? {} : { head }) });
    if (bias !== undefined) drawn.set(bias, { dtype, shape: [out!], fill: 0 });
  }
  for (const [key, { shape }] of drawn) if (weights.info(key)?.shape.join() === shape.join()) drawn.delete(key);
  return drawn;
}

function withDrawn(weights: Weights, drawn: ReadonlyMap<string, Drawn>, seed: number): Weights {
  return {
    keys: () => [...new Set([...weights.keys(), ...drawn.keys()])],
    info: (key) => drawn.get(key) ?? weights.info(key),
    read: async (key) => {
      const tensor = drawn.get(key);
      return tensor === undefined ? weights.read(key) : drawnTensor(key, tensor, seed);
    },
  };
}

/** Numbers of a tensor: they depend on the seed, its key and the place alone. */
function drawnTensor(key: string, { dtype, shape, head, fill }: Drawn, seed: number): HostTensor {
  const numbers = new Float32Array(sizeOf(shape)).fill(fill);
  if (head === undefined) return fromFloat32(numbers, dtype, shape);
  const stream = [...key].reduce((hash, letter) => Math.imul(hash ^ letter.codePointAt(0)!, 0x01000193), 0x811c9dc5);
  const { deviation, cutoff = Number.POSITIVE_INFINITY } = head;
  for (let i = 0; i < numbers.length; i++) {
    let [z, draw] = [Number.POSITIVE_INFINITY, 0];
    while (Math.abs(z) > cutoff || !Number.isFinite(z)) z = normal(seed, stream, i, draw++);
    numbers[i] = deviation * z;
  }
  return fromFloat32(numbers, dtype, shape);
}

/** A standard normal number by Box and Muller. */
function normal(seed: number, stream: number, place: number, draw: number): number {
  const [a, b] = threefry(seed, stream, place, draw).map(openUniform) as [number, number];
  return Math.sqrt(-2 * Math.log(a)) * Math.cos(2 * Math.PI * b);
}
