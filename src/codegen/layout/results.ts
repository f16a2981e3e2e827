/** Where results live: in storage, or in buffers of their own. */
import { type Graph, type Node, wholeChunk } from "../../ir/graph.ts";
import { opRecord } from "../../ir/registry.ts";
import { sizeOf, type TensorType } from "../../ir/types.ts";
import { isMainStage, type ProgramStorage, type StageName, type StorageSlice, sliceOf } from "../../program/index.ts";
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

/** Buffers of results beside storage, which all stages share, and the bytes of each that are taken. */
export interface ResultRoom {
  readonly buffers: readonly BufferSpec[];
  readonly taken: ReadonlyMap<string, number>;
}

/** Places of results by node. */
export interface ResultPlaces extends ResultRoom {
  readonly places: ReadonlyMap<number, Placement>;
}

/**
 * The room that the stages before leave to one, and what it leaves of its own. Of the stages that hold the model only one is part of a run, after which its
 * results are read: they have their places in common.
 */
export const roomFor = (stage: StageName, { buffers, taken }: ResultRoom): ResultRoom => ({
  buffers,
  taken: isMainStage(stage) ? taken : new Map(buffers.map(({ name, bytes }) => [name, bytes])),
});

export const roomAfter = (stage: StageName, before: ResultRoom, { buffers, taken }: ResultRoom): ResultRoom => ({
  buffers,
  taken: isMainStage(stage) ? before.taken : taken,
});

/** Places of a stage's outputs: their slices of storage, or places in buffers of at most `largest` bytes. */
export function placeOutputs(before: ResultRoom, { graph, outputs }: PreparedOutputs, largest: number): ResultPlaces {
  const places = new Map<number, Placement>();
  let room = before;
  for (const { node, slice, from } of outputs) {
    if (places.has(node)) continue;
    const type = graph.nodes[node]!.type as TensorType;
    const made =
      slice === undefined ? placeIn(room, from === undefined ? outputsBuffer : piecesBuffer, type, largest) : undefined;
    room = made?.room ?? room;
    places.set(node, made?.place ?? inStorage(slice!, type));
  }
  return { places, ...room };
}

/** Gives results that cannot be written where they belong places elsewhere, and the copies that bring them there. */
export function displace(
  before: ResultPlaces,
  graph: Graph,
  displaced: readonly number[],
  largest: number,
): ResultPlaces & { readonly copies: readonly PlannedCopy[] } {
  const places = new Map(before.places);
  let room: ResultRoom = before;
  const copies = displaced.map((node): PlannedCopy => {
    const to = places.get(node)!;
    const made = placeIn(room, displacedBuffer, graph.nodes[node]!.type as TensorType, largest);
    room = made.room;
    places.set(node, made.place);
    const start = ({ buffer, offset }: Placement): PlannedCopy["from"] => ({ buffer, offset });
    return { from: start(made.place), to: start(to), size: to.size };
  });
  return { places, buffers: room.buffers, taken: room.taken, copies };
}

/** Room for a value in the first buffer of a kind that has some. */
function placeIn(
  { buffers, taken }: ResultRoom,
  kind: string,
  type: TensorType,
  largest: number,
): { readonly place: Placement; readonly room: ResultRoom } {
  const size = tensorBytes(type);
  const takenOf = (buffer: string): number => taken.get(buffer) ?? 0;
  let count = 0;
  const name = (): string => (count === 0 ? kind : `${kind}:${count}`);
  while (takenOf(name()) + size > largest && takenOf(name()) > 0) count++;
  const buffer = name();
  const offset = takenOf(buffer);
  const end = offset + alignUp(size, slot);
  const before = buffers.find((b) => b.name === buffer);
  const grown = { name: buffer, bytes: Math.max(end, before?.bytes ?? 0) };
  return {
    place: { buffer, offset, size, dtype: type.dtype },
    room: {
      buffers: before === undefined ? [...buffers, grown] : buffers.map((b) => (b === before ? grown : b)),
      taken: new Map([...taken, [buffer, end]]),
    },
  };
}
