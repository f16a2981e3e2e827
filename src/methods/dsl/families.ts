/** Families of tensors: once the config is known, `weight[n] for k: 0 .. 4 by 2` is two tensors, `weight[0]` and `weight[2]`. */
import type { Family, Item, MethodAst, TensorItem } from "./ast.ts";
import { evaluateKnown } from "./evaluate.ts";
import { memberName, type Scope } from "./scope.ts";
import { knownText } from "./value.ts";
import { itemsOf } from "./walk.ts";

type FamilyItem = TensorItem & { readonly family: Family };

const isFamily = (item: Item): item is FamilyItem => item.kind === "tensor" && item.family !== undefined;

/** The tree with a number in place of a name. */
function withNumber<T>(tree: T, name: string, value: number): T {
  const replaced = (part: unknown): unknown => {
    if (Array.isArray(part)) return part.map(replaced);
    if (typeof part !== "object" || part === null) return part;
    if ("kind" in part && part.kind === "name" && "name" in part && part.name === name)
      return { ...part, kind: "literal", value };
    return Object.fromEntries(Object.entries(part).map(([key, inner]) => [key, replaced(inner)]));
  };
  return replaced(tree) as T;
}

/** The numbers of a family's range. Throws METHOD-ARGUMENT for a range of no whole numbers, METHOD-LIMIT for one that is too long. */
function numbersOf(scope: Scope, { name, at, family }: FamilyItem): number[] {
  const [from, to, by] = [family.from, family.to, family.by].map((bound) =>
    bound === undefined ? 1 : evaluateKnown(scope, bound),
  );
  const whole = [from, to, by].every((bound) => Number.isSafeInteger(bound));
  if (!whole || (by as number) < 1) {
    throw scope.error("METHOD-ARGUMENT", at, {
      message: `The family ${name} wants a range of whole numbers.`,
      expected: "from .. to, by 1 or more",
      got: `${knownText(from!)} .. ${knownText(to!)} by ${knownText(by!)}`,
    });
  }
  const count = Math.ceil(((to as number) - (from as number)) / (by as number));
  if (count > scope.mostTurns) throw scope.limit(at, `a family of ${count} tensors`, scope.mostTurns);
  return Array.from({ length: Math.max(count, 0) }, (_unused, i) => (from as number) + i * (by as number));
}

/** The method of a scope, which is that of the whole model, with a declaration for every tensor of its families. */
export function withFamilies(scope: Scope): MethodAst {
  const { method } = scope.model;
  const all = itemsOf(method);
  if (!all.some(isFamily)) return method;
  let ordinal = Math.max(...all.map((item) => (item.kind === "tensor" ? item.ordinal : 0)));
  const members = new Map<Item, readonly Item[]>();
  for (const item of all.filter(isFamily)) {
    const { family, ...rest } = item;
    const tensors = numbersOf(scope, item).map((number) => ({
      ...withNumber(rest, family.name, number),
      name: memberName(item.name, number),
      key: item.key?.replaceAll(`{${family.name}}`, String(number)),
      ordinal: ++ordinal,
    }));
    members.set(item, tensors);
  }
  const expanded = (items: readonly Item[]): Item[] => items.flatMap((item) => members.get(item) ?? [item]);
  const blocks = method.blocks.map((block) => ({ ...block, items: expanded(block.items) }));
  return { ...method, items: expanded(method.items), blocks };
}
