/** Field declarations of some methods, written by hand; the fragments declare their own. */
import type { Fields, MethodConfig } from "../../src/methods/config/index.ts";
import type { FieldDeclaration } from "../../src/methods/fields.ts";
import { methods } from "../../src/methods/index.ts";

/** What surrounds the fields of a method, as the built-in one has it. */
export function like(peftType: string): Pick<MethodConfig, "peftType" | "profile" | "targets"> {
  const { profile, targets } = methods.get(peftType)!;
  return { peftType, profile, targets };
}

const field = (
  name: string,
  type: FieldDeclaration["type"],
  value: FieldDeclaration["default"],
  more: Partial<FieldDeclaration> = {},
): FieldDeclaration => ({ name, type, nullable: false, default: value, ...more });

export const lora: MethodConfig = {
  ...like("LORA"),
  siteKinds: ["linear", "embedding"],
  patterns: new Map([
    ["r", "rank_pattern"],
    ["lora_alpha", "alpha_pattern"],
  ]),
  fields: [
    field("r", "int", 8, { minimum: 1 }),
    field("lora_alpha", "int", 8),
    field("lora_dropout", "float", 0, { minimum: 0, maximum: 1 }),
    field("use_rslora", "bool", false),
    field("use_dora", "bool", false),
    field("rank_pattern", "int_map", {}),
    field("alpha_pattern", "int_map", {}),
    field("init_lora_weights", "any", true, { oneOf: [true, false, "gaussian"] }),
  ],
};

export const oft: MethodConfig = {
  ...like("OFT"),
  siteKinds: ["linear"],
  fields: [
    field("r", "int", 0, { seedDefault: 8 }),
    field("oft_block_size", "int", 32, { seedDefault: 0 }),
    field("module_dropout", "float", 0),
    field("coft", "bool", false),
    field("eps", "float", 6e-5),
    field("block_share", "bool", false),
    field("use_cayley_neumann", "bool", true),
    field("num_cayley_neumann_terms", "int", 5),
  ],
  settle: (_fields, present): Fields => (present.has("oft_block_size") && !present.has("r") ? { r: 0 } : {}),
};

const boft: MethodConfig = {
  ...like("BOFT"),
  siteKinds: ["linear"],
  fields: [
    field("boft_block_size", "int", 4),
    field("boft_block_num", "int", 0),
    field("boft_n_butterfly_factor", "int", 1),
    field("boft_dropout", "float", 0),
  ],
};

export const ia3: MethodConfig = {
  ...like("IA3"),
  siteKinds: ["linear"],
  fields: [field("feedforward_modules", "any", null, { nullable: true }), field("init_ia3_weights", "bool", true)],
};

export const vera: MethodConfig = {
  ...like("VERA"),
  siteKinds: ["linear"],
  fields: [
    field("r", "int", 256, { exclusiveMinimum: 0 }),
    field("projection_prng_key", "int", 0),
    field("save_projection", "bool", true),
    field("vera_dropout", "float", 0),
    field("d_initial", "float", 0.1),
  ],
};

export const fourierft: MethodConfig = {
  ...like("FOURIERFT"),
  patterns: new Map([["n_frequency", "n_frequency_pattern"]]),
  siteKinds: ["linear"],
  fields: [
    field("n_frequency", "int", 1000, { minimum: 1 }),
    field("scaling", "float", 150, { seedDefault: 300 }),
    field("random_loc_seed", "int", 777, { nullable: true }),
    field("n_frequency_pattern", "int_map", {}),
    field("init_weights", "bool", false),
  ],
};

export const handWritten: ReadonlyMap<string, MethodConfig> = new Map(
  [lora, oft, boft, ia3, vera, fourierft].map((method) => [method.peftType, method]),
);
