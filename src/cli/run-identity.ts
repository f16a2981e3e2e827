/** What makes a run of `webpeft train` the one that it is: hashes of everything that decides its numbers. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { AdapterFiles } from "../runtime/files/adapter.ts";
import type { RunIdentity } from "../runtime/training/checkpoint.ts";
import type { TrainRunParts } from "./train-parts.ts";
import { digest } from "./weight-digest.ts";

/** Everything that a resumed run must have in common with the first. */
export async function runIdentity(parts: TrainRunParts): Promise<RunIdentity> {
  const { model, config, experts } = parts.sources;
  const {
    data,
    lr,
    weightDecay,
    schedule,
    warmup,
    clip,
    accumulate,
    seed = 0,
    task,
    docStride,
    sampling,
    full = false,
    method,
    adapter,
    memory,
  } = parts.options;
  const headers = model.weights.keys().map((key) => [key, model.weights.info(key)]);
  return {
    model: digest(JSON.stringify([model.config, headers])),
    weights: parts.weights,
    tokenizer: parts.tokenizer,
    config: digest(JSON.stringify(config ?? null) + String(full)),
    data: digest(await readFile(data)),
    method: method === undefined ? "built in" : digest(await readFile(method)),
    start: [adapter === undefined ? "fresh" : await startDigest(adapter), ...(await expertDigests(experts))].join(" "),
    options: JSON.stringify({
      lr,
      weightDecay,
      schedule,
      warmup,
      clip,
      accumulate,
      seed,
      task,
      docStride,
      sampling,
      memory,
      steps: parts.steps,
      batch: parts.stream.batch,
      length: parts.stream.length,
    }),
    executor: parts.session.executorName,
    arithmetic: parts.session.arithmetic ?? "the device's",
  };
}

/** Of the files that hold the numbers an adapter begins with. */
async function startDigest(folder: string): Promise<string> {
  const encoder = await readFile(join(folder, "encoder.safetensors")).catch(() => undefined);
  const start = digest(await readFile(join(folder, "adapter_model.safetensors")));
  return encoder === undefined ? start : `${start} ${digest(encoder)}`;
}

/** Of the adapters that are mixed: their configs and numbers. */
async function expertDigests(experts: ReadonlyMap<string, AdapterFiles> = new Map()): Promise<string[]> {
  const of = async ([name, { config, tensors }]: [string, AdapterFiles]): Promise<string> => {
    const keys = [...tensors.tensors.keys()];
    const numbers = await Promise.all(keys.map(async (key) => [key, digest((await tensors.read(key)).bytes)]));
    return digest(JSON.stringify([name, config, numbers]));
  };
  return Promise.all([...experts].map(of));
}
