/** Scatter: every element of the table goes through all indices and adds its updates in order, so that sums are reproducible. */
import { sizeOf } from "../../ir/types.ts";
import { delinearize } from "../emit/affine.ts";
import { zeroOf } from "../emit/emitter.ts";
import { binary, type Expr, sizeLiteral, u32 } from "../kernel/kernel.ts";
import { anyway, type Body, bodyOf, perInvocation, type Schedule, type ScheduleContext, shapeOf } from "./body.ts";

export const scatterInOrder: Schedule = { name: "scatter in order", form: "scatter", estimate: anyway, emit };

function emit(c: ScheduleContext): Body {
  const { emitter, unit, graph } = c;
  const id = unit.members[0]!;
  const [indices, updates] = graph.nodes[id]!.inputs as [number, number];
  const places = shapeOf(c, indices);
  const workgroups = perInvocation(c, sizeOf(unit.shape), (at) => {
    const index = delinearize(at, unit.shape);
    const sum = { kind: "variable", name: emitter.fresh("sum", id), type: "f32", lanes: 1 } as const;
    emitter.push({ kind: "var", name: sum.name, value: zeroOf("f32") });
    emitter.loop(u32(0), sizeLiteral(sizeOf(places)), u32(1), sizeOf(places), (place) => {
      const at = delinearize(place, places);
      const row: Expr = { kind: "op", op: "cast", args: [emitter.value(indices, at).expr], type: "u32", lanes: 1 };
      const isHere: Expr = {
        kind: "op",
        op: "eq",
        args: [row, emitter.address(index[0]!).expr],
        type: "bool",
        lanes: 1,
      };
      emitter.when(isHere, () => {
        const update = emitter.value(updates, [...at, ...index.slice(1)]).expr;
        emitter.push({ kind: "assign", name: sum.name, value: binary("+", sum, update) });
      });
    });
    emitter.store(id, index, sum);
  });
  const doc = ["table[row, ...] = sum of the updates whose index is row, in order"];
  return bodyOf(c, { name: "scatter", doc, workgroups });
}
