/** Ties of a base model as its tensors have them: a config may say that two layers share a table where the file holds two that differ. */
import type { Diagnostic } from "../../ir/diagnostics.ts";
import { sameShape } from "../../ir/types.ts";
import { untiedFields } from "../../models/index.ts";
import type { ModuleInfo } from "../../models/model.ts";
import type { JsonObject } from "./json.ts";
import { modulesOf } from "./stacks.ts";
import { type HostTensor, toFloat32 } from "./tensor.ts";
import type { Weights } from "./weights.ts";

/** A layer that shares a tensor of the file under another name than its own, and has one under its own too. */
export interface Duplicate {
  readonly own: string;
  readonly shared: string;
}

/** The layers whose tied weight the file holds a second time. */
export function duplicates(modules: readonly ModuleInfo[], weights: Pick<Weights, "info">): Duplicate[] {
  const isStored = (key: string): boolean => weights.info(key) !== undefined;
  return modules.flatMap(({ path, weight: shared }) => {
    const own = `${path}.weight`;
    const isTwice = shared !== undefined && shared !== own && isStored(own) && isStored(shared);
    return isTwice && modules.some((other) => other.path !== path && other.weight === shared) ? [{ own, shared }] : [];
  });
}

/** Whether two tensors hold the same numbers, whatever their dtypes. */
export function sameNumbers(a: HostTensor, b: HostTensor): boolean {
  if (!sameShape(a.shape, b.shape)) return false;
  if (a.dtype === b.dtype && a.bytes.every((byte, i) => byte === b.bytes[i])) return true;
  const [left, right] = [toFloat32(a), toFloat32(b)];
  return left.every((x, i) => x === right[i]);
}

/** What is looked at of a model. */
interface StoredModel {
  readonly name: string;
  readonly config: JsonObject;
  readonly weights: Weights;
  readonly diagnostics?: readonly Diagnostic[];
}

const tiedModules = (model: StoredModel): readonly ModuleInfo[] =>
  model.config.tie_word_embeddings === false ? [] : modulesOf(model);

/**
 * The model with `tie_word_embeddings: false` and a warning where its config ties ends that its file holds apart, as transformers has it.
 * Ends that the file holds twice alike, or once, stay tied.
 */
export async function withTiesOfFile<M extends StoredModel>(model: M): Promise<M> {
  for (const { own, shared } of duplicates(tiedModules(model), model.weights)) {
    const [ours, theirs] = await Promise.all([own, shared].map((key) => model.weights.read(key)));
    if (sameNumbers(ours!, theirs!)) continue;
    const warning: Diagnostic = {
      code: "MODEL-TIES",
      severity: "warning",
      message: `the config ties ${own} to ${shared}, but the file holds both with different values: they are not tied`,
      where: `${model.name}: tie_word_embeddings`,
      expected: "one tensor, or the same twice",
      got: `${own} and ${shared}, which differ`,
      help: "set tie_word_embeddings to false in config.json",
    };
    return { ...model, config: { ...model.config, ...untiedFields(model.config) }, diagnostics: [warning] };
  }
  return model;
}
