/** The memory that a session will take, told from a program and the headers of the model's files before anything is loaded. */
import { buffersMade, type Generated, placeSizes, type Target, useOfBuffers } from "../../codegen/index.ts";
import { mapMemory, relaxedSimd, useOfMemory } from "../../codegen/wasm/index.ts";
import { byteWidth, sizeOf } from "../../ir/types.ts";
import { type CompiledProgram, sliceOf } from "../../program/index.ts";
import { addedUse, bytesInUse, type MemoryUse } from "../../program/memory.ts";
import { type Executor, type InstantiateOptions, programPorts, type Reads } from "../executors/executor.ts";
import { tablesOf, usualReads } from "../executors/memory.ts";
import type { Model } from "../files/model.ts";
import { tensorDtypes } from "../files/tensor.ts";

/** What lies in the process beside the device's memory. */
export interface HostUse {
  /** The largest tensor on its way from the file, and what is made of it. */
  readonly reading: number;
  /** The adapter's numbers, and its tables. */
  readonly copies: number;
  /** Results that were read, and files that are written of them. */
  readonly answers: number;
}

export interface MemoryForecast {
  readonly device: MemoryUse;
  readonly host: HostUse;
  /** Whether the device's memory is the process's own, as that of processors is. */
  readonly shared: boolean;
  /** Bytes of the device; where its memory is the process's own those of the host count. */
  readonly bytes: number;
}

/** Reading is over when answers come. */
const hostBytes = ({ reading, copies, answers }: HostUse): number => copies + Math.max(reading, answers);

const forecastOf = (device: MemoryUse, host: HostUse, shared: boolean): MemoryForecast => ({
  device,
  host,
  shared,
  bytes: bytesInUse(device) + (shared ? hostBytes(host) : 0),
});

/** What a session on an executor will take when `reads` were read of it; undefined where the executor does not tell. */
export async function forecastSession(
  executor: Executor,
  program: CompiledProgram,
  model: Model,
  reads: Reads = usualReads(program),
  options: InstantiateOptions = {},
): Promise<MemoryForecast | undefined> {
  const device = await executor.forecast?.(program, reads, options);
  return device && forecastOf(device, hostUse(program, model, reads), executor.name !== "webgpu");
}

/** A program that has kernels and plan for a target. */
interface PlannedFor {
  readonly generated: Generated;
  readonly target: Target;
}

/** The same from kernels and plan alone, for a target that no device is open for. */
export function forecastTarget(program: CompiledProgram & PlannedFor, model: Model): MemoryForecast {
  const {
    generated,
    target: { features, limits },
  } = program;
  const reads = usualReads(program);
  const [facts, wanted] = [{ plan: generated.plan, tables: tablesOf(program) }, new Set(reads.flat())];
  const host = hostUse(program, model, reads);
  if (limits.maxComputeInvocationsPerWorkgroup === 1) {
    const map = mapMemory(generated, { threads: 1, controlBytes: 0, fuses: features.includes(relaxedSimd) });
    return forecastOf(useOfMemory(map, facts, wanted), host, true);
  }
  const kernels = placeSizes(generated.plan).bytes;
  const device = addedUse(useOfBuffers(facts, buffersMade(generated.plan, wanted)), { kernels });
  return forecastOf(device, host, false);
}

function hostUse(program: CompiledProgram, { weights }: Model, reads: Reads): HostUse {
  const ports = [...programPorts(program).values()];
  const reading = ports
    .filter(({ name, role }) => role === "weight" && sliceOf(program.storage, name) === undefined)
    .map(({ name, type }) => {
      const info = weights.info(name);
      if (info === undefined) return 0;
      const own = sizeOf(info.shape) * tensorDtypes[info.dtype];
      return info.dtype.toLowerCase() === type.dtype ? own : own + sizeOf(type.shape) * byteWidth(type.dtype);
    });
  const sizes = new Map(
    program.stages.flatMap(({ graph }) =>
      graph.outputs.map(({ name, node }) => {
        const { type } = graph.nodes[node]!;
        return [name, type.kind === "tensor" ? sizeOf(type.shape) : 0] as const;
      }),
    ),
  );
  const sizeOfRead = (name: string): number => sliceOf(program.storage, name)?.size ?? sizes.get(name) ?? 0;
  const answers = reads.map((names) => 4 * names.reduce((sum, name) => sum + sizeOfRead(name), 0));
  const trained = (program.adapter?.tensors ?? []).filter(({ role }) => role === "param");
  const params = 4 * trained.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
  const tables = [...(program.adapter?.data.values() ?? [])].reduce((sum, { byteLength }) => sum + byteLength, 0);
  // What is trained is read, and put together as a file.
  const saved = program.stages.some(({ name }) => name === "update") ? 2 * params : 0;
  return { reading: Math.max(0, ...reading), copies: params + tables, answers: Math.max(saved, ...answers) };
}
