/** The golden cases: what PEFT itself computed for tiny models, and the comparison that their README defines. */
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { type AdapterFiles, readAdapter } from "../../src/runtime/files/adapter.ts";
import { loadModel, type Model } from "../../src/runtime/files/model.ts";
import { openSafetensors } from "../../src/runtime/files/safetensors.ts";
import { fileSource } from "../../src/runtime/files/source.ts";
import { toFloat32, toInt32 } from "../../src/runtime/files/tensor.ts";

type Numbers = Float32Array | Int32Array;
export type NumbersByName = Readonly<Record<string, Numbers>>;

/** The parts of `case.json` that comparisons need. */
interface CaseFacts {
  readonly base: string;
  readonly method: string;
  readonly peft_type: string;
  readonly trainable_keys: readonly string[];
  readonly keys_with_zero_gradient: readonly string[];
  readonly largest_gradient_entry: number;
  readonly merge: string;
  readonly training_run: boolean;
  readonly tolerance: {
    readonly logits: number;
    readonly loss: number;
    readonly grad: number;
    readonly merged: number;
    readonly after: number;
    readonly override: Readonly<Record<string, number>>;
    readonly skip: readonly string[];
  };
}

export interface GoldenCase {
  readonly name: string;
  readonly facts: CaseFacts;
  readonly model: Model;
  readonly adapter: AdapterFiles;
  readonly inputs: NumbersByName;
  readonly expected: NumbersByName;
}

/** Path of a file or folder of the golden data. */
export const golden = (path: string): string => fileURLToPath(new URL(`../fixtures/golden/${path}`, import.meta.url));

/** All tensors of a file as numbers: integers as i32, the others as f32. */
export async function readNumbers(path: string): Promise<NumbersByName> {
  const file = await openSafetensors(await fileSource(golden(path)));
  const entries = [...file.tensors].map(async ([name, { dtype }]): Promise<[string, Numbers]> => {
    const tensor = await file.read(name);
    return [name, dtype.startsWith("I") ? toInt32(tensor, name) : toFloat32(tensor)];
  });
  return Object.fromEntries(await Promise.all(entries));
}

export const baseModel = (base: string): Promise<Model> => loadModel(golden(`bases/${base}`));

/** Names of the cases that are here with their numbers. */
export function caseNames(pattern: RegExp): string[] {
  const complete = (name: string): boolean => readdirSync(golden(`cases/${name}`)).includes("expected.safetensors");
  return readdirSync(golden("cases"))
    .filter((name) => pattern.test(name) && complete(name))
    .sort();
}

export function factsOf(name: string): CaseFacts {
  // Python writes NaN, which JSON does not know.
  const text = readFileSync(golden(`cases/${name}/case.json`), "utf8").replaceAll(/\bNaN\b/g, "null");
  return JSON.parse(text) as CaseFacts;
}

export async function loadCase(name: string): Promise<GoldenCase> {
  const facts = factsOf(name);
  const [model, adapter, inputs, expected] = await Promise.all([
    baseModel(facts.base),
    readAdapter(golden(`cases/${name}`)),
    readNumbers(`cases/${name}/inputs.safetensors`),
    readNumbers(`cases/${name}/expected.safetensors`),
  ]);
  return { name, facts, model, adapter, inputs, expected };
}

/** 1 / number of labels that count in causal models: not -100, and not the first of a row. */
export function labelScale(labels: ArrayLike<number>, length: number): number {
  return 1 / Array.from(labels).filter((label, i) => i % length !== 0 && label !== -100).length;
}

/** Allowed difference of an expected tensor, as a multiple of its largest entry; undefined when it must not be compared. */
function tolerance({ facts }: GoldenCase, key: string): number | undefined {
  if (facts.tolerance.skip.includes(key)) return undefined;
  const prefix = key
    .replace(/^exact_/, "")
    .replace(/_(logits|delta)\b/, ".")
    .split(".")[0]!;
  // What a file holds the sum of is known as well as gradients are.
  const kind = (prefix === "delta" ? "grad" : prefix) as keyof CaseFacts["tolerance"];
  const general = facts.tolerance[kind];
  if (typeof general !== "number") throw new Error(`the golden cases have no tolerance for ${key}`);
  return facts.tolerance.override[key] ?? general;
}

/**
 * How far `got` is from the expected tensor `key`, as a multiple of what is allowed: passes at 1 or less. 0 for tensors that must not be
 * compared, infinite for another length or NaN.
 */
export function deviation(goldenCase: GoldenCase, key: string, got: ArrayLike<number>): number {
  const allowed = tolerance(goldenCase, key);
  const want = goldenCase.expected[key];
  if (want === undefined) throw new Error(`${goldenCase.name} expects no ${key}`);
  if (got.length !== want.length) return Number.POSITIVE_INFINITY;
  if (allowed === undefined) return 0;
  const { keys_with_zero_gradient, largest_gradient_entry } = goldenCase.facts;
  const isZeroGradient = keys_with_zero_gradient.some((zero) => key === `grad.${zero}`);
  let [largest, scale] = [0, isZeroGradient ? largest_gradient_entry : 0];
  for (let i = 0; i < want.length; i++) {
    const gap = Math.abs(got[i]! - want[i]!);
    if (Number.isNaN(gap)) return Number.POSITIVE_INFINITY;
    largest = Math.max(largest, gap);
    if (!isZeroGradient) scale = Math.max(scale, Math.abs(want[i]!));
  }
  return largest === 0 ? 0 : largest / (scale * allowed);
}
