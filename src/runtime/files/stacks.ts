/** Tensors that files hold in parts, as those of experts: read as one, written as the parts that they were. */
import { DiagnosticSink, WebpeftError } from "../../ir/diagnostics.ts";
import { sizeOf } from "../../ir/types.ts";
import { checkLayers, describeModel } from "../../models/index.ts";
import type { ModuleInfo } from "../../models/model.ts";
import type { JsonObject } from "./json.ts";
import type { HostTensor } from "./tensor.ts";
import type { WeightInfo, Weights } from "./weights.ts";

interface Stack {
  /** Keys in the file, one behind the other. */
  readonly parts: readonly string[];
  readonly info: WeightInfo;
}

/** How the tensors of a model are in its files. */
export interface Stacks {
  /** By the key of the whole. */
  readonly stacks: ReadonlyMap<string, Stack>;
  readonly files: Weights;
}

/** What is looked at of a model. */
export interface StoredModel {
  readonly config: JsonObject;
  readonly weights: Weights;
  readonly stacks?: Stacks;
}

/** The modules that its config describes; none where it is not usable, which is said where the model is compiled. */
export function modulesOf({ config, weights }: Pick<StoredModel, "config" | "weights">): readonly ModuleInfo[] {
  try {
    checkLayers(config, weights.keys());
    return describeModel(config, new DiagnosticSink(), (key) => weights.info(key) !== undefined).modules;
  } catch (error) {
    if (error instanceof WebpeftError) return [];
    throw error;
  }
}

/**
 * The model with every tensor that its files hold in parts as one. Throws `MODEL-WEIGHT-MISSING` where some of the parts are missing, and
 * `MODEL-WEIGHT-SHAPE` where they are not alike.
 */
export function withStacks<M extends StoredModel>(model: M): M {
  const { weights: files } = model;
  const stacks = new Map<string, Stack>();
  for (const { parameters = {} } of modulesOf(model))
    for (const { key, shape, parts = [] } of Object.values(parameters)) {
      const isApart = files.info(key) === undefined && parts.some((part) => files.info(part) !== undefined);
      if (isApart) stacks.set(key, stackOf(files, parts, shape));
    }
  if (stacks.size === 0) return model;
  const owners = new Map([...stacks].flatMap(([key, { parts }]) => parts.map((part) => [part, key] as const)));
  const weights: Weights = {
    keys: () => [...new Set(files.keys().map((key) => owners.get(key) ?? key))],
    info: (key) => stacks.get(key)?.info ?? (owners.has(key) ? undefined : files.info(key)),
    read: async (key) => {
      const stack = stacks.get(key);
      return stack === undefined ? files.read(key) : joined(files, stack);
    },
  };
  return { ...model, weights, stacks: { stacks, files } };
}

function stackOf(files: Weights, parts: readonly string[], shape: readonly number[]): Stack {
  const infos = parts.map((key) => {
    const info = files.info(key);
    if (info !== undefined) return info;
    throw new WebpeftError("MODEL-WEIGHT-MISSING", {
      message: "the model's files lack a tensor that its config asks for",
      where: key,
      expected: key,
      got: "others of the same layer",
    });
  });
  const [count, rows, ...rest] = shape as [number, number, ...number[]];
  const { dtype } = infos[0]!;
  const expected = `${dtype} [${[(count * rows) / parts.length, ...rest].join(", ")}]`;
  for (const [i, info] of infos.entries()) {
    const got = `${info.dtype} [${info.shape.join(", ")}]`;
    if (got === expected) continue;
    throw new WebpeftError("MODEL-WEIGHT-SHAPE", {
      message:
        "a tensor of the model's files has another shape or type than its config and the others of the layer say",
      where: parts[i]!,
      expected,
      got,
    });
  }
  return { parts, info: { dtype, shape } };
}

async function joined(files: Weights, { parts, info }: Stack): Promise<HostTensor> {
  const first = await files.read(parts[0]!);
  const bytes = new Uint8Array(first.bytes.byteLength * parts.length);
  for (const [i, part] of parts.entries())
    bytes.set((i === 0 ? first : await files.read(part)).bytes, i * first.bytes.byteLength);
  return { ...info, bytes };
}

/** The tensors of a model with those in parts that its files hold so, or the files of the model that it was made of. */
export function unstacked({ weights, stacks: apart }: Pick<StoredModel, "weights" | "stacks">): Weights {
  if (apart === undefined) return weights;
  const { stacks, files } = apart;
  const homes = new Map(
    [...stacks].flatMap(([key, { parts }]) => parts.map((part, index) => [part, { key, index }] as const)),
  );
  const cached = new Map<string, { readonly whole: Promise<HostTensor>; readonly left: Set<string> }>();
  /** Kept until every part has been read once. */
  const whole = (key: string, part: string): Promise<HostTensor> => {
    const known = cached.get(key) ?? { whole: weights.read(key), left: new Set(stacks.get(key)!.parts) };
    known.left.delete(part);
    if (known.left.size > 0) cached.set(key, known);
    else cached.delete(key);
    return known.whole;
  };
  return {
    keys: () => [...files.keys(), ...weights.keys().filter((key) => !stacks.has(key) && files.info(key) === undefined)],
    info: (key) => (homes.has(key) ? files.info(key) : weights.info(key)),
    read: async (key) => {
      const home = homes.get(key);
      if (home === undefined) return weights.read(key);
      const info = files.info(key)!;
      const { bytes } = await whole(home.key, key);
      const size = (bytes.byteLength / sizeOf(stacks.get(home.key)!.info.shape)) * sizeOf(info.shape);
      return { ...info, bytes: bytes.subarray(home.index * size, (home.index + 1) * size) };
    },
  };
}
