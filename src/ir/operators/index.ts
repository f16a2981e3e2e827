/** All operators, and what they come to, by name. A new one is a file and a line here. */
import { blockDiagonal } from "./blocks.ts";
import { circulant } from "./circulant.ts";
import { dense } from "./dense.ts";
import { diagonal, identity } from "./diagonal.ts";
import { hadamard } from "./entrywise.ts";
import { fold } from "./fold.ts";
import { dropout, gate, scalarGate } from "./gates.ts";
import { kronecker } from "./kronecker.ts";
import { select, shuffle } from "./places.ts";
import { compose } from "./product.ts";
import { readings } from "./readings.ts";
import type { OperatorRecord, ReadingRecord } from "./record.ts";
import { add, scale } from "./sum.ts";
import { transpose } from "./transpose.ts";
import { turn } from "./turn.ts";

export { readings } from "./readings.ts";

export const operators: readonly OperatorRecord[] = [
  dense,
  diagonal,
  gate,
  scalarGate,
  blockDiagonal,
  identity,
  shuffle,
  select,
  compose,
  add,
  scale,
  hadamard,
  kronecker,
  circulant,
  fold,
  turn,
  transpose,
  dropout,
];

const byName: ReadonlyMap<string, OperatorRecord> = new Map(operators.map((record) => [record.name, record]));
const readingsByName: ReadonlyMap<string, ReadingRecord> = new Map(readings.map((record) => [record.name, record]));

export function operatorRecord(name: string): OperatorRecord {
  const record = byName.get(name);
  if (record === undefined) throw new Error(`no operator is called ${name}`);
  return record;
}

/** The record of an op that makes a tensor of operators; undefined for all others. */
export const readingRecord = (name: string): ReadingRecord | undefined => readingsByName.get(name);
