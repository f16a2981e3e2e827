/**
 * Reads of frozen tensors that are larger than a binding, by parts of their rows: a lookup takes the part that has the row, a product along the
 * rows is made part by part, one over the rows is a sum of products. Codegen gives every part a place of its own.
 */
import { Builder } from "../ir/builder.ts";
import { type Cut, cutsOf, partAttributes, type Range } from "../ir/cuts.ts";
import { compact, type Graph, isFrozenPort, portName, wholeChunk } from "../ir/graph.ts";
import { bytesOf } from "../ir/ops/common.ts";
import { opRecord } from "../ir/registry.ts";
import { type TensorType, typeText } from "../ir/types.ts";
import type { CostNote } from "./lower-operators.ts";
import type { PassResult } from "./manager.ts";
import { checkParts, combined, rangesOf, sliced } from "./partition-parts.ts";
import { rebuild } from "./rewrite.ts";

/** A value that carries the rows of a table along an axis, in parts. */
interface Parts {
  readonly ranges: readonly Range[];
  readonly axis: number;
  readonly ids: readonly number[];
}

/** Of a binding, what a part fills at most: two fit in one buffer. */
const share = 1 / 2;

/** Tables of other dtypes or widths have other parts. */
const sameRanges = (a: readonly Range[], b: readonly Range[]): boolean =>
  a.length === b.length && a.every(({ to }, n) => to === b[n]!.to);

export function cutTables(graph: Graph, limit: number): PassResult {
  return new TableCutter(graph, limit).run();
}

class TableCutter {
  private readonly builder: Builder;
  /** By new ids of the values that views of whole tables would have. */
  private readonly parts = new Map<number, Parts>();
  private readonly notes: CostNote[] = [];
  private written = 0;

  constructor(
    private readonly graph: Graph,
    private readonly limit: number,
  ) {
    this.builder = new Builder(graph.name);
  }

  run(): PassResult {
    const tables = this.graph.nodes.map((node) => isFrozenPort(node) && bytesOf(node.type) > this.limit);
    if (!tables.includes(true)) return { graph: this.graph, notes: [] };
    const { builder } = this;
    const ids = rebuild(this.graph, builder, (_node, inputs, id) => {
      if (tables[id]) return this.cutTable(id);
      return inputs.some((i) => this.parts.has(i)) ? this.cutReader(id, inputs) : undefined;
    });
    const outputs = this.graph.outputs.map(({ name, node }) => ({ name, node: ids[node]! }));
    return { graph: compact(builder.finish(outputs), true), notes: this.notes };
  }

  private cutTable(id: number): number {
    const node = this.graph.nodes[id]!;
    const rows = (node.type as TensorType).shape[0]!;
    const bytes = bytesOf(node.type);
    const whole = this.builder.add("port", [], node.attributes);
    const ranges = rangesOf(rows, bytes / rows, this.limit * share);
    this.parts.set(whole, { ranges, axis: 0, ids: ranges.map((range) => sliced(this.builder, whole, 0, range)) });
    const decision = `${ranges.length} parts of its rows`;
    this.notes.push({
      scope: portName(node),
      decision,
      candidates: { [decision]: bytes / ranges.length, [`${typeText(node.type)} whole`]: bytes },
    });
    return whole;
  }

  /** A reader of tables; undefined when it is no op that can take them in parts, and reads them whole. */
  private cutReader(id: number, inputs: readonly number[]): number | undefined {
    const node = this.graph.nodes[id]!;
    const table = inputs.findIndex((i) => this.parts.has(i));
    const parts = this.parts.get(inputs[table]!)!;
    this.bound(id, table, parts);
    if (node.op === "gather" && table === 0 && parts.axis === 0 && inputs.length === 2)
      return this.lookUp(parts, inputs[1]!, node.chunk);
    const types = node.inputs.map((i) => this.graph.nodes[i]!.type as TensorType);
    const cut = cutsOf(node, types).find(({ inputs: axes }) =>
      inputs.every((input, i) => {
        const own = this.parts.get(input);
        return own === undefined || (own.axis === axes[i] && sameRanges(own.ranges, parts.ranges));
      }),
    );
    if (cut === undefined) return undefined;
    const ids = parts.ranges.map((range, n) => this.part(id, inputs, cut, range, n));
    const isView = ["pointwise", "movement"].includes(opRecord(node.op).opClass) && cut.output !== undefined;
    const whole = isView
      ? this.builder.add(node.op, inputs, node.attributes)
      : this.inChunk(wholeChunk, () => combined(this.builder, ids, cut));
    if (isView) this.parts.set(whole, { ranges: parts.ranges, axis: cut.output!, ids });
    return whole;
  }

  /** Throws `COMPILE-LIMIT` where chunks of values, each of which reads all parts of a table, are too many. */
  private bound(id: number, table: number, { ids }: Parts): void {
    const { inputs, scope = this.graph.name } = this.graph.nodes[id]!;
    this.written += ids.length;
    const what = `parts of ${typeText(this.graph.nodes[inputs[table]!]!.type)}`;
    checkParts(this.written, { where: scope, what, limit: this.limit });
  }

  private part(id: number, inputs: readonly number[], cut: Cut, range: Range, n: number): number {
    const node = this.graph.nodes[id]!;
    return this.inChunk(`${node.chunk ?? ""}part.${n}`, () => {
      const own = inputs.map((input, place) => {
        const axis = cut.inputs[place];
        const parts = this.parts.get(input);
        if (parts !== undefined) return parts.ids[n]!;
        return axis === undefined ? input : sliced(this.builder, input, axis, range);
      });
      return this.builder.add(node.op, own, partAttributes(node, cut, range));
    });
  }

  private inChunk(chunk: string, make: () => number): number {
    return this.builder.within({ chunk }, make);
  }

  /** Rows of a table in parts: of every part the row or, where the row is in another one, zeros. */
  private lookUp({ ids, ranges }: Parts, indices: number, chunk: string | undefined): number {
    const { builder } = this;
    const found = ranges.map(({ from, to }, n) =>
      this.inChunk(`${chunk ?? ""}part.${n}`, () => {
        const own = builder.sub(indices, builder.constantLike(indices, from));
        const [zero, last] = [builder.constantLike(own, 0), builder.constantLike(own, to - from - 1)];
        const inside = builder.compare("and", builder.compare("le", zero, own), builder.compare("le", own, last));
        const rows = builder.add("gather", [ids[n]!, builder.select(inside, own, zero)]);
        const shape = builder.shape(rows);
        const axes = builder.shape(indices).map((_n, axis) => axis);
        return builder.select(builder.broadcast(inside, shape, axes), rows, builder.zerosLike(rows));
      }),
    );
    return this.inChunk(wholeChunk, () => combined(builder, found, { inputs: [], combine: "add" }));
  }
}
