/** Rotary position embedding (Su et al. 2021) in the rotate-half form of Llama, with the scalings `linear` and `llama3`. */
import type { Builder } from "../ir/builder.ts";
import { WebpeftError } from "../ir/diagnostics.ts";
import { positiveInteger, positiveNumber, present, section, text } from "./config.ts";
import type { ModelConfig } from "./model.ts";
import { type Module, silent } from "./module.ts";

type RopeScaling =
  | { readonly kind: "default" }
  | { readonly kind: "linear"; readonly factor: number }
  | {
      readonly kind: "llama3";
      readonly factor: number;
      readonly lowFrequencyFactor: number;
      readonly highFrequencyFactor: number;
      /** Length of the sequences of the first training. */
      readonly originalLength: number;
    };

export interface RopeSettings {
  /** Base of the geometric row of frequencies. */
  readonly theta: number;
  readonly scaling: RopeScaling;
}

/**
 * Reads `rope_parameters` (transformers 5) or `rope_theta` and `rope_scaling` (before). Unknown kinds of scaling are
 * refused with `MODEL-ROPE`, because leaving them out would change every number.
 */
export function readRope(config: ModelConfig): RopeSettings {
  const { fraction, ...settings } = readPartialRope(config, 1);
  if (fraction !== 1) throw refused(`partial_rotary_factor ${fraction}`, "partial_rotary_factor");
  return settings;
}

/** The same with the part of a head that is rotated, of models that leave the rest as it is; `fallback` is the family's default. */
export function readPartialRope(config: ModelConfig, fallback: number): RopeSettings & { readonly fraction: number } {
  const parameters = section(config, "rope_parameters") ?? section(config, "rope_scaling") ?? {};
  const nested = Object.values(parameters).some(
    (value) => typeof value === "object" && value !== null && !Array.isArray(value),
  );
  if (nested) throw refused("rope parameters per layer type", "rope_parameters");
  const holder = present(parameters, "partial_rotary_factor") === undefined ? config : parameters;
  const fraction = positiveNumber(holder, "partial_rotary_factor", fallback);
  if (fraction > 1) throw refused(`partial_rotary_factor ${fraction}`, "partial_rotary_factor");
  return {
    fraction,
    theta: positiveNumber(present(parameters, "rope_theta") === undefined ? config : parameters, "rope_theta", 10000),
    scaling: readScaling(parameters),
  };
}

function readScaling(parameters: ModelConfig): RopeScaling {
  const kind = text(parameters, "rope_type", text(parameters, "type", "default"));
  switch (kind) {
    case "default":
      return { kind };
    case "linear":
      return { kind, factor: positiveNumber(parameters, "factor") };
    case "llama3": {
      const lowFrequencyFactor = positiveNumber(parameters, "low_freq_factor");
      const highFrequencyFactor = positiveNumber(parameters, "high_freq_factor");
      if (highFrequencyFactor <= lowFrequencyFactor)
        throw refused("high_freq_factor not above low_freq_factor", "high_freq_factor");
      const originalLength = positiveInteger(parameters, "original_max_position_embeddings");
      return {
        kind,
        factor: positiveNumber(parameters, "factor"),
        lowFrequencyFactor,
        highFrequencyFactor,
        originalLength,
      };
    }
    default:
      throw refused(`rope type ${kind}`, "rope_type");
  }
}

function refused(got: string, field: string): WebpeftError {
  return new WebpeftError("MODEL-ROPE", {
    message: "this kind of rotary embedding is not built",
    where: `config.json: ${field}`,
    expected: "rope type default, linear or llama3 over the whole head; over a part of it where the family has that",
    got,
  });
}

/** Frequencies f32[width / 2] in radians per position. */
function frequencies(builder: Builder, width: number, { theta, scaling }: RopeSettings): number {
  const index = builder.cast(builder.iota([width / 2], 0), "f32");
  const plain = builder.add("exp", [builder.scale(index, (-2 * Math.log(theta)) / width)]);
  if (scaling.kind === "default") return plain;
  if (scaling.kind === "linear") return builder.scale(plain, 1 / scaling.factor);
  // Share of the plain frequency: 1 where the original length holds `high` turns or more, 0 where `low` or fewer.
  const { lowFrequencyFactor: low, highFrequencyFactor: high, originalLength, factor } = scaling;
  const turns = builder.scale(plain, originalLength / (2 * Math.PI));
  const share = builder.scale(builder.sub(turns, builder.constantLike(turns, low)), 1 / (high - low));
  const clamped = builder.add("minimum", [
    builder.add("maximum", [share, builder.zerosLike(share)]),
    builder.constantLike(share, 1),
  ]);
  const mixed = builder.plus(builder.scale(clamped, 1 - 1 / factor), builder.constantLike(clamped, 1 / factor));
  return builder.mul(plain, mixed);
}

/** Cosines and signed sines, f32[length, width] each, for `length` positions from `first` on. They depend on no input. */
export interface RopeTables {
  readonly cosines: number;
  /** -sin in the first half of a row, sin in the second: the sign of rotate-half is in the table. */
  readonly sines: number;
}

/** The module that transformers lists for it. */
export const rotary = (
  width: number,
  settings: RopeSettings,
): Module<(length: number, first?: number) => RopeTables> => ({
  ...silent,
  call:
    ({ builder }) =>
    (length, first = 0) =>
      ropeTables(builder, length, width, settings, first),
});

function ropeTables(builder: Builder, length: number, width: number, settings: RopeSettings, first = 0): RopeTables {
  const shape = [length, width];
  const half = frequencies(builder, width, settings);
  const rows = builder.iota(shape, 0);
  const positions = builder.cast(first === 0 ? rows : builder.plus(rows, builder.constantLike(rows, first)), "f32");
  const angles = builder.mul(positions, builder.broadcast(builder.concat([half, half], 0), shape, [1]));
  const signs = builder.concat([builder.constant(-1, [width / 2]), builder.constant(1, [width / 2])], 0);
  // Both end in arithmetic, not in a view, so that each is kept as one table.
  return {
    cosines: builder.add("cos", [angles]),
    sines: builder.mul(builder.add("sin", [angles]), builder.broadcast(signs, shape, [1])),
  };
}

/** Rotates x f32[b, s, ..., width]: x * cos + (halves of x swapped) * signed sin, one pass over x. */
function rotate(builder: Builder, x: number, tables: RopeTables): number {
  const shape = builder.shape(x);
  const last = shape.length - 1;
  const spread = (table: number): number => builder.broadcast(table, shape, [1, last]);
  const half = shape[last]! / 2;
  const part = (from: number): number =>
    builder.slice(
      x,
      shape.map((_n, axis) => (axis === last ? from : 0)),
      shape.map((n, axis) => (axis === last ? from + half : n)),
    );
  const swapped = builder.concat([part(half), part(0)], last);
  return builder.plus(builder.mul(x, spread(tables.cosines)), builder.mul(swapped, spread(tables.sines)));
}

/** The same of the first part of every head, which the tables are as wide as; the rest stays as it is. */
export function rotatePart(builder: Builder, x: number, tables: RopeTables): number {
  const shape = builder.shape(x);
  const [last, width] = [shape.length - 1, builder.shape(tables.cosines)[1]!];
  if (width === shape[last]) return rotate(builder, x, tables);
  const part = (from: number, to: number): number =>
    builder.slice(
      x,
      shape.map((_n, axis) => (axis === last ? from : 0)),
      shape.map((n, axis) => (axis === last ? to : n)),
    );
  return builder.concat([rotate(builder, part(0, width), tables), part(width, shape[last]!)], last);
}
