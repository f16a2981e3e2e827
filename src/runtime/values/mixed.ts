/** Adapters that another adapter mixes: their numbers under the names of the program that mixes them, and their files when it is saved. */
import { type DiagnosticSink, WebpeftError } from "../../ir/diagnostics.ts";
import type { AdapterPlan, CompiledProgram, ExpertPlan } from "../../program/index.ts";
import {
  type AdapterContent,
  type AdapterFiles,
  adapterFiles,
  checkpointFiles,
  type ExpertSources,
  isRead,
  readAdapter,
} from "../files/adapter.ts";
import type { Model } from "../files/model.ts";
import { isInside } from "../files/paths.ts";
import { textFiles } from "../files/text-files.ts";
import { loadedValues } from "./initial.ts";
import { savedTensors } from "./saved.ts";
import type { AdapterValues, MixedAdapter } from "./values.ts";

/** All that its files hold. */
async function readWhole({ config, tensors, metadata }: AdapterFiles): Promise<AdapterContent> {
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

/** Files that stand beside an adapter's folders: its own, those of a checkpoint, a tokenizer. */
const files: ReadonlySet<string> = new Set([...adapterFiles, ...checkpointFiles, ...textFiles]);

/** Whether a folder of that name would be hidden, a checkpoint, or in the place of a file, where capitals may count as small letters. */
const isTaken = (path: string): boolean => {
  const outermost = path.split("/", 1)[0]!.toLowerCase();
  return outermost.startsWith(".") || /^checkpoint-\d+$/.test(outermost) || files.has(outermost);
};

/** A folder inside of the adapter's own that no other expert has: where the config says, else by the expert's name. */
function folderOf(path: unknown, name: string, used: Iterable<string>): string {
  const known = new Set([...used].map((folder) => folder.toLowerCase()));
  const numbered = Array.from({ length: known.size + 1 }, (_unused, i) => `expert-${name}-${i}`);
  const wanted = typeof path === "string" ? [path.replace(/^(\.\/+)+|\/+$/g, "")] : [];
  const isFree = (folder: string): boolean => isInside(folder) && !isTaken(folder) && !known.has(folder.toLowerCase());
  return [...wanted, name, ...numbered].find(isFree)!;
}

function expertContent(
  { prefix, trained, plan }: ExpertPlan,
  { values, content }: MixedAdapter,
  params: ReadonlyMap<string, Float32Array>,
): AdapterContent {
  if (!trained) return { ...content, floatFields: plan.floatFields };
  const own = [...params].filter(([key]) => key.startsWith(prefix));
  const now = new Map(own.map(([key, data]) => [key.slice(prefix.length), data]));
  return { ...content, floatFields: plan.floatFields, ...savedTensors({ adapter: plan }, now, values) };
}

/** The files of an adapter with those of its experts, in folders of their own inside of the adapter's. */
export function withExpertFiles(
  { experts: plans }: AdapterPlan,
  field: string | undefined,
  own: AdapterContent,
  { mixed }: AdapterValues,
  params: ReadonlyMap<string, Float32Array>,
): AdapterContent {
  if (field === undefined || mixed === undefined) return own;
  const named = new Map(Object.entries(own.config[field] as Readonly<Record<string, unknown>>));
  const folders = new Map<string, AdapterContent>();
  for (const plan of plans) {
    const folder = folderOf(named.get(plan.name), plan.name, folders.keys());
    named.set(plan.name, folder);
    folders.set(folder, expertContent(plan, mixed.get(plan.name)!, params));
  }
  return { ...own, config: { ...own.config, [field]: Object.fromEntries(named) }, folders };
}
