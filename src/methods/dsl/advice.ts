/** What a fragment may say and hardly means: names that hide a word of the language, parameters that nothing reads. */
import type { Code } from "../../ir/codes/index.ts";
import type { Diagnostic } from "../../ir/diagnostics.ts";
import type { Expression, Item, MethodAst, Place, SiteBlock, TensorItem } from "./ast.ts";
import { inOrder } from "./collected.ts";
import { declarations } from "./scope.ts";
import { expressionsOf, itemsOf, namesBehind, visitBound } from "./walk.ts";
import { namesOf, predefined, siteNames } from "./words.ts";

/** What is worked out of other names when a graph is built; the first value of a parameter is not. */
function readBy(item: Item | undefined): readonly Expression[] {
  if (item?.kind === "let" || item?.kind === "report") return [item.value];
  return item?.kind === "tensor" && item.role === "computed" ? [item.value] : [];
}

/** The names that a block's targets, the reports and the computed tensors are made of. */
function namesRead(method: MethodAst, block: SiteBlock): ReadonlySet<string> {
  const declared = declarations(method, block);
  const made = itemsOf(method, [block]).flatMap((item) =>
    item.kind === "target" ? [item.value] : item.kind === "let" ? [] : readBy(item),
  );
  return namesBehind(made, (path) => readBy(declared.get(path)));
}

const trains = (item: Item): item is TensorItem =>
  item.kind === "tensor" && (item.role === "param" || item.trained === true);

/** Parameters that are saved and that nothing trains, and the kind of site where they are not read; what the whole model shares is read where any kind reads it. */
export function unreadParameters(method: MethodAst): { readonly item: TensorItem; readonly kind: string }[] {
  const read = method.blocks.map((block) => ({ block, names: namesRead(method, block) }));
  const shared = method.items.filter(trains).filter((item) => item.role === "shared");
  const nowhere = shared.filter((item) => read.every(({ names }) => !names.has(item.name)));
  const bySite = read.flatMap(({ block, names }) => {
    const own = itemsOf(method, [block]).filter(trains);
    const unread = own.filter((item) => item.role === "param" && !names.has(item.name));
    return unread.map((item) => ({ item, kind: block.siteKind }));
  });
  return [...nowhere.map((item) => ({ item, kind: "any" })), ...bySite];
}

/** The names that items declare, those of families and loops included. */
function declaredNames(items: readonly Item[]): { readonly name: string; readonly at: Place }[] {
  const names: { name: string; at: Place }[] = [];
  const put = (name: string, at: Place): number => names.push({ name, at });
  for (const item of items) {
    if ("name" in item && item.kind !== "target") put(item.name, item.at);
    if (item.kind === "tensor" && item.family !== undefined) put(item.family.name, item.at);
    for (const expression of expressionsOf(item)) visitBound(expression, put);
  }
  return names;
}

/** Declared names that have a meaning at the sites where they are declared. */
const hidingNames = (method: MethodAst): { readonly name: string; readonly at: Place }[] =>
  method.blocks.flatMap((block) => {
    const words = new Set([...Object.keys(predefined), ...namesOf(siteNames[block.siteKind]!)]);
    return declaredNames(itemsOf(method, [block])).filter(({ name }) => words.has(name));
  });

/** Warnings METHOD-SHADOWED and METHOD-UNREAD of a fragment that has no faults, each once, in the order of the text. */
export function advice(method: MethodAst): Diagnostic[] {
  const warning = (code: Code, at: Place, message: string, help: string): Diagnostic => ({
    ...{ code, severity: "warning", message, help },
    where: `${method.file}:${at.line}:${at.column}`,
  });
  return inOrder([
    ...hidingNames(method).map(({ name, at }) =>
      warning("METHOD-SHADOWED", at, `${name} hides a word of the language.`, "Give it another name."),
    ),
    ...unreadParameters(method).map(({ item, kind }) => {
      const where = kind === "any" ? "" : ` at sites of kind ${kind}`;
      return warning("METHOD-UNREAD", item.at, `Nothing reads ${item.name}${where}: it does not train.`, "Remove it.");
    }),
  ]);
}
