/** Random texts of methods: formulas of operators for a linear layer, with all parameters that they read. */
import { generator } from "../../runtime/executor-samples.ts";

type Extent = "in" | "out" | "r";

export interface RandomMethod {
  readonly text: string;
  /** Sizes of the llama that it is compiled for. */
  readonly sizes: {
    readonly width: number;
    readonly heads: number;
    readonly hidden: number;
    readonly vocabulary: number;
    readonly batch: number;
    readonly length: number;
  };
}

/** A method whose formula has at most so many levels. */
export function randomMethod(seed: number, depth: number): RandomMethod {
  const random = generator(seed);
  for (let i = 0; i < 8; i++) random();
  const choose = (n: number): number => Math.floor(random() * n);
  const oneOf = <T>(values: readonly T[]): T => values[choose(values.length)]!;
  const params: string[] = [];

  const param = (shape: string): string => {
    const name = `P${params.length}`;
    params.push(`  param ${name}[${shape}] = normal(0, 0.3) at "${name}";`);
    return name;
  };

  const operator = (rows: Extent, columns: Extent, level: number): string => {
    if (level === 0) return choose(4) === 0 && rows === "out" && columns === "in" ? "W0" : param(`${rows}, ${columns}`);
    const next = (r: Extent = rows, c: Extent = columns): string => operator(r, c, level - 1);
    const forms: (() => string)[] = [
      () => next(),
      () => `(${((k: Extent) => `${next(rows, k)} @ ${next(k, columns)}`)(oneOf(["in", "out", "r", "r"]))})`,
      () => `(${next()} ${oneOf(["+", "-"])} ${next()})`,
      () => `(${oneOf(["0.5", "-1.5", "(1 / in)"])} * ${next()})`,
      () => `${next(columns, rows)}.T`,
      () => `(diag(${param(rows)}) @ ${next()})`,
      () => `(${next()} @ diag(${param(columns)}))`,
      () => `hadamard(${next()}, ${next()})`,
      () => `matrix(${oneOf(["tanh", "sigmoid", "silu", "gelu", "softmax", "sin"])}(dense(${next()})))`,
      () => `(diag(rownorm(${next()})) @ ${next()})`,
      () => `matrix(dense(${next()}) .* ${param(`${rows}, 1`)})`,
    ];
    if (rows === columns) {
      forms.push(() => `(identity(${rows}) - ${next()})`);
      // Small enough to have an inverse, whatever is drawn.
      forms.push(() => `matrix(inverse(dense(identity(${rows})) + (0.3 / ${rows}) * tanh(dense(${next()}))))`);
    }
    return oneOf(forms)();
  };

  const whole: readonly (() => string)[] = [
    () => `W + 0.3 * ${operator("out", "in", depth)}`,
    () => `(identity(out) + 0.1 * ${operator("out", "out", depth)}) @ W`,
    () => `W @ (identity(in) + 0.1 * ${operator("in", "in", depth)})`,
    () => `diag(${param("out")}) @ (W + 0.2 * ${operator("out", "in", depth)})`,
    () => {
      const changed = `(W0 + 0.2 * ${operator("out", "in", depth)})`;
      return `diag(${param("out")} / rownorm(${changed})) @ ${changed}`;
    },
    () => `hadamard(W, ${operator("out", "in", depth)})`,
  ];
  const value = oneOf(whole)();
  const text = [
    "method random on linear {",
    `  config r: int = ${oneOf([1, 2, 3, 5])} "rank";`,
    ...params,
    `  W' = ${value};`,
    "}",
  ].join("\n");
  const [heads, perHead] = [oneOf([1, 2, 3]), oneOf([2, 6, 10, 16])];
  const sizes = {
    ...{ heads, width: heads * perHead, hidden: oneOf([7, 31, 33, 64]), vocabulary: oneOf([13, 65, 129]) },
    ...{ batch: oneOf([1, 2, 3]), length: oneOf([2, 3, 5, 17]) },
  };
  return { text, sizes };
}
