/** From a mapped program to a module that is ready to run: memory, functions, the places of every call, threads. */
import type { Dispatch } from "../../../codegen/index.ts";
import { encodeModule, type MemoryMap, pagesOf, scratchGlobal } from "../../../codegen/wasm/index.ts";
import { engineFailed, isThere, noEngine } from "./engine.ts";
import { checkMemory, createMemory, memoryRefused, weighMemory } from "./memory.ts";
import { beginRun, failTeam, type Kernel, otherFailed, runScript, type Team } from "./script.ts";
import type { SharedProgram } from "./serve.ts";
import { canWait, Workers } from "./workers.ts";

/** A call of a function: its number, where its places stand, how many workgroups. */
interface ReadyCall {
  readonly kernel: number;
  readonly places: number;
  readonly blocks: number;
}

/** Where a program's memory is, and what goes through it. Calls take effect in the order in which they are made. */
interface Host {
  /** The memory, where this thread has it. */
  readonly memory?: WebAssembly.Memory;
  write(address: number, bytes: Uint8Array): void | Promise<void>;
  /** Bytes as they are when it is done: the memory itself, or a copy. */
  view(address: number, length: number): Uint8Array | Promise<Uint8Array>;
  /** `told` gets the milliseconds of every entry. */
  run(script: Int32Array, told?: (entry: number, milliseconds: number) => void): Promise<void>;
  dispose(): void;
}

export interface LoadedProgram extends Host {
  readonly threads: number;
  readonly calls: ReadonlyMap<Dispatch, readonly ReadyCall[]>;
  addressOf(buffer: string): number;
}

/** `isAway`: in a worker of its own, which alone has the memory. Throws `DEVICE-MEMORY` and `DEVICE-WASM`. */
export async function loadProgram(map: MemoryMap, isAway = false): Promise<LoadedProgram> {
  const { linked, addressOf, bytes, threads, control } = map;
  checkMemory(bytes);
  const pages = pagesOf(bytes);
  const binary = encodeModule({ ...linked.module, memory: { pages, most: pages, shared: threads > 1 } });
  const names = linked.module.functions.filter(({ exported }) => exported).map(({ name }) => name);
  const numbers = new Map(names.map((name, i) => [name, i]));
  const places: number[] = [];
  const calls = [...linked.calls].map(([dispatch, list]): [Dispatch, readonly ReadyCall[]] => [
    dispatch,
    list.map((call) => {
      const place = map.places + 4 * places.length;
      places.push(...call.places);
      return { kernel: numbers.get(call.name)!, places: place, blocks: call.blocks };
    }),
  ]);
  if (!isThere()) throw noEngine("there is none");
  const module = await WebAssembly.compile(binary).catch((error: unknown) => {
    throw noEngine(error);
  });
  const scratches = Array.from({ length: threads }, (_unused, thread) => map.scratch + thread * map.own);
  const program = { module, names, scratchGlobal, scratches, control };
  const host =
    (isAway && (await away(program, bytes))) || (await here({ ...program, memory: createMemory(bytes, threads > 1) }));
  await host.write(map.places, new Uint8Array(Uint32Array.from(places).buffer));
  return { ...host, threads, calls: new Map(calls), addressOf };
}

type Homeless = Omit<SharedProgram, "memory">;

/** In a worker; undefined where a page may have none. */
async function away(program: Homeless, bytes: number): Promise<Host | undefined> {
  try {
    const worker = await Workers.install({ ...program, memory: pagesOf(bytes) }, [0]);
    return {
      write: (address, data) => worker.write(address, data).catch(engineFailed),
      view: (address, length) => worker.read(address, length).catch(engineFailed),
      run: (script, told) => worker.run(script, told).catch(engineFailed),
      dispose: () => void worker.dispose(),
    };
  } catch (error) {
    if (error instanceof Error && error.message.startsWith("RangeError"))
      throw memoryRefused(bytes, error.message, error);
    return undefined;
  }
}

/** In a memory that this thread has too. */
async function here(program: SharedProgram & { readonly memory: WebAssembly.Memory }): Promise<Host> {
  const { memory } = program;
  const view = (address: number, length: number): Uint8Array => new Uint8Array(memory.buffer, address, length);
  return {
    memory,
    view,
    write: (address, bytes) => view(address, bytes.length).set(bytes),
    ...(await runner(program)),
  };
}

async function runner(
  program: SharedProgram & { readonly memory: WebAssembly.Memory },
): Promise<Pick<Host, "run" | "dispose">> {
  const { module, memory, names, scratches, control } = program;
  const isMember = scratches.length === 1 || canWait();
  const others = scratches.map((_scratch, thread) => thread).slice(isMember ? 1 : 0);
  // Where there are no workers to be had (a page may forbid them) this thread does it all.
  const workers = others.length === 0 ? undefined : await Workers.install(program, others).catch(() => undefined);
  const bytes = memory.buffer.byteLength;
  const dispose = (): void => void workers?.dispose().then(() => weighMemory(bytes));
  const team: Team = {
    thread: 0,
    threads: scratches.length,
    words: new Int32Array(memory.buffer),
    control: control / 4,
  };
  if (workers !== undefined && !isMember) {
    const run: Host["run"] = (script, told) => {
      beginRun(team);
      return workers.run(script, told).catch(engineFailed);
    };
    return { run, dispose };
  }
  const global = new WebAssembly.Global({ value: "i32", mutable: false }, scratches[0]!);
  const { exports } = await WebAssembly.instantiate(module, { env: { memory, [scratchGlobal]: global } });
  const functions = names.map((name) => exports[name] as Kernel);
  const run: Host["run"] = async (script, told) => {
    // A team that one has left would wait for it.
    const isWhole = workers?.hasFailed === false;
    beginRun(team);
    const others = isWhole ? workers.run(script) : undefined;
    try {
      runScript(isWhole ? team : { ...team, threads: 1 }, functions, script, told);
    } catch (error) {
      failTeam(team);
      const theirs = await others?.catch((cause: unknown) => cause);
      engineFailed(error instanceof Error && error.message === otherFailed ? theirs : error);
    }
    await others?.catch(engineFailed);
  };
  return { run, dispose };
}
