/** Reads the fields of an adapter config: types, ranges, defaults, unknown fields, and the checks that recur in PEFT. */
import { type DiagnosticSink, WebpeftError } from "../../ir/diagnostics.ts";
import { type FieldDeclaration, type FieldValue, isJson } from "../fields.ts";
import { commonFields, peftTypes, sharedFields, taskTypes } from "./common.ts";
import { targetsIn } from "./defaults.ts";
import type { MethodProfile } from "./profiles.ts";
import { pythonRepr, shown } from "./python-text.ts";
import { checkField, checkUnionField, sameJson } from "./values.ts";

export type Fields = Readonly<Record<string, FieldValue>>;

export const text = (value: FieldValue | undefined): string | null => (typeof value === "string" ? value : null);
export const list = (value: FieldValue | undefined): readonly string[] | null =>
  Array.isArray(value) ? value.filter((item) => typeof item === "string") : null;

export interface ReadConfig {
  /** Every declared field with its value or default, `peft_type` excluded. */
  readonly fields: Fields;
  /** Names of the declared fields that the config holds. */
  readonly present: ReadonlySet<string>;
  /** Fields nobody declared; they are written back as they were. */
  readonly unknown: Fields;
  readonly declarations: readonly FieldDeclaration[];
}

/** The config as an object of JSON values. Throws CONFIG-NOT-OBJECT. */
export function configObject(config: unknown): Fields {
  if (typeof config === "object" && config !== null && !Array.isArray(config) && isJson(config))
    return config as Fields;
  throw new WebpeftError("CONFIG-NOT-OBJECT", {
    message: "An adapter config is a JSON object.",
    where: "adapter_config.json",
    expected: "an object of JSON values with finite numbers",
    got: Array.isArray(config) ? "a list" : config === null ? "null" : typeof config,
  });
}

/**
 * The `peft_type` of a config, if it is one of `available` (the methods that are built). Throws CONFIG-TYPE-MISSING,
 * CONFIG-TYPE-UNKNOWN (lists the known types) or METHOD-UNSUPPORTED (PEFT has it, webpeft does not).
 */
export function peftTypeOf(config: unknown, available: Iterable<string>): string {
  const known = [...available];
  const value = configObject(config).peft_type;
  if (value === undefined || value === null) {
    throw new WebpeftError("CONFIG-TYPE-MISSING", {
      message: "The PeftConfig config that is trying to be loaded is missing required keys: {'peft_type'}.",
      where: "peft_type",
      expected: known.join(", "),
      got: shown(value),
    });
  }
  if (typeof value === "string" && known.includes(value)) return value;
  const planned = typeof value === "string" && peftTypes.includes(value);
  throw new WebpeftError(planned ? "METHOD-UNSUPPORTED" : "CONFIG-TYPE-UNKNOWN", {
    message: planned ? `The method ${value} is not built yet.` : `There is no method ${shown(value)}.`,
    where: "peft_type",
    expected: known.join(", "),
    got: shown(value),
  });
}

/** Reads all fields of a config for one method. Throws CONFIG-FIELD-... and METHOD-UNSUPPORTED. */
export function readFields(
  config: Fields,
  methodFields: readonly FieldDeclaration[],
  profile: MethodProfile,
  sink: DiagnosticSink,
): ReadConfig {
  const declarations = declarationsOf(methodFields, profile);
  const useSeed = (config.peft_version ?? null) === null;
  const entries = declarations.map((field): [string, FieldValue] => {
    const given = Object.hasOwn(config, field.name) ? config[field.name] : undefined;
    if (given === undefined) return [field.name, useSeed ? (field.seedDefault ?? field.default) : field.default];
    const value = checkField(field, given);
    checkUnionField(field.name, value);
    return [field.name, value];
  });
  refusePassive(config, methodFields, profile);
  noteInert(config, profile, sink);
  const names = new Set(declarations.map((field) => field.name));
  return {
    fields: Object.fromEntries(entries),
    present: new Set(Object.keys(config).filter((name) => names.has(name))),
    unknown: unknownFields(config, names, profile, sink),
    declarations,
  };
}

/** Fields that are read here for every method, whatever its fragment says of them. */
const reserved: ReadonlySet<string> = new Set([
  ...["target_modules", "exclude_modules", "modules_to_save", "layers_to_transform", "layers_pattern"],
  ...["peft_type", ...commonFields.map((field) => field.name)],
]);

const anyField = (name: string, value: FieldValue): FieldDeclaration => ({
  name,
  type: "any",
  nullable: true,
  default: value,
});

/** The method's declarations before those of its profile, which come before what PEFT has beside them. */
function declarationsOf(methodFields: readonly FieldDeclaration[], profile: MethodProfile): FieldDeclaration[] {
  const beside = Object.entries({ ...profile.passive, ...profile.inert });
  const fields = [
    ...beside.map(([name, value]) => anyField(name, value)),
    ...profile.shared.map((name) => sharedFields[name]),
    ...methodFields.filter((field) => !reserved.has(field.name)),
    ...commonFields,
  ];
  return [...new Map(fields.map((field) => [field.name, field])).values()];
}

function refusePassive(config: Fields, methodFields: readonly FieldDeclaration[], profile: MethodProfile): void {
  for (const [name, only] of Object.entries(profile.passive)) {
    const given = Object.hasOwn(config, name) ? config[name] : undefined;
    if (given === undefined || given === null || sameJson(given, only) || sameJson(given, [])) continue;
    if (methodFields.some((field) => field.name === name)) continue;
    throw new WebpeftError("METHOD-UNSUPPORTED", {
      message: `Config field ${name} asks for a variant that is not built.`,
      where: name,
      expected: shown(only),
      got: shown(given),
    });
  }
}

function noteInert(config: Fields, { inert }: MethodProfile, sink: DiagnosticSink): void {
  for (const [name, usual] of Object.entries(inert)) {
    if (!Object.hasOwn(config, name) || sameJson(config[name]!, usual)) continue;
    sink.note("CONFIG-FIELD-NO-EFFECT", {
      message: `${name} has no effect on what is built here.`,
      where: name,
      got: shown(config[name]),
      help: "It is written back as it is.",
    });
  }
}

function unknownFields(
  config: Fields,
  names: ReadonlySet<string>,
  profile: MethodProfile,
  sink: DiagnosticSink,
): Fields {
  const unknown = Object.entries(config).filter(
    ([name]) => !names.has(name) && name !== "peft_type" && name !== "runtime_config",
  );
  if (Object.hasOwn(config, "runtime_config")) {
    sink.warn("CONFIG-RUNTIME", { message: "runtime_config in a file is ignored.", where: "runtime_config" });
  }
  if (unknown.length > 0) {
    const list = pythonRepr(unknown.map(([name]) => name));
    sink.warn("CONFIG-FIELD-UNKNOWN", {
      message: `Unexpected keyword arguments ${list} for class ${profile.className}, these are ignored.`,
      where: unknown.map(([name]) => name).join(", "),
      help: "Remove them, or check their spelling. They are written back as they are.",
    });
  }
  return Object.fromEntries(unknown);
}

/** Checks of fields against each other, in PEFT's words where it has some. */
export function checkTogether(fields: Fields, profile: MethodProfile): void {
  const taskType = fields.task_type ?? null;
  if (taskType !== null && !taskTypes.some((known) => known === taskType)) {
    throw new WebpeftError("CONFIG-TASK-TYPE", {
      message: `Invalid task type: '${String(taskType)}'. Must be one of the following task types: ${taskTypes.join(", ")}.`,
      where: "task_type",
      expected: taskTypes.join(", "),
      got: shown(taskType),
    });
  }
  const refuse = (message: string, where: string): never => {
    throw new WebpeftError("CONFIG-LAYERS", { message, where, got: shown(fields[where]) });
  };
  const isGiven = (name: string): boolean => (fields[name] ?? null) !== null;
  const isEmpty = (name: string): boolean => ["[]", '""', "null"].includes(JSON.stringify(fields[name] ?? null));
  const isRegex = typeof fields.target_modules === "string";
  if (profile.checks.includes("a") && !isEmpty("layers_pattern") && isEmpty("layers_to_transform")) {
    refuse("When `layers_pattern` is specified, `layers_to_transform` must also be specified. ", "layers_pattern");
  }
  if (profile.checks.includes("b") && isRegex && isGiven("layers_to_transform")) {
    refuse("`layers_to_transform` cannot be used when `target_modules` is a str.", "layers_to_transform");
  }
  if (profile.checks.includes("c") && isRegex && isGiven("layers_pattern")) {
    refuse("`layers_pattern` cannot be used when `target_modules` is a str.", "layers_pattern");
  }
}

/**
 * Fields that name some of the targets (IA3's `feedforward_modules`), with their defaults. Throws CONFIG-FEEDFORWARD for names that are no
 * targets, and for a field that is left open where the base has no default.
 */
export function settleSubsets(fields: Fields, { subsets = {} }: MethodProfile, modelType: string): Fields {
  const settled = Object.entries(subsets).map(([name, table]): [string, FieldValue] => {
    const value = fields[name] ?? null;
    checkSubset(name, fields.target_modules, value);
    const preset = targetsIn(table, modelType);
    if (value !== null || preset !== undefined) return [name, value ?? preset!];
    throw new WebpeftError("CONFIG-FEEDFORWARD", {
      message: `Please specify \`${name}\` in \`peft_config\``,
      where: name,
      expected: "names of targets; [] for none",
      got: "null",
    });
  });
  return { ...fields, ...Object.fromEntries(settled) };
}

function checkSubset(name: string, targets: FieldValue | undefined, value: FieldValue): void {
  if (!Array.isArray(targets) || !Array.isArray(value)) return;
  const extra = value.filter((target) => !targets.includes(target));
  if (extra.length === 0) return;
  throw new WebpeftError("CONFIG-FEEDFORWARD", {
    message: `\`${name}\` should be a subset of \`target_modules\``,
    where: name,
    expected: `some of ${shown(targets)}`,
    got: shown(value),
  });
}
