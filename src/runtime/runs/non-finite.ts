/** Finds what made a NaN or an infinity: the stage is evaluated again in f64, node by node, and the first value that f32 cannot hold is named. */
import { WebpeftError } from "../../ir/diagnostics.ts";
import { evaluateAll } from "../../ir/evaluate.ts";
import { type Graph, portRole, ports } from "../../ir/graph.ts";
import { largestFloat32, sizeOf } from "../../ir/types.ts";
import { totalOf } from "../../passes/storage.ts";
import { type CompiledProgram, type MainStage, parameterStages } from "../../program/index.ts";
import type { Instance, RunInputs } from "../executors/executor.ts";
import type { Model } from "../files/model.ts";
import { toFloat32 } from "../files/tensor.ts";
import { withBaseOf } from "../values/base-tensors.ts";
import type { LoadedProgram } from "../values/values.ts";

interface Parts extends LoadedProgram {
  readonly model: Model;
  readonly instance: Instance;
}

const isFiniteF32 = (x: number): boolean => Math.abs(x) <= largestFloat32;

async function portData(parts: Parts, graph: Graph, inputs: RunInputs): Promise<Record<string, ArrayLike<number>>> {
  const data: Record<string, ArrayLike<number>> = {};
  const { weights } = withBaseOf(parts.model, parts.values);
  for (const { name, node } of ports(graph)) {
    const bound = parts.program.storage.bindings[name] !== undefined;
    if (portRole(node) === "input") data[name] = inputs[name]!;
    else if (bound) data[name] = await parts.instance.read(name);
    else if (portRole(node) === "weight") data[name] = toFloat32(await weights.read(name));
    else data[name] = parts.values.buffers.get(name)!;
  }
  return data;
}

/** Numbers in the values of a graph up to which it is evaluated in f64, which holds all of them at once. */
const largestSearch = 2 ** 26;

const numbersIn = ({ nodes }: Graph): number =>
  nodes.reduce((sum, { type }) => sum + (type.kind === "tensor" ? sizeOf(type.shape) : 0), 0);

/** Where it began, in words. */
interface Origin {
  readonly message: string;
  readonly where?: string;
}

/** The graphs that a stage's results come from, in their order: what it reads of parameters alone, itself, and gradients through the former. */
function graphsBehind({ stages }: CompiledProgram, stage: MainStage): Graph[] {
  const names = [parameterStages[stage], stage, ...(stage === "micro" ? ["parameters_backward"] : [])];
  return names.flatMap((name) => stages.find((one) => one.name === name)?.graph ?? []);
}

/** What of a stage is the first to be not finite. */
async function firstOrigin(parts: Parts, stage: MainStage, runs: readonly RunInputs[]): Promise<Origin> {
  const graphs = graphsBehind(parts.program, stage);
  if (graphs.some((graph) => numbersIn(graph) > largestSearch))
    return { message: "the model is too large to look for where it began" };
  for (const inputs of runs) {
    const made: Record<string, ArrayLike<number>> = {};
    for (const graph of graphs) {
      const found = originIn(graph, { ...(await portData(parts, graph, inputs)), ...made }, made);
      if (found !== undefined) return found;
    }
  }
  return { message: "every operation is finite in f64, so f32 overflowed between them" };
}

/** What is not finite in a graph; what it gives is added to `made`. */
function originIn(
  graph: Graph,
  data: Readonly<Record<string, ArrayLike<number>>>,
  made: Record<string, ArrayLike<number>>,
): Origin | undefined {
  const broken = Object.entries(data).find(([, values]) => !Array.prototype.every.call(values, isFiniteF32));
  if (broken !== undefined) return { message: `the tensor ${broken[0]} holds a NaN or an infinity`, where: broken[0] };
  const values = evaluateAll(graph, data);
  const id = values.findIndex(
    (value, i) => value !== undefined && graph.nodes[i]!.type.kind === "tensor" && !value.data.every(isFiniteF32),
  );
  if (id < 0) {
    // Sums over micro-batches are taken for the gradients of this one.
    for (const { name, node } of graph.outputs) made[totalOf(name)] = made[name] = values[node]!.data;
    return undefined;
  }
  const { op, scope, location } = graph.nodes[id]!;
  const line = location === undefined ? "" : ` (${location.file}:${location.line})`;
  return {
    message: `%${id} = ${op}${line} was the first to give a NaN or an infinity`,
    ...(scope === undefined ? {} : { where: scope }),
  };
}

/** The error for a step whose loss and gradient are finite, and whose new parameters or moments are not. */
export const updateOverflow = (step: number): WebpeftError =>
  new WebpeftError("TRAIN-NOT-FINITE", {
    message: `step ${step} would have made parameters or moments that f32 cannot hold`,
    where: "update",
    help: "use a smaller learning rate or weight decay, or clip the gradient; the parameters are as they were before this step",
  });

/** The error for a step whose loss or gradient was not finite. */
export async function firstNonFinite(parts: Parts, runs: readonly RunInputs[], step: number): Promise<WebpeftError> {
  const { message, where } = await firstOrigin(parts, "micro", runs);
  return new WebpeftError("TRAIN-NOT-FINITE", {
    message: `step ${step} gave a loss or gradient that is not finite: ${message}`,
    ...(where === undefined ? {} : { where }),
    help: "use a smaller learning rate or --clip 1; the parameters are as they were before this step",
  });
}

/** Throws `RESULT-NOT-FINITE` when a result of a stage holds a NaN or an infinity, with the first operation that gave one. */
export async function checkResults(
  parts: Parts,
  stage: MainStage,
  inputs: RunInputs,
  results: Readonly<Record<string, Float32Array>>,
): Promise<void> {
  const broken = Object.entries(results).find(([, data]) => !data.every(Number.isFinite));
  if (broken === undefined) return;
  const [name, data] = broken;
  const { message, where = name } = await firstOrigin(parts, stage, [inputs]);
  throw new WebpeftError("RESULT-NOT-FINITE", {
    message: `${name} holds numbers that are not finite: ${message}`,
    where,
    expected: "finite numbers",
    got: `${data.find((x) => !Number.isFinite(x))} in ${name}`,
    help: "The adapter's numbers, or the base model's, are too large or do not go together.",
  });
}
