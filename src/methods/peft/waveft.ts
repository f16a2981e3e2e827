/** WaveFT: trained wavelet coefficients at random places; the update is their inverse transform. arXiv 2505.12532. */
import type { Builder } from "../../ir/builder.ts";
import { type CallContext, makesTensor } from "../lib/builtin.ts";
import { sparseMatrix } from "../lib/tensors.ts";
import type { MethodRecord } from "../record.ts";
import { fourierft } from "./fourierft.ts";

export const waveft = {
  line: 10,
  text: `method waveft on linear {
  W' = W + scaling * matrix(spread[:out, :in]);
  let spread = use_idwt ? inverse_haar(grid(rows, columns, c, 2 * ceil(out / 2), 2 * ceil(in / 2))) : grid(rows, columns, c, out, in);
  stream rng = torch_generator(random_loc_seed);
  const places[count] = torch_randperm(rng, entries, count);
  const rows[count] = quotient(places, in);
  const columns[count] = remainder(places, in);
  param c[count] = init_weights ? zeros : normal(0, 0.01) at "waveft_spectrum";
  let share = rounded(in * out / sites.entries * n_frequency * sites.count);
  let count = proportional_parameters ? max(1, share) : n_frequency, entries = in * out;
  config n_frequency: int = 2592 (above: 0, pattern: n_frequency_pattern) "trained coefficients",
         scaling: float = 25 "scale of the update",
         wavelet_family: string = "db1" "only db1 (Haar) is built",
         use_idwt: bool = true "false: the coefficients are entries of the update themselves",
         random_loc_seed: int = 777 "seed of their places",
         proportional_parameters: bool = false "n_frequency is the mean over the layers, larger ones get more",
         n_frequency_pattern: int_map = {}, init_weights: bool = true "false: small normal values instead of zeros";
  require wavelet_family == "db1" else "Wavelet family {wavelet_family} is not built. Supported wavelet families are: db1";
  require count <= entries
    else "\`n_frequency\` should be less than or equal to the product of the input and output dimensions but the value passed is {count} and the product is {entries}";
}`,
  profile: { className: "WaveFTConfig", checks: "abc", dottedPatterns: true },
  targets: fourierft.targets,
  builtins: [
    makesTensor(
      "grid",
      { rows: "host", columns: "host", values: "tensor", height: "count", width: "count" },
      "The matrix [height, width] with values[k] in row rows[k] and column columns[k], places all different; zeros elsewhere.",
      ({ rows: { data: rows }, columns: { data: columns }, values, height, width }, b, context) => {
        const isInside = (n: number, extent: number): boolean => Number.isInteger(n) && n >= 0 && n < extent;
        const keys = Array.from(rows, (row, k) => row * width + columns[k]!);
        if (!rows.every((row, k) => isInside(row, height) && isInside(columns[k] ?? -1, width)))
          throw context.fail("A place lies outside of the matrix.", `rows below ${height}, columns below ${width}`);
        const [sorted, moved] = sortedEntries(context, keys, values);
        return sparseMatrix(b, sorted, moved, height, width);
      },
    ),
    makesTensor(
      "inverse_haar",
      { grid: "tensor" },
      "A step of the inverse Haar (db1) wavelet transform of a matrix of even extents, as PEFT lays out its quarters.",
      ({ grid }, b, context) => {
        const shape = b.shape(grid);
        if (shape.length !== 2 || shape.some((n) => n % 2 !== 0))
          throw context.fail("The grid has odd extents.", "a matrix of even extents", `[${shape.join(", ")}]`);
        return inverseHaar(b, grid);
      },
    ),
  ],
} satisfies MethodRecord;

/** The keys of host places in increasing order, and the values in that order. */
function sortedEntries(context: CallContext, keys: readonly number[], values: number): [keys: number, values: number] {
  const count = keys.length;
  const order = keys.map((_key, k) => k).sort((i, j) => keys[i]! - keys[j]!);
  const rank = new Int32Array(count);
  order.forEach((k, place) => {
    rank[k] = place;
  });
  const table = (name: string, data: ArrayLike<number>): number =>
    context.table(`grid.${name}`, Int32Array.from(data), [count]);
  const sorted = order.map((k) => keys[k]!);
  const moved = context.builder().add("gather", [values, table("order", order), table("rank", rank)]);
  return [table("keys", sorted), moved];
}

/** One step of the inverse Haar transform of a grid in quarters: every place of a quarter becomes 2 x 2 entries. */
function inverseHaar(b: Builder, grid: number): number {
  const [h, w] = b.shape(grid).map((n) => n / 2) as [number, number];
  const quarter = (i: number, j: number): number => b.slice(grid, [i * h, j * w], [(i + 1) * h, (j + 1) * w]);
  const [a, horizontal, vertical, diagonal] = [quarter(0, 0), quarter(0, 1), quarter(1, 0), quarter(1, 1)];
  const row = (both: number, change: number): number => {
    const parts = [b.plus(both, change), b.sub(both, change)].map((part) => b.reshape(part, [h, 1, w, 1]));
    return b.concat(parts, 3);
  };
  const rows = [
    row(b.plus(a, horizontal), b.plus(vertical, diagonal)),
    row(b.sub(a, horizontal), b.sub(vertical, diagonal)),
  ];
  return b.scale(b.reshape(b.concat(rows, 1), [2 * h, 2 * w]), 0.5);
}
