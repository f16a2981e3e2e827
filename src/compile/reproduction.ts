/**
 * What `compile` was given, as JSON without a single number of a weight: all that shows again what went wrong with it. Functions, signals and
 * a registry of methods are no JSON; the text of a method is.
 */
import { WebpeftError } from "../ir/diagnostics.ts";
import type { AdapterConfigs } from "../program/index.ts";
import { configsOf, isRead } from "../runtime/files/adapter.ts";
import { isJsonObject, type JsonObject, parseJsonObject } from "../runtime/files/json.ts";
import type { Model } from "../runtime/files/model.ts";
import { isTensorDtype, type TensorDtype } from "../runtime/files/tensor.ts";
import { weightsOf } from "../runtime/files/weights.ts";
import type { CompileOptions } from "./options.ts";

const reproductionVersion = 1;

/** The fields of `CompileOptions` that are data. */
type PlainOptions = Omit<CompileOptions, "onPass" | "signal" | "forecast" | "methods">;

type Headers = Readonly<Record<string, { readonly dtype: string; readonly shape: readonly number[] }>>;

export interface Reproduction {
  readonly version: number;
  readonly model: Pick<Model, "config" | "drawn" | "head"> & { readonly tensors: Headers };
  /** A config, or what was read of an adapter's folder; null for the base alone. */
  readonly config?: unknown;
  readonly read?: Omit<AdapterConfigs, "held"> & { readonly held?: Headers | undefined };
  readonly options: PlainOptions;
}

const headersOf = (keys: Iterable<string>, of: (key: string) => Headers[string] | undefined): Headers =>
  Object.fromEntries(
    [...keys].flatMap((key) => {
      const info = of(key);
      return info === undefined ? [] : [[key, { dtype: info.dtype, shape: info.shape }]];
    }),
  );

/** What `compile` was given. */
export function reproductionOf(model: Model, config: unknown, options: CompileOptions): Reproduction {
  const { onPass: _onPass, signal: _signal, forecast: _forecast, methods: _methods, ...plain } = options;
  const { weights, drawn, head } = model;
  const tensors = headersOf(weights.keys(), (key) => weights.info(key));
  const given = { config: model.config, ...(drawn && { drawn }), ...(head && { head }), tensors };
  const base = { version: reproductionVersion, model: given, options: plain };
  if (!isRead(config)) return { ...base, config: config ?? null };
  const { held, ...read } = configsOf(config);
  return { ...base, read: { ...read, ...(held && { held: headersOf(held.keys(), (key) => held.get(key)) }) } };
}

/** The model, without numbers: whoever reads one is told so. */
function modelOf({ config, tensors, drawn, head }: Reproduction["model"]): Model {
  const read = async (): Promise<never> => {
    throw new WebpeftError("DATA-TENSOR-MISSING", { message: "a reproduction has no numbers of weights" });
  };
  const entries = Object.entries(tensors).map(([key, { dtype, shape }]) => {
    const known: TensorDtype = isTensorDtype(dtype) ? dtype : "F32";
    return [key, { dtype: known, shape, read }] as const;
  });
  const weights = weightsOf("the reproduction", new Map(entries));
  return { name: "the reproduction", config, weights, ...(drawn && { drawn }), ...(head && { head }) };
}

/** Throws `FILE-JSON` for a text that is none, and `INSPECT-DUMP` for one of another version. */
export function readReproduction(text: string, where: string): Reproduction {
  const json: JsonObject = parseJsonObject(text, where);
  const { version, model, options } = json;
  if (version === reproductionVersion && isJsonObject(model) && isJsonObject(model.tensors) && isJsonObject(options))
    return json as unknown as Reproduction;
  throw new WebpeftError("INSPECT-DUMP", {
    message: "the file is no reproduction of an error that this version wrote",
    where,
    expected: "the file reproduce.json of a dump",
  });
}

/** What `compile` is given again. */
export function givenAgain({ model, config, read, options }: Reproduction): {
  readonly model: Model;
  readonly configs: AdapterConfigs | undefined;
  readonly config: unknown;
  readonly options: CompileOptions;
} {
  const configs = read && { ...read, held: read.held && new Map(Object.entries(read.held)) };
  return { model: modelOf(model), configs, config, options };
}
