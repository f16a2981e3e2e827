/** Where ports and results live: the buffers that are there before any kernel is made. */
import { type Graph, type Node, portName, portRole } from "../ir/graph.ts";
import { opRecord } from "../ir/registry.ts";
import { byteWidth, sizeOf, type TensorType } from "../ir/types.ts";
import type { ProgramStorage, Stage, StorageSlice } from "../program.ts";
import type { Place } from "./assemble.ts";
import { alignUp, type BufferSpec, type PlannedValue } from "./plan.ts";

export const slot = 256;

export const tensorBytes = (type: TensorType): number => sizeOf(type.shape) * byteWidth(type.dtype);

/** The slice that a name stands for: a binding, or a whole buffer. */
export function sliceOf(storage: ProgramStorage, name: string): StorageSlice | undefined {
  if (Object.hasOwn(storage.bindings, name)) return storage.bindings[name];
  const buffer = storage.buffers.find((b) => b.name === name);
  return buffer === undefined ? undefined : { buffer: name, offset: 0, size: buffer.size };
}

export interface PortLayout {
  readonly buffers: readonly BufferSpec[];
  readonly inputs: readonly PlannedValue[];
  readonly weights: readonly PlannedValue[];
  placeOf(port: Node): Place;
}

/** Places of all ports of all stages; a name is one place. */
export function layoutPorts(stages: readonly Stage[], storage: ProgramStorage): PortLayout {
  const places = new Map<string, Place>();
  const inputs: PlannedValue[] = [];
  const weights: PlannedValue[] = [];
  let inputBytes = 0;
  for (const node of stages.flatMap((s) => s.graph.nodes)) {
    if (node.op !== "port" || places.has(portName(node))) continue;
    const name = portName(node);
    const { dtype, shape } = node.type as TensorType;
    const size = tensorBytes(node.type as TensorType);
    const slice = sliceOf(storage, name);
    if (slice !== undefined) {
      places.set(name, { buffer: slice.buffer, offset: 4 * slice.offset, size, dtype });
      continue;
    }
    const isInput = portRole(node) === "input";
    const place = { buffer: isInput ? "inputs" : `weight:${name}`, offset: isInput ? inputBytes : 0, size, dtype };
    if (isInput) inputBytes += alignUp(size, slot);
    (isInput ? inputs : weights).push({ name, dtype, shape, buffer: place.buffer, offset: place.offset });
    places.set(name, place);
  }
  const buffers: BufferSpec[] = weights.map((w) => ({
    name: w.buffer,
    bytes: alignUp(places.get(w.name)!.size, slot),
  }));
  for (const { name, size } of storage.buffers) buffers.push({ name, bytes: alignUp(4 * size, slot) });
  if (inputBytes > 0) buffers.push({ name: "inputs", bytes: inputBytes });
  return { buffers, inputs, weights, placeOf: (port) => places.get(portName(port))! };
}

export interface StageOutput {
  readonly name: string;
  readonly node: number;
  readonly slice: StorageSlice | undefined;
}

export interface PreparedStage {
  /** The stage's graph, perhaps with copies behind its last node. */
  readonly graph: Graph;
  readonly outputs: readonly StageOutput[];
}

/**
 * Makes every output a value that a kernel can write where it belongs: reshapes are dropped (the memory is the same), and a port, or a value
 * that has to be in two places, gets a node that copies it.
 */
export function prepareOutputs(graph: Graph, storage: ProgramStorage): PreparedStage {
  const nodes = [...graph.nodes];
  const taken = new Map<number, StorageSlice | undefined>();
  const copy = (id: number): number => {
    const type = nodes[id]!.type as TensorType;
    return nodes.push({ op: "reshape", inputs: [id], attributes: { shape: [...type.shape] }, type }) - 1;
  };
  const outputs = graph.outputs.map(({ name, node }): StageOutput => {
    const slice = sliceOf(storage, name);
    let id = node;
    while (nodes[id]!.op === "reshape" && canBeResult(nodes[nodes[id]!.inputs[0]!]!)) id = nodes[id]!.inputs[0]!;
    if (nodes[id]!.op === "port") id = copy(id);
    const before = taken.get(id);
    const clashes = taken.has(id) && (before?.buffer !== slice?.buffer || before?.offset !== slice?.offset);
    if (clashes) id = copy(id);
    taken.set(id, slice);
    return { name, node: id, slice };
  });
  return { graph: { name: graph.name, nodes, outputs: outputs.map(({ name, node }) => ({ name, node })) }, outputs };
}

const canBeResult = (node: Node): boolean =>
  node.op === "reshape" || !["leaf", "movement"].includes(opRecord(node.op).opClass);
