/** How a program is made to fit into memory: larger values in chunks, and parts of the forward pass made again for the backward pass. */
import { WebpeftError } from "../ir/diagnostics.ts";
import { isFrozenPort } from "../ir/graph.ts";
import { bytesOf } from "../ir/ops/common.ts";
import { largestInLayers, segmentsOf } from "../passes/recompute.ts";
import type { ProgramMode, Stage } from "../program/index.ts";
import type { Model } from "../runtime/files/model.ts";
import type { MemoryForecast } from "../runtime/session/memory.ts";
import type { CompileOptions } from "./options.ts";

export interface Thrift {
  /** Bytes from which on values are made in chunks. */
  readonly limit: number;
  /** Parts of the forward pass that are made again. */
  readonly recomputed: number;
}

/** Chunks are no smaller where nothing binds so little. */
const leastLimit = 2 ** 16;

/** Thrifts from the one that costs nothing to the one that spares most, each for more time than those before it. */
export interface Thrifts {
  /** With chunks of what is larger than anything in the layers: the logits and the loss. */
  readonly chunked: readonly Thrift[];
  /** Parts that may be made again with the last of those. */
  readonly parts: number;
}

export function thriftsOf(stages: readonly Stage[], binding: number): Thrifts {
  const sizes = stages.flatMap(({ graph }) => graph.nodes.map((node) => (isFrozenPort(node) ? 0 : bytesOf(node.type))));
  const largest = sizes.reduce((most, bytes) => Math.max(most, bytes), 0);
  const inLayers = stages.reduce((most, { graph }) => Math.max(most, largestInLayers(graph)), leastLimit);
  const limits = [4, 16].map((share) => Math.max(inLayers, Math.floor(largest / share)));
  const smaller = limits.filter((limit, i) => limit < Math.min(binding, largest) && limit !== limits[i - 1]);
  const trained = stages.find(({ name }) => name === "micro");
  return {
    chunked: [binding, ...smaller].map((limit) => ({ limit, recomputed: 0 })),
    parts: trained === undefined ? 0 : segmentsOf(trained.graph).length,
  };
}

export const mostThrift = ({ chunked, parts }: Thrifts): Thrift => ({ ...chunked.at(-1)!, recomputed: parts });

/** What was made with a thrift, and what it takes. */
export interface Fitted<P> {
  readonly program: P;
  readonly forecast: MemoryForecast;
  readonly bytes: number;
}

/** The program of the first thrift that fits into `memory` bytes, or else of the one that spares most. */
export async function fitted<P>(
  thrifts: Thrifts,
  memory: number,
  make: (thrift: Thrift) => Promise<Fitted<P>>,
): Promise<Fitted<P>> {
  for (const thrift of thrifts.chunked) {
    const made = await make(thrift);
    if (made.bytes <= memory || (thrifts.parts === 0 && thrift === thrifts.chunked.at(-1))) return made;
  }
  const most = mostThrift(thrifts);
  let [best, low, high] = [await make(most), 0, most.recomputed];
  if (best.bytes > memory) return best;
  while (high - low > 1) {
    const recomputed = (low + high) >> 1;
    const made = await make({ ...most, recomputed });
    if (made.bytes <= memory) [best, high] = [made, recomputed];
    else low = recomputed;
  }
  return best;
}

/** Sizes that are compared, so that they are told to a tenth. */
function sizeText(bytes: number): string {
  if (bytes < 2 ** 10) return `${bytes} B`;
  if (bytes < 2 ** 20) return `${(bytes / 2 ** 10).toFixed(1)} KiB`;
  return bytes < 2 ** 30 ? `${(bytes / 2 ** 20).toFixed(1)} MiB` : `${(bytes / 2 ** 30).toFixed(2)} GiB`;
}

/** The model with weights of 16 bits where it has wider ones; for its headers. */
export function inHalves(model: Model): Model {
  const info: Model["weights"]["info"] = (key) => {
    const own = model.weights.info(key);
    return own?.dtype === "F32" ? { ...own, dtype: "BF16" } : own;
  };
  return { ...model, weights: { ...model.weights, info } };
}

/** What was asked for, and what a program takes at most thrift with other options, or with weights of 16 bits. */
interface Asked {
  readonly memory: number;
  readonly mode: ProgramMode;
  readonly batch: number;
  readonly length: number;
}

type Least = (
  change: Partial<Pick<CompileOptions, "batch" | "length" | "accumulate">>,
  halves?: boolean,
) => Promise<number>;

interface Alternative {
  readonly words: string;
  readonly bytes: number;
}

/** Of what depends on rows and lengths, the share that is sure to be left of it in proportion. */
const surely = 0.7;

/** Bytes that do not depend on the batch. */
function fixedBytes({ device, host, shared }: MemoryForecast): number {
  const { weights, tables, parameters, caches } = device;
  return weights + tables + parameters + caches + (shared ? host.copies + host.reading : 0);
}

/** What takes less: fewer rows at a time, then shorter ones, and weights of 16 bits. What is sure to take too much is not compiled, but for the last. */
async function alternatives({ memory, mode, batch, length }: Asked, forecast: MemoryForecast, least: Least) {
  const found: Alternative[] = [];
  const fits = (): boolean => found.some(({ bytes }) => bytes <= memory);
  const fixed = fixedBytes(forecast);
  const mayFit = (share: number): boolean => fixed + surely * share * (forecast.bytes - fixed) <= memory;
  const accumulate = mode === "train" ? { accumulate: true } : {};
  const inRows = (rows: number): string => {
    const parts = Math.ceil(batch / rows);
    return mode === "train"
      ? `batches of ${rows}, ${parts} of them a step (accumulate ${parts})`
      : `batches of ${rows}`;
  };
  for (let rows = Math.floor(batch / 2); rows >= 1 && !fits(); rows = Math.floor(rows / 2)) {
    if (!mayFit(rows / batch)) continue;
    found.push({ words: inRows(rows), bytes: await least({ batch: rows, ...accumulate }) });
  }
  for (let short = Math.floor(length / 2); short >= 8 && !fits(); short = Math.floor(short / 2)) {
    const isLast = short < 16;
    if (!isLast && !mayFit((short / length) ** 2 / batch)) continue;
    found.push({ words: `batches of 1 with length ${short}`, bytes: await least({ batch: 1, length: short }) });
  }
  const halved = await least({}, true);
  if (halved >= forecast.bytes) return found;
  found.push({ words: "weights in bf16", bytes: halved });
  if (!fits() && batch > 1)
    found.push({ words: `weights in bf16 and ${inRows(1)}`, bytes: await least({ batch: 1, ...accumulate }, true) });
  return found;
}

/** The error of a program that takes too much, with what would fit. */
export async function tooLarge(asked: Asked, forecast: MemoryForecast, least: Least): Promise<WebpeftError> {
  const all = await alternatives(asked, forecast, least);
  const fitting = all.filter((other) => other.bytes <= asked.memory);
  const told = (fitting.length > 0 ? fitting : all).map((other) => `${other.words}: ${sizeText(other.bytes)}`);
  const { device, host, bytes } = forecast;
  const parts = Object.entries({ ...device, ...host }).filter(([, size]) => size >= bytes / 100);
  return new WebpeftError("COMPILE-MEMORY", {
    message: "the program does not fit into the memory that it may take, whatever is made in chunks or made again",
    expected: `at most ${sizeText(asked.memory)}`,
    got: `${sizeText(bytes)}: ${parts.map(([part, size]) => `${part} ${sizeText(size)}`).join(", ")}`,
    help: `${fitting.length > 0 ? "what fits" : "nothing like it fits; it would take with"}: ${told.join("; ")}`,
  });
}
