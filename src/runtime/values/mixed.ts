/** Adapters that another adapter mixes: their numbers, under the names of the program that mixes them. */
import { type DiagnosticSink, WebpeftError } from "../../ir/diagnostics.ts";
import type { CompiledProgram } from "../../program/index.ts";
import { type AdapterContent, type AdapterFiles, type ExpertSources, isRead, readAdapter } from "../files/adapter.ts";
import type { Model } from "../files/model.ts";
import { loadedValues } from "./loaded.ts";
import type { AdapterValues, MixedAdapter } from "./values.ts";

/** All that its files hold. */
async function readWhole({ config, tensors, metadata }: AdapterFiles): Promise<AdapterContent> {
  const read = [...tensors.tensors.keys()].map(async (key) => [key, await tensors.read(key)] as const);
  return { config, tensors: new Map(await Promise.all(read)), metadata };
}

/** An adapter's values with those of the adapters that it mixes. Throws `SESSION-EXPERTS` for one that was not given, and what reading throws. */
export async function withExperts(
  program: CompiledProgram,
  model: Model,
  own: AdapterValues,
  given: ExpertSources,
  sink: DiagnosticSink,
): Promise<AdapterValues> {
  const plans = program.adapter?.experts ?? [];
  if (plans.length === 0) return own;
  const [params, buffers] = [new Map(own.params), new Map(own.buffers)];
  const mixed = new Map<string, MixedAdapter>();
  for (const { name, prefix, trained, plan } of plans) {
    const source = Object.hasOwn(given, name) ? given[name] : undefined;
    if (source === undefined) {
      throw new WebpeftError("SESSION-EXPERTS", {
        message: "the adapter mixes others, and this one was not given",
        where: name,
        help: "start with { experts: { name: folder } }, or with an adapter that readAdapter read",
      });
    }
    const files = isRead(source) ? source : await readAdapter(source);
    const values = await loadedValues({ ...program, adapter: plan }, model, files, sink);
    refuseBase(name, values);
    for (const [key, data] of values.params) (trained ? params : buffers).set(`${prefix}${key}`, data);
    for (const [key, data] of values.buffers) buffers.set(`${prefix}${key}`, data);
    mixed.set(name, { values, content: await readWhole(files) });
  }
  return { ...own, params, buffers, mixed };
}

/** Throws SESSION-EXPERTS for an expert whose file holds a base of its own: there is one base for all. */
function refuseBase(name: string, { base }: AdapterValues): void {
  const [held] = base?.keys() ?? [];
  if (held === undefined) return;
  throw new WebpeftError("SESSION-EXPERTS", {
    message: "the file of an adapter that is mixed holds a tensor of the base model that differs from the base's own",
    where: `${name}: ${held}`,
    help: "use a base that has these tensors, or an adapter without them",
  });
}
