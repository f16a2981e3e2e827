/** What programs are drawn from: each step makes one value of others. Values stay between -4 and 4 or so, and functions are continuous. */
import { sizeOf } from "../../../src/ir/types.ts";
import type { Draw } from "./draw.ts";

export interface Step {
  /** Gives nothing where no value fits. */
  readonly make: (draw: Draw) => number | undefined;
  /** Whether devices round nothing of what it makes. */
  readonly isExact?: boolean;
}

type Shape = readonly number[];

const atLeast =
  (rank: number, most = 6_000) =>
  (shape: Shape): boolean =>
    shape.length >= rank && sizeOf(shape) <= most;

const sameAs =
  (other: Shape) =>
  (shape: Shape): boolean =>
    `${shape}` === `${other}`;

function shuffled<T>({ choose }: Draw, values: readonly T[]): T[] {
  const rest = [...values];
  return values.map(() => rest.splice(choose(rest.length), 1)[0]!);
}

const bounded = ["tanh", "sin", "cos", "sigmoid", "erf", "neg", "stop_gradient"];

const functions: Step = {
  make: ({ k, pick, oneOf }) => k.add(oneOf(bounded), [pick()!]),
};

/** Functions that are steep or not defined near 0 and for large numbers. */
const guarded: Step = {
  make: ({ k, pick, oneOf }) => {
    const x = pick()!;
    const square = k.plus(k.mul(x, x), k.constant(0.5));
    const make: Record<string, () => number> = {
      exp: () => k.add("exp", [k.neg(square)]),
      log: () => k.add("log", [square]),
      sqrt: () => k.add("sqrt", [square]),
      rsqrt: () => k.add("rsqrt", [square]),
      reciprocal: () => k.add("reciprocal", [square]),
      div: () => k.div(x, square),
      largeAngle: () => k.add("sin", [k.scale(x, 40)]),
    };
    return make[oneOf(Object.keys(make))]!();
  },
};

const arithmetic = (names: readonly string[]): Step => ({
  make: ({ k, pick, oneOf }) => {
    const a = pick()!;
    const b = pick(sameAs(k.shape(a)))!;
    return k.scale(k.add(oneOf(names), [a, b]), 0.5);
  },
});

/** One operand lacks an axis of the other, or has 1 there. */
const broadcasting: Step = {
  make: ({ k, pick, oneOf }) => {
    const a = pick(atLeast(1))!;
    const shape = k.shape(a);
    const b = pick((own) => sameAs(shape.slice(1))(own) || sameAs(shape.slice(-1))(own));
    if (b === undefined) return undefined;
    const isTail = sameAs(shape.slice(-k.shape(b).length || shape.length))(k.shape(b));
    const wide = isTail ? k.broadcastTo(b, shape) : k.broadcast(b, shape, []);
    return k.scale(k.add(oneOf(["add", "mul", "sub"]), [a, wide]), 0.5);
  },
};

const repeat: Step = {
  make: ({ k, pick, choose, oneOf }) => {
    const a = pick((shape) => shape.length < 4 && sizeOf(shape) <= 2_000);
    if (a === undefined) return undefined;
    const at = choose(k.shape(a).length + 1);
    const shape = k.shape(a).toSpliced(at, 0, oneOf([1, 2, 3, 5, 8]));
    return k.broadcast(
      a,
      shape,
      shape.flatMap((_n, axis) => (axis === at ? [] : [axis])),
    );
  },
};

const transpose: Step = {
  make: (draw) => {
    const a = draw.pick(atLeast(2));
    if (a === undefined) return undefined;
    return draw.k.transpose(a, shuffled(draw, [...draw.k.shape(a).keys()]));
  },
};

const reshape: Step = {
  make: ({ k, pick, choose }) => {
    const a = pick()!;
    const size = sizeOf(k.shape(a));
    const divisors = [2, 3, 5, 8, 16, 64].filter((n) => size % n === 0);
    if (divisors.length === 0 || choose(3) === 0) return k.reshape(a, [size]);
    const n = divisors[choose(divisors.length)]!;
    return k.reshape(a, choose(2) === 0 ? [n, size / n] : [size / n, n]);
  },
};

const slice: Step = {
  make: ({ k, pick, choose }) => {
    const a = pick(atLeast(1))!;
    const start = k.shape(a).map((n) => choose(Math.min(n, 5)));
    return k.slice(
      a,
      start,
      k.shape(a).map((n, i) => n - choose(Math.min(n - start[i]!, 4))),
    );
  },
};

const pad: Step = {
  make: ({ k, pick, choose }) => {
    const a = pick()!;
    const amounts = (): number[] => k.shape(a).map(() => choose(4));
    return k.add("pad", [a], { low: amounts(), high: amounts() });
  },
};

const concat: Step = {
  make: ({ k, pick, choose }) => {
    const a = pick(atLeast(1, 3_000));
    if (a === undefined) return undefined;
    const axis = choose(k.shape(a).length);
    const rest = k.shape(a).toSpliced(axis, 1);
    const b = pick((s) => s.length === rest.length + 1 && sizeOf(s) <= 3_000 && sameAs(rest)(s.toSpliced(axis, 1)))!;
    return k.concat(choose(2) === 0 ? [a, b] : [b, k.add("tanh", [a]), a], axis);
  },
};

/** Means over any axes, over all of them, and the largest. */
const reduction = (names: readonly ("mean" | "max")[]): Step => ({
  make: ({ k, pick, choose, oneOf }) => {
    const a = pick(atLeast(1, 20_000))!;
    const shape = k.shape(a);
    const some = [...shape.keys()].filter(() => choose(2) === 0);
    const axes = some.length === 0 ? [shape.length - 1] : some;
    if (oneOf(names) === "max") return k.max(a, axes);
    return k.scale(k.sum(a, axes), 1 / axes.reduce((n, axis) => n * shape[axis]!, 1));
  },
});

/** Two reductions over the same rows, and pointwise work behind: softmax or a norm. */
const rows = (names: readonly ("softmax" | "norm")[]): Step => ({
  make: ({ k, pick, oneOf }) => {
    const a = pick(atLeast(1))!;
    const shape = k.shape(a);
    const last = shape.length - 1;
    const along = (id: number): number => k.broadcast(id, shape, [...shape.keys()].slice(0, -1));
    if (oneOf(names) === "softmax") {
      const e = k.add("exp", [k.sub(a, along(k.max(a, [last])))]);
      return k.div(e, along(k.sum(e, [last])));
    }
    const mean = k.scale(k.sum(k.mul(a, a), [last]), 1 / shape[last]!);
    return k.mul(a, along(k.add("rsqrt", [k.plus(mean, k.constant(0.1))])));
  },
});

/** A contraction of any form: every axis of the second operand is a batch axis, contracted, or free; results in any order. */
const contraction: Step = {
  make: (draw) => {
    const { k, pick, choose } = draw;
    const a = pick((shape) => shape.length >= 1 && shape.length <= 4)!;
    const mine = [...k.shape(a).keys()].map((i) => "abcd"[i]!);
    const b = pick((shape) => shape.length <= 3 && shape.some((n) => k.shape(a).includes(n)));
    if (b === undefined) return undefined;
    const extents = new Map(mine.map((letter, i) => [letter, k.shape(a)[i]!]));
    const free = [..."uvw"];
    const [shared, batch]: [string[], string[]] = [[], []];
    const theirs = k.shape(b).map((n) => {
      const match = mine.filter((letter) => extents.get(letter) === n && !shared.includes(letter));
      if (match.length === 0 || choose(5) === 0) {
        const letter = free.shift()!;
        extents.set(letter, n);
        return letter;
      }
      const letter = match[choose(match.length)]!;
      shared.push(letter);
      if (choose(4) === 0) batch.push(letter);
      return letter;
    });
    const contracted = shared.filter((letter) => !batch.includes(letter));
    const kept = [...new Set([...mine, ...theirs])].filter((letter) => !contracted.includes(letter));
    const product = [...extents.values()].reduce((x, y) => x * y, 1);
    if (product > 300_000 || kept.length > 5) return undefined;
    const out = choose(2) === 0 ? kept : shuffled(draw, kept);
    const terms = contracted.reduce((n, letter) => n * extents.get(letter)!, 1);
    if (product / terms > 20_000) return undefined;
    return k.scale(k.einsum(`${mine.join("")},${theirs.join("")}->${out.join("")}`, a, b), 1 / Math.sqrt(terms));
  },
};

const gather: Step = {
  make: ({ k, pick, indices, oneOf }) => {
    const table = pick(atLeast(1, 3_000));
    if (table === undefined) return undefined;
    return k.add("gather", [table, indices(oneOf([1, 3, 5, 64]), k.shape(table)[0]!)]);
  },
};

const scatter: Step = {
  make: ({ k, pick, choose, indices }) => {
    const updates = pick(atLeast(1, 3_000));
    if (updates === undefined) return undefined;
    const count = k.shape(updates)[0]!;
    const rows = 1 + choose(count + 2);
    return k.scale(k.add("scatter_add", [indices(count, rows), updates], { rows }), 1 / Math.sqrt(count));
  },
};

/** A choice by values that no device rounds; by a comparison and its logic. */
const select: Step = {
  make: ({ k, pick, pickExact, oneOf, choose }) => {
    const a = pickExact()!;
    const b = choose(2) === 0 ? pickExact(sameAs(k.shape(a)))! : k.constantLike(a, 0.25);
    const less = k.compare(oneOf(["lt", "le", "eq"]), a, b);
    const test = choose(2) === 0 ? less : k.compare("and", k.add("not", [less]), k.compare("lt", b, a));
    return k.select(test, pick(sameAs(k.shape(a)))!, k.scale(a, 0.5));
  },
};

/** Casts to whole numbers and back, with arithmetic in between. */
const integers: Step = {
  isExact: true,
  make: ({ k, pickExact, oneOf }) => {
    const a = pickExact()!;
    const whole = k.cast(k.scale(k.add("abs", [a]), 8), "i32");
    const by = k.constantLike(whole, 5);
    const made = oneOf([
      () => k.add("mod", [whole, by]),
      () => k.add("minimum", [k.sub(whole, by), by]),
      () => k.select(k.compare("lt", whole, by), whole, by),
    ])();
    return k.scale(k.cast(made, "f32"), 0.125);
  },
};

/** -1, 0 or 1, and a step of stairs. */
const stairs: Step = {
  isExact: true,
  make: ({ k, pickExact, choose }) => {
    const a = pickExact()!;
    return choose(2) === 0 ? k.add("sign", [a]) : k.scale(k.add("floor", [k.scale(a, 4)]), 0.25);
  },
};

const places: Step = {
  isExact: true,
  make: ({ k, pick, choose }) => {
    const shape = k.shape(pick(atLeast(1))!);
    const axis = choose(shape.length);
    return k.scale(k.cast(k.iota(shape, axis), "f32"), 2 ** -Math.ceil(Math.log2(shape[axis]!)));
  },
};

const drawn: Step = {
  isExact: true,
  make: ({ k, pick, choose }) => {
    const scalar = (value: number): number => k.constant(value, [], "u32");
    const shape = k.shape(pick(atLeast(1, 2_000)) ?? pick(atLeast(1))!);
    return k.add("uniform", [scalar(choose(99)), scalar(choose(9)), scalar(choose(3))], {
      shape: [...shape],
      site: choose(9),
      tensor: choose(3),
    });
  },
};

/** Inverses of matrices near to the unit. */
const inverse: Step = {
  make: ({ k, pick, choose, oneOf }) => {
    const n = oneOf([1, 2, 3, 4, 8]);
    const from = pick((shape) => sizeOf(shape) >= n * n && sizeOf(shape) <= 3_000);
    if (from === undefined) return undefined;
    const count = 1 + choose(Math.min(5, Math.floor(sizeOf(k.shape(from)) / (n * n))));
    const flat = k.slice(k.reshape(from, [sizeOf(k.shape(from))]), [0], [count * n * n]);
    const small = k.scale(k.add("tanh", [k.reshape(flat, [count, n, n])]), 0.5 / n);
    const [row, column] = [k.iota([count, n, n], 1), k.iota([count, n, n], 2)];
    return k.add("inverse", [k.plus(small, k.cast(k.compare("eq", row, column), "f32"))]);
  },
};

const common: readonly Step[] = [
  ...[functions, guarded, broadcasting, repeat, transpose, reshape, slice, pad, concat],
  ...[contraction, contraction, contraction, gather, scatter, inverse],
];

/** Steps with derivatives that are continuous. */
export const gradientSteps: readonly Step[] = [
  ...common,
  ...[arithmetic(["add", "sub", "mul"]), reduction(["mean"]), rows(["norm"])],
];

export const steps: readonly Step[] = [
  ...common,
  ...[arithmetic(["add", "sub", "mul", "maximum", "minimum"]), reduction(["mean", "max"]), rows(["softmax", "norm"])],
  ...[select, integers, stairs, places, drawn],
];
