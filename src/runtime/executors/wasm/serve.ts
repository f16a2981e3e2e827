/** What a worker does with programs, and the messages that it takes and gives. */
import type { weighMemory } from "./memory.ts";
import type { failTeam, Kernel, runScript } from "./script.ts";

/** A program as every thread needs it. */
export interface SharedProgram {
  readonly module: WebAssembly.Module;
  /** The memory that threads share, or the pages of one that a worker has for itself. */
  readonly memory: WebAssembly.Memory | number;
  /** Names of the functions, in the order in which scripts count them. */
  readonly names: readonly string[];
  /** Name of the global with the address of a thread's own memory, and that address by thread. */
  readonly scratchGlobal: string;
  readonly scratches: readonly number[];
  readonly control: number;
}

export type Request = { readonly id: number } & (
  | { readonly kind: "install"; readonly thread: number; readonly program: SharedProgram }
  | { readonly kind: "run"; readonly script: Int32Array; readonly tells: boolean }
  | { readonly kind: "write"; readonly address: number; readonly bytes: Uint8Array }
  | { readonly kind: "read"; readonly address: number; readonly length: number }
  | { readonly kind: "drop" }
);

export interface Answer {
  readonly id: number;
  readonly error?: string;
  /** What was read. */
  readonly bytes?: Uint8Array;
  /** Milliseconds of every entry of a script. */
  readonly times?: readonly number[];
}

/** What a worker does. Its text is the worker's program (`worker-text.ts`): it uses nothing from outside but what it is given. */
export function serve(
  run: typeof runScript,
  fail: typeof failTeam,
  weigh: typeof weighMemory,
  post: (answer: Answer) => void,
  listen: (listener: (request: Request) => void) => void,
): void {
  interface Installed {
    readonly memory: WebAssembly.Memory;
    readonly functions: readonly Kernel[];
    readonly team: Parameters<typeof runScript>[0];
  }
  const programs = new Map<number, Installed>();
  const install = (id: number, thread: number, program: SharedProgram): void => {
    const { module, memory: given, names, scratchGlobal, scratches, control } = program;
    const memory = typeof given === "number" ? new WebAssembly.Memory({ initial: given, maximum: given }) : given;
    const global = new WebAssembly.Global({ value: "i32", mutable: false }, scratches[thread]!);
    const { exports } = new WebAssembly.Instance(module, { env: { memory, [scratchGlobal]: global } });
    const functions = names.map((name) => exports[name] as Kernel);
    const words = new Int32Array(memory.buffer);
    programs.set(id, { memory, functions, team: { thread, threads: scratches.length, words, control: control / 4 } });
  };
  const answer = (request: Request): Omit<Answer, "id"> => {
    if (request.kind === "install") {
      install(request.id, request.thread, request.program);
      return {};
    }
    if (request.kind === "drop") {
      const size = programs.get(request.id)?.memory.buffer.byteLength ?? 0;
      programs.delete(request.id);
      weigh(size);
      return {};
    }
    const { memory, functions, team } = programs.get(request.id)!;
    const view = (address: number, length: number): Uint8Array => new Uint8Array(memory.buffer, address, length);
    const times: number[] = [];
    if (request.kind === "write") view(request.address, request.bytes.length).set(request.bytes);
    else if (request.kind === "read") return { bytes: view(request.address, request.length).slice() };
    else run(team, functions, request.script, request.tells ? (_entry, time) => void times.push(time) : undefined);
    return times.length > 0 ? { times } : {};
  };
  listen((request) => {
    const { id } = request;
    try {
      post({ id, ...answer(request) });
    } catch (error) {
      const failed = programs.get(id);
      if (failed !== undefined) fail(failed.team);
      post({ id, error: String(error) });
    }
  });
}
