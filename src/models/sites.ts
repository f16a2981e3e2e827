/** Puts the named modules of a model into its graph: weights as ports, layers as `site.*` nodes in the scope of their module. */
import { Builder } from "../ir/builder.ts";
import type { NormKind } from "./lowering.ts";
import type { BuildOptions, ModuleInfo } from "./model.ts";

export interface Layer {
  readonly weight: number;
  readonly bias?: number;
}

/** Inputs of `site.attention`; `before`: virtual keys that `seen` counts in front. */
export interface AttentionSite {
  readonly queries: number;
  readonly keys: number;
  readonly values: number;
  readonly seen: number;
  readonly scale: number;
  /** Scores are bent towards +-cap: cap tanh(score / cap); 0: they are not. */
  readonly cap: number;
  /** Added to the scores, in the shapes that `attend` takes. */
  readonly bias?: number | undefined;
  readonly keyLayer: Layer;
  readonly valueLayer: Layer;
  readonly before: number;
}

export class SiteBuilder {
  readonly builder: Builder;
  /** What the model adds to the loss of its head, f32[] each; a micro-batch adds its share of the counted labels. */
  readonly losses: number[] = [];
  private readonly modules: ReadonlyMap<string, ModuleInfo>;

  constructor(
    name: string,
    modules: readonly ModuleInfo[],
    private readonly weightTypes: BuildOptions["weightTypes"],
  ) {
    this.builder = new Builder(name);
    this.modules = new Map(modules.map((module) => [module.path, module]));
  }

  /** Runs `body` in the scope of a module. */
  within<T>(path: string, body: (builder: Builder) => T): T {
    return this.builder.within({ scope: path }, () => body(this.builder));
  }

  private module(path: string): ModuleInfo {
    const module = this.modules.get(path);
    if (module === undefined) throw new Error(`the model has no module ${path}`);
    return module;
  }

  /** The key of a module's weight in the model's file. */
  weightOf(path: string): string {
    return this.module(path).weight!;
  }

  /** The stored tensor, expanded to f32. */
  private stored(key: string, shape: readonly number[]): number {
    return this.builder.cast(this.builder.port(key, "weight", this.weightTypes(key), shape), "f32");
  }

  /** A tensor of a module that is neither its weight nor its bias. The port says whose it is, so that it can be trained. */
  parameter(path: string, name: string): number {
    const { key, shape } = this.module(path).parameters![name]!;
    return this.within(path, (builder) => {
      const port = builder.port(key, "weight", this.weightTypes(key), shape, { parameter: `${path}.${name}` });
      return builder.cast(port, "f32");
    });
  }

  /** x f32[..., in] through a parameter that is a matrix, or f32[t, r, in] through one of several for every t, by their numbers i32[t]. */
  matrices(path: string, name: string, x: number, numbers?: number): number {
    const inputs = [x, this.parameter(path, name), ...(numbers === undefined ? [] : [numbers])];
    return this.within(path, (builder) => builder.add("site.matrices", inputs, { path: `${path}.${name}` }));
  }

  /** Rows of an embedding: [...s, d] for i32 ids [...s]. */
  embedding(path: string, ids: number): number {
    const { weight, in: rows, out: width } = this.module(path);
    return this.within(path, (builder) =>
      builder.add("site.embedding", [this.stored(weight!, [rows!, width!]), ids], { path }),
    );
  }

  linear(path: string, x: number): number {
    const { weight, bias } = this.layer(path);
    const inputs = bias === undefined ? [x, weight] : [x, weight, bias];
    return this.within(path, (builder) => builder.add("site.linear", inputs, { path }));
  }

  /** Embeddings f32[b,s,d] with `tokens` virtual ones in front; `path` is the module of the table. */
  prompt(path: string, embeddings: number, tokens: number): number {
    if (tokens === 0) return embeddings;
    const { weight, in: rows, out: width } = this.module(path);
    return this.within(path, (builder) =>
      builder.add("site.prompt", [embeddings, this.stored(weight!, [rows!, width!])], { tokens }),
    );
  }

  /** Context of an attention; `keyLayer` and `valueLayer` are what makes keys and values of hidden states. */
  attention(
    path: string,
    { queries, keys, values, seen, bias, keyLayer, valueLayer, ...numbers }: AttentionSite,
  ): number {
    const layers = [keyLayer, valueLayer];
    const biases = [...layers.map((layer) => layer.bias), bias].filter((id) => id !== undefined);
    const inputs = [queries, keys, values, seen, ...layers.map(({ weight }) => weight), ...biases];
    return this.within(path, (builder) => builder.add("site.attention", inputs, { path, ...numbers }));
  }

  /** What the block of an attention gives to the residual stream. */
  attended(path: string, output: number): number {
    return this.within(path, (builder) => builder.add("site.attended", [output], { path }));
  }

  /** Weight [out, in] and bias of a linear layer as it computes with them. */
  layer(path: string): Layer {
    const { weight, bias, in: width, out, layout, patch } = this.module(path);
    return this.within(path, (builder) => ({
      weight:
        layout === "conv1d"
          ? builder.transpose(this.stored(weight!, [width!, out!]), [1, 0])
          : builder.reshape(this.stored(weight!, [out!, ...(patch ?? [width!])]), [out!, width!]),
      ...(bias === undefined ? {} : { bias: this.stored(bias, [out!]) }),
    }));
  }

  norm(path: string, x: number, kind: NormKind, epsilon: number): number {
    const { weight, bias, out } = this.module(path);
    return this.within(path, (builder) => {
      const vectors = [weight!, ...(bias === undefined ? [] : [bias])].map((key) => this.stored(key, [out!]));
      return builder.add("site.norm", [x, ...vectors], { path, kind, epsilon });
    });
  }
}
