/**
 * The programs of workers, as texts. They are made of functions here; `scripts/worker-text-plugin.mjs` puts the texts themselves into what is published, since
 * bundlers of those who use it may rename what functions call, or add calls of their own.
 */
import { weighMemory } from "./memory.ts";
import { failTeam, runScript } from "./script.ts";
import { serve } from "./serve.ts";

const body = (post: string, listen: string): string =>
  `(${serve.toString()})(${runScript.toString()}, ${failTeam.toString()}, ${weighMemory.toString()}, ${post}, ${listen});`;

const port = 'process.getBuiltinModule("node:worker_threads").parentPort';

/** For `node:worker_threads`: a script or a module, as the options of the process say. */
export const nodeWorkerText: string = body(
  `(answer) => ${port}.postMessage(answer)`,
  `(f) => ${port}.on("message", f)`,
);

/** For `Worker`. */
export const webWorkerText: string = body(
  "(answer) => postMessage(answer)",
  "(f) => { onmessage = ({ data }) => f(data); }",
);
