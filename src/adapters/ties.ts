/** Layers that share a weight with an embedding: which of them change with it, and which are sites of their own. */
import { WebpeftError } from "../ir/diagnostics.ts";
import { type ResolvedAdapter, siteKey } from "../methods/config/index.ts";
import type { Elaboration, Method, Site } from "../methods/index.ts";
import type { ModuleInfo } from "../models/model.ts";

/** The linear layer that shares an embedding's table. */
function tiedTo(module: ModuleInfo, modules: readonly ModuleInfo[]): ModuleInfo | undefined {
  if (module.kind !== "embedding") return undefined;
  return modules.find(({ kind, weight }) => kind === "linear" && weight === module.weight);
}

const valueAt = ({ from, fields }: Site): string => JSON.stringify(from === undefined ? null : fields[from]);

/**
 * The sites of an adapter. Of a method whose embeddings take the tied layer along, the layer is no site of its own when it would train the
 * same; when it would train something else (LoRA's token indices by name), the ends part. Throws CONFIG-TIES where the config forbids that.
 */
export function tiedSites({ sites, fields }: ResolvedAdapter, method: Method, modules: readonly ModuleInfo[]): Site[] {
  const ends = sites.map((site): Site => {
    const other = tiedTo(site, modules);
    if (other === undefined || !method.followsTie(site.kind, site.from)) return site;
    const own = sites.find(({ path, from }) => path === other.path && from === site.from);
    return own === undefined || valueAt(own) === valueAt(site)
      ? { ...site, followers: [...twinsOf(site, modules), other] }
      : site;
  });
  for (const end of ends) refuseApart(end, method, modules);
  if (fields.ensure_weight_tying === true) checkEnsured(ends, modules);
  const taken = new Map(ends.flatMap(({ followers = [], from }) => followers.map(({ path }) => [path, from] as const)));
  return ends.filter(({ path, from }) => !taken.has(path) || taken.get(path) !== from);
}

/** Other tables that share an embedding's weight, as the stacks of T5 do. */
const twinsOf = (site: ModuleInfo, modules: readonly ModuleInfo[]): readonly ModuleInfo[] =>
  modules.filter(({ path, kind, weight }) => path !== site.path && kind === "embedding" && weight === site.weight);

/** Of several tables that are one, the first has the tokens for all, together with the layer behind them, as PEFT has it. Throws CONFIG-TIES otherwise. */
function refuseApart(end: Site, method: Method, modules: readonly ModuleInfo[]): void {
  if (end.kind !== "embedding" || !method.followsTie("embedding", end.from)) return;
  const [twin] = twinsOf(end, modules);
  const first = modules.find(({ kind, weight }) => kind === "embedding" && weight === end.weight);
  if (twin !== undefined && (end.followers === undefined || first?.path !== end.path))
    throw sharedTables(end.path, twin.path);
}

const sharedTables = (path: string, twin: string): WebpeftError =>
  new WebpeftError("CONFIG-TIES", {
    message:
      "tokens of a table that several embeddings share train in all of them and in the layer that shares it, or not at all",
    where: path,
    got: `${path} and ${twin} share a table`,
    help: "Give trainable_token_indices as a list, of a base whose head is tied to the table.",
  });

/** `ensure_weight_tying`: tokens that train at one end alone are refused. */
function checkEnsured(sites: readonly Site[], modules: readonly ModuleInfo[]): void {
  const broken = modules.find((module) => {
    const tied = tiedTo(module, modules);
    const isEnd = ({ path }: Site): boolean => path === module.path || path === tied?.path;
    return tied !== undefined && sites.some((site) => site.from !== undefined && !site.followers && isEnd(site));
  });
  if (broken === undefined) return;
  throw new WebpeftError("CONFIG-TIES", {
    message: "the ends of a tie cannot train other tokens each where the tie is to stay",
    where: "ensure_weight_tying",
    got: broken.path,
    expected: "equal trainable_token_indices at both ends",
    help: "Set ensure_weight_tying to false: each end then trains on its own.",
  });
}

const isOf = ({ path }: ModuleInfo, key: string): boolean => key.startsWith(siteKey(path, ""));

/** Pairs of sites that change their weights alike: their tensors are transposes of each other, and their fields are equal. */
export function changedAlike(
  { ties, sites }: ResolvedAdapter,
  { tensors }: Pick<Elaboration, "tensors">,
): [string, string][] {
  const tied = new Set(ties.flatMap(({ key, of }) => [key, of]));
  const siteOf = (key: string): Site => sites.find((site) => site.from === undefined && isOf(site, key))!;
  const pairs = ties.map(({ key, of }) => [siteOf(key), siteOf(of)] as const);
  const alike = pairs.filter(([source, end]) => {
    const own = tensors.filter(({ key }) => [source, end].some((site) => isOf(site, key)));
    return own.every(({ key }) => tied.has(key)) && JSON.stringify(source.fields) === JSON.stringify(end.fields);
  });
  return alike.map(([source, end]) => [end.path, source.path]);
}
