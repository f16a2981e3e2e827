/** How far the numbers of a run are from its evaluation in f64: plain data, in dumps and in the report. */

/** Of a value that a dispatch stored, with x what it stored and r what f64 gives. */
export interface NodeError {
  /** Of the stage's graph. */
  readonly node: number;
  /** max |x - r|; 1.8e308 where only one of them is finite. */
  readonly absolute: number;
  /** max |r|, of those that are finite. */
  readonly magnitude: number;
  /** `absolute / magnitude`: of everything on the way to it, since r is what f64 makes of the inputs of the program. */
  readonly error: number;
  /** The same of its kernel alone, with r what f64 makes of the numbers that the dispatch read. */
  readonly own: number;
}

export interface Precision {
  /** What ran it, in words. */
  readonly device: string;
  /** Of weights, an adapter and a batch that were drawn. */
  readonly seed: number;
  /** What stages stored, in the order in which they ran. */
  readonly stages: readonly { readonly name: string; readonly nodes: readonly NodeError[] }[];
}

export type Errors = Pick<NodeError, "error" | "own">;

/** The largest errors of the values that a dispatch stored; nothing where none was compared. */
export function largestErrors(all: readonly (Errors | undefined)[]): Errors | undefined {
  const known = all.filter((one) => one !== undefined);
  if (known.length === 0) return undefined;
  return { error: Math.max(...known.map(({ error }) => error)), own: Math.max(...known.map(({ own }) => own)) };
}

/** The errors of a stage by node. */
export const errorsIn = ({ stages }: Precision, stage: string): ReadonlyMap<number, NodeError> =>
  new Map(stages.find(({ name }) => name === stage)?.nodes.map((one) => [one.node, one]));
