/** What the sites of a model add to its loss. */
import type { Builder } from "../ir/builder.ts";
import { runInput } from "../ir/run-inputs.ts";

export class AddedLosses {
  private readonly byPath = new Map<string, number>();

  /** `loss`, f32[], of the site at a path; a module that the model applies more than once adds it once. */
  put(path: string, loss: number | undefined): void {
    if (loss !== undefined && !this.byPath.has(path)) this.byPath.set(path, loss);
  }

  /** The model's loss with what sites add, once in all: a micro-batch adds its share of the counted labels. */
  withShare(builder: Builder, loss: number): number {
    if (this.byPath.size === 0) return loss;
    const sum = [...this.byPath.values()].reduce((a, b) => builder.plus(a, b));
    return builder.plus(loss, builder.mul(sum, runInput(builder, "loss_share")));
  }
}
