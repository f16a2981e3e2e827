/** Sites of virtual tokens: the place before the embeddings of a model, and its attentions. */
import { WebpeftError } from "../../ir/diagnostics.ts";
import type { ModuleInfo } from "../../models/model.ts";
import type { FieldValue } from "../fields.ts";
import { shown } from "./python-text.ts";

/** The place before the embeddings as a site: it has the table's weight and sizes, and no path. Throws CONFIG-SITE-NOT-FOUND without a table. */
export function promptSite(modules: readonly ModuleInfo[]): ModuleInfo {
  const table = modules.find(({ kind }) => kind === "embedding");
  if (table !== undefined) return { ...table, path: "", kind: "prompt" };
  throw new WebpeftError("CONFIG-SITE-NOT-FOUND", {
    message: "virtual tokens need a model with token embeddings",
    where: "base model",
  });
}

const isClosed = ({ kind, keyHeads }: ModuleInfo): boolean => kind === "attention" && keyHeads === undefined;

/** The attentions that adapters can reach into, wherever the model has some. Throws CONFIG-SITE-NOT-FOUND where it has none. */
export function openAttentions(modules: readonly ModuleInfo[]): readonly ModuleInfo[] {
  const all = modules.filter(({ kind }) => kind === "attention");
  const open = all.filter((module) => !isClosed(module));
  if (open.length === 0) checkAttentions(all);
  return open;
}

/** Throws CONFIG-SITE-NOT-FOUND for attentions that adapters cannot reach into. */
export function checkAttentions(hits: readonly ModuleInfo[]): void {
  const closed = hits.find(isClosed);
  if (closed === undefined) return;
  throw new WebpeftError("CONFIG-SITE-NOT-FOUND", {
    message:
      "the attentions of this model take no keys and values of an adapter: nor do its classes of transformers, so that PEFT refuses them too",
    where: closed.path,
    expected: "attentions of a model that writes: those of a decoder",
    help: "take a method that adapts layers, or prompt tuning",
  });
}

/** The last of the hits, as many as a field says. Throws CONFIG-LAYERS with PEFT's text for more than there are. */
export function lastHits(hits: readonly ModuleInfo[], field: string, count: FieldValue | undefined): ModuleInfo[] {
  if (typeof count !== "number" || count < 1) {
    throw new WebpeftError("CONFIG-LAYERS", {
      message: `${field} must say how many layers are adapted.`,
      where: field,
      expected: "a whole number above 0",
      got: shown(count ?? null),
    });
  }
  if (count <= hits.length) return hits.slice(-count);
  throw new WebpeftError("CONFIG-LAYERS", {
    message: `Config specifies more adapter layers '${count}' than the model has '${hits.length}'.`,
    where: field,
    expected: `at most ${hits.length}`,
    got: String(count),
  });
}
