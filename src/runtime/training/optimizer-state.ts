/** What a run needs to go on bit for bit, and whose it is. */
import { WebpeftError } from "../../ir/diagnostics.ts";
import { sha256 } from "../../ir/hash.ts";
import type { CompiledProgram } from "../../program/index.ts";
import { shown } from "../options.ts";
import { hasStage } from "../runs/inputs.ts";
import type { RunningAdapter } from "../values/running.ts";

export interface OptimizerState {
  /** Optimizer steps done. */
  readonly step: number;
  /** Whose it is: the same for programs that train the same tensors. */
  readonly program: string;
  readonly params: Float32Array;
  readonly moment1: Float32Array;
  readonly moment2: Float32Array;
}

const buffers = ["params", "moment1", "moment2"] as const;

/** The same for programs that train the same tensors in the same places, whatever their batches. */
function identityOf({ adapter, storage }: CompiledProgram): string {
  const trained = (adapter?.tensors ?? []).filter(({ role }) => role === "param");
  const places = trained.map(({ key, shape }) => [key, shape, storage.bindings[key]]);
  return sha256(JSON.stringify([adapter?.peftType, adapter?.source, places]));
}

const fault = (where: string, message: string, expected: string, got: string): WebpeftError =>
  new WebpeftError("SESSION-STATE", {
    message,
    where,
    expected,
    got,
    help: "give what optimizerState() gave for the same model and adapter config",
  });

function requireTraining({ program }: RunningAdapter): void {
  if (hasStage(program, "update")) return;
  throw new WebpeftError("SESSION-MODE", {
    message: "what is in use does not train, so it has no optimizer state",
    got: `mode ${program.mode}`,
    help: 'compile with { mode: "train" }, and use one adapter',
  });
}

/** Throws `SESSION-MODE` for a program that does not train. */
export async function stateOf(entry: RunningAdapter): Promise<OptimizerState> {
  requireTraining(entry);
  const { instance, program, step } = entry;
  const read: Float32Array[] = [];
  for (const name of buffers) read.push(await instance.read(name));
  const [params, moment1, moment2] = read;
  return { step, program: identityOf(program), params: params!, moment1: moment1!, moment2: moment2! };
}

/** A copy of a state, with all that can be said without a program checked. Throws `SESSION-STATE`. */
export function copiedState(given: OptimizerState): OptimizerState {
  if (typeof given !== "object" || given === null)
    throw fault(
      "state",
      "there is no optimizer state",
      `an object with step, program, ${buffers.join(", ")}`,
      shown(given),
    );
  const { step, program } = given;
  if (!Number.isSafeInteger(step) || step < 0)
    throw fault("step", "the steps of the state are none", "a whole number, 0 or above", shown(step));
  const copies = buffers.map((name): [string, Float32Array] => {
    const data: unknown = given[name];
    if (typeof data !== "object" || data === null || !Number.isSafeInteger((data as { length?: unknown }).length))
      throw fault(name, "a vector of the state is missing", "an array of numbers", shown(data));
    const copy = Float32Array.from(data as ArrayLike<number>);
    const odd = copy.findIndex((x) => !Number.isFinite(x) || (name === "moment2" && x < 0));
    if (odd < 0) return [name, copy];
    const expected = name === "moment2" ? "finite numbers, 0 or above" : "finite numbers";
    throw fault(`${name}[${odd}]`, "a number of the state is none that training makes", expected, String(copy[odd]));
  });
  return { step, program, ...Object.fromEntries(copies) } as unknown as OptimizerState;
}

/** Puts a state in place of the present one, whole or not at all. Throws `SESSION-STATE` for one of another program. */
export async function restoreState(entry: RunningAdapter, state: OptimizerState): Promise<void> {
  requireTraining(entry);
  const { instance, program } = entry;
  const own = identityOf(program);
  if (state.program !== own) throw fault("program", "the state belongs to another program", own, shown(state.program));
  const size = (name: string): number => program.storage.buffers.find((buffer) => buffer.name === name)!.size;
  const other = buffers.find((name) => state[name].length !== size(name));
  if (other !== undefined)
    throw fault(other, "the state has another size", `${size(other)} numbers`, `${state[other].length} numbers`);
  for (const name of buffers) instance.write(name, state[name]);
  entry.step = state.step;
}
