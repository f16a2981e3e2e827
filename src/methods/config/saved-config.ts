/** `adapter_config.json` as PEFT writes it. */
import type { FieldValue } from "../fields.ts";
import { peftVersion } from "./common.ts";
import type { MethodProfile } from "./profiles.ts";
import { sorted } from "./python-text.ts";
import { type Fields, list, type readFields, text } from "./read.ts";

/** Without the fields that PEFT does not have, where the config did not hold them. */
export function peftFields(fields: Fields, { declarations, present }: ReturnType<typeof readFields>): Fields {
  const ours = declarations.filter(({ name, extension }) => extension === true && !present.has(name));
  const dropped = new Set(ours.map(({ name }) => name));
  return Object.fromEntries(Object.entries(fields).filter(([name]) => !dropped.has(name)));
}

/** The fields as PEFT writes them: sets sorted, inference mode on, version, base and class filled in. */
export function savedFields(
  peftType: string,
  fields: Fields,
  given: Fields,
  profile: MethodProfile,
  modelConfig: Readonly<Record<string, unknown>>,
): Fields {
  const sets = profile.sets.filter((name) => Array.isArray(fields[name]));
  const sortedSets = Object.fromEntries(sets.map((name) => [name, sorted(list(fields[name]) ?? [])]));
  const name = modelConfig._name_or_path;
  const baseName = text(fields.base_model_name_or_path) || (typeof name === "string" && name !== "" ? name : null);
  return {
    ...fields,
    ...sortedSets,
    peft_type: peftType,
    peft_version: text(fields.peft_version) ?? peftVersion,
    inference_mode: true,
    base_model_name_or_path: baseName,
    auto_mapping: Object.hasOwn(given, "auto_mapping") ? fields.auto_mapping! : autoMapping(fields, modelConfig),
  };
}

/** Class and module of the base; PEFT writes them when there is no task type. */
function autoMapping(fields: Fields, modelConfig: Readonly<Record<string, unknown>>): FieldValue {
  const architectures: unknown = modelConfig.architectures;
  const className: unknown = Array.isArray(architectures) ? architectures[0] : undefined;
  const type = modelConfig.model_type;
  if ((fields.task_type ?? null) !== null || typeof className !== "string" || typeof type !== "string") return null;
  const folder = type.replaceAll("-", "_");
  return { base_model_class: className, parent_library: `transformers.models.${folder}.modeling_${folder}` };
}
