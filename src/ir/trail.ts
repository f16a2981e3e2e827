/**
 * What the compiler and the device were doing when something was thrown. The error stays what it is; what was going on stands beside it, from
 * the inside out, for whoever writes down what was made before it (`inspect/failure/`).
 */
import type { Graph } from "./graph.ts";

export type Doing =
  /** A pass on the graph of a stage. `after`: what it made, where the verifier refused that. */
  | {
      readonly doing: "pass";
      readonly stage: string;
      readonly pass: string;
      readonly before: Graph;
      readonly after?: Graph;
    }
  /** A rule at a node of the graph before its pass. */
  | { readonly doing: "rule"; readonly rule: string; readonly at: number }
  /** Kernels of a stage. */
  | { readonly doing: "stage"; readonly stage: string }
  /** The kernel that stores these nodes of a stage, of others that it reads. */
  | {
      readonly doing: "kernel";
      readonly graph: Graph;
      readonly nodes: readonly number[];
      readonly reads: readonly number[];
    }
  /** The device makes a pipeline of a kernel. `said`: what its compiler says of the text, `line:column message`. */
  | {
      readonly doing: "pipeline";
      readonly kernel: string;
      readonly wgsl: string;
      readonly said: readonly string[];
    };

const trails = new WeakMap<object, Doing[]>();

/** The error, with what was being done beside it: `catch (error) { throw during(error, ...) }`. */
export function during(error: unknown, doing: Doing): unknown {
  if (typeof error !== "object" || error === null) return error;
  const known = trails.get(error);
  if (known === undefined) trails.set(error, [doing]);
  else known.push(doing);
  return error;
}

/** What was being done when it was thrown, the innermost first. */
export const trailOf = (error: unknown): readonly Doing[] =>
  typeof error === "object" && error !== null ? (trails.get(error) ?? []) : [];

/** The innermost of a kind of things that were being done. */
export const lastDone = <K extends Doing["doing"]>(error: unknown, kind: K) =>
  trailOf(error).find((one): one is Extract<Doing, { doing: K }> => one.doing === kind);
