/**
 * Makes one kernel of one or more bodies. Tensors become bindings: one per place in memory, several in one binding when their ranges
 * overlap, when they are scalars of the input buffer, or when there would be more bindings than the target allows.
 */
import { WebpeftError } from "../ir/diagnostics.ts";
import { byteWidth, type DType } from "../ir/types.ts";
import type { TensorUse } from "./emitter.ts";
import {
  binary,
  type Expr,
  type KernelBinding,
  type KernelIR,
  type KernelTensor,
  mapExpr,
  mapStatements,
  type Statement,
  sizeLiteral,
  u32,
} from "./kernel.ts";
import { alignUp, type BoundRange } from "./plan.ts";
import type { Body } from "./schedule/body.ts";
import type { Target } from "./target.ts";

/** Where a value is, in bytes. */
export interface Place {
  readonly buffer: string;
  readonly offset: number;
  readonly size: number;
  readonly dtype: DType;
}

interface Range {
  buffer: string;
  offset: number;
  end: number;
  writes: boolean;
}

export interface Assembled {
  readonly kernel: Omit<KernelIR, "sizes">;
  readonly bindings: readonly BoundRange[];
  readonly workgroups: number;
}

/** Buffers that are always bound for writing, since parts of them are written by other dispatches of the pass or by this one. */
const isWritable = (buffer: string): boolean => buffer === "arena" || buffer === "outputs";

export function assemble(bodies: readonly Body[], placeOf: (use: TensorUse) => Place, target: Target): Assembled {
  const uses = bodies.flatMap((body) => body.tensors.map((t) => ({ ...t, place: placeOf(t) })));
  const ranges = bindRanges(
    uses.map(({ place, writes }) => ({
      buffer: place.buffer,
      offset: place.offset,
      end: place.offset + place.size,
      writes,
    })),
    target,
  );
  const holder = (place: Place): number =>
    ranges.findIndex(
      (r) => r.buffer === place.buffer && r.offset <= place.offset && place.offset + place.size <= r.end,
    );
  const shares = ranges.map(
    (r) =>
      new Set(uses.filter((u) => ranges[holder(u.place)] === r).map((u) => `${u.place.offset} ${u.place.dtype}`)).size >
      1,
  );
  const tensors = uses.map(({ place }, i): KernelTensor => {
    const binding = holder(place);
    const elements = (place.offset - ranges[binding]!.offset) / byteWidth(place.dtype);
    return { name: `t${i}`, dtype: place.dtype, binding, base: shares[binding] ? sizeLiteral(elements) : u32(0) };
  });
  const written = new Set(ranges.filter((r) => r.writes).map((r) => r.buffer));
  const bindings = ranges.map(
    (r): BoundRange => ({
      buffer: r.buffer,
      offset: r.offset,
      size: alignUp(r.end - r.offset, 16),
      access: isWritable(r.buffer) || written.has(r.buffer) ? "read_write" : "read",
    }),
  );
  const kernel = {
    doc: bodies.flatMap((body, i) => (bodies.length === 1 ? body.doc : body.doc.map((line) => `part ${i}: ${line}`))),
    workgroup: target.workgroup,
    bindings: bindings.map((b, i): KernelBinding => ({ name: `b${i}`, access: b.access })),
    tensors,
    shared: bodies.flatMap((body, i) => body.shared.map((s) => ({ ...s, name: `${s.name}${i}` }))),
    body: joinBodies(bodies, target),
  };
  return { kernel, bindings, workgroups: bodies.reduce((sum, b) => sum + b.workgroups, 0) };
}

/** The ranges to bind, in order of first use. */
function bindRanges(wanted: readonly Range[], target: Target): Range[] {
  let ranges: Range[] = [];
  for (const next of wanted) {
    const same = ranges.find((r) => r.buffer === next.buffer && r.offset === next.offset && r.end === next.end);
    if (same === undefined) ranges.push({ ...next });
    else same.writes ||= next.writes;
  }
  ranges = mergeWhere(ranges, (a, b) => a.buffer === b.buffer && a.offset < b.end && b.offset < a.end);
  const scalar = (r: Range): boolean => r.buffer === "inputs" && r.end - r.offset <= 4;
  ranges = mergeWhere(ranges, (a, b) => scalar(a) && scalar(b), true);
  const limit = target.limits.maxStorageBuffersPerShaderStage;
  while (ranges.length > limit) {
    const counts = new Map<string, number>();
    for (const r of ranges) counts.set(r.buffer, (counts.get(r.buffer) ?? 0) + 1);
    const [buffer, count] = [...counts].sort((a, b) => b[1] - a[1])[0]!;
    if (count < 2) {
      throw new WebpeftError("CODEGEN-BINDINGS", {
        message: "a kernel would bind more buffers than the device allows",
        expected: `at most ${limit}`,
        got: String(ranges.length),
      });
    }
    ranges = mergeWhere(ranges, (a, b) => a.buffer === buffer && b.buffer === buffer);
  }
  const largest = target.limits.maxStorageBufferBindingSize;
  for (const r of ranges) {
    if (r.end - r.offset <= largest) continue;
    throw new WebpeftError("CODEGEN-BINDING-LIMIT", {
      message: "a kernel would bind more of one buffer than the device allows",
      where: r.buffer,
      expected: `at most ${largest} bytes`,
      got: `${r.end - r.offset} bytes`,
    });
  }
  return ranges;
}

function mergeWhere(ranges: readonly Range[], joins: (a: Range, b: Range) => boolean, adjacentOnly = false): Range[] {
  const merged: Range[] = [];
  for (const next of ranges) {
    let current = { ...next };
    for (;;) {
      const at = merged.findIndex((r) => joins(r, adjacentOnly ? next : current));
      if (at < 0) break;
      const [other] = merged.splice(at, 1) as [Range];
      current = {
        buffer: current.buffer,
        offset: Math.min(current.offset, other.offset),
        end: Math.max(current.end, other.end),
        writes: current.writes || other.writes,
      };
      merged.splice(at, 0, current);
      if (adjacentOnly) break;
      merged.splice(at, 1);
    }
    if (!merged.includes(current)) merged.push(current);
  }
  return merged;
}

/** The bodies in one text: each takes its share of the workgroups. */
function joinBodies(bodies: readonly Body[], target: Target): Statement[] {
  const group: Expr = { kind: "builtin", name: "workgroup", type: "u32" };
  const total = bodies.reduce((sum, b) => sum + b.workgroups, 0);
  const parts: { first: number; end: number; statements: Statement[] }[] = [];
  let tensor = 0;
  let first = 0;
  for (const [i, body] of bodies.entries()) {
    const statements: Statement[] = [
      { kind: "let", name: `block_${i}`, value: first === 0 ? group : binary("-", group, sizeLiteral(first)) },
      ...renumber(body.statements, i, tensor),
    ];
    parts.push({ first, end: first + body.workgroups, statements });
    tensor += body.tensors.length;
    first += body.workgroups;
  }
  const last = parts.at(-1)!;
  const padded = total > target.limits.maxComputeWorkgroupsPerDimension;
  const test = (end: number): Expr => binary("<", group, sizeLiteral(end));
  let text: Statement[] = padded ? [{ kind: "if", condition: test(last.end), body: last.statements }] : last.statements;
  for (const part of parts.slice(0, -1).reverse()) {
    text = [{ kind: "if", condition: test(part.end), body: part.statements, otherwise: text }];
  }
  return text;
}

/** Names, tensors and workgroup arrays of body `i` made its own. */
function renumber(body: readonly Statement[], i: number, tensor: number): Statement[] {
  const own = (name: string): string => name.replace(/[0-9]*$/, (digits) => `_${i}_${digits}`);
  const visit = (e: Expr): Expr =>
    mapExpr(e, (x) => {
      if (x.kind === "variable") return { ...x, name: x.name === "block" ? `block_${i}` : own(x.name) };
      if (x.kind === "load") return { ...x, tensor: x.tensor + tensor };
      return x.kind === "shared" ? { ...x, array: `${x.array}${i}` } : x;
    });
  const statements = (list: readonly Statement[]): Statement[] =>
    list.map((s): Statement => {
      const [made] = mapStatements([{ ...s, ...("body" in s ? { body: [] } : {}) } as Statement], visit) as [Statement];
      switch (made.kind) {
        case "let":
        case "var":
        case "assign":
          return { ...made, name: own(made.name) };
        case "for":
          return { ...made, name: own(made.name), body: statements((s as typeof made).body) };
        case "if":
          return { ...made, body: statements((s as typeof made).body) };
        case "store":
          return { ...made, tensor: made.tensor + tensor };
        case "store-shared":
          return { ...made, array: `${made.array}${i}` };
        default:
          return made;
      }
    });
  return statements(body);
}
