/** The head of a model that an adapter's config asks for, and what the config says of it. */
import { WebpeftError } from "../ir/diagnostics.ts";
import { withTaskHeads } from "../methods/config/trained-base.ts";
import type { Model } from "../runtime/files/model.ts";

/** The model with its head. Where it is not clear which, what else is wrong with the config is told first: also what its method requires, which a compilation finds. */
export async function orOwnFault(headed: () => Model, withoutHead: () => Promise<unknown>): Promise<Model> {
  try {
    return headed();
  } catch (error) {
    if (error instanceof WebpeftError && error.code === "CONFIG-HEAD") await withoutHead();
    throw error;
  }
}

/** The config with the modules of a drawn head among those that are trained and saved: nobody could draw them again. */
export function withDrawn(config: unknown, { drawn = [] }: Model): unknown {
  const { task_type, modules_to_save } = config as Readonly<Record<string, unknown>>;
  const given = Array.isArray(modules_to_save) ? (modules_to_save as readonly unknown[]) : [];
  const names = [...given, ...(withTaskHeads([], typeof task_type === "string" ? task_type : null) ?? [])].map(String);
  const isSaved = (path: string): boolean =>
    path.split(".").some((_part, i, parts) =>
      names.some((name) =>
        parts
          .slice(0, i + 1)
          .join(".")
          .endsWith(name),
      ),
    );
  const missing = drawn.filter((path) => !isSaved(path));
  return missing.length === 0 ? config : { ...(config as object), modules_to_save: [...given, ...missing] };
}
