/** Layers that share a weight with an embedding: which of them change with it, and which are sites of their own. */
import { WebpeftError } from "./ir/diagnostics.ts";
import type { AdapterSite, ResolvedAdapter } from "./methods/config/index.ts";
import type { Method } from "./methods/index.ts";
import type { ModuleInfo } from "./models/model.ts";
import type { SiteAdapter } from "./passes/attach.ts";

/** The linear layer that shares an embedding's table. */
export function tiedTo(module: ModuleInfo, modules: readonly ModuleInfo[]): ModuleInfo | undefined {
  if (module.kind !== "embedding") return undefined;
  return modules.find(({ kind, weight }) => kind === "linear" && weight === module.weight);
}

/** A site, and the layer that changes with it. */
export interface TiedSite extends AdapterSite {
  readonly follower?: ModuleInfo;
}

const valueAt = ({ from, fields }: AdapterSite): string => JSON.stringify(from === undefined ? null : fields[from]);

/**
 * The sites of an adapter. Of a method whose embeddings take the tied layer along, the layer is no site of its own when it would train the
 * same; when it would train something else (LoRA's token indices by name), the ends part. Throws CONFIG-TIES where the config forbids that.
 */
export function tiedSites(
  { sites, fields, modulesToSave }: ResolvedAdapter,
  method: Method,
  modules: readonly ModuleInfo[],
): TiedSite[] {
  const ends = sites.map((site): TiedSite => {
    const other = tiedTo(site.module, modules);
    if (other === undefined || !method.followsTie(site.module.kind, site.from)) return site;
    const own = sites.find(({ module, from }) => module === other && from === site.from);
    return own === undefined || valueAt(own) === valueAt(site) ? { ...site, follower: other } : site;
  });
  for (const { module, from } of sites) {
    const twin = modules.find(
      (other) => other !== module && other.kind === "embedding" && other.weight === module.weight,
    );
    if (module.kind === "embedding" && twin !== undefined && method.followsTie("embedding", from))
      throw sharedTables(module, twin);
  }
  if (fields.ensure_weight_tying === true) checkEnsured(ends, modulesToSave, modules);
  const followers = new Map(ends.flatMap(({ follower, from }) => (follower ? [[follower, from] as const] : [])));
  return ends.filter(({ module, from }) => !followers.has(module) || followers.get(module) !== from);
}

const sharedTables = (module: ModuleInfo, twin: ModuleInfo): WebpeftError =>
  new WebpeftError("CONFIG-TIES", {
    message: "tokens of a table that several embeddings share cannot be trained",
    where: module.path,
    got: `${module.path} and ${twin.path} share a table`,
  });

/** `ensure_weight_tying`: whatever trains one end alone is refused. */
function checkEnsured(sites: readonly TiedSite[], saved: readonly string[], modules: readonly ModuleInfo[]): void {
  const broken = modules.find((module) => {
    const other = tiedTo(module, modules);
    if (other === undefined) return false;
    const ends = [module, other];
    const alone = sites.some((site) => ends.includes(site.module) && site.follower === undefined);
    return alone || ends.some(({ path }) => saved.includes(path));
  });
  if (broken === undefined) return;
  throw new WebpeftError("CONFIG-TIES", {
    message: "ensure_weight_tying is only built for trainable_token_indices with equal indices at both ends",
    where: "ensure_weight_tying",
    got: broken.path,
    help: "Set ensure_weight_tying to false: each end then trains on its own.",
  });
}

/** The adapter of an embedding as the layer that shares its table sees it. */
export const transposed =
  (adapter: SiteAdapter): SiteAdapter =>
  (builder, { weight, base, bias, ...rest }) => {
    const turned = (id: number): number => builder.add("op.transpose", [id]);
    const result = adapter(builder, { ...rest, weight: turned(weight), base: turned(base) });
    return { weight: turned(result.weight), ...(bias === undefined ? {} : { bias }) };
  };

/** Two adapters of one layer, each given what the one before made; what they add to the loss adds up. */
export const inTurn =
  (first: SiteAdapter, second: SiteAdapter): SiteAdapter =>
  (builder, operands) => {
    const { bias: _bias, ...rest } = operands;
    const { loss: before, ...made } = first(builder, operands);
    const { loss = before, ...result } = second(builder, { ...rest, ...made });
    if (loss === undefined) return result;
    return { ...result, loss: before === undefined || loss === before ? loss : builder.plus(before, loss) };
  };
