/** Names under which an adapter's file may hold tensors of the base model. PEFT loads such tensors over the base's own, adapted or not. */
import type { ModuleInfo } from "../../models/model.ts";
import { modulePrefix } from "../site.ts";
import { sharedPrefix } from "./keys.ts";
import { prefixesOf } from "./match.ts";
import type { TrainedBaseTensor } from "./trained-base.ts";

export interface BaseKeysRequest {
  readonly modules: readonly ModuleInfo[];
  /** Paths of the adapted modules, and of those whose tokens train beside an adapter. */
  readonly targets: ReadonlySet<string>;
  readonly tokenSites: ReadonlySet<string>;
  /** Paths of the modules that train in full: their own tensors are the adapter's, the originals lie idle. */
  readonly modulesToSave: readonly string[];
  readonly trained: readonly TrainedBaseTensor[];
  /** The adapter wraps no modules: names have no `model.` in front. */
  readonly isPrompt: boolean;
}

/** The place of a module's own tensors in PEFT's model: within the wrapper where the module, or one around it, is adapted. */
function places(path: string, { targets, tokenSites }: BaseKeysRequest): string[] {
  if (targets.has(path)) return [`${path}.base_layer`];
  if (tokenSites.has(path)) return [`${path}.original_module`, `${path}.token_adapter.base_layer`];
  const around = prefixesOf(path).find((prefix) => targets.has(prefix));
  return [around === undefined ? path : `${around}.model${path.slice(around.length)}`];
}

/** Keys in the base model's file by keys in the adapter's. Tied modules lead to one key. */
export function baseKeys(request: BaseKeysRequest): ReadonlyMap<string, string> {
  const { modules, modulesToSave, trained, isPrompt } = request;
  const names = new Set(trained.flatMap((tensor) => tensor.names));
  const prefix = isPrompt ? sharedPrefix : modulePrefix;
  const keys = new Map<string, string>();
  for (const { path, weight, bias, parameters = {} } of modules) {
    if (modulesToSave.some((saved) => path === saved || path.startsWith(`${saved}.`))) continue;
    const others = Object.entries(parameters).map(([name, { key }]) => [name, key] as const);
    const held = [["weight", weight] as const, ["bias", bias] as const, ...others].filter(
      ([name, key]) => key !== undefined && !names.has(`${path}.${name}`),
    );
    if (held.length === 0) continue;
    const own = places(path, request);
    for (const [name, key] of held) for (const place of own) keys.set(`${prefix}${place}.${name}`, key!);
  }
  return keys;
}
