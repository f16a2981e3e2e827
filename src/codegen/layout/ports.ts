/** Where ports live: in storage, among the inputs, or in buffers of frozen data that grow as kernels read them. */
import { type Graph, isFrozenPort, type Node, portName, portRole } from "../../ir/graph.ts";
import { byteWidth, type DType, sizeOf, type TensorType } from "../../ir/types.ts";
import { type ProgramStorage, type Stage, type StorageSlice, sliceOf } from "../../program/index.ts";
import { type AxisOrder, isRowMajor } from "../emit/index-maps.ts";
import { alignUp, type BufferSpec, type PlannedValue } from "../plan.ts";
import type { Body } from "../schedule/body.ts";
import { slot } from "./regions.ts";

/** Where a value is, in bytes; `offset` is a multiple of 256. */
export interface Placement {
  readonly buffer: string;
  readonly offset: number;
  readonly size: number;
  readonly dtype: DType;
}

export const tensorBytes = (type: TensorType): number => sizeOf(type.shape) * byteWidth(type.dtype);

export const isStored = (storage: ProgramStorage, port: Node): boolean =>
  sliceOf(storage, portName(port)) !== undefined;

/** The place of a value of a type in a slice of storage. */
export const inStorage = ({ buffer, offset }: StorageSlice, type: TensorType): Placement => ({
  buffer,
  offset: 4 * offset,
  size: tensorBytes(type),
  dtype: type.dtype,
});

/** Elements `from` to `to` along the first axis; an attribute of ports that are parts. */
type Rows = readonly [from: number, to: number];

const rowsOf = (node: Node): Rows | undefined => node.attributes.rows as Rows | undefined;

/**
 * The graph with every slice of rows of a frozen port that is larger than `largest` bytes as a port by itself, with a place of its own. Ids
 * stay.
 */
export function withPortParts(graph: Graph, storage: ProgramStorage, largest: number): Graph {
  const isCut = (port: Node): boolean =>
    isFrozenPort(port) && !isStored(storage, port) && tensorBytes(port.type as TensorType) > largest;
  const nodes = graph.nodes.map((node): Node => {
    if (node.op !== "slice") return node;
    const port = graph.nodes[node.inputs[0]!]!;
    const { shape } = node.type as TensorType;
    if (!isCut(port) || !(port.type as TensorType).shape.slice(1).every((n, axis) => shape[axis + 1] === n))
      return node;
    const [from, to] = [(node.attributes.start as number[])[0]!, (node.attributes.limit as number[])[0]!];
    return { ...node, op: "port", inputs: [], attributes: { ...port.attributes, shape, rows: [from, to] } };
  });
  return { ...graph, nodes };
}

/** The ports that have places. A name is one place; frozen ports have one per order in which they are read. */
export interface PortPlaces {
  readonly places: ReadonlyMap<string, Placement>;
  readonly inputs: readonly PlannedValue[];
  readonly frozen: readonly PlannedValue[];
  readonly buffers: readonly BufferSpec[];
}

const inputsBuffer = "inputs";

/** Places of all inputs of a program, which are there whoever reads them. */
export function placeInputs(stages: readonly Stage[], storage: ProgramStorage): PortPlaces {
  const places = new Map<string, Placement>();
  const inputs: PlannedValue[] = [];
  let bytes = 0;
  for (const node of stages.flatMap(({ graph }) => graph.nodes)) {
    if (node.op !== "port" || portRole(node) !== "input") continue;
    const name = portName(node);
    if (places.has(name) || isStored(storage, node)) continue;
    const { dtype, shape } = node.type as TensorType;
    const place = { buffer: inputsBuffer, offset: bytes, size: tensorBytes(node.type as TensorType), dtype };
    bytes += alignUp(place.size, slot);
    inputs.push({ name, dtype, shape, buffer: place.buffer, offset: place.offset });
    places.set(name, place);
  }
  return { places, inputs, frozen: [], buffers: bytes > 0 ? [{ name: inputsBuffer, bytes }] : [] };
}

/** The buffer that a port is read from, as far as it is known before it is placed: frozen ports of one dtype share buffers. */
export function bufferOfPort(storage: ProgramStorage, node: Node): string {
  const stored = sliceOf(storage, portName(node));
  if (stored !== undefined) return stored.buffer;
  const rows = rowsOf(node);
  // A part of a large tensor takes most of a buffer.
  if (rows !== undefined) return `weights:${portName(node)}:${rows[0]}`;
  return portRole(node) === "input" ? inputsBuffer : `weights:${(node.type as TensorType).dtype}`;
}

/** A port as a kernel reads it. */
export interface PortUse {
  readonly port: Node;
  readonly order: AxisOrder;
}

const isLaidOut = ({ port, order }: PortUse): boolean => portRole(port) !== "input" && !isRowMajor(order);

function keyOf(use: PortUse): string {
  const rows = rowsOf(use.port);
  const order = isLaidOut(use) ? `:${use.order.join()}` : "";
  return `${portName(use.port)}${order}${rows === undefined ? "" : `#${rows.join()}`}`;
}

/** The place of a port that has one. */
export function placeOfPort(ports: PortPlaces, storage: ProgramStorage, use: PortUse): Placement {
  const slice = sliceOf(storage, portName(use.port));
  return slice === undefined ? ports.places.get(keyOf(use))! : inStorage(slice, use.port.type as TensorType);
}

/** Places for the frozen ports of `uses` beside those that are placed; no buffer grows beyond `largest` bytes. */
export function placePorts(
  before: PortPlaces,
  storage: ProgramStorage,
  uses: readonly PortUse[],
  largest: number,
): PortPlaces {
  const [places, frozen, buffers] = [new Map(before.places), [...before.frozen], [...before.buffers]];
  /** Room in the last buffer for ports of the dtype, or in a new one. */
  const reserve = (dtype: DType, size: number): Pick<Placement, "buffer" | "offset"> => {
    const bytes = alignUp(size, slot);
    const kind = `weights:${dtype}`;
    const own = buffers.flatMap(({ name }, i) => (name === kind || name.startsWith(`${kind}:`) ? [i] : []));
    const last = own.at(-1) ?? -1;
    const offset = buffers[last]?.bytes ?? 0;
    if (last >= 0 && offset + bytes <= largest) {
      buffers[last] = { ...buffers[last]!, bytes: offset + bytes };
      return { buffer: buffers[last].name, offset };
    }
    const name = own.length === 0 ? kind : `${kind}:${own.length}`;
    buffers.push({ name, bytes });
    return { buffer: name, offset: 0 };
  };
  for (const use of uses) {
    const key = keyOf(use);
    const name = portName(use.port);
    if (places.has(key) || sliceOf(storage, name) !== undefined) continue;
    const type = use.port.type as TensorType;
    const { dtype, shape } = type;
    const place = { ...reserve(dtype, tensorBytes(type)), size: tensorBytes(type), dtype };
    places.set(key, place);
    const [order, rows] = [isLaidOut(use) ? { order: use.order } : {}, rowsOf(use.port)];
    const { buffer, offset } = place;
    frozen.push({ name, dtype, shape, buffer, offset, ...order, ...(rows === undefined ? {} : { rows }) });
  }
  return { ...before, places, frozen, buffers };
}

/** The buffers of ports and storage: frozen ones first, inputs last. */
export function portBuffers({ buffers }: PortPlaces, storage: ProgramStorage): BufferSpec[] {
  const isInputs = ({ name }: BufferSpec): boolean => name === inputsBuffer;
  const stored = storage.buffers.map(({ name, size }): BufferSpec => ({ name, bytes: alignUp(4 * size, slot) }));
  return [...buffers.filter((b) => !isInputs(b)), ...stored, ...buffers.filter(isInputs)];
}

/** The ports that bodies read, in their order. */
export const portUses = (graph: Graph, bodies: readonly Pick<Body, "tensors">[]): PortUse[] =>
  bodies.flatMap(({ tensors }) =>
    tensors.flatMap(({ node, order }) => {
      const port = graph.nodes[node]!;
      return port.op === "port" ? [{ port, order }] : [];
    }),
  );
