/** Base weights of adapted embeddings that PEFT writes into the adapter's file. Source: `get_peft_model_state_dict` in `utils/save_and_load.py`. */
import type { ModuleInfo } from "../../models/model.ts";
import type { FieldValue } from "../fields.ts";
import { compilePattern } from "../regex/index.ts";
import { embeddingNames, untargetedHead } from "./defaults.ts";
import type { MethodProfile } from "./profiles.ts";

function namesEmbedding(targets: FieldValue | undefined, modules: readonly ModuleInfo[]): boolean {
  if (Array.isArray(targets)) return embeddingNames.some((name) => targets.includes(name));
  if (typeof targets !== "string") return false;
  const pattern = compilePattern(targets, "target_modules");
  return modules.some(({ path }) => embeddingNames.includes(path.split(".").at(-1)!) && pattern.fullMatch(path));
}

/** Input and output embedding where they are adapted and a target names them as PEFT expects; nothing where only tokens train. */
export function savedEmbeddings(
  { trainsTokens = false }: MethodProfile,
  fields: Readonly<Record<string, FieldValue>>,
  modules: readonly ModuleInfo[],
  targets: ReadonlySet<string>,
): { key: string; weight: string }[] {
  if (
    trainsTokens ||
    (fields.trainable_token_indices ?? null) !== null ||
    !namesEmbedding(fields.target_modules, modules)
  )
    return [];
  const ends = [modules.find(({ kind }) => kind === "embedding")?.path, untargetedHead(modules, null)];
  return modules.flatMap((module) => {
    if (!ends.includes(module.path) || !targets.has(module.path)) return [];
    return (["weight", "bias"] as const).flatMap((name) => {
      const weight = module[name];
      return weight === undefined ? [] : [{ key: `base_model.model.${module.path}.base_layer.${name}`, weight }];
    });
  });
}
