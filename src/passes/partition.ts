/**
 * Values that are too large for one binding are made in chunks. The logits of a large vocabulary are the usual ones: with their softmax, loss
 * and gradient they are computed for some tokens at a time, so that no more than a chunk of them is ever in memory unless somebody wants them.
 * Tables that are too large (embeddings, heads) are read in parts of their rows.
 *
 * A chunk is the same ops on parts of their inputs, along the axes that the ops' records allow (`ir/cuts.ts`). What reads a chunked value from
 * outside reads the chunks put together; what is reduced over the axis is combined. Nodes of a chunk carry its name, which keeps kernels of
 * different chunks apart and their memory short-lived.
 */
import { Builder, type NodeContext } from "../ir/builder.ts";
import { partAttributes, type Range } from "../ir/cuts.ts";
import { compact, type Graph, isRecomputed, wholeChunk } from "../ir/graph.ts";
import { bytesOf } from "../ir/ops/common.ts";
import type { PassResult } from "./manager.ts";
import { type Chunked, chunksOf } from "./partition-chunks.ts";
import { combined, sliced } from "./partition-parts.ts";
import { cutTables } from "./partition-tables.ts";
import { contextOf } from "./rewrite.ts";

/** Axes along which one value may be cut after another: batch, tokens, and one more. */
const mostRounds = 3;

/**
 * A graph without values of more than `limit` bytes, and without reads of tables of more than `tableLimit`, as far as its ops can be cut.
 * Equal to the graph when all fit.
 */
export function partition(graph: Graph, limit: number, tableLimit = limit): PassResult {
  if (graph.nodes.every(({ type }) => bytesOf(type) <= limit)) return { graph };
  let at = graph;
  const notes: NonNullable<PassResult["notes"]>[number][] = [];
  for (let round = 0; round < mostRounds; round++) {
    const chunked = chunksOf(at, limit, `${round}`);
    if (chunked.members.size === 0) break;
    at = compact(new ChunkWriter(at, chunked).write(), true);
    notes.push(...chunked.notes);
  }
  const tables = cutTables(at, tableLimit);
  return { graph: tables.graph, notes: [...notes, ...(tables.notes ?? [])] };
}

/** Writes the graph anew, chunk after chunk. */
class ChunkWriter {
  private readonly builder: Builder;
  /** New ids of nodes that are whole, and of the chunks of the others. */
  private readonly whole = new Map<number, number>();
  private readonly chunks = new Map<number, number[]>();

  constructor(
    private readonly graph: Graph,
    private readonly chunked: Chunked,
  ) {
    this.builder = new Builder(graph.name);
  }

  write(): Graph {
    const { members, groups } = this.chunked;
    let left = this.graph.nodes.map((_node, id) => id);
    while (left.length > 0) {
      const before = left.length;
      left = left.filter((id) => members.has(id) || !this.tryWhole(id));
      for (const [group, ranges] of groups.entries()) {
        ranges.forEach((range, chunk) => {
          for (const id of left) if (members.get(id)?.group === group) this.tryChunk(id, chunk, range);
        });
      }
      left = left.filter((id) => this.chunks.get(id)?.length !== this.rangesOf(id)?.length || !members.has(id));
      if (left.length === before) throw new Error(`the chunks of ${this.graph.name} wait for each other`);
    }
    return this.builder.finish(this.graph.outputs.map(({ name, node }) => ({ name, node: this.wholeOf(node)! })));
  }

  private rangesOf(id: number): readonly Range[] | undefined {
    const member = this.chunked.members.get(id);
    return member === undefined ? undefined : this.chunked.groups[member.group];
  }

  private context(id: number, chunk?: string): NodeContext {
    return { ...contextOf(this.graph.nodes[id]!, id), ...(chunk === undefined ? {} : { chunk }) };
  }

  /** Adds a node that is not cut, when all that it reads is there. */
  private tryWhole(id: number): boolean {
    const node = this.graph.nodes[id]!;
    const inputs = node.inputs.map((i) => this.wholeOf(i));
    if (inputs.includes(undefined)) return false;
    const added = this.builder.within(this.context(id), () =>
      this.builder.add(node.op, inputs as number[], node.attributes),
    );
    this.whole.set(id, added);
    return true;
  }

  private tryChunk(id: number, chunk: number, range: Range): void {
    const { cut, group } = this.chunked.members.get(id)!;
    const node = this.graph.nodes[id]!;
    const done = this.chunks.get(id) ?? [];
    if (done.length !== chunk) return;
    const inputs = node.inputs.map((input, place) => this.partOf(input, cut.inputs[place], group, chunk, range));
    if (inputs.includes(undefined)) return;
    const outer = isRecomputed(node.chunk) ? `${node.chunk}/` : "";
    const name = `${outer}${this.chunked.name}.${group}.${chunk}`;
    const added = this.builder.within(this.context(id, name), () =>
      this.builder.add(node.op, inputs as number[], partAttributes(node, cut, range)),
    );
    this.chunks.set(id, [...done, added]);
  }

  /** What a chunk reads of an input: its part along `axis`, or all of it. */
  private partOf(
    input: number,
    axis: number | undefined,
    group: number,
    chunk: number,
    range: Range,
  ): number | undefined {
    const member = this.chunked.members.get(input);
    if (axis !== undefined && member?.group === group && member.cut.output === axis)
      return this.chunks.get(input)?.[chunk];
    const whole = this.wholeOf(input);
    if (axis === undefined || whole === undefined) return whole;
    return sliced(this.builder, whole, axis, range);
  }

  private wholeOf(id: number): number | undefined {
    const known = this.whole.get(id);
    const member = this.chunked.members.get(id);
    if (known !== undefined || member === undefined) return known;
    const parts = this.chunks.get(id);
    if (parts === undefined || parts.length !== this.chunked.groups[member.group]!.length) return undefined;
    const made = this.builder.within(this.context(id, wholeChunk), () => combined(this.builder, parts, member.cut));
    this.whole.set(id, made);
    return made;
  }
}
