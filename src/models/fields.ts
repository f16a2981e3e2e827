/**
 * Schemas of `config.json`: what each field of a family is, and what it is where the file lacks it. A value that a field cannot have is an error
 * that names the field.
 */
import type { DiagnosticSink } from "../ir/diagnostics.ts";
import { type Activation, readActivation } from "./activation.ts";
import { flag, layerCount, positiveInteger, positiveNumber, requireValue, warnOfDropout, wrong } from "./config.ts";
import type { ModelConfig } from "./model.ts";

/** Reads the field of a name. Throws `MODEL-` errors; warns where it is not honoured. */
export type Field<T> = (config: ModelConfig, name: string, sink: DiagnosticSink) => T;
export type Schema = Readonly<Record<string, Field<unknown>>>;

/** What a schema reads. */
export type Read<S extends Schema> = { readonly [N in keyof S]: S[N] extends Field<infer T> ? T : never };

export const readFields = <S extends Schema>(schema: S, config: ModelConfig, sink: DiagnosticSink): Read<S> =>
  Object.fromEntries(Object.entries(schema).map(([name, field]) => [name, field(config, name, sink)])) as Read<S>;

/** A positive integer; without a fallback the file must have it. */
export const whole =
  (fallback?: number): Field<number> =>
  (config, name) =>
    positiveInteger(config, name, fallback);

/** Zero or a positive integer. */
export const natural: Field<number> = (config, name) => (config[name] === 0 ? 0 : positiveInteger(config, name));

export const layersOf =
  (fallback?: number): Field<number> =>
  (config, name) =>
    layerCount(config, name, fallback);

export const positive =
  (fallback?: number): Field<number> =>
  (config, name) =>
    positiveNumber(config, name, fallback);

/** Zero or a positive number. */
export const positiveOrZero =
  (fallback: number): Field<number> =>
  (config, name) =>
    config[name] === 0 ? 0 : positiveNumber(config, name, fallback);

export const truth =
  (fallback: boolean): Field<boolean> =>
  (config, name) =>
    flag(config, name, fallback);

export const activation =
  (fallback: string): Field<Activation> =>
  (config, name) =>
    readActivation(config, name, fallback);

/** One that null switches off; `fallback` where it is not there. */
export const optional =
  <T>(field: Field<T>, fallback?: T): Field<T | undefined> =>
  (config, name, sink) => {
    if (config[name] === undefined) return fallback;
    return config[name] === null ? undefined : field(config, name, sink);
  };

/** Dropout of the base model, which is never applied. */
export const dropout: Field<void> = (config, name, sink) => warnOfDropout(config, [name], sink);

/** A field of which one value is built. */
export const only =
  (value: string | boolean): Field<void> =>
  (config, name) =>
    requireValue(config, name, value);

/** A list of whole numbers. */
export const wholes: Field<readonly number[]> = (config, name) => {
  const value = config[name];
  if (Array.isArray(value) && value.every((entry) => Number.isSafeInteger(entry))) return value as readonly number[];
  throw wrong(name, "a list of whole numbers", value);
};
