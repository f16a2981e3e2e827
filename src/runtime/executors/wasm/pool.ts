/** Workers that take turns with programs. They are made when a program is large enough to be worth it, and do not keep a process alive. */
import { isNode } from "../../files/folder.ts";
import type { Answer, Request } from "./serve.ts";
import { nodeWorkerText, webWorkerText } from "./worker-text.ts";

interface Port {
  post(request: Request): void;
  /** A worker that cannot be started, or is gone, tells so in an answer with id -1. */
  listen(listener: (answer: Answer) => void): void;
  /** Whether the process has to live on until it answers. */
  hold(isHeld: boolean): void;
  close(): void;
}

const gone = (error = "a worker cannot be started"): Answer => ({ id: -1, error });

function openWebPort(): Port {
  const url = URL.createObjectURL(new Blob([webWorkerText], { type: "text/javascript" }));
  const worker = new Worker(url, { type: "module" });
  const forget = (): void => URL.revokeObjectURL(url);
  return {
    post: (request) => worker.postMessage(request),
    listen: (listener) => {
      worker.addEventListener("message", forget, { once: true });
      worker.onmessage = ({ data }: MessageEvent<Answer>) => listener(data);
      // A page that forbids such workers tells so without a message.
      worker.onerror = ({ message }) => {
        forget();
        listener(gone(message));
      };
    },
    hold: () => undefined,
    close: () => worker.terminate(),
  };
}

function openNodePort({ Worker: NodeWorker }: typeof import("node:worker_threads")): Port {
  const worker = new NodeWorker(nodeWorkerText, { eval: true });
  return {
    post: (request) => worker.postMessage(request),
    listen: (listener) => {
      worker.on("message", listener);
      worker.on("error", (error: Error) => listener(gone(error.message)));
      worker.on("exit", () => listener(gone("a worker has ended")));
      // To listen holds the process.
      worker.unref();
    },
    hold: (isHeld) => (isHeld ? worker.ref() : worker.unref()),
    close: () => void worker.terminate(),
  };
}

/** Workers, each of which answers its requests one after the other. */
export class Pool {
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
      // Nobody waits for what was told to have failed.
      queue.shift()?.(answer);
      if (queue.length === 0) this.ports[worker]!.hold(false);
      return;
    }
    if (this.failure !== undefined) return;
    this.failure = answer.error;
    for (const port of this.ports) port.close();
    for (const settle of this.waiting.flatMap((queue) => queue.splice(0))) settle(answer);
  }

  get hasFailed(): boolean {
    return this.failure !== undefined;
  }

  /** Sends a request to the worker of that number. Throws what went wrong there. */
  async ask(worker: number, request: Request): Promise<Answer> {
    if (this.failure !== undefined) throw new Error(this.failure);
    // What cannot be sent is thrown here, and is no answer that others would wait behind.
    this.ports[worker]!.post(request);
    this.ports[worker]!.hold(true);
    const answer = await new Promise<Answer>((settle) => this.waiting[worker]!.push(settle));
    if (answer.error !== undefined) throw new Error(answer.error);
    return answer;
  }
}

const pools = new Map<number, Pool>();

/** The pool of so many workers; another one where that has failed. Throws where none can be made. */
export async function openPool(workers: number): Promise<Pool> {
  // Deno and Bun have both kinds; only the one of Node lets a process end.
  const threads = isNode() ? await import("node:worker_threads") : undefined;
  const known = pools.get(workers);
  if (known?.hasFailed === false) return known;
  const made = new Pool(openPorts(workers, () => (threads === undefined ? openWebPort() : openNodePort(threads))));
  pools.set(workers, made);
  return made;
}

/** All of them or none. */
function openPorts(count: number, open: () => Port): readonly Port[] {
  const ports: Port[] = [];
  try {
    while (ports.length < count) ports.push(open());
  } catch (error) {
    for (const port of ports) port.close();
    throw error;
  }
  return ports;
}
