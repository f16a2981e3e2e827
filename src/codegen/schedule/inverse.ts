/**
 * Inverse of small matrices: a workgroup per matrix, in-place Gauss-Jordan elimination with partial pivoting in workgroup memory. Rows are
 * swapped as pivots are found; the columns of the result are swapped back in reverse order.
 */
import { WebpeftError } from "../../ir/diagnostics.ts";
import { type Affine, variable } from "../emit/affine.ts";
import { binary, type Expr, f32, u32 } from "../kernel/kernel.ts";
import {
  anyway,
  type Body,
  blockIndex,
  bodyOf,
  type Estimate,
  localIndex,
  type Schedule,
  type ScheduleContext,
} from "./body.ts";

const array = "matrix";
const pivots = "pivots";

export const gaussJordan: Schedule = { name: "Gauss-Jordan", form: "inverse", estimate, emit };

const bytesOf = (n: number): number => 4 * (n * n + n);

/** Throws `CODEGEN-INVERSE-SIZE` for matrices that do not fit into workgroup memory: there is no other way to invert them. */
function estimate({ unit, target }: ScheduleContext): Estimate {
  const n = unit.shape.at(-1)!;
  const most = target.limits.maxComputeWorkgroupStorageSize;
  if (bytesOf(n) <= most) return anyway();
  throw new WebpeftError("CODEGEN-INVERSE-SIZE", {
    message: "a matrix to be inverted does not fit into workgroup memory",
    expected: `at most ${most} bytes`,
    got: `${n} x ${n}, ${bytesOf(n)} bytes`,
    help: "use smaller blocks, or the Neumann series instead of the exact Cayley transform",
  });
}

function emit(c: ScheduleContext): Body {
  const { emitter, unit, graph, target } = c;
  const id = unit.members[0]!;
  const [batch, n] = unit.shape as readonly [number, number, number];
  const matrix = variable("block", batch, blockIndex, 0);
  const overRows = (make: (row: Affine) => void): void =>
    emitter.loop(localIndex, u32(n), u32(target.workgroup), n, make);
  const overColumns = (make: (column: Affine) => void): void => emitter.loop(u32(0), u32(n), u32(1), n, make);
  const address = (a: Affine): Expr => emitter.address(a).expr;
  const at = (row: Expr, column: Expr): Expr => binary("+", binary("*", row, u32(n)), column);
  const read = (row: Expr, column: Expr): Expr => ({
    kind: "shared",
    array,
    index: at(row, column),
    type: "f32",
    lanes: 1,
  });
  const write = (row: Expr, column: Expr, value: Expr): void =>
    emitter.push({ kind: "store-shared", array, index: at(row, column), value });
  const barrier = (): void => emitter.push({ kind: "barrier" });
  /** What is worked out on the way to the inverse. */
  const name = (expr: Expr): Expr =>
    emitter.bind({ expr, depth: emitter.depth }, expr.type === "f32" ? id : undefined).expr;
  /** Exchanges two elements. */
  const swap = (r: Expr, s: Expr, column: Expr, line: Expr): void => {
    const [a, b] = [name(read(r, column)), name(read(s, line))];
    write(r, column, b);
    write(s, line, a);
  };

  overRows((row) =>
    overColumns((column) =>
      write(address(row), address(column), emitter.value(graph.nodes[id]!.inputs[0]!, [matrix, row, column]).expr),
    ),
  );
  barrier();
  overColumns((step) => {
    const k = address(step);
    const pivot = largestBelow(c, k, n, read);
    emitter.push({ kind: "store-shared", array: pivots, index: k, value: pivot });
    barrier();
    overRows((column) => swap(k, pivot, address(column), address(column)));
    barrier();
    const factor = name(binary("/", f32(1), read(k, k)));
    barrier();
    overRows((column) => {
      const j = address(column);
      const isPivot: Expr = { kind: "op", op: "eq", args: [j, k], type: "bool", lanes: 1 };
      const scaled = binary("*", read(k, j), factor);
      write(k, j, { kind: "op", op: "select", args: [isPivot, factor, scaled], type: "f32", lanes: 1 });
    });
    barrier();
    overRows((row) => {
      const r = address(row);
      emitter.when(
        {
          kind: "op",
          op: "not",
          args: [{ kind: "op", op: "eq", args: [r, k], type: "bool", lanes: 1 }],
          type: "bool",
          lanes: 1,
        },
        () => {
          const f = name(read(r, k));
          write(r, k, f32(0));
          overColumns((column) =>
            write(r, address(column), binary("-", read(r, address(column)), binary("*", f, read(k, address(column))))),
          );
        },
      );
    });
    barrier();
  });
  overColumns((step) => {
    const k = name(binary("-", u32(n - 1), address(step)));
    const pivot = name({ kind: "shared", array: pivots, index: k, type: "u32", lanes: 1 });
    overRows((row) => swap(address(row), address(row), k, pivot));
  });
  barrier();
  overRows((row) =>
    overColumns((column) => emitter.store(id, [matrix, row, column], read(address(row), address(column)))),
  );
  return bodyOf(c, {
    name: "inverse",
    doc: ["inverse of every matrix, by Gauss-Jordan elimination with partial pivoting"],
    workgroups: batch,
    shared: [
      { name: array, type: "f32", lanes: 1, length: n * n },
      { name: pivots, type: "u32", lanes: 1, length: n },
    ],
  });
}

/** Row of the largest entry of column k at or below row k; every invocation finds it. */
function largestBelow(c: ScheduleContext, k: Expr, n: number, read: (row: Expr, column: Expr) => Expr): Expr {
  const { emitter } = c;
  const abs = (e: Expr): Expr => ({ kind: "op", op: "abs", args: [e], type: "f32", lanes: 1 });
  const best = { kind: "variable", name: emitter.fresh("best", c.unit.members[0]), type: "f32", lanes: 1 } as const;
  const row = { kind: "variable", name: emitter.fresh("pivot"), type: "u32", lanes: 1 } as const;
  emitter.push({ kind: "var", name: best.name, value: abs(read(k, k)) });
  emitter.push({ kind: "var", name: row.name, value: k });
  emitter.loop(binary("+", k, u32(1)), u32(n), u32(1), n, (at) => {
    const r = emitter.address(at).expr;
    const candidate = emitter.bind({ expr: abs(read(r, k)), depth: emitter.depth }, c.unit.members[0]).expr;
    emitter.when(binary("<", best, candidate), () => {
      emitter.push({ kind: "assign", name: best.name, value: candidate });
      emitter.push({ kind: "assign", name: row.name, value: r });
    });
  });
  return row;
}
