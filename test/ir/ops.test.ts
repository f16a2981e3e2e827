import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { OpRecord, OpSample } from "../../src/ir/op-record.ts";
import { parseEinsum } from "../../src/ir/ops/contraction.ts";
import { opRecord, opRecords } from "../../src/ir/registry.ts";
import { sizeOf, type TensorType, tensor } from "../../src/ir/types.ts";
import { attributeProblems } from "../../src/ir/verify.ts";
import { gradientError, instantiate, isFloat, randomData, run } from "./samples.ts";

const tolerance = 1e-7;
const all = opRecords();
const samplesOf = (record: OpRecord): readonly OpSample[] => [
  ...(record.samples?.() ?? []),
  ...(moreSamples[record.name] ?? []),
];

/** What the gradient of these ops needs beyond the samples that every executor runs. */
const moreSamples: Readonly<Record<string, readonly OpSample[]>> = {
  cast: [{ inputs: [tensor("bf16", [2, 3])], attributes: { dtype: "f32" } }],
  sum: [{ inputs: [tensor("f32", [2, 3, 2])], attributes: { axes: [1] } }],
  concat: [{ inputs: [tensor("f32", [2]), tensor("f32", [3]), tensor("f32", [1])], attributes: { axis: 0 } }],
};

describe("every record is complete", () => {
  it.each(all.map((record) => [record.name, record] as const))("%s", (name, record) => {
    expect(all.filter((other) => other.name === name)).toHaveLength(1);
    expect(record.doc.length).toBeGreaterThan(1);
    expect(record.vjp === "nondifferentiable" || typeof record.vjp === "function").toBe(true);
    if (record.opClass === "operator" || name === "port") return;
    expect(record.eval).toBeTypeOf("function");
    expect(samplesOf(record).length).toBeGreaterThan(0);
    if (record.opClass === "pointwise") expect(record.wgsl).toBeTypeOf("function");
    expect(record.expand !== undefined).toBe(record.opClass === "composite");
    for (const attribute of Object.keys(record.attributes ?? {})) expect(record.doc).toContain(attribute);
  });
});

const instances = all.flatMap((record) =>
  samplesOf(record).map((sample, i) => [`${record.name} ${i}`, record, sample] as const),
);

describe("every sample", () => {
  it.each(instances)("%s has the inferred shape, finite values and sound attributes", (_name, record, sample) => {
    const instance = instantiate(record, sample, 3);
    const { y } = run(instance);
    const type = record.infer(sample.inputs, sample.attributes);
    if (type.kind !== "tensor") return expect.unreachable("a sample of an operator");
    expect(attributeProblems(record, sample.attributes)).toEqual([]);
    expect(y!.shape).toEqual(type.shape);
    expect(y!.data).toHaveLength(sizeOf(type.shape));
    expect(y!.data.every(Number.isFinite)).toBe(true);
    const { flops, bytes } = record.cost(sample.inputs, sample.attributes, type);
    expect(flops).toBeGreaterThanOrEqual(0);
    expect(bytes).toBeGreaterThanOrEqual(0);
  });
});

const differentiable = instances.filter(
  ([, record, sample]) =>
    typeof record.vjp === "function" && sample.inputs.some(isFloat) && record.name !== "stop_gradient",
);

describe("derivatives", () => {
  it.each(differentiable)("%s equals central differences", (_name, record, sample) => {
    for (const seed of [1, 2, 3]) expect(gradientError(instantiate(record, sample, seed))).toBeLessThan(tolerance);
  });

  it.each(differentiable)("%s: the check sees a derivative that is off by a thousandth", (_name, record, sample) => {
    const vjp = record.vjp as Exclude<OpRecord["vjp"], string | undefined>;
    const broken: OpRecord = {
      ...record,
      vjp: (context) =>
        vjp(context).map((g) => (g === null ? null : context.builder.scale(context.builder.cast(g, "f32"), 1.001))),
    };
    expect(gradientError(instantiate(broken, sample, 1))).toBeGreaterThan(tolerance);
  });

  it("stop_gradient has none", () => {
    const record = opRecord("stop_gradient");
    const { graph } = instantiate(record, record.samples!()[0]!, 1);
    expect(graph.outputs.map((o) => o.name)).toEqual(["y"]);
  });

  it("of a maximum goes to one input on a tie, of reduce_max to all that are largest", () => {
    const pair: OpSample = {
      inputs: [tensor("f32", [2]), tensor("f32", [2])],
      attributes: {},
      ranges: [
        [1, 1],
        [1, 1],
      ],
    };
    for (const name of ["maximum", "minimum"]) {
      const instance = instantiate(opRecord(name), pair, 1);
      const { grad0, grad1 } = run({ ...instance, data: { ...instance.data, c: [3, 4] } });
      expect([...grad0!.data, ...grad1!.data]).toEqual([3, 4, 0, 0]);
    }
    const row: OpSample = { inputs: [tensor("f32", [3])], attributes: { axes: [0] } };
    const instance = instantiate(opRecord("reduce_max"), row, 1);
    expect([...run({ ...instance, data: { input0: [2, 1, 2], c: [5] } }).grad0!.data]).toEqual([5, 0, 5]);
  });
});

/** Random contractions: a subset of letters for each operand and the result, none in one operand alone. */
const contraction = fc
  .array(
    fc.record({
      where: fc.constantFrom("ab", "abo", "ao", "bo"),
      extent: fc.integer({ min: 1, max: 3 }),
      key: fc.nat(),
    }),
    {
      minLength: 1,
      maxLength: 5,
    },
  )
  .chain((axes) => {
    const letters = axes.map((axis, i) => ({ ...axis, letter: "abcde"[i]! }));
    const part = (operand: string) =>
      fc.shuffledSubarray(
        letters.filter((l) => l.where.includes(operand)),
        { minLength: letters.filter((l) => l.where.includes(operand)).length },
      );
    return fc.tuple(part("a"), part("b"), part("o"));
  });

describe("einsum", () => {
  it("equals the sum over all letters, with its derivative", () => {
    fc.assert(
      fc.property(contraction, ([a, b, out]) => {
        const word = (axes: typeof a): string => axes.map((axis) => axis.letter).join("");
        const spec = `${word(a)},${word(b)}->${word(out)}`;
        const shape = (axes: typeof a): number[] => axes.map((axis) => axis.extent);
        const sample: OpSample = { inputs: [tensor("f32", shape(a)), tensor("f32", shape(b))], attributes: { spec } };
        const instance = instantiate(opRecord("einsum"), sample, 4);
        const letters = [...new Map([...a, ...b].map((axis) => [axis.letter, axis])).values()];
        const want = new Array<number>(sizeOf(shape(out))).fill(0);
        const visit = (index: Record<string, number>, depth: number): void => {
          const offset = (axes: typeof a): number =>
            axes.reduce((sum, axis) => sum * axis.extent + index[axis.letter]!, 0);
          if (depth === letters.length)
            want[offset(out)]! += instance.data.input0![offset(a)]! * instance.data.input1![offset(b)]!;
          else
            for (let i = 0; i < letters[depth]!.extent; i++)
              visit({ ...index, [letters[depth]!.letter]: i }, depth + 1);
        };
        visit({}, 0);
        run(instance).y!.data.forEach((got, i) => {
          expect(got).toBeCloseTo(want[i]!, 12);
        });
        expect(gradientError(instance)).toBeLessThan(tolerance);
      }),
      { seed: 5, numRuns: 60 },
    );
  });

  it.each(["mk", "mk,nk", "mm,mk->mk", "mk,nk->mq", "mk,n->mn", "m,nk->mn", "MK,k->M"])("refuses %s", (spec) => {
    expect(() => parseEinsum(spec)).toThrow(expect.objectContaining({ code: "IR-EINSUM" }));
  });
});

type Operand = readonly [TensorType, number[]];

describe("plain answers", () => {
  const evaluate = (name: string, attributes: OpSample["attributes"], ...inputs: Operand[]) => {
    const instance = instantiate(opRecord(name), { inputs: inputs.map(([type]) => type), attributes }, 1);
    return [
      ...run({
        ...instance,
        data: { ...instance.data, ...Object.fromEntries(inputs.map(([, data], i) => [`input${i}`, data])) },
      }).y!.data,
    ];
  };
  const matrix: Operand = [tensor("f32", [2, 3]), [1, 2, 3, 4, 5, 6]];

  it("of movement ops", () => {
    expect(evaluate("transpose", { permutation: [1, 0] }, matrix)).toEqual([1, 4, 2, 5, 3, 6]);
    expect(evaluate("slice", { start: [0, 1], limit: [2, 2] }, matrix)).toEqual([2, 5]);
    expect(evaluate("pad", { low: [0, 1], high: [1, 0] }, matrix)).toEqual([0, 1, 2, 3, 0, 4, 5, 6, 0, 0, 0, 0]);
    expect(evaluate("concat", { axis: 1 }, matrix, [tensor("f32", [2, 1]), [7, 8]])).toEqual([1, 2, 3, 7, 4, 5, 6, 8]);
    expect(evaluate("broadcast", { shape: [2, 2], axes: [0] }, [tensor("f32", [2]), [1, 2]])).toEqual([1, 1, 2, 2]);
    expect(evaluate("broadcast", { shape: [2, 2], axes: [1] }, [tensor("f32", [2]), [1, 2]])).toEqual([1, 2, 1, 2]);
  });

  it("of reductions, lookups and integers", () => {
    expect(evaluate("sum", { axes: [0] }, matrix)).toEqual([5, 7, 9]);
    expect(evaluate("reduce_max", { axes: [0, 1] }, matrix)).toEqual([6]);
    expect(evaluate("gather", {}, matrix, [tensor("i32", [3]), [1, 0, 1]])).toEqual([4, 5, 6, 1, 2, 3, 4, 5, 6]);
    expect(evaluate("scatter_add", { rows: 3 }, [tensor("i32", [2]), [2, 2]], matrix)).toEqual([
      0, 0, 0, 0, 0, 0, 5, 7, 9,
    ]);
    expect(evaluate("iota", { axis: 1, shape: [2, 3] })).toEqual([0, 1, 2, 0, 1, 2]);
    expect(evaluate("cast", { dtype: "i32" }, [tensor("f32", [3]), [1.7, -1.7, 0.2]])).toEqual([1, -1, 0]);
    expect(evaluate("maximum", {}, matrix, [tensor("f32", [2, 3]), [0, 9, 0, 9, 0, 9]])).toEqual([1, 9, 3, 9, 5, 9]);
    expect(evaluate("minimum", {}, matrix, [tensor("f32", [2, 3]), [0, 9, 0, 9, 0, 9]])).toEqual([0, 2, 0, 4, 0, 6]);
  });

  it("of inverse: times the matrix it is the identity", () => {
    const type = tensor("f32", [2, 4, 4]);
    const data = randomData(type, [-1, 1], 8);
    const inverse = evaluate("inverse", {}, [type, data]);
    const product = evaluate("einsum", { spec: "gij,gjk->gik" }, [type, data], [type, inverse]);
    product.forEach((x, i) => {
      expect(x).toBeCloseTo((i % 16) % 5 === 0 ? 1 : 0, 12);
    });
  });

  it("an index outside its table is an error", () => {
    expect(() => evaluate("gather", {}, matrix, [tensor("i32", [1]), [2]])).toThrow(/outside/);
  });
});
