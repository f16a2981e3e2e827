/** Reads fields of a Hugging Face `config.json`. A field that is there with a wrong type is an error, never a default. */
import { type DiagnosticSink, WebpeftError } from "../ir/diagnostics.ts";
import type { ModelConfig, ModelDefaults } from "./model.ts";

export function wrong(field: string, expected: string, got: unknown): WebpeftError {
  return new WebpeftError("MODEL-FIELD", {
    message: `the field ${field} of config.json is not usable`,
    where: `config.json: ${field}`,
    expected,
    got: got === undefined ? "no such field" : (JSON.stringify(got) ?? String(got)).slice(0, 80),
  });
}

/** The field, or undefined when it is absent or null. */
export function present(config: ModelConfig, field: string): unknown {
  const value = config[field];
  return value === null ? undefined : value;
}

export function positiveInteger(config: ModelConfig, field: string, fallback?: number): number {
  const value = present(config, field) ?? fallback;
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 1) {
    throw wrong(field, "a positive integer", config[field]);
  }
  return value;
}

/** Far more than any model has. Modules are listed layer by layer, before the files can be asked for them. */
const mostLayers = 10_000;

/** How many layers there are. Throws `MODEL-FIELD` for what is no count, `MODEL-LAYERS` for one beyond every model. */
export function layerCount(config: ModelConfig, field: string, fallback?: number): number {
  const count = positiveInteger(config, field, fallback);
  if (count <= mostLayers) return count;
  throw tooManyLayers(field, `at most ${mostLayers}`, count);
}

export const tooManyLayers = (field: string, expected: string, got: number): WebpeftError =>
  new WebpeftError("MODEL-LAYERS", {
    message: "config.json asks for more layers than there are",
    where: `config.json: ${field}`,
    expected,
    got: String(got),
    help: "Check that config.json belongs to these tensor files.",
  });

export function positiveNumber(config: ModelConfig, field: string, fallback?: number): number {
  const value = present(config, field) ?? fallback;
  if (typeof value !== "number" || !Number.isFinite(value) || value <= 0) {
    throw wrong(field, "a positive number", config[field]);
  }
  return value;
}

export function flag(config: ModelConfig, field: string, fallback: boolean): boolean {
  const value = present(config, field) ?? fallback;
  if (typeof value !== "boolean") throw wrong(field, "true or false", config[field]);
  return value;
}

export function text(config: ModelConfig, field: string, fallback: string): string {
  const value = present(config, field) ?? fallback;
  if (typeof value !== "string") throw wrong(field, "a string", config[field]);
  return value;
}

/** An object, or undefined when the field is absent or null. */
export function section(config: ModelConfig, field: string): ModelConfig | undefined {
  const value = present(config, field);
  if (value === undefined) return undefined;
  if (typeof value !== "object" || Array.isArray(value)) throw wrong(field, "an object", value);
  return value as ModelConfig;
}

/** A list of strings, or undefined when the field is absent or null. */
export function texts(config: ModelConfig, field: string): readonly string[] | undefined {
  const value = present(config, field);
  if (value === undefined) return undefined;
  const fits = Array.isArray(value) && value.every((entry) => typeof entry === "string");
  if (!fits) throw wrong(field, "a list of strings", value);
  return value as readonly string[];
}

/** Token ids: a number, a list of numbers, or none. */
function tokens(config: ModelConfig, field: string): readonly number[] {
  const value = present(config, field);
  const list = value === undefined ? [] : Array.isArray(value) ? value : [value];
  if (!list.every((id) => Number.isSafeInteger(id))) throw wrong(field, "a token id or a list of them", value);
  return list;
}

export function specialTokens(config: ModelConfig): Pick<ModelDefaults, "beginToken" | "endTokens" | "padToken"> {
  const begin = tokens(config, "bos_token_id")[0];
  const pad = tokens(config, "pad_token_id")[0];
  return {
    ...(begin === undefined ? {} : { beginToken: begin }),
    endTokens: tokens(config, "eos_token_id"),
    ...(pad === undefined ? {} : { padToken: pad }),
  };
}

/** Dropout of the base model is never applied: a warning for each field that asks for it. */
export function warnOfDropout(config: ModelConfig, fields: readonly string[], sink: DiagnosticSink): void {
  for (const field of fields) {
    const dropout = present(config, field) ?? 0;
    if (dropout === 0) continue;
    sink.warn("MODEL-DROPOUT", {
      message: "dropout of the base model is not applied in training",
      where: `config.json: ${field}`,
      expected: "0",
      got: JSON.stringify(dropout),
      help: `set ${field} to 0, or use the dropout of the adapter`,
    });
  }
}

/** Throws `MODEL-FEATURE` where a field that is not built has another value than the one that is. */
export function requireValue(config: ModelConfig, field: string, built: string | number | boolean): void {
  const value = present(config, field) ?? built;
  if (value !== built) throw notBuilt(field, JSON.stringify(built), value);
}

/** An error for a field that may have such a value, of which something else is built. */
export const notBuilt = (field: string, expected: string, got: unknown): WebpeftError =>
  new WebpeftError("MODEL-FEATURE", {
    message: `a model with this ${field} is not built`,
    where: `config.json: ${field}`,
    expected,
    got: JSON.stringify(got),
  });

/** Refuses quantised weights. */
export function requirePlainWeights(config: ModelConfig): void {
  if (present(config, "quantization_config") !== undefined) {
    throw new WebpeftError("MODEL-QUANTIZED", {
      message: "the base model is quantised",
      where: "config.json: quantization_config",
      expected: "weights in f32, f16 or bf16",
      help: "use the unquantised checkpoint of the same model",
    });
  }
}
