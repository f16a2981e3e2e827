/** What an adapter is written as: its tensors, its config, and the folders of the adapters that it mixes. */
import { WebpeftError } from "../../ir/diagnostics.ts";
import { sizeOf } from "../../ir/types.ts";
import type { AdapterTensor, CompiledProgram, ExpertPlan } from "../../program/index.ts";
import { type AdapterContent, adapterFiles, checkpointFiles } from "../files/adapter.ts";
import { isInside } from "../files/paths.ts";
import type { HostTensor } from "../files/tensor.ts";
import { readTextFiles, textFiles } from "../files/text-files.ts";
import type { Numbers } from "./codecs/codec.ts";
import { computedValues } from "./prompt-encoder.ts";
import { computedOf, parametersOf, type RunningAdapter } from "./running.ts";
import type { AdapterValues, MixedAdapter } from "./values.ts";

type Made = Pick<CompiledProgram, "adapter" | "computed" | "head">;
type Parameters = ReadonlyMap<string, Float32Array>;
/** What the file holds of computed tensors, by key. */
type Computed = () => ReadonlyMap<string, Float32Array> | Promise<ReadonlyMap<string, Float32Array>>;

const isAsRead = (params: Parameters, values: AdapterValues): boolean =>
  [...params].every(([key, data]) => data.every((x, i) => Object.is(x, values.params.get(key)?.[i])));

/** The tensors of the adapter's files: frozen ones as they were read, computed ones too while nothing was trained, all others encoded. */
async function savedTensors(
  program: Made,
  params: Parameters,
  values: AdapterValues,
  compute: Computed = () => computedValues(program, params),
): Promise<Pick<AdapterContent, "tensors" | "encoder">> {
  const { tensors } = program.adapter!;
  const saved = new Map<string, HostTensor>(values.asRead);
  const encoder = new Map<string, HostTensor>();
  const stale = program.computed !== undefined && !isAsRead(params, values);
  for (const { key, role } of tensors) if (stale && role === "computed") saved.delete(key);
  const hasAll = tensors.every(({ key, role }) => role !== "computed" || saved.has(key));
  const computed = hasAll ? new Map<string, Float32Array>() : await compute();
  const numbersOf = ({ key, role }: AdapterTensor): Numbers | undefined =>
    ({ param: params, buffer: values.buffers, computed })[role].get(key);
  for (const tensor of tensors.filter((t) => t.saved)) {
    const [numbers, codec] = [numbersOf(tensor), values.codecs.get(tensor.key)!];
    if (numbers === undefined || codec.specs.some(({ key }) => saved.has(key))) continue;
    if (numbers.length !== sizeOf(tensor.shape)) throw new Error(`${tensor.key} has ${numbers.length} numbers`);
    const file = tensor.file === undefined ? saved : encoder;
    for (const [key, host] of await codec.encode(numbers)) file.set(key, host);
  }
  return encoder.size === 0 ? { tensors: saved } : { tensors: saved, encoder };
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

async function mixedContent(
  { prefix, trained, plan }: ExpertPlan,
  { values, content }: MixedAdapter,
  params: Parameters,
): Promise<AdapterContent> {
  if (!trained) return { ...content, floatFields: plan.floatFields };
  const own = [...params].filter(([key]) => key.startsWith(prefix));
  const now = new Map(own.map(([key, data]) => [key.slice(prefix.length), data]));
  return { ...content, floatFields: plan.floatFields, ...(await savedTensors({ adapter: plan }, now, values)) };
}

/** An adapter with these numbers in what it trains, and with those that it mixes, in folders of their own inside of its own. */
export async function writtenContent(
  program: Made,
  params: Parameters,
  values: AdapterValues,
  compute?: Computed,
): Promise<AdapterContent> {
  const { savedConfig, floatFields, experts, expertsFrom: field } = program.adapter!;
  const config = savedConfig as AdapterContent["config"];
  const { head } = program;
  const own = { config, floatFields, head, ...(await savedTensors(program, params, values, compute)) };
  const { mixed } = values;
  if (field === undefined || mixed === undefined) return own;
  const named = new Map(Object.entries(config[field] as Readonly<Record<string, unknown>>));
  const folders = new Map<string, AdapterContent>();
  for (const plan of experts) {
    const folder = folderOf(named.get(plan.name), plan.name, folders.keys());
    named.set(plan.name, folder);
    folders.set(folder, await mixedContent(plan, mixed.get(plan.name)!, params));
  }
  return { ...own, config: { ...config, [field]: Object.fromEntries(named) as AdapterContent["config"] }, folders };
}

/** The files of the adapter in use, with its numbers as they are now. Throws `SESSION-MODE` for what has no files. */
export async function adapterContent(entry: RunningAdapter): Promise<AdapterContent> {
  const { adapter } = entry.program;
  if (adapter === undefined)
    throw new WebpeftError("SESSION-MODE", { message: "the base model alone has no adapter to save" });
  if (adapter.savedConfig.peft_type === undefined)
    throw new WebpeftError("SESSION-MODE", { message: "what is in use is no adapter with a file: use one by name" });
  return writtenContent(entry.program, await parametersOf(entry), entry.values, () => computedOf(entry));
}

/** The same with the files of its folder that text is read and written with. */
export async function adapterFolder(entry: RunningAdapter): Promise<AdapterContent> {
  return { ...(await adapterContent(entry)), beside: await readTextFiles(entry.values.tree) };
}
