/** The headers of a base model's tensors, as compiling needs them; no tensor is read. */
import { WebpeftError } from "../ir/diagnostics.ts";
import { type Graph, ports } from "../ir/graph.ts";
import { type DType, sameShape, sizeOf, type TensorType } from "../ir/types.ts";
import type { Model } from "../runtime/files/model.ts";

/** Elements of a graph's weights. */
export const elementsOf = (graph: Graph): number =>
  ports(graph, "weight").reduce((sum, { node }) => sum + sizeOf((node.type as TensorType).shape), 0);

export class BaseWeights {
  /** `replaced`: keys of tensors whose place others take, which are computed with in f32 whatever their dtype. */
  constructor(
    private readonly model: Model,
    private readonly replaced: ReadonlySet<string> = new Set(),
  ) {}

  /** Dtype and shape of a tensor. Throws `MODEL-WEIGHT-MISSING`. */
  info(key: string): { readonly dtype: string; readonly shape: readonly number[] } {
    const info = this.model.weights.info(key);
    if (info !== undefined) return info;
    throw new WebpeftError("MODEL-WEIGHT-MISSING", {
      message: "the model's files lack a tensor that its config asks for",
      where: key,
      expected: key,
      got: `${this.model.weights.keys().length} other tensors`,
      help:
        this.model.drawn === undefined
          ? "check that config.json and the tensor files belong together"
          : "the head that was asked for reads more than these files hold (a T5 classifies rows and finds spans by its decoder): take the files of the whole model, or a head that reads less",
    });
  }

  /** Its dtype in graphs. Throws `MODEL-WEIGHT-DTYPE` for what is not computed with. */
  type(key: string): DType {
    const { dtype } = this.replaced.has(key) ? { dtype: "F32" } : this.info(key);
    if (dtype === "F32" || dtype === "F16" || dtype === "BF16") return dtype.toLowerCase() as DType;
    throw new WebpeftError("MODEL-WEIGHT-DTYPE", {
      message: "a base weight has a dtype that is not computed with",
      where: key,
      expected: "F32, F16 or BF16",
      got: dtype,
    });
  }

  /** Throws `MODEL-WEIGHT-SHAPE` when a weight port of the graph has another shape than its tensor. */
  check(graph: Graph): void {
    for (const { name, node } of ports(graph, "weight")) {
      const { shape } = node.type as TensorType;
      const info = this.info(name);
      if (sameShape(info.shape, shape)) continue;
      throw new WebpeftError("MODEL-WEIGHT-SHAPE", {
        message: "a tensor of the model's files has another shape than its config says",
        where: name,
        expected: `[${shape.join(", ")}]`,
        got: `[${info.shape.join(", ")}]`,
      });
    }
  }
}
