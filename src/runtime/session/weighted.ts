/** Weighted combinations of a session's adapters: PEFT's `add_weighted_adapter`. The numbers are those that the adapters have now. */
import { DiagnosticSink, WebpeftError } from "../../ir/diagnostics.ts";
import type { Combine, CombineOptions, CombineSource } from "../../methods/combine/sources.ts";
import { resolveAdapter } from "../../methods/config/index.ts";
import type { Method } from "../../methods/index.ts";
import { type Methods, withoutText } from "../../methods/registry.ts";
import { encodeAdapter } from "../files/adapter.ts";
import type { JsonObject } from "../files/json.ts";
import { fromFloat32 } from "../files/tensor.ts";
import { shapeInFile } from "../values/codecs/patch-form.ts";
import { parametersOf, trainedTensors } from "../values/running.ts";
import type { AdapterEntry, SessionAdapters } from "./adapters.ts";

/** How adapters of these methods become one. Throws `SESSION-COMBINE` where they are of several, or their method's record does not say. */
function combineOf(used: readonly Method[], known: Methods): Combine {
  const [first] = used;
  if (first?.record.combine !== undefined && used.every((method) => method === first)) return first.record.combine;
  const able = known.all.filter(({ record }) => record.combine !== undefined);
  throw new WebpeftError("SESSION-COMBINE", {
    message: "these adapters cannot be combined into a new one",
    expected: `adapters that are all ${able.map(({ peftType }) => peftType).join(" or all ")}`,
    got: [...new Set(used.map(({ peftType }) => peftType))].join(", "),
    help: "convert them to LoRA first (webpeft convert)",
  });
}

async function sourceOf(entry: AdapterEntry, method: Method, name: string, weight: number): Promise<CombineSource> {
  const { model, modelConfig, adapter } = entry.program;
  const { savedConfig: config } = adapter!;
  const { sites } = resolveAdapter(withoutText(config), method, model.modules, modelConfig, new DiagnosticSink());
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
  known: Methods,
  names: readonly string[],
  weights: readonly number[],
  name: string,
  options: CombineOptions,
): Promise<void> {
  checkWeights(names, weights);
  const source = async (entry: AdapterEntry, place: number) => {
    const { savedConfig, floatFields, tensors } = entry.program.adapter!;
    const method = known.methodOf(savedConfig, new DiagnosticSink());
    combineOf([method], known);
    const forms = new Map(tensors.map(({ key, patchForm }) => [key, patchForm]));
    return { source: await sourceOf(entry, method, names[place]!, weights[place]!), method, floatFields, forms };
  };
  await adapters.derive(names, name, source, (entries) => {
    const combine = combineOf(
      entries.map(({ method }) => method),
      known,
    );
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
