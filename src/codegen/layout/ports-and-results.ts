/** Where ports and results live: the buffers that are there before any kernel is made. */
import { type Graph, type Node, portName, portRole } from "../../ir/graph.ts";
import { opRecord } from "../../ir/registry.ts";
import { byteWidth, type DType, sizeOf, type TensorType } from "../../ir/types.ts";
import type { ProgramStorage, Stage, StorageSlice } from "../../program.ts";
import { type AxisOrder, isRowMajor } from "../emit/index-maps.ts";
import { alignUp, type BufferSpec, type PlannedValue } from "../plan.ts";
import type { Place } from "./assemble.ts";
import { rowsOf } from "./port-parts.ts";
import { slot } from "./regions.ts";

export const tensorBytes = (type: TensorType): number => sizeOf(type.shape) * byteWidth(type.dtype);

/** The slice that a name stands for: a binding, or a whole buffer. */
export function sliceOf(storage: ProgramStorage, name: string): StorageSlice | undefined {
  if (Object.hasOwn(storage.bindings, name)) return storage.bindings[name];
  const buffer = storage.buffers.find((b) => b.name === name);
  return buffer === undefined ? undefined : { buffer: name, offset: 0, size: buffer.size };
}

/** Places of the ports of a program. A name is one place; frozen ports have one per order in which they are read, made when asked for. */
export class PortLayout {
  readonly inputs: PlannedValue[] = [];
  readonly weights: PlannedValue[] = [];
  private readonly places = new Map<string, Place>();
  private readonly weightBuffers: { name: string; dtype: DType; bytes: number }[] = [];
  private inputBytes = 0;

  constructor(
    stages: readonly Stage[],
    private readonly storage: ProgramStorage,
    /** Bytes of a binding. */
    private readonly largest: number,
  ) {
    for (const node of stages.flatMap((s) => s.graph.nodes)) {
      if (node.op === "port" && portRole(node) === "input") this.placeInput(node);
    }
  }

  private placeInput(node: Node): void {
    const name = portName(node);
    const type = node.type as TensorType;
    if (this.places.has(name) || sliceOf(this.storage, name) !== undefined) return;
    const place = { buffer: "inputs", offset: this.inputBytes, size: tensorBytes(type), dtype: type.dtype };
    this.inputBytes += alignUp(place.size, slot);
    this.inputs.push({ name, dtype: type.dtype, shape: type.shape, buffer: place.buffer, offset: place.offset });
    this.places.set(name, place);
  }

  /** The buffer that a port is read from, as far as it is known before it is placed: frozen ports of one dtype share buffers. */
  bufferOf(node: Node): string {
    const stored = sliceOf(this.storage, portName(node));
    if (stored !== undefined) return stored.buffer;
    const rows = rowsOf(node);
    // A part of a large tensor takes most of a buffer.
    if (rows !== undefined) return `weights:${portName(node)}:${rows[0]}`;
    return portRole(node) === "input" ? "inputs" : `weights:${(node.type as TensorType).dtype}`;
  }

  placeOf(node: Node, order: AxisOrder): Place {
    const name = portName(node);
    const { dtype, shape } = node.type as TensorType;
    const size = tensorBytes(node.type as TensorType);
    const slice = sliceOf(this.storage, name);
    if (slice !== undefined) return { buffer: slice.buffer, offset: 4 * slice.offset, size, dtype };
    const rows = rowsOf(node);
    const laidOut = portRole(node) !== "input" && !isRowMajor(order);
    const key = `${name}${laidOut ? `:${order.join()}` : ""}${rows === undefined ? "" : `#${rows.join()}`}`;
    const known = this.places.get(key);
    if (known !== undefined) return known;
    const place = { ...this.reserve(dtype, size), size, dtype };
    this.places.set(key, place);
    const { buffer, offset } = place;
    const part = rows === undefined ? {} : { rows };
    this.weights.push({ name, dtype, shape, buffer, offset, ...(laidOut ? { order } : {}), ...part });
    return place;
  }

  /** Room in a buffer for frozen ports of a dtype; a new buffer when the last one would outgrow a binding. */
  private reserve(dtype: DType, size: number): { buffer: string; offset: number } {
    const bytes = alignUp(size, slot);
    let last = this.weightBuffers.filter((b) => b.dtype === dtype).at(-1);
    if (last === undefined || last.bytes + bytes > this.largest) {
      const count = this.weightBuffers.filter((b) => b.dtype === dtype).length;
      last = { name: `weights:${dtype}${count === 0 ? "" : `:${count}`}`, dtype, bytes: 0 };
      this.weightBuffers.push(last);
    }
    const offset = last.bytes;
    last.bytes += bytes;
    return { buffer: last.name, offset };
  }

  buffers(): BufferSpec[] {
    const buffers = this.weightBuffers.map(({ name, bytes }): BufferSpec => ({ name, bytes }));
    for (const { name, size } of this.storage.buffers) buffers.push({ name, bytes: alignUp(4 * size, slot) });
    if (this.inputBytes > 0) buffers.push({ name: "inputs", bytes: this.inputBytes });
    return buffers;
  }
}

/** Places of results that are not in storage, in buffers that are no larger than a binding. */
export class ResultLayout {
  private readonly bytes = new Map<string, number>();

  constructor(private readonly largest: number) {}

  /** A place for a result, or for a piece of one. */
  place(type: TensorType, isPiece = false): Place {
    return this.placeIn(isPiece ? piecesBuffer : outputsBuffer, type);
  }

  placeIn(kind: string, type: TensorType): Place {
    const size = tensorBytes(type);
    let count = 0;
    const name = (): string => (count === 0 ? kind : `${kind}:${count}`);
    while (this.bytes.has(name()) && this.bytes.get(name())! + size > this.largest) count++;
    const buffer = name();
    const offset = this.bytes.get(buffer) ?? 0;
    this.bytes.set(buffer, offset + alignUp(size, slot));
    return { buffer, offset, size, dtype: type.dtype };
  }

  buffers(): BufferSpec[] {
    return [...this.bytes].map(([name, bytes]) => ({ name, bytes }));
  }
}

export interface StageOutput {
  readonly name: string;
  readonly node: number;
  /** Where the value is too large for a binding: the node has its elements from this one on, in row-major order. */
  readonly from?: number;
  readonly slice: StorageSlice | undefined;
}

export interface PreparedStage {
  /** The stage's graph, perhaps with copies behind its last node. */
  readonly graph: Graph;
  readonly outputs: readonly StageOutput[];
}

/**
 * Makes every output a value that a kernel can write where it belongs: reshapes are dropped (the memory is the same), and a port, or a value
 * that has to be in two places, gets a node that copies it. What is put together of chunks and larger than `largest` bytes is copied chunk by
 * chunk, and is never in one piece.
 */
export function prepareOutputs(graph: Graph, storage: ProgramStorage, largest: number): PreparedStage {
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
    if (slice === undefined && tensorBytes(nodes[id]!.type as TensorType) > largest) {
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

/** Places of the outputs' values: their slices of storage, or places of their own. */
export function placesOf({ graph, outputs }: PreparedStage, results: ResultLayout): ReadonlyMap<number, Place> {
  const places = new Map<number, Place>();
  for (const { node, slice, from } of outputs) {
    if (places.has(node)) continue;
    const type = graph.nodes[node]!.type as TensorType;
    const { dtype } = type;
    const stored = slice && { buffer: slice.buffer, offset: 4 * slice.offset, size: tensorBytes(type), dtype };
    places.set(node, stored ?? results.place(type, from !== undefined));
  }
  return places;
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

const outputsBuffer = "outputs";

/** Pieces of results that are larger than a binding. */
const piecesBuffer = "pieces";

/** Whether a buffer is there only for results that are too large to hold unless somebody wants them. */
export const isOnDemand = (buffer: string): boolean => buffer === piecesBuffer || buffer.startsWith(`${piecesBuffer}:`);
