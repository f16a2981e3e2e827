/** What no value and no tensor of a fragment may be: not finite, nested so deep that walking over it is not safe, or of a size that no model bears. */
import type { Builder } from "../../ir/builder.ts";
import { sizeOf } from "../../ir/types.ts";
import type { Place, TensorItem } from "./ast.ts";
import { limits } from "./limits.ts";
import type { Scope } from "./scope.ts";
import type { Value } from "./value.ts";

/** Elements that an adapter may have for each one of its base model: all weights trained, twice. */
const perBaseElement = 2;

export class Room {
  readonly most: number;
  private readonly sizes = new Map<string, number>();
  private all = 0;

  /** `base`: elements of the base model; 0 where that is not known. */
  constructor(base: number) {
    this.most = Math.max(limits.together, perBaseElement * base);
  }

  /** Elements of all tensors, with this one. Asked for again it counts once, at its largest. */
  with(tensor: string, elements: number): number {
    const before = this.sizes.get(tensor) ?? 0;
    const now = Math.max(before, elements);
    this.sizes.set(tensor, now);
    this.all += now - before;
    return this.all;
  }
}

/** Throws METHOD-SIZE for a tensor with which the adapter is too large. */
export function takeRoom(scope: Scope, item: TensorItem, shape: readonly number[]): void {
  const { room } = scope.model;
  const isOfModel = item.role === "shared" || item.role === "computed";
  const all = room.with(`${isOfModel ? "" : (scope.site?.path ?? "")} ${item.name}`, sizeOf(shape));
  if (all <= room.most) return;
  throw scope.error("METHOD-SIZE", item.at, {
    message: "The adapter's tensors are together too large for its base model.",
    expected: `at most ${room.most} elements`,
    got: `${all}, with ${item.name}[${shape.join(", ")}]`,
    help: "Look for a field of the config that is far too large: a rank, a number of tokens or vectors, a width.",
  });
}

/** By operator of a builder: how many operators stand in each other there. */
const depths = new WeakMap<Builder, Map<number, number>>();

/** Every operator is asked about as soon as it was made, so the operators in it are known already, or few. */
function operatorDepth(builder: Builder, id: number): number {
  const known = depths.get(builder) ?? new Map<number, number>();
  depths.set(builder, known);
  const before = known.get(id);
  if (before !== undefined) return before;
  const { type, inputs } = builder.node(id);
  const depth = type.kind === "operator" ? 1 + Math.max(0, ...inputs.map((input) => operatorDepth(builder, input))) : 0;
  known.set(id, depth);
  return depth;
}

/** Throws METHOD-NUMBER and METHOD-LIMIT. */
export function checkValue(scope: Scope, value: Value, at: Place): void {
  if (value.kind === "known" && typeof value.value === "number" && !Number.isFinite(value.value)) {
    throw scope.error("METHOD-NUMBER", at, {
      message: "This number is not finite.",
      expected: "a number of at most 1.8e308",
      got: String(value.value),
      help: "A number of the config, or of the text, is too large for what is worked out of it here.",
    });
  }
  if (value.kind === "operator" && operatorDepth(scope.builderOrFail(at), value.id) > limits.operators)
    throw scope.limit(at, "operators are nested too deep", limits.operators);
}
