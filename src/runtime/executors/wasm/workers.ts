/**
 * Workers that run programs together with the thread that started them, or, in a page, whose main thread may not wait, in its place. Where memory
 * cannot be shared (a page that is not isolated) one worker has the program's memory for itself, which is then written and read by messages. Workers
 * are made once, when a program is large enough to be worth it, and do not keep a process alive.
 */
import { failTeam, type Kernel, runScript } from "./script.ts";

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

type Request = { readonly id: number } & (
  | { readonly kind: "install"; readonly thread: number; readonly program: SharedProgram }
  | { readonly kind: "run"; readonly script: Int32Array; readonly tells: boolean }
  | { readonly kind: "write"; readonly address: number; readonly bytes: Uint8Array }
  | { readonly kind: "read"; readonly address: number; readonly length: number }
  | { readonly kind: "drop" }
);

interface Answer {
  readonly id: number;
  readonly error?: string;
  /** What was read. */
  readonly bytes?: Uint8Array;
  /** Milliseconds of every entry of a script. */
  readonly times?: readonly number[];
}

interface Port {
  post(request: Request): void;
  listen(listener: (answer: Answer) => void): void;
  /** Whether the process has to live on until it answers. */
  hold(isHeld: boolean): void;
}

/** What a worker does. Its text is the worker's program: it uses nothing from outside but what it is given. */
function serve(
  run: typeof runScript,
  fail: typeof failTeam,
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
    if (request.kind === "install") install(request.id, request.thread, request.program);
    if (request.kind === "install") return {};
    const { memory, functions, team } = programs.get(request.id)!;
    const view = (address: number, length: number): Uint8Array => new Uint8Array(memory.buffer, address, length);
    const times: number[] = [];
    if (request.kind === "drop") programs.delete(request.id);
    else if (request.kind === "write") view(request.address, request.bytes.length).set(request.bytes);
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

const body = (post: string, listen: string): string =>
  `(${serve.toString()})(${runScript.toString()}, ${failTeam.toString()}, ${post}, ${listen});`;

async function openPort(): Promise<Port> {
  // Deno and Bun have both kinds; only the one of Node lets a process end.
  if (typeof globalThis.process?.versions?.node !== "string") {
    const text = body("(answer) => postMessage(answer)", "(f) => { onmessage = ({ data }) => f(data); }");
    const url = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
    const worker = new Worker(url, { type: "module" });
    return {
      post: (request) => worker.postMessage(request),
      listen: (listener) => {
        worker.onmessage = ({ data }: MessageEvent<Answer>) => listener(data);
        // A page that forbids such workers tells so without a message.
        worker.onerror = ({ message = "a worker cannot be started" }) => listener({ id: -1, error: message });
      },
      hold: () => undefined,
    };
  }
  const threads = await import("node:worker_threads");
  const port = 'require("node:worker_threads").parentPort';
  const worker = new threads.Worker(
    body(`(answer) => ${port}.postMessage(answer)`, `(f) => ${port}.on("message", f)`),
    {
      eval: true,
    },
  );
  return {
    post: (request) => worker.postMessage(request),
    listen: (listener) => {
      worker.on("message", listener);
      worker.on("error", (error: Error) => listener({ id: -1, error: error.message }));
      // To listen holds the process.
      worker.unref();
    },
    hold: (isHeld) => (isHeld ? worker.ref() : worker.unref()),
  };
}

/** Workers, each of which answers its requests one after the other. */
class Pool {
  private readonly waiting: readonly ((answer: Answer) => void)[][];
  private failure: string | undefined;

  constructor(private readonly ports: readonly Port[]) {
    this.waiting = ports.map(() => []);
    ports.forEach((port, worker) => {
      port.listen((answer) => this.heard(worker, answer));
    });
  }

  private heard(worker: number, answer: Answer): void {
    if (answer.id >= 0) {
      const queue = this.waiting[worker]!;
      queue.shift()!(answer);
      if (queue.length === 0) this.ports[worker]!.hold(false);
      return;
    }
    this.failure = answer.error;
    for (const settle of this.waiting.flatMap((queue) => queue.splice(0))) settle(answer);
  }

  /** Sends a request to the worker of that number. Throws what went wrong there. */
  async ask(worker: number, request: Request): Promise<Answer> {
    if (this.failure !== undefined) throw new Error(this.failure);
    const answered = new Promise<Answer>((settle) => this.waiting[worker]!.push(settle));
    this.ports[worker]!.hold(true);
    this.ports[worker]!.post(request);
    const answer = await answered;
    if (answer.error !== undefined) throw new Error(answer.error);
    return answer;
  }
}

const pools = new Map<number, Promise<Pool>>();

function poolOf(workers: number): Promise<Pool> {
  const known = pools.get(workers);
  if (known !== undefined) return known;
  const made = Promise.all(Array.from({ length: workers }, openPort)).then((ports) => new Pool(ports));
  pools.set(workers, made);
  return made;
}

/** Whether this thread may wait for others, so that it can work with them. */
export const canWait = (): boolean => {
  try {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 1, 0);
    return true;
  } catch {
    return false;
  }
};

let count = 0;

/** A program on workers, one for each of some threads of its team. */
export class Workers {
  private constructor(
    private readonly pool: Pool,
    private readonly id: number,
    private readonly size: number,
  ) {}

  static async install(program: SharedProgram, threads: readonly number[]): Promise<Workers> {
    const pool = await poolOf(threads.length);
    const id = count++;
    await Promise.all(threads.map((thread, worker) => pool.ask(worker, { kind: "install", id, thread, program })));
    return new Workers(pool, id, threads.length);
  }

  private askAll(request: Request): Promise<Answer[]> {
    return Promise.all(Array.from({ length: this.size }, (_unused, worker) => this.pool.ask(worker, request)));
  }

  /** Starts a script on all of them; settles when the last has come to its end. `told` gets the milliseconds of every entry, of the first. */
  async run(script: Int32Array, told?: (entry: number, milliseconds: number) => void): Promise<void> {
    const [first] = await this.askAll({ kind: "run", id: this.id, script, tells: told !== undefined });
    for (const [entry, time] of (first!.times ?? []).entries()) told?.(entry, time);
  }

  /** Writes to the memory that the first has for itself. */
  async write(address: number, bytes: Uint8Array): Promise<void> {
    // Of a view a message would hold all that it is a view of.
    await this.pool.ask(0, { kind: "write", id: this.id, address, bytes: bytes.slice() });
  }

  async read(address: number, length: number): Promise<Uint8Array> {
    const { bytes } = await this.pool.ask(0, { kind: "read", id: this.id, address, length });
    return bytes!;
  }

  dispose(): void {
    // Nobody is left to hear that a worker is gone.
    void this.askAll({ kind: "drop", id: this.id }).catch(() => undefined);
  }
}

/** Whether this is the main thread of a page, which must not compute. */
export const isPage = (): boolean => typeof (globalThis as { document?: unknown }).document === "object";

/** Threads that a program gets here: those of the machine, or fewer; one where memory cannot be shared, as in a page that is not isolated. */
export async function threadsHere(most?: number): Promise<number> {
  const isIsolated = (globalThis as { crossOriginIsolated?: boolean }).crossOriginIsolated !== false;
  if (typeof SharedArrayBuffer === "undefined" || !isIsolated) return 1;
  if (most !== undefined) return most;
  const cores = globalThis.navigator?.hardwareConcurrency ?? (await import("node:os")).availableParallelism();
  return Math.min(8, cores);
}
