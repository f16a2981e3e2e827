/**
 * Attributes and types that nodes share. Equal layers have equal nodes, and passes hand on what nodes have: the same questions are asked
 * again and again. So equal attributes and equal types are one object, and what an op infers from the same objects is worked out once.
 */
import type { Attributes } from "./graph.ts";
import type { OpRecord } from "./op-record.ts";
import { remembered } from "./remember.ts";
import { type Type, typeText } from "./types.ts";

/** Of shared attributes, in the order in which they were first seen. */
const numbers = new WeakMap<Attributes, number>();
const attributesByText = new Map<string, Attributes>();
const typesByText = new Map<string, Type>();
let numbered = 0;

/** Equal for equal attributes, in whatever order they are given: most are given as they are sorted. */
function textOf(attributes: Attributes): string {
  const names = Object.keys(attributes);
  for (let i = 1; i < names.length; i++)
    if (names[i - 1]! > names[i]!)
      return JSON.stringify(Object.fromEntries(names.sort().map((name) => [name, attributes[name]])));
  return JSON.stringify(attributes);
}

/** The one object for equal attributes. */
export function sharedAttributes(attributes: Attributes): Attributes {
  return numbers.has(attributes)
    ? attributes
    : withNumber(remembered(attributesByText, textOf(attributes), () => attributes));
}

const portTexts = new WeakMap<Attributes, string>();

/** Of ports, which have names of their own, the one object among those of one graph. */
export function sharedAmong(known: Map<string, Attributes>, attributes: Attributes): Attributes {
  const text = remembered(portTexts, attributes, () => textOf(attributes));
  return withNumber(remembered(known, text, () => attributes));
}

function withNumber(shared: Attributes): Attributes {
  if (!numbers.has(shared)) numbers.set(shared, numbered++);
  return shared;
}

/** A number for shared attributes. */
export const numberOf = (shared: Attributes): number => numbers.get(shared)!;

/** What a record infers from inputs of these types. */
export interface Inferred {
  readonly inputs: readonly Type[];
  /** A shared one. */
  readonly type: Type;
  /** Whether the verifier has found a node sound that is so. */
  verified: boolean;
  /** What it infers from others that begin with the same type, with the same attributes. */
  readonly next: Inferred | undefined;
}

/** By op, attributes and the type of the first input: a process that compiles many programs has thousands of answers of one op. */
const answers = new Map<OpRecord, WeakMap<Attributes, Map<Type | undefined, Inferred>>>();

/** What a record inferred with the same attributes from types that begin with `first`: the newest, and in front of it the others. */
export const inferredBefore = (
  record: OpRecord,
  first: Type | undefined,
  attributes: Attributes,
): Inferred | undefined => answers.get(record)?.get(attributes)?.get(first);

/** What was inferred from the same objects before. */
function knownType(record: OpRecord, inputs: readonly Type[], attributes: Attributes): Inferred | undefined {
  let known = inferredBefore(record, inputs[0], attributes);
  while (known !== undefined && !sameObjects(known.inputs, inputs)) known = known.next;
  return known;
}

function sameObjects(a: readonly Type[], b: readonly Type[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** What a record infers, a shared type. Throws as the record does. */
export function inferredType(record: OpRecord, inputs: readonly Type[], attributes: Attributes): Type {
  const before = knownType(record, inputs, attributes);
  if (before !== undefined) return before.type;
  const made = record.infer(inputs, attributes);
  const type = remembered(typesByText, typeText(made), () => made);
  const ofRecord = remembered(answers, record, () => new WeakMap<Attributes, Map<Type | undefined, Inferred>>());
  const own = remembered(ofRecord, attributes, () => new Map<Type | undefined, Inferred>());
  own.set(inputs[0], { inputs: [...inputs], type, verified: false, next: own.get(inputs[0]) });
  return type;
}
