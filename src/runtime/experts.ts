/** Adapters that another adapter mixes: their numbers under the names of the program that mixes them, and their files when it is saved. */
import { type DiagnosticSink, WebpeftError } from "../ir/diagnostics.ts";
import type { AdapterPlan, CompiledProgram, ExpertPlan } from "../program.ts";
import { type AdapterContent, type AdapterFiles, isRead, readAdapter } from "./files/adapter.ts";
import type { FolderSource } from "./files/folder.ts";
import type { Model } from "./files/model.ts";
import { type AdapterValues, loadedValues } from "./initial.ts";
import { savedTensors } from "./saved.ts";

/** Adapters by the names that a config gives them. */
export type ExpertSources = Readonly<Record<string, FolderSource | AdapterFiles>>;

/** An expert as it was read. */
export interface ExpertValues {
  readonly values: AdapterValues;
  /** Its files, for writing them elsewhere. */
  readonly content: AdapterContent;
}

async function contentOf({ config, tensors, metadata }: AdapterFiles): Promise<AdapterContent> {
  const read = [...tensors.tensors.keys()].map(async (key) => [key, await tensors.read(key)] as const);
  return { config, tensors: new Map(await Promise.all(read)), metadata };
}

/** An adapter's values with those of its experts. Throws `SESSION-EXPERTS` for one that was not given, and what reading throws. */
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
  const experts = new Map<string, ExpertValues>();
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
    for (const [key, data] of values.params) (trained ? params : buffers).set(`${prefix}${key}`, data);
    for (const [key, data] of values.buffers) buffers.set(`${prefix}${key}`, data);
    experts.set(name, { values, content: await contentOf(files) });
  }
  return { ...own, params, buffers, experts };
}

/** Whether a path can be one of a folder inside of the adapter's own. */
const isInside = (path: unknown): path is string =>
  typeof path === "string" &&
  path !== "" &&
  path.split("/").every((part) => /^[^\\:]+$/.test(part) && !/^\.*$/.test(part));

const isElsewhere = (path: unknown): boolean => typeof path === "string" && /^(\/|[A-Za-z]:|[a-z]+:\/\/)/.test(path);

function expertContent(
  { prefix, trained, plan }: ExpertPlan,
  { values, content }: ExpertValues,
  params: ReadonlyMap<string, Float32Array>,
): AdapterContent {
  if (!trained) return { ...content, floatFields: plan.floatFields };
  const own = [...params].filter(([key]) => key.startsWith(prefix));
  const now = new Map(own.map(([key, data]) => [key.slice(prefix.length), data]));
  return { ...content, floatFields: plan.floatFields, ...savedTensors({ adapter: plan }, now, values) };
}

/**
 * The files of an adapter with those of its experts. Experts inside of the adapter's folder, and those that were trained, are written with
 * it; one that another folder holds, named by its whole path, stays there.
 */
export function withExpertFiles(
  { experts: plans }: AdapterPlan,
  field: string | undefined,
  own: AdapterContent,
  { experts }: AdapterValues,
  params: ReadonlyMap<string, Float32Array>,
): AdapterContent {
  if (field === undefined || experts === undefined) return own;
  const named = { ...(own.config[field] as Readonly<Record<string, string>>) };
  const folders = new Map<string, AdapterContent>();
  for (const plan of plans) {
    const path = named[plan.name];
    if (isElsewhere(path) && !plan.trained) continue;
    const folder = isInside(path) ? path : plan.name;
    named[plan.name] = folder;
    folders.set(folder, expertContent(plan, experts.get(plan.name)!, params));
  }
  return { ...own, config: { ...own.config, [field]: named }, folders };
}
