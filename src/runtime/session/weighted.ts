/** Weighted combinations of a session's adapters: PEFT's `add_weighted_adapter`. The numbers are those that the adapters have now. */
import { DiagnosticSink, WebpeftError } from "../../ir/diagnostics.ts";
import { type CombineOptions, type CombineSource, combineOf } from "../../methods/combine/index.ts";
import { resolveAdapter } from "../../methods/config/index.ts";
import { methods } from "../../methods/index.ts";
import { encodeAdapter } from "../files/adapter.ts";
import type { JsonObject } from "../files/json.ts";
import { fromFloat32 } from "../files/tensor.ts";
import { shapeInFile } from "../values/codecs/patch-form.ts";
import { parametersOf, trainedTensors } from "../values/running.ts";
import type { AdapterEntry, SessionAdapters } from "./adapters.ts";

async function sourceOf(entry: AdapterEntry, name: string, weight: number): Promise<CombineSource> {
  const { model, modelConfig, adapter } = entry.program;
  const { savedConfig: config, peftType } = adapter!;
  const method = methods.get(peftType)!;
  const { sites } = resolveAdapter(config, method, model.modules, modelConfig, new DiagnosticSink());
  const [held] = entry.values.base?.keys() ?? [];
  if (held !== undefined) {
    throw new WebpeftError("SESSION-COMBINE", {
      message: "the file of an adapter holds tensors of the base model, which are in no factor",
      where: `${name}: ${held}`,
    });
  }
  const params = await parametersOf(entry);
  const tensors = trainedTensors(entry.program).map(
    ({ key, shape }) => [key, { shape, data: params.get(key)! }] as const,
  );
  return { name, weight, config, sites, tensors: new Map(tensors) };
}

function checkWeights(names: readonly string[], weights: readonly number[]): void {
  if (names.length > 0 && weights.length === names.length && weights.every(Number.isFinite)) return;
  throw new WebpeftError("SESSION-COMBINE-OPTION", {
    message: "every adapter to combine has one weight",
    where: "weights",
    expected: `${Math.max(1, names.length)} numbers`,
    got: JSON.stringify(weights),
  });
}

/** Combines adapters and loads the result under a new name. Throws `SESSION-ADAPTER-UNKNOWN`, `SESSION-ADAPTER-NAME`, `SESSION-COMBINE...`. */
export async function addWeighted(
  adapters: SessionAdapters,
  names: readonly string[],
  weights: readonly number[],
  name: string,
  options: CombineOptions,
): Promise<void> {
  checkWeights(names, weights);
  const source = async (entry: AdapterEntry, place: number) => {
    const { peftType, floatFields, tensors } = entry.program.adapter!;
    combineOf([peftType]);
    const forms = new Map(tensors.map(({ key, patchForm }) => [key, patchForm]));
    return { source: await sourceOf(entry, names[place]!, weights[place]!), peftType, floatFields, forms };
  };
  await adapters.derive(names, name, source, (entries) => {
    const combine = combineOf(entries.map(({ peftType }) => peftType));
    const sources = entries.map((entry) => entry.source);
    const { config, tensors } = combine(sources, options);
    const host = [...tensors].map(([key, { shape, data }]) => {
      const form = entries.flatMap(({ forms }) => forms.get(key) ?? [])[0];
      return [key, fromFloat32(data, "F32", shapeInFile(shape, form))] as const;
    });
    const content = { config: config as JsonObject, floatFields: entries[0]!.floatFields, tensors: new Map(host) };
    return Object.fromEntries(encodeAdapter(content));
  });
}
