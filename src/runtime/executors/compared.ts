/**
 * An executor whose runs are compared with their evaluation in f64: every run is made once more, one dispatch after the other, and what they
 * stored is kept; then the graphs are evaluated on the same inputs, and each kernel by itself on what it read.
 */
import { evaluateNodes, nodesBetween, type PortData } from "../../ir/evaluate.ts";
import { type Graph, type Node, portName } from "../../ir/graph.ts";
import { sizeOf, type TensorType } from "../../ir/types.ts";
import { type ExecutableProgram, type StageName, sliceOf } from "../../program/index.ts";
import type { NodeError } from "../../program/precision.ts";
import {
  type Executor,
  type Instance,
  initialStorage,
  type PortSource,
  type RunInputs,
  stageOf,
  type TracedStep,
} from "./executor.ts";
import { constantsOf } from "./reference.ts";
import { floatsOf } from "./words.ts";

/** Told of every stage that ran, in the order of what it stored. */
export type ComparedStage = (stage: StageName, errors: readonly NodeError[]) => void;

/** Its instances have to be such that can be traced. */
export const comparedExecutor = (executor: Executor, tell: ComparedStage): Executor => ({
  ...{ name: executor.name, description: executor.description },
  async instantiate(program, data, options) {
    const constants = await constantsOf(program, data, options);
    const instance = await executor.instantiate(program, data, options);
    const compared = new ComparedInstance(program, instance, constants, tell);
    await compared.begin(data);
    return compared;
  },
});

type Numbers = Float32Array | Float64Array;

/** A dispatch with copies of what it stored. */
interface Captured {
  readonly step: TracedStep;
  readonly stored: ReadonlyMap<number, Float32Array>;
}

class ComparedInstance implements Instance {
  /** Storage as f64 has it. */
  private readonly exact: ReadonlyMap<string, Float64Array>;

  constructor(
    private readonly program: ExecutableProgram,
    private readonly instance: Instance,
    private readonly constants: ReadonlyMap<string, ArrayLike<number>>,
    private readonly tell: ComparedStage,
  ) {
    this.exact = new Map(program.storage.buffers.map(({ name, size }) => [name, new Float64Array(size)]));
  }

  async begin(data: ReadonlyMap<string, PortSource>): Promise<void> {
    for (const { name, tensor } of await initialStorage(this.program, data)) this.write(name, floatsOf(tensor));
  }

  private slice(storage: ReadonlyMap<string, Numbers>, name: string): Numbers | undefined {
    const { buffer, offset, size } = sliceOf(this.program.storage, name) ?? {};
    return buffer === undefined ? undefined : storage.get(buffer)!.subarray(offset, offset! + size!);
  }

  write(name: string, data: Float32Array): void {
    this.slice(this.exact, name)!.set(data);
    this.instance.write(name, data);
  }

  read(name: string): Promise<Float32Array> {
    return this.instance.read(name);
  }

  async run(stages: readonly StageName[], inputs: RunInputs, want: readonly string[] = []) {
    const names = this.program.storage.buffers.map(({ name }) => name);
    const before = new Map<string, Float32Array>();
    for (const name of names) before.set(name, await this.instance.read(name));
    const captured: Captured[] = [];
    await this.instance.trace!(stages, inputs, want, async (step) => {
      const stored = new Map<number, Float32Array>();
      for (const id of step.stores) stored.set(id, await step.numbers(id));
      captured.push({ step, stored });
      return true;
    });
    for (const [name, numbers] of before) this.instance.write(name, numbers);
    const results = await this.instance.run(stages, inputs, want);
    for (const stage of stages) {
      const end = captured.findIndex(({ step }) => step.stage !== stage);
      const own = captured.splice(0, end < 0 ? captured.length : end);
      this.tell(stage, this.compare(stageOf(this.program, stage).graph, own, { inputs, want, storage: before }));
    }
    return results;
  }

  /** `storage`: as the device has it when the stage begins; then as it is when it ends, as `exact` is. */
  private compare(graph: Graph, captured: readonly Captured[], { inputs, want, storage }: Run): NodeError[] {
    const outputs = graph.outputs.filter(
      ({ name }) => want.includes(name) || sliceOf(this.program.storage, name) !== undefined,
    );
    const own = ownErrors(captured, (node) => this.dataOf(node, inputs, storage));
    const stored = new Map<number, Float32Array>();
    for (const { step, stored: some } of captured)
      for (const [id, numbers] of some) stored.set(copied(step.graph, id, graph.nodes.length), numbers);
    const isPort = (id: number): boolean => graph.nodes[id]!.op === "port";
    const known = (id: number): PortData | undefined =>
      isPort(id) ? this.dataOf(graph.nodes[id]!, inputs, this.exact) : undefined;
    const ids = nodesBetween(graph, isPort, [...outputs.map(({ node }) => node), ...stored.keys()]);
    const written = new Map<number, Float64Array>();
    const isWritten = new Set(outputs.map(({ node }) => node));
    const errors: NodeError[] = [];
    for (const [id, { data }] of evaluateNodes(graph, ids, known)) {
      if (isWritten.has(id)) written.set(id, data);
      const numbers = stored.get(id);
      if (numbers === undefined) continue;
      const gap = gapOf(numbers, data, isFloat(graph.nodes[id]!));
      errors.push({ node: id, ...gap, error: relative(gap), own: own.get(id) ?? 0 });
    }
    for (const { name, node } of outputs) {
      const exact = written.get(node) ?? known(node)!;
      this.slice(this.exact, name)?.set(exact);
      this.slice(storage, name)?.set(stored.get(storedAs(graph, node, stored)) ?? exact);
    }
    return errors;
  }

  private dataOf(node: Node, inputs: RunInputs, storage: ReadonlyMap<string, Numbers>): PortData {
    const name = portName(node);
    const all = this.slice(storage, name) ?? this.constants.get(name) ?? inputs[name]!;
    const { rows } = node.attributes;
    if (!Array.isArray(rows)) return all;
    // A part of a table that is larger than a binding.
    const [from, to] = rows as [number, number];
    const row = sizeOf((node.type as TensorType).shape) / (to - from);
    return Array.prototype.slice.call(all, from * row, to * row);
  }

  dispose(): void {
    this.instance.dispose();
  }
}

interface Run {
  readonly inputs: RunInputs;
  readonly want: readonly string[];
  readonly storage: ReadonlyMap<string, Float32Array>;
}

const isFloat = ({ type }: Node): boolean => /^(f|bf)/.test((type as TensorType).dtype);

/** The node whose numbers a copy of a result has, which stands behind the last node of the stage. */
function copied(graph: Graph, id: number, count: number): number {
  let own = id;
  while (own >= count) own = graph.nodes[own]!.inputs[0]!;
  return own;
}

/** The node that was stored for one: the same numbers in another shape. */
function storedAs(graph: Graph, id: number, stored: ReadonlyMap<number, unknown>): number {
  let own = id;
  while (!stored.has(own) && graph.nodes[own]!.op === "reshape") own = graph.nodes[own]!.inputs[0]!;
  return own;
}

/** Errors of kernels by themselves, by the nodes that they stored. */
function ownErrors(captured: readonly Captured[], ofPort: (node: Node) => PortData): ReadonlyMap<number, number> {
  const errors = new Map<number, number>();
  const before = new Map<number, Float32Array>();
  for (const { step, stored } of captured) {
    const { graph } = step;
    const reads = new Set(step.reads.filter((id) => !stored.has(id)));
    const isKnown = (id: number): boolean => reads.has(id) || graph.nodes[id]!.op === "port";
    const known = (id: number): PortData | undefined =>
      graph.nodes[id]!.op === "port" ? ofPort(graph.nodes[id]!) : before.get(id);
    for (const [id, { data }] of evaluateNodes(graph, nodesBetween(graph, isKnown, step.stores), known)) {
      const numbers = stored.get(id);
      if (numbers !== undefined) errors.set(id, relative(gapOf(numbers, data, isFloat(graph.nodes[id]!))));
    }
    for (const [id, numbers] of stored) before.set(id, numbers);
  }
  return errors;
}

type Gap = Pick<NodeError, "absolute" | "magnitude">;

/** `numbers` are f32, also where they are whole: those of the evaluation are rounded then. */
function gapOf(numbers: Float32Array, exact: Float64Array, isOfFloats: boolean): Gap {
  let [absolute, magnitude] = [0, 0];
  for (let i = 0; i < exact.length; i++) {
    const [x, r] = [numbers[i]!, isOfFloats ? exact[i]! : Math.fround(exact[i]!)];
    if (Number.isFinite(r)) magnitude = Math.max(magnitude, Math.abs(r));
    if (Object.is(x, r) || x === r) continue;
    const gap = Math.abs(x - r);
    absolute = Math.max(absolute, Number.isFinite(gap) ? gap : Number.MAX_VALUE);
  }
  return { absolute, magnitude };
}

const relative = ({ absolute, magnitude }: Gap): number =>
  absolute === 0 ? 0 : Math.min(Number.MAX_VALUE, absolute / magnitude);
