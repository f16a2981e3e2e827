/** From a mapped program to a module that is ready to run: memory, functions, the places of every call, threads. */
import type { Dispatch } from "../../../codegen/index.ts";
import { encodeModule, type MemoryMap, pagesOf, scratchGlobal } from "../../../codegen/wasm/index.ts";
import { createMemory } from "./memory.ts";
import { beginRun, failTeam, type Kernel, runScript, type Team } from "./script.ts";
import { canWait, type SharedProgram, Workers } from "./workers.ts";

/** A call of a function: its number, where its places stand, how many workgroups. */
interface ReadyCall {
  readonly kernel: number;
  readonly places: number;
  readonly blocks: number;
}

export interface LoadedProgram {
  readonly memory: WebAssembly.Memory;
  readonly threads: number;
  readonly calls: ReadonlyMap<Dispatch, readonly ReadyCall[]>;
  addressOf(buffer: string): number;
  /** `told` gets the milliseconds of every entry, where the calling thread is one of the team. */
  run(script: Int32Array, told?: (entry: number, milliseconds: number) => void): Promise<void>;
  dispose(): void;
}

/** Throws `DEVICE-MEMORY`. */
export async function loadProgram(map: MemoryMap): Promise<LoadedProgram> {
  const { linked, addressOf, bytes, threads, control } = map;
  const memory = createMemory(bytes, threads > 1);
  const [words, pages] = [new Int32Array(memory.buffer), pagesOf(bytes)];
  const binary = encodeModule({ ...linked.module, memory: { pages, most: pages, shared: threads > 1 } });
  const names = linked.module.functions.filter(({ exported }) => exported).map(({ name }) => name);
  const numbers = new Map(names.map((name, i) => [name, i]));
  let next = map.places;
  const calls = [...linked.calls].map(([dispatch, list]): [Dispatch, readonly ReadyCall[]] => [
    dispatch,
    list.map(({ name, places, blocks }) => {
      words.set(places, next / 4);
      const call = { kernel: numbers.get(name)!, places: next, blocks };
      next += 4 * places.length;
      return call;
    }),
  ]);
  const module = await WebAssembly.compile(binary);
  const scratches = Array.from({ length: threads }, (_unused, thread) => map.scratch + thread * map.own);
  const shared: SharedProgram = { module, memory, names, scratchGlobal, scratches, control };
  return { memory, threads, calls: new Map(calls), addressOf, ...(await runner(shared, words)) };
}

async function runner(program: SharedProgram, words: Int32Array): Promise<Pick<LoadedProgram, "run" | "dispose">> {
  const { module, memory, names, scratches, control } = program;
  const threads = scratches.length;
  const isMember = threads === 1 || canWait();
  const others = scratches.map((_scratch, thread) => thread).slice(isMember ? 1 : 0);
  const workers = others.length === 0 ? undefined : await Workers.install(program, others);
  const dispose = (): void => workers?.dispose();
  const team: Team = { thread: 0, threads, words, control: control / 4 };
  if (!isMember) {
    const run = (script: Int32Array): Promise<void> => {
      beginRun(team);
      return workers!.run(script);
    };
    return { run, dispose };
  }
  const global = new WebAssembly.Global({ value: "i32", mutable: false }, scratches[0]!);
  const { exports } = await WebAssembly.instantiate(module, { env: { memory, [scratchGlobal]: global } });
  const functions = names.map((name) => exports[name] as Kernel);
  const run: LoadedProgram["run"] = async (script, told) => {
    beginRun(team);
    const others = workers?.run(script);
    try {
      runScript(team, functions, script, told);
    } catch (error) {
      failTeam(team);
      await others?.catch(() => undefined);
      throw error;
    }
    await others;
  };
  return { run, dispose };
}
