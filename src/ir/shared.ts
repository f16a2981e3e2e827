/**
 * Attributes and types that nodes share. Equal layers have equal nodes, and passes hand on what nodes have: the same questions are asked
 * again and again. So equal attributes and equal types are one object, and what an op infers from the same objects is worked out once.
 */
import type { Attributes } from "./graph.ts";
import type { OpRecord } from "./op-record.ts";
import { remembered } from "./remember.ts";
import { type Type, typeText } from "./types.ts";

/** By shared attributes: what stands for them in keys. */
const keys = new WeakMap<Attributes, string>();
const attributesByText = new Map<string, Attributes>();
const typesByText = new Map<string, Type>();

/** Equal for equal attributes, in whatever order they are given. */
function textOf(attributes: Attributes): string {
  const names = Object.keys(attributes);
  if (names.length < 2) return JSON.stringify(attributes);
  return JSON.stringify(names.sort().map((name) => [name, attributes[name]]));
}

/** The one object for equal attributes. Those of ports, with names of their own, are shared by what is made of the port. */
export function sharedAttributes(op: string, attributes: Attributes): Attributes {
  if (keys.has(attributes)) return attributes;
  const text = textOf(attributes);
  const shared = op === "port" ? attributes : remembered(attributesByText, text, () => attributes);
  if (!keys.has(shared)) keys.set(shared, op === "port" ? text : `#${attributesByText.size}`);
  return shared;
}

/** Equal for equal shared attributes. */
export const keyOfAttributes = (shared: Attributes): string => keys.get(shared)!;

/** A place in the tree of questions: record, attributes, types of inputs. */
interface Question {
  type?: Type;
  next?: WeakMap<object, Question>;
}

const questions: Question = {};

function after(question: Question, part: object): Question {
  question.next ??= new WeakMap();
  return remembered(question.next, part, () => ({}));
}

/** What a record infers, a shared type. Throws as the record does. */
export function inferredType(record: OpRecord, inputs: readonly Type[], attributes: Attributes): Type {
  let question = after(after(questions, record), attributes);
  for (const type of inputs) question = after(question, type);
  if (question.type === undefined) {
    const made = record.infer(inputs, attributes);
    question.type = remembered(typesByText, typeText(made), () => made);
  }
  return question.type;
}
