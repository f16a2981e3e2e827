/** Random adapter configs from the methods' own declarations: mostly legal, some out of range, some of another type. */
import fc from "fast-check";
import { commonFields, sharedFields } from "../../src/methods/config/common.ts";
import type { FieldDeclaration, FieldValue } from "../../src/methods/fields.ts";
import { type Method, methods } from "../../src/methods/index.ts";
import type { ModuleInfo } from "../../src/models/model.ts";

type Values = fc.Arbitrary<FieldValue>;

/** Every field that a method's configs have in PEFT: its own, the shared ones, and those that are only kept. */
export function declaredFields({ profile, fields }: Method): FieldDeclaration[] {
  const beside = Object.entries({ ...profile.passive, ...profile.inert }).map(
    ([name, value]): FieldDeclaration => ({ name, type: "any", nullable: true, default: value }),
  );
  const all = [...beside, ...profile.shared.map((name) => sharedFields[name]), ...commonFields, ...fields];
  return [...new Map(all.map((field) => [field.name, field])).values()];
}

const words = [
  "gaussian",
  "bat",
  "mini",
  "lycoris",
  "xavier_uniform",
  "kaiming_uniform",
  "random",
  "db1",
  "all",
  "none",
];
const numbers = fc.oneof(
  { weight: 12, arbitrary: fc.oneof(fc.constantFrom(1, 2, 4, 8), fc.integer({ min: 1, max: 16 })) },
  { weight: 1, arbitrary: fc.constantFrom(0, -1, 32, 33, 64, 1000, 2 ** 31, 2 ** 53) },
);
const fractions = fc.oneof(
  fc.double({ min: 0, max: 1, noNaN: true }),
  fc.constantFrom(0, 0.5, 1, -1, 1e-30, 1e30, 640),
);

/** Anything that JSON can say. */
const anything: Values = fc.jsonValue({ maxDepth: 2 }) as Values;

/** Names of modules: mostly ends of paths of modules that the method can change, sometimes of others, or of none. */
function moduleNames({ siteKinds }: Method, modules: readonly ModuleInfo[]): fc.Arbitrary<string> {
  const endsOf = (some: readonly ModuleInfo[]): string[] => [
    ...new Set(some.map(({ path }) => path.slice(path.lastIndexOf(".") + 1))),
  ];
  const fitting = modules.filter(({ kind }) => siteKinds.includes(kind));
  // Prompts are at no module.
  const own = fitting.length > 0 ? fitting : modules;
  return fc.oneof(
    { weight: 30, arbitrary: fc.constantFrom(...endsOf(own)) },
    { weight: 4, arbitrary: fc.constantFrom(...own.map(({ path }) => path)) },
    { weight: 2, arbitrary: fc.constantFrom(...endsOf(modules)) },
    { weight: 1, arbitrary: fc.constantFrom("nowhere", "", "q_proj.q_proj", "0") },
  );
}

const few = <T>(values: fc.Arbitrary<T>): fc.Arbitrary<T[]> => fc.array(values, { minLength: 1, maxLength: 3 });
const mapOf = (keys: fc.Arbitrary<string>, values: Values): Values => fc.dictionary(keys, values, { maxKeys: 2 });

function ofType({ type, oneOf }: FieldDeclaration, names: fc.Arbitrary<string>): Values {
  if (oneOf !== undefined) return fc.constantFrom(...oneOf);
  switch (type) {
    case "int":
      return numbers;
    case "float":
      return fc.oneof(fractions, numbers);
    case "bool":
      return fc.boolean();
    case "string":
      return fc.oneof(fc.constantFrom(...words), names);
    case "int_list":
      return few(numbers);
    case "string_list":
      return few(names);
    case "int_map":
      return mapOf(names, numbers);
    case "float_map":
      return mapOf(names, fractions);
    case "bool_list_map":
      return mapOf(
        names.map((path) => `${path}.lora_E`),
        few(fc.boolean()),
      );
    case "any":
      return fc.oneof(fc.boolean(), fc.constantFrom(...words), few(numbers), mapOf(names, few(numbers)), numbers);
  }
}

/** Values of fields whose declaration says less than the config reader knows of them. */
function special(name: string, names: fc.Arbitrary<string>): Values | undefined {
  const pattern = names.map((path) => `.*${path}`);
  const lists: readonly [string, Values][] = [
    ["target_modules", fc.oneof({ weight: 9, arbitrary: few(names) }, pattern, fc.constantFrom("all-linear", null))],
    ["exclude_modules", fc.oneof(few(names), pattern)],
    ["feedforward_modules", fc.oneof(few(names), pattern)],
    ["layers_to_transform", fc.oneof(fc.integer({ min: 0, max: 2 }), few(fc.integer({ min: 0, max: 2 })))],
    ["layers_pattern", fc.oneof(fc.constantFrom("layers", "h", "layer"), few(names))],
    ["task_type", fc.constantFrom("CAUSAL_LM", "SEQ_CLS", "TOKEN_CLS", null)],
    ["peft_version", fc.constantFrom("0.21.2", "0.17.0", "0.21.2", "no version")],
    [
      "adapters",
      fc.constantFrom<FieldValue>({ first: "first" }, { second: "there", first: "here" }, { third: "nowhere" }),
    ],
    ["bias", fc.constantFrom("none", "all", "lora_only", "boft_only")],
  ];
  return new Map(lists).get(name);
}

function valuesOf(field: FieldDeclaration, names: fc.Arbitrary<string>): Values {
  return fc.oneof(
    { weight: 40, arbitrary: special(field.name, names) ?? ofType(field, names) },
    { weight: 1, arbitrary: fc.constant(null) },
    { weight: 1, arbitrary: anything },
  );
}

export type RandomConfig = Readonly<Record<string, FieldValue>>;

/** Up to five random fields of a method for a model with these modules; `peft_type` and mostly some targets beside them. */
function configsOf(method: Method, modules: readonly ModuleInfo[]): fc.Arbitrary<RandomConfig> {
  const names = moduleNames(method, modules);
  const fields = declaredFields(method);
  const chosen = fc.uniqueArray(fc.constantFrom(...fields), { maxLength: 5, selector: ({ name }) => name });
  const needed = ["target_modules", "feedforward_modules", "adapters"];
  const targets = fields.filter(({ name }) => needed.includes(name));
  return chosen.chain((some) => {
    const all = fc.record(
      Object.fromEntries([...new Set([...some, ...targets])].map((field) => [field.name, valuesOf(field, names)])),
      { requiredKeys: some.map(({ name }) => name) },
    );
    const unknown = fc.oneof(
      { weight: 30, arbitrary: fc.constant({}) },
      { weight: 1, arbitrary: fc.dictionary(fc.string({ maxLength: 6 }), anything, { maxKeys: 1 }) },
    );
    return fc.tuple(all, unknown).map(([known, more]) => ({ peft_type: method.peftType, ...more, ...known }));
  });
}

/** A base model by name, with a config for it. */
export function randomConfigs(
  bases: ReadonlyMap<string, readonly ModuleInfo[]>,
): fc.Arbitrary<{ readonly base: string; readonly config: RandomConfig }> {
  return fc
    .tuple(fc.constantFrom(...bases.keys()), fc.constantFrom(...methods.values()))
    .chain(([base, method]) => configsOf(method, bases.get(base)!).map((config) => ({ base, config })));
}
