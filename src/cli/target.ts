/** `--target`: a preset by name, or a JSON file that says what differs from the default one. */
import { readFile } from "node:fs/promises";
import {
  cpuTarget,
  defaultLimits,
  defaultTarget,
  type Target,
  type TargetLimits,
  type Tuning,
  tunings,
} from "../codegen/index.ts";
import { WebpeftError } from "../ir/diagnostics.ts";
import { wasmTargetHere } from "../runtime/executors/wasm/features.ts";
import { isJsonObject, type JsonObject, parseJsonObject } from "../runtime/files/json.ts";
import { amount, type Check, type Checks, checkOptions, count, list, oneOf, record } from "../runtime/options.ts";

/** `wasm` is what `--device cpu` runs here: engines differ in what they can do. */
const presets: ReadonlyMap<string, () => Target> = new Map([
  ["default", () => defaultTarget],
  ["cpu", () => cpuTarget],
  ["wasm", wasmTargetHere],
]);

/** `default` (also when nothing is said), `cpu`, `wasm`, or a file. Throws `CLI-TARGET` for what is none, and for unknown and wrong fields. */
export async function readTarget(name = "default"): Promise<Target> {
  const preset = presets.get(name);
  if (preset !== undefined) return preset();
  const text = await readFile(name, "utf8").catch((cause: unknown) => {
    const facts = { message: "there is no such target", where: "--target", got: name };
    throw new WebpeftError("CLI-TARGET", { ...facts, expected: "default, cpu, wasm, or a JSON file" }, { cause });
  });
  return targetFrom(parseJsonObject(text, name));
}

/** No device binds less, and a program that is cut into pieces smaller than that takes minutes to compile. */
const leastBinding = 2 ** 16;

const limitChecks = Object.fromEntries(Object.keys(defaultLimits).map((limit): [string, Check] => [limit, count]));

const checks: Checks<Target> = {
  kind: oneOf(["cpu", "gpu"]),
  limits: record,
  largestBinding: count,
  features: list,
  workgroup: count,
  parallelism: count,
  layout: oneOf(["row-major", "inner-major"]),
  tiles: oneOf(["registers", "workgroups"]),
  memory: oneOf(["one", "many"]),
  tuning: record,
};

const tuningChecks = Object.fromEntries(Object.keys(tunings.gpu).map((name): [string, Check] => [name, amount]));

/** The target with what the fields do not say taken from the preset of its kind. Throws `CLI-TARGET`. */
function targetFrom(fields: JsonObject): Target {
  checkOptions(fields as Partial<Target> as Target, checks, "CLI-TARGET");
  const { limits = {}, tuning = {} } = fields;
  checkOptions(tuning as unknown as Tuning, tuningChecks as Checks<Tuning>, "CLI-TARGET");
  checkOptions(limits as unknown as TargetLimits, limitChecks as Checks<TargetLimits>, "CLI-TARGET");
  const { maxStorageBufferBindingSize: binding = leastBinding } = limits as Partial<TargetLimits>;
  if (binding < leastBinding)
    throw new WebpeftError("CLI-TARGET", {
      message: "no device binds so little",
      where: "maxStorageBufferBindingSize",
      expected: `${leastBinding} bytes at least`,
      got: String(binding),
    });
  const preset = fields.kind === "cpu" ? cpuTarget : defaultTarget;
  const merged: TargetLimits = { ...preset.limits, ...(isJsonObject(limits) ? limits : {}) };
  const largestBinding = Math.max(preset.largestBinding, merged.maxStorageBufferBindingSize);
  return { ...preset, largestBinding, ...fields, limits: merged };
}
