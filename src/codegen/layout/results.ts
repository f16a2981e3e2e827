/** Where results live: in storage, or in buffers of their own. */
import { type Graph, type Node, wholeChunk } from "../../ir/graph.ts";
import { opRecord } from "../../ir/registry.ts";
import { sizeOf, type TensorType } from "../../ir/types.ts";
import { type ProgramStorage, type StorageSlice, sliceOf } from "../../program/index.ts";
import { alignUp, type BufferSpec, type PlannedCopy } from "../plan.ts";
import { inStorage, type Placement, tensorBytes } from "./ports.ts";
import { displacedBuffer, slot } from "./regions.ts";

interface StageOutput {
  readonly name: string;
  readonly node: number;
  /** Where the value is too large for a binding: the node has its elements from this one on, in row-major order. */
  readonly from?: number;
  readonly slice: StorageSlice | undefined;
}

export interface PreparedOutputs {
  /** The stage's graph, perhaps with copies behind its last node. */
  readonly graph: Graph;
  readonly outputs: readonly StageOutput[];
}

/**
 * Makes every output a value that a kernel can write where it belongs: reshapes are dropped (the memory is the same), and a port, or a value
 * that has to be in two places, gets a node that copies it. What is put together of chunks is copied chunk by chunk, and is never in one piece.
 */
export function prepareOutputs(graph: Graph, storage: ProgramStorage, largest: number): PreparedOutputs {
  const nodes = [...graph.nodes];
  const taken = new Map<number, StorageSlice | undefined>();
  const copy = (id: number, chunk?: string): number => {
    const type = nodes[id]!.type as TensorType;
    const mark = chunk === undefined ? {} : { chunk };
    return nodes.push({ op: "reshape", inputs: [id], attributes: { shape: [...type.shape] }, type, ...mark }) - 1;
  };
  const outputs = graph.outputs.flatMap(({ name, node }): StageOutput[] => {
    const slice = sliceOf(storage, name);
    let id = node;
    while (nodes[id]!.op === "reshape" && canBeResult(nodes[nodes[id]!.inputs[0]!]!)) id = nodes[id]!.inputs[0]!;
    const { type, op, chunk } = nodes[id]!;
    const isCut = op === "concat" && chunk === wholeChunk;
    if (slice === undefined && (isCut || tensorBytes(type as TensorType) > largest)) {
      const parts = piecesOf(nodes, id, 0);
      if (parts !== undefined)
        return parts.map((part) => ({ ...part, name, node: copy(part.node, nodes[part.node]!.chunk), slice }));
    }
    if (nodes[id]!.op === "port") id = copy(id);
    const before = taken.get(id);
    const clashes = taken.has(id) && (before?.buffer !== slice?.buffer || before?.offset !== slice?.offset);
    if (clashes) id = copy(id);
    taken.set(id, slice);
    return [{ name, node: id, slice }];
  });
  return { graph: { name: graph.name, nodes, outputs: outputs.map(({ name, node }) => ({ name, node })) }, outputs };
}

/** The pieces of a concatenation whose elements follow each other in memory, with where each begins; undefined when it is none. */
function piecesOf(nodes: readonly Node[], id: number, from: number): { node: number; from: number }[] | undefined {
  const node = nodes[id]!;
  const { shape } = node.type as TensorType;
  if (node.op !== "concat" || shape.slice(0, node.attributes.axis as number).some((n) => n !== 1)) return undefined;
  let at = from;
  return node.inputs.flatMap((input) => {
    const begin = at;
    at += sizeOf((nodes[input]!.type as TensorType).shape);
    return piecesOf(nodes, input, begin) ?? [{ node: input, from: begin }];
  });
}

const canBeResult = (node: Node): boolean =>
  node.op === "reshape" || !["leaf", "movement"].includes(opRecord(node.op).opClass);

export const outputsBuffer = "outputs";

/** Pieces of results that are larger than a binding. */
export const piecesBuffer = "pieces";

/** Whether a buffer is there only for results that are too large to hold unless somebody wants them. */
export const isOnDemand = (buffer: string): boolean => buffer === piecesBuffer || buffer.startsWith(`${piecesBuffer}:`);

/** Places of results by node, and the buffers that they are in beside storage, which all stages share. */
export interface ResultPlaces {
  readonly places: ReadonlyMap<number, Placement>;
  readonly buffers: readonly BufferSpec[];
}

/** Places of a stage's outputs: their slices of storage, or places in buffers of at most `largest` bytes. */
export function placeOutputs(
  buffers: readonly BufferSpec[],
  { graph, outputs }: PreparedOutputs,
  largest: number,
): ResultPlaces {
  const places = new Map<number, Placement>();
  let grown = buffers;
  for (const { node, slice, from } of outputs) {
    if (places.has(node)) continue;
    const type = graph.nodes[node]!.type as TensorType;
    const made =
      slice === undefined
        ? placeIn(grown, from === undefined ? outputsBuffer : piecesBuffer, type, largest)
        : undefined;
    grown = made?.buffers ?? grown;
    places.set(node, made?.place ?? inStorage(slice!, type));
  }
  return { places, buffers: grown };
}

/** Gives results that cannot be written where they belong places elsewhere, and the copies that bring them there. */
export function displace(
  before: ResultPlaces,
  graph: Graph,
  displaced: readonly number[],
  largest: number,
): ResultPlaces & { readonly copies: readonly PlannedCopy[] } {
  const places = new Map(before.places);
  let { buffers } = before;
  const copies = displaced.map((node): PlannedCopy => {
    const to = places.get(node)!;
    const made = placeIn(buffers, displacedBuffer, graph.nodes[node]!.type as TensorType, largest);
    buffers = made.buffers;
    places.set(node, made.place);
    const start = ({ buffer, offset }: Placement): PlannedCopy["from"] => ({ buffer, offset });
    return { from: start(made.place), to: start(to), size: to.size };
  });
  return { places, buffers, copies };
}

/** Room for a value in the first buffer of a kind that has some. */
function placeIn(
  buffers: readonly BufferSpec[],
  kind: string,
  type: TensorType,
  largest: number,
): { readonly place: Placement; readonly buffers: readonly BufferSpec[] } {
  const size = tensorBytes(type);
  const bytesOf = (name: string): number | undefined => buffers.find((b) => b.name === name)?.bytes;
  let count = 0;
  const name = (): string => (count === 0 ? kind : `${kind}:${count}`);
  while ((bytesOf(name()) ?? 0) + size > largest && bytesOf(name()) !== undefined) count++;
  const buffer = name();
  const offset = bytesOf(buffer) ?? 0;
  const grown = { name: buffer, bytes: offset + alignUp(size, slot) };
  const others = buffers.filter((b) => b.name !== buffer);
  return {
    place: { buffer, offset, size, dtype: type.dtype },
    buffers:
      others.length === buffers.length ? [...buffers, grown] : buffers.map((b) => (b.name === buffer ? grown : b)),
  };
}
