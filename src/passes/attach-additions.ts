/**
 * Lowers the sites that take virtual tokens: `site.prompt`, `site.attention` and `site.attended`, and what a prompt says of the loss: `site.labels`
 * and `site.weights`. Rows and keys of an adapter are put in front of the model's, contexts and outputs are added; without an adapter the
 * plain attention is left.
 */
import type { Builder } from "../ir/builder.ts";
import { WebpeftError } from "../ir/diagnostics.ts";
import type { Node } from "../ir/graph.ts";
import { runInput } from "../ir/run-inputs.ts";
import { sameType, sizeOf, type TensorType, typeText } from "../ir/types.ts";
import { absent, operatorValue, tensorValue } from "../methods/index.ts";
import { attend } from "../models/attention.ts";
import { type SiteAdditions, scalarPorts, siteWeight } from "./site-operands.ts";

/** What the sites of a model add to its loss. */
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

type Made = ReadonlyMap<string, number>;

const shapeOf = ({ type }: Node): readonly number[] => (type as TensorType).shape;

export class AdditionSites {
  /** What adapters made, by path; `site.attended` comes after its `site.attention`, and the loss after the prompt. */
  private readonly made = new Map<string, Made>();
  private readonly left: Set<string>;

  /** `losses` gets what sites add to the loss. */
  constructor(
    private readonly builder: Builder,
    private readonly additions: ReadonlyMap<string, SiteAdditions>,
    private readonly losses: AddedLosses,
  ) {
    this.left = new Set(additions.keys());
  }

  /** The node in place of a site; undefined for nodes that are none of these. */
  lower(node: Node, inputs: readonly number[]): number | undefined {
    switch (node.op) {
      case "site.prompt":
        return this.prompt(inputs, node.attributes.tokens as number);
      case "site.attention":
        return this.attention(node.attributes.path as string, node, inputs);
      case "site.labels":
        return this.made.get("")?.has("labels") ? this.ofLoss("labels", node) : inputs[0]!;
      case "site.weights":
        return this.made.get("")?.has("weights")
          ? this.ofLoss("weights", node)
          : this.builder.constant(1, shapeOf(node));
      case "site.attended":
        return this.attended(node.attributes.path as string, inputs[0]!);
      default:
        return undefined;
    }
  }

  /** Throws METHOD-SITE when the base model has no such place for an addition. */
  finish(): void {
    const [path] = this.left;
    if (path === undefined) return;
    throw new WebpeftError("METHOD-SITE", {
      message: "this family of base models has no place for virtual tokens yet",
      where: path === "" ? "the prompt" : path,
      expected: "a decoder",
    });
  }

  private take(path: string, operands: Omit<Parameters<SiteAdditions>[1], "scalars">): Made {
    const adapter = this.additions.get(path);
    this.left.delete(path);
    if (adapter === undefined) return new Map();
    const made = adapter(this.builder, { ...operands, scalars: scalarPorts(this.builder) });
    const loss = made.get("loss");
    if (loss !== undefined) this.losses.put(path, this.builder.reshape(loss, []));
    return made;
  }

  /** A tensor of the adapter under the shape that the place wants; the number of virtual tokens was read from it. */
  private shaped(path: string, name: string, id: number | undefined, shape: readonly number[]): number {
    const got = id === undefined ? [] : this.builder.shape(id);
    if (id !== undefined && sizeOf(got) === sizeOf(shape)) return this.builder.reshape(id, shape);
    throw new WebpeftError("METHOD-TYPE", {
      message: `What ${name}' gets has another size than its place.`,
      where: path === "" ? "the prompt" : path,
      expected: `[${shape.join(", ")}]`,
      got: id === undefined ? "nothing" : `[${got.join(", ")}]`,
    });
  }

  /** `rows` f32[p, ...] in front of x f32[b, t, ...], for every row of the batch. */
  private inFront(x: number, rows: number): number {
    const [batch, ...rest] = this.builder.shape(x);
    const [count] = this.builder.shape(rows);
    const shape = [batch!, count!, ...rest.slice(1)];
    const axes = shape.map((_n, axis) => axis).slice(1);
    return this.builder.concat([this.builder.broadcast(rows, shape, axes), x], 1);
  }

  private prompt([embeddings, table]: readonly number[], tokens: number): number {
    const [samples, length, width] = this.builder.shape(embeddings!) as [number, number, number];
    const base = siteWeight(this.builder, "embedding", table!);
    const labels = this.builder.port("labels", "input", "i32", [samples, length]);
    const made = this.take("", { base, samples, length, words: new Map([["labels", tensorValue(labels)]]) });
    this.made.set("", made);
    const rows = this.shaped("", "rows", made.get("rows"), [tokens, width]);
    return this.inFront(embeddings!, rows);
  }

  /** Labels or weights of the loss that a prompt made. Throws METHOD-TYPE for another type than the node's. */
  private ofLoss(name: string, { type: wanted }: Node): number {
    const id = this.made.get("")!.get(name)!;
    if (sameType(this.builder.type(id), wanted)) return id;
    throw new WebpeftError("METHOD-TYPE", {
      message: `What ${name}' gets does not fit the labels of the model.`,
      where: "the prompt",
      expected: typeText(wanted),
      got: typeText(this.builder.type(id)),
    });
  }

  private attention(path: string, { attributes }: Node, inputs: readonly number[]): number {
    const { builder } = this;
    const [queries, keys, values, seen, key, value, ...more] = inputs as [
      number,
      number,
      number,
      number,
      number,
      number,
    ];
    const [keyBias, valueBias] = more.filter((id) => builder.shape(id).length === 1);
    const bias = more.find((id) => builder.shape(id).length > 1);
    const vector = (id: number | undefined) => (id === undefined ? absent : tensorValue(id));
    const words = new Map([
      ["queries", tensorValue(queries)],
      ["Wk", operatorValue(builder.dense(key))],
      ["bk", vector(keyBias)],
      ["Wv", operatorValue(builder.dense(value))],
      ["bv", vector(valueBias)],
      ["context", absent],
      ["output", absent],
    ]);
    const made = this.take(path, { words });
    this.made.set(path, made);
    const before = attributes.before as number;
    const one = { queries, keys, values, bias };
    const widthOf = (x: number): number => sizeOf(builder.shape(x).slice(2));
    const given = made.has("keys") ? sizeOf(builder.shape(made.get("keys")!)) : 0;
    const isOfAll = given > 0 && given === before * widthOf(queries) && widthOf(queries) !== widthOf(keys);
    const own = isOfAll ? ofEveryHead(builder, one) : one;
    const heads = builder.shape(own.keys).slice(2);
    const longer = (x: number, name: string): number =>
      before === 0 ? x : this.inFront(x, this.shaped(path, name, made.get(name), [before, ...heads]));
    const context = attend(builder, {
      ...own,
      ...{ keys: longer(own.keys, "keys"), values: longer(own.values, "values"), seen },
      scale: attributes.scale as number,
      cap: attributes.cap as number,
    });
    return this.added(path, "context", builder.reshape(context, builder.shape(queries)));
  }

  private attended(path: string, output: number): number {
    return this.added(path, "output", output);
  }

  private added(path: string, name: string, x: number): number {
    const extra = this.made.get(path)?.get(name);
    return extra === undefined ? x : this.builder.plus(x, this.shaped(path, name, extra, this.builder.shape(x)));
  }
}

interface Heads {
  readonly queries: number;
  readonly keys: number;
  readonly values: number;
  readonly bias: number | undefined;
}

/** The same attention with keys for every head of queries: n g key heads, of one query head each. */
function ofEveryHead(builder: Builder, { queries, keys, values, bias }: Heads): Heads {
  const [samples, length, outer, group, width] = builder.shape(queries) as [number, number, number, number, number];
  const all = outer * group;
  const repeated = (x: number): number => {
    const places = builder.shape(x)[1]!;
    const spread = builder.broadcast(x, [samples, places, outer, group, width], [0, 1, 2, 4]);
    return builder.reshape(spread, [samples, places, all, width]);
  };
  return {
    queries: builder.reshape(queries, [samples, length, all, 1, width]),
    ...{ keys: repeated(keys), values: repeated(values) },
    bias: bias === undefined ? undefined : spreadBias(builder, bias, [samples, outer, group]),
  };
}

/** What is added to scores, f32[n, s, t], f32[b, n, s, t] or f32[b, n, g, s, t], for every head: f32[b, n g, s, t]. */
function spreadBias(
  builder: Builder,
  bias: number,
  [samples, outer, group]: readonly [number, number, number],
): number {
  const places = builder.shape(bias).slice(-2);
  const axes = { 3: [1, 3, 4], 4: [0, 1, 3, 4], 5: [0, 1, 2, 3, 4] }[builder.shape(bias).length]!;
  const spread = builder.broadcast(bias, [samples, outer, group, ...places], axes);
  return builder.reshape(spread, [samples, outer * group, ...places]);
}
