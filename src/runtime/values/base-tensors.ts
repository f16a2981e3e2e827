/** Tensors of the base model that an adapter's file holds: they take the place of the base's own while that adapter is used. */
import { type DiagnosticSink, WebpeftError } from "../../ir/diagnostics.ts";
import { withoutPrefix } from "../../methods/config/index.ts";
import type { AdapterPlan, CompiledProgram } from "../../program/index.ts";
import type { Model } from "../files/model.ts";
import type { HostTensor } from "../files/tensor.ts";
import { sameNumbers } from "../files/ties.ts";
import type { FoundTensor } from "./codecs/codec.ts";
import type { TensorSpec } from "./load-plan.ts";
import { floatNumbers } from "./numbers.ts";
import type { AdapterTensors, AdapterValues } from "./values.ts";

type BaseTensors = ReadonlyMap<string, HostTensor>;
const none: BaseTensors = new Map();

/** What a file may hold of the base, with the shapes that the base has. */
export function baseSpecs({ baseKeys }: AdapterPlan, { weights }: Model): TensorSpec[] {
  return [...baseKeys].flatMap(([key, weight]) => {
    const info = weights.info(weight);
    return info === undefined ? [] : [{ key, shape: info.shape, tensor: weight }];
  });
}

/**
 * Whether a program that was compiled without knowing of a file would round what the file holds of the base: it computes with the base's
 * dtypes, and a tensor of the file has another.
 */
export function wouldRound(
  { adapter }: Pick<CompiledProgram, "adapter">,
  { weights }: Model,
  held: NonNullable<AdapterPlan["held"]>,
): boolean {
  if (adapter === undefined || adapter.held !== undefined) return false;
  const keys = new Map([...adapter.baseKeys].map(([key, weight]) => [withoutPrefix(key), weight]));
  return [...held].some(([key, { dtype }]) => {
    const own = weights.info(keys.get(withoutPrefix(key)) ?? "")?.dtype ?? "F32";
    return own !== "F32" && own !== dtype;
  });
}

/**
 * The tensors of a file that differ from the base's, by the base's keys. `mapping`: keys in the file by keys of `baseSpecs`. Throws
 * FILE-ADAPTER-TIES for two tensors that mean one tensor of the base and differ.
 */
export async function readBase(
  { adapter: plan }: Pick<CompiledProgram, "adapter">,
  { weights }: Model,
  file: AdapterTensors,
  mapping: ReadonlyMap<string, string>,
  sink: DiagnosticSink,
): Promise<BaseTensors> {
  const { baseKeys } = plan!;
  const found = new Map<string, FoundTensor>();
  for (const [key, inFile] of mapping) {
    const weight = baseKeys.get(key)!;
    const tensor = await file.read(inFile);
    floatNumbers(tensor, inFile);
    const before = found.get(weight);
    if (before !== undefined && !sameNumbers(before.tensor, tensor)) throw differentEnds(weight, before.inFile, inFile);
    found.set(weight, { inFile, tensor });
  }
  const base = new Map<string, HostTensor>();
  for (const [weight, { tensor }] of found)
    if (!sameNumbers(await weights.read(weight), tensor)) base.set(weight, tensor);
  if (base.size > 0) {
    sink.note("FILE-ADAPTER-BASE", {
      message: `The file holds tensors of the base model, which are used in place of the base's own: ${[...base.keys()].join(", ")}.`,
      where: [...base.keys()][0]!,
    });
  }
  return base;
}

/** The error for two tensors of a file that both mean `name`. */
export const differentEnds = (name: string, first: string, second: string): WebpeftError =>
  new WebpeftError("FILE-ADAPTER-TIES", {
    message: `Two tensors of the file mean one tensor and differ: ${first} and ${second}.`,
    where: second,
    expected: `the same numbers: there is one tensor for both, ${name}`,
    got: "different ones",
    help: "The adapter may be of another base, whose embeddings are not tied.",
  });

/** The model as an adapter sees it. */
export function withBaseOf(model: Model, { base }: Pick<AdapterValues, "base">): Model {
  if (base === undefined || base.size === 0) return model;
  const { weights } = model;
  return {
    ...model,
    weights: {
      ...weights,
      info: (key) => base.get(key) ?? weights.info(key),
      read: async (key) => base.get(key) ?? weights.read(key),
    },
  };
}

/** Whether two adapters see the same base. */
export function sameBase({ base: a = none }: AdapterValues, { base: b = none }: AdapterValues): boolean {
  return a.size === b.size && [...a].every(([key, tensor]) => b.has(key) && sameNumbers(tensor, b.get(key)!));
}

/** What adapters that are in use together see of the base. Throws COMPILE-ACTIVE where they disagree. */
export function joinedBase(parts: readonly AdapterValues[]): BaseTensors {
  const joined = new Map<string, HostTensor>();
  for (const [key, tensor] of parts.flatMap(({ base }) => [...(base ?? [])])) {
    const before = joined.get(key);
    if (before !== undefined && !sameNumbers(before, tensor)) {
      throw new WebpeftError("COMPILE-ACTIVE", {
        message: "two adapters have a tensor of the base of their own, and they differ",
        where: key,
        help: "use one of the adapters alone",
      });
    }
    joined.set(key, tensor);
  }
  return joined;
}
