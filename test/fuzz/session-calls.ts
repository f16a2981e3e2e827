/** Calls of sessions as data, so that a list of them can be printed and made again. */
import fc from "fast-check";
import { DiagnosticSink, WebpeftError } from "../../src/ir/diagnostics.ts";
import type { OptimizerState, Session } from "../../src/runtime/session/session.ts";

/** What a call is made of; arrays in it are changed when it was made. */
export type Call = readonly [name: string, ...given: readonly unknown[]];

/** What calls refer to by name: files of adapters and states. */
export interface Things {
  readonly files: Readonly<Record<string, Readonly<Record<string, Uint8Array>>>>;
  readonly states: Readonly<Record<string, OptimizerState>>;
}

const oneOf = <T>(...values: readonly T[]) => fc.constantFrom(...values);
const maybe = <T>(value: fc.Arbitrary<T>, rarely: fc.Arbitrary<unknown>) =>
  fc.oneof({ weight: 9, arbitrary: value as fc.Arbitrary<unknown> }, { weight: 1, arbitrary: rarely });

const odd = oneOf<unknown>(null, Number.NaN, -1, 1e39, "x", [], {}, 1.5, true);
const tokens = fc.array(maybe(fc.nat(10), oneOf(11, -1, -100, 0.5, Number.NaN)), { minLength: 4, maxLength: 4 });
const tensor = maybe(tokens, fc.oneof(odd, fc.array(fc.nat(10), { maxLength: 5 })));

const batch = maybe(
  fc.record(
    { input_ids: tensor, labels: tensor, attention_mask: maybe(fc.constant([1, 1, 1, 1]), tensor), tokens: fc.nat(4) },
    { requiredKeys: ["input_ids", "labels"] },
  ),
  fc.oneof(odd, fc.record({ input_ids: tokens, labels: tokens, attentionMask: tokens })),
);
const amount = maybe(oneOf(0, 1e-3, 0.5, 1e20, 3e38), odd);
const options = maybe(
  fc.record({ lr: amount, weightDecay: amount, maxNorm: amount }, { requiredKeys: [] }),
  fc.oneof(odd, fc.record({ learningRate: amount })),
);
const adapterName = oneOf("default", "two", "three", "both");
const choice = maybe(
  oneOf<unknown>("default", "two", "three", null),
  oneOf<unknown>([], ["two", "two"], "nobody", {}, 5),
);

const call: fc.Arbitrary<Call> = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(fc.constant("step"), batch, options) },
  { weight: 2, arbitrary: fc.tuple(fc.constant("step"), fc.array(batch, { maxLength: 3 }), options) },
  { weight: 4, arbitrary: fc.tuple(fc.constant("forward"), batch) },
  {
    weight: 1,
    arbitrary: fc.tuple(
      fc.constant("forward"),
      batch,
      oneOf<unknown>({ adapters: ["two"] }, { adapters: [null] }, { adapters: [] }, null, { adapter: 1 }),
    ),
  },
  { weight: 2, arbitrary: fc.tuple(fc.constant("gradients"), batch) },
  {
    weight: 1,
    arbitrary: fc.tuple(fc.constant("train"), batch, fc.record({ steps: maybe(oneOf(1, 2, 9), odd), lr: amount })),
  },
  { weight: 4, arbitrary: fc.tuple(fc.constant("use"), choice) },
  { weight: 3, arbitrary: fc.tuple(fc.constant("load"), adapterName, oneOf("lora", "ia3", "broken")) },
  { weight: 1, arbitrary: fc.tuple(fc.constant("delete"), adapterName) },
  {
    weight: 1,
    arbitrary: fc.tuple(
      fc.constant("addWeighted"),
      fc.array(adapterName, { maxLength: 2 }),
      fc.array(amount, { maxLength: 2 }),
      fc.constant("both"),
    ),
  },
  { weight: 2, arbitrary: fc.tuple(fc.constant("restore"), oneOf("own", "foreign", "short", "negative", "none")) },
  { weight: 4, arbitrary: fc.tuple(oneOf("parameters", "optimizerState", "files", "adapterTensors", "merge")) },
  { weight: 1, arbitrary: fc.tuple(fc.constant("dispose")) },
) as fc.Arbitrary<Call>;

export const callLists = fc.array(call, { minLength: 1, maxLength: 6 });

/** Makes a call, up to where the session has it. */
function make(session: Session, [name, ...given]: Call, { files, states }: Things): Promise<unknown> | unknown {
  const [first, second, third] = given as unknown as readonly never[];
  switch (name) {
    case "load":
      return session.load(first!, files[second!]!);
    case "restore":
      return session.restore(states[first!]!);
    case "train":
      return session.train(first!, second!).next();
    case "merge":
      return session.merge(new DiagnosticSink()).then(({ weights }) => weights.keys());
    case "addWeighted":
      return session.addWeighted(first!, second!, third!);
    case "dispose":
      return session.dispose();
    default:
      return (session as unknown as Record<string, (...args: unknown[]) => unknown>)[name]!(...given);
  }
}

/** Numbers of any length in what a call gave, without what a clock says. */
function plain(value: unknown): unknown {
  if (ArrayBuffer.isView(value)) return Array.from(value as Float32Array);
  if (value instanceof Map) return [...value].map(plain);
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  const { ms: _ms, tokens_per_s: _speed, ...rest } = value as Record<string, unknown>;
  return Object.fromEntries(Object.entries(rest).map(([name, part]) => [name, plain(part)]));
}

/** The result of a call, or the code of its error; anything else that is thrown goes on. */
export async function outcome(session: Session, call: Call, things: Things): Promise<string> {
  try {
    return JSON.stringify(plain(await make(session, call, things))) ?? "nothing";
  } catch (error) {
    if (error instanceof WebpeftError) return error.code;
    throw error;
  }
}

/** Overwrites every array of numbers in a call that was made. */
export function spoil(value: unknown): void {
  if (Array.isArray(value) && value.every((x) => typeof x === "number")) value.fill(7);
  else if (typeof value === "object" && value !== null) for (const part of Object.values(value)) spoil(part);
}
