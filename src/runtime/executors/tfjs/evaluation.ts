/** One stage of one run on tfjs: computes node by node, owns the values that live, frees them after their last use. */
import type { Tensor } from "@tensorflow/tfjs-core";
import { type Graph, portName } from "../../../ir/graph.ts";
import type { TensorType } from "../../../ir/types.ts";
import type { LoadedBackend } from "./backend.ts";
import { compute } from "./ops.ts";
import type { Schedule } from "./schedule.ts";
import { download, expanded, type OpContext, type TfValue } from "./values.ts";

/** What stays of a stage between runs. */
export interface PreparedStage {
  readonly graph: Graph;
  /** Numbers of the frozen nodes, see `FrozenNumbers`. */
  readonly numbers: readonly (number | undefined)[];
  readonly roots: readonly boolean[];
  /** By the outputs that are wanted. */
  readonly schedules: Map<string, Schedule>;
}

export class Evaluation {
  private readonly values = new Map<number, TfValue>();
  private readonly owned = new Set<Tensor>();

  constructor(
    private readonly loaded: LoadedBackend,
    private readonly stage: PreparedStage,
    private readonly frozen: Map<string, Tensor>,
    private readonly portTensor: (name: string) => { tensor: Tensor; owned: boolean },
    /** Called when most of an op's tensors are there. */
    private readonly note: () => void,
  ) {}

  step(id: number): void {
    this.values.set(id, this.stage.roots[id] === true ? this.root(id) : this.value(id, (i) => this.values.get(i)!));
  }

  has(id: number): boolean {
    return this.values.has(id);
  }

  private type(id: number): TensorType {
    const { type, op } = this.stage.graph.nodes[id]!;
    if (type.kind !== "tensor") throw new Error(`${op} is operator level; run associate first`);
    return type;
  }

  private value(id: number, input: (id: number) => TfValue): TfValue {
    const node = this.stage.graph.nodes[id]!;
    const type = this.type(id);
    if (node.op === "port") {
      const { tensor, owned } = this.portTensor(portName(node));
      if (owned) this.owned.add(tensor);
      return { tensor, type };
    }
    const scratch: Tensor[] = [];
    const use = (tensor: Tensor): Tensor => {
      scratch.push(tensor);
      return tensor;
    };
    const prepared: OpContext["prepared"] = (i, layout, make) => {
      const number = this.stage.numbers[node.inputs[i]!];
      return number === undefined ? use(make()) : this.keep(`${number}:${layout}`, make);
    };
    try {
      const context: OpContext = {
        ...this.loaded,
        inputs: node.inputs.map(input),
        attributes: node.attributes,
        type,
        use,
        prepared,
      };
      const tensor = compute(node.op, context);
      this.owned.add(tensor);
      this.note();
      return { tensor, type };
    } finally {
      for (const tensor of scratch) tensor.dispose();
    }
  }

  private keep(key: string, make: () => Tensor): Tensor {
    const known = this.frozen.get(key);
    if (known !== undefined) return known;
    const tensor = make();
    this.frozen.set(key, tensor);
    return tensor;
  }

  /** A frozen root: kept in the instance, computed when it is not there yet. What it is made from is freed again. */
  private root(id: number): TfValue {
    const key = `${this.stage.numbers[id]}`;
    const tensor = this.keep(key, () => {
      const local = new Map<number, TfValue>();
      const pull = (i: number): TfValue => {
        const value = local.get(i) ?? this.value(i, pull);
        local.set(i, value);
        return value;
      };
      const result = pull(id).tensor;
      this.owned.delete(result);
      local.delete(id);
      for (const value of local.values()) this.free(value);
      return result;
    });
    return { tensor, type: this.type(id) };
  }

  private free(value: TfValue): void {
    if (this.owned.delete(value.tensor)) value.tensor.dispose();
  }

  /** Frees values that nobody reads any more. */
  release(nodes: readonly number[]): void {
    for (const node of nodes) {
      const value = this.values.get(node);
      if (value !== undefined) this.free(value);
      this.values.delete(node);
    }
  }

  /** All elements of a value, copied. */
  read(id: number): Float32Array {
    const value = this.values.get(id)!;
    const scratch: Tensor[] = [];
    const use = (tensor: Tensor): Tensor => {
      scratch.push(tensor);
      return tensor;
    };
    const whole = expanded({ tf: this.loaded.tf, use }, value);
    const data = Float32Array.from(download(whole, value.type.dtype));
    for (const tensor of scratch) tensor.dispose();
    return data;
  }

  dispose(): void {
    for (const tensor of this.owned) tensor.dispose();
    this.owned.clear();
    this.values.clear();
  }
}
