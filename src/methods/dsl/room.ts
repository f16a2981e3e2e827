/** What the tensors of an adapter take together: extents are a config's, and a size that no model bears is refused before anything has it. */
import { sizeOf } from "../../ir/types.ts";
import type { TensorItem } from "./ast.ts";
import { limits } from "./limits.ts";
import type { Scope } from "./scope.ts";

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
