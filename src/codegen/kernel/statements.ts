/** The kinds of statements of kernel IR, one record each: what is inside, how it is printed, what it does, and when it is well formed. */
import type { Checker, Machine, Run, ValueType, WgslWriter } from "./contexts.ts";
import { type Expr, lanesOf, type Statement } from "./kernel.ts";

type StatementOf<K extends Statement["kind"]> = Extract<Statement, { readonly kind: K }>;

/** Expressions and blocks as text. */
interface TextWriter {
  expr(e: Expr): string;
  block(body: readonly Statement[]): string[];
}

interface StatementRecord<S extends Statement> {
  /** Fields that hold expressions, one or several, in order. */
  readonly operands: readonly (keyof S & string)[];
  /** Fields that hold statements. */
  readonly blocks: readonly (keyof S & string)[];
  /** Whether its `name` is new from here on. */
  readonly declares?: true;
  wgsl(s: S, writer: WgslWriter): string[];
  text(s: S, writer: TextWriter): string[];
  /** Gives the rest of the work where the invocation may have to wait in it. */
  run(s: S, machine: Machine): Run | undefined;
  /** Reports what is wrong and declares its name; operands and blocks apart. */
  check(s: S, checker: Checker): void;
}

const typed = (e: Expr): ValueType => ({ type: e.type, lanes: lanesOf(e) });

export const typeName = (type: string, lanes: number): string => (lanes === 4 ? `vec4<${type}>` : type);

/** `x += ...` where it says `x = x + ...`. */
function assignment(name: string, value: Expr, writer: WgslWriter): string {
  const isSum =
    value.kind === "binary" && value.operator === "+" && value.a.kind === "variable" && value.a.name === name;
  return isSum ? `${name} += ${writer.bare(value.b)};` : `${name} = ${writer.bare(value)};`;
}

const subgroupFunctions = {
  sum: "subgroupAdd",
  maximum: "subgroupMax",
  "exclusive sum": "subgroupExclusiveAdd",
} as const;

function* loop(s: StatementOf<"for">, machine: Machine): Run {
  const number = (e: Expr): number => machine.evaluate(e) as number;
  const step = number(s.step);
  for (let i = number(s.from); i < number(s.to); i += step) {
    machine.names.set(s.name, i);
    yield* machine.run(s.body);
  }
}

function* meet(s: StatementOf<"subgroup">, machine: Machine): Run {
  const result = yield { combine: s.combine, type: s.value.type, value: machine.evaluate(s.value) as number };
  machine.names.set(s.name, result!);
}

function* wait(): Run {
  yield undefined;
}

/** A statement that an invocation does by itself. */
function done(_nothing: unknown): undefined {}

const statements: { readonly [K in Statement["kind"]]: StatementRecord<StatementOf<K>> } = {
  let: {
    operands: ["value"],
    blocks: [],
    declares: true,
    wgsl: ({ name, value }, writer) => [`let ${name} = ${writer.bare(value)};`],
    text: ({ name, value }, { expr }) => [`let ${name} = ${expr(value)}`],
    run: ({ name, value }, machine) => done(machine.names.set(name, machine.evaluate(value))),
    check: ({ name, value }, { declare }) => declare(name, "value", typed(value)),
  },
  var: {
    operands: ["value"],
    blocks: [],
    declares: true,
    wgsl: ({ name, value }, writer) => [`var ${name} = ${writer.bare(value)};`],
    text: ({ name, value }, { expr }) => [`var ${name} = ${expr(value)}`],
    run: ({ name, value }, machine) => done(machine.names.set(name, machine.evaluate(value))),
    check: ({ name, value }, { declare }) => declare(name, "variable", typed(value)),
  },
  assign: {
    operands: ["value"],
    blocks: [],
    wgsl: ({ name, value }, writer) => [assignment(name, value, writer)],
    text: ({ name, value }, { expr }) => [`${name} := ${expr(value)}`],
    run: ({ name, value }, machine) => done(machine.names.set(name, machine.evaluate(value))),
    check: ({ name, value }, checker) => checker.same(value, checker.named(name, "variable"), name),
  },
  array: {
    operands: ["values"],
    blocks: [],
    declares: true,
    wgsl: ({ name, values }, writer) => {
      const item = typeName(values[0]!.type, lanesOf(values[0]!));
      return [`var ${name} = array<${item}, ${values.length}>(${values.map((v) => writer.bare(v)).join(", ")});`];
    },
    text: ({ name, values }, { expr }) => [`array ${name} = [${values.map(expr).join(", ")}]`],
    run: ({ name, values }, machine) =>
      done(
        machine.arrays.set(
          name,
          values.map((value) => machine.evaluate(value)),
        ),
      ),
    check: ({ name, values }, checker) => {
      checker.require(values.length > 0, "FORM", `${name} without items`);
      for (const value of values) checker.same(value, typed(values[0]!), name);
      if (values.length > 0) checker.declare(name, "array", typed(values[0]!));
    },
  },
  for: {
    operands: ["from", "to", "step"],
    blocks: ["body"],
    declares: true,
    wgsl: ({ name, from, to, step, body }, writer) => {
      const turns = `${name} < ${writer.expr(to)}; ${name} += ${writer.expr(step)}`;
      return [`for (var ${name} = ${writer.bare(from)}; ${turns}) {`, ...writer.block(body), "}"];
    },
    text: ({ name, from, to, step, body }, { expr, block }) => [
      `for ${name} = ${expr(from)} to ${expr(to)} step ${expr(step)} {`,
      ...block(body),
      "}",
    ],
    run: loop,
    check: ({ name, from, to, step }, { scalar, declare }) => {
      for (const e of [from, to, step]) scalar(e, "u32", "a bound of a loop");
      declare(name, "value", { type: "u32", lanes: 1 });
    },
  },
  if: {
    operands: ["condition"],
    blocks: ["body", "otherwise"],
    wgsl: ({ condition, body, otherwise }, writer) => [
      `if (${writer.bare(condition)}) {`,
      ...writer.block(body),
      ...(otherwise === undefined ? [] : ["} else {", ...writer.block(otherwise)]),
      "}",
    ],
    text: ({ condition, body, otherwise }, { expr, block }) => [
      `if ${expr(condition)} {`,
      ...block(body),
      ...(otherwise === undefined ? [] : ["} else {", ...block(otherwise)]),
      "}",
    ],
    run: ({ condition, body, otherwise = [] }, machine) =>
      machine.run(machine.evaluate(condition) !== 0 ? body : otherwise),
    check: ({ condition }, { scalar }) => scalar(condition, "bool", "a condition"),
  },
  store: {
    operands: ["index", "value"],
    blocks: [],
    wgsl: ({ tensor, index, value }, writer) => writer.store(tensor, index, value),
    text: ({ tensor, index, value }, { expr }) => [
      `store %t${tensor}[${expr(index)}${lanesOf(value) === 4 ? "..4" : ""}] = ${expr(value)}`,
    ],
    run: ({ tensor, index, value }, machine) =>
      done(machine.store(tensor, machine.evaluate(index) as number, machine.evaluate(value))),
    check: ({ tensor, index, value }, { kernel, scalar, require, tensorType }) => {
      const { binding = -1, dtype = "f32" } = kernel.tensors[tensor] ?? {};
      scalar(index, "u32", "an index");
      require(tensorType(tensor) === value.type, "TYPE", `${value.type} into %t${tensor}`);
      const written = kernel.bindings[binding]?.access === "read_write";
      require(written && dtype !== "bf16" && dtype !== "f16", "BINDING", `a store into %t${tensor}`);
    },
  },
  "store-shared": {
    operands: ["index", "value"],
    blocks: [],
    wgsl: ({ array, index, value }, writer) => [`${array}[${writer.bare(index)}] = ${writer.bare(value)};`],
    text: ({ array, index, value }, { expr }) => [`store ${array}[${expr(index)}] = ${expr(value)}`],
    run: ({ array, index, value }, machine) => {
      machine.shared.get(array)![machine.evaluate(index) as number] = machine.evaluate(value);
      return undefined;
    },
    check: ({ array, index, value }, { scalar, same, sharedArray }) => {
      scalar(index, "u32", "an index");
      same(value, sharedArray(array), array);
    },
  },
  barrier: {
    operands: [],
    blocks: [],
    wgsl: () => ["workgroupBarrier();"],
    text: () => ["barrier"],
    run: wait,
    check: (_s, { together }) => together("a barrier"),
  },
  subgroup: {
    operands: ["value"],
    blocks: [],
    declares: true,
    wgsl: ({ name, combine, value }, writer) => [`let ${name} = ${subgroupFunctions[combine]}(${writer.bare(value)});`],
    text: ({ name, combine, value }, { expr }) => [`let ${name} = subgroup ${combine} of ${expr(value)}`],
    run: meet,
    check: ({ name, combine, value }, { kernel, require, declare, together }) => {
      require(kernel.features.includes("subgroups"), "FORM", "a subgroup in a kernel that does not enable them");
      require(lanesOf(value) === 1, "LANES", `a subgroup ${combine} of ${lanesOf(value)}`);
      require(value.type !== "bool", "TYPE", `a subgroup ${combine} of bool`);
      together(`a subgroup ${combine}`);
      declare(name, "value", typed(value));
    },
  },
  comment: {
    operands: [],
    blocks: [],
    wgsl: ({ text }) => [`// ${text}`],
    text: ({ text }) => [`// ${text}`],
    run: done,
    check: () => {},
  },
};

/** The record of a statement's kind. */
export const statementRecordOf = (s: Statement): StatementRecord<Statement> =>
  statements[s.kind] as unknown as StatementRecord<Statement>;
