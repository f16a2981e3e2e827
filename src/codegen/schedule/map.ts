/** Pointwise units: every invocation computes one element of every result, or four in a row where the last axis allows. */

import { sizeOf } from "../../ir/types.ts";
import { add, delinearize, scale } from "../emit/affine.ts";
import { lane } from "../emit/emitter.ts";
import { anyway, type Body, bodyOf, opNames, perInvocation, type Schedule, type ScheduleContext } from "./body.ts";

export const elementwise: Schedule = { name: "elementwise", form: "map", estimate: anyway, emit };

function emit(c: ScheduleContext): Body {
  const { emitter, unit } = c;
  const total = sizeOf(unit.shape);
  const inMemory = c.order.map((axis) => unit.shape[axis]!);
  const tiny = total < c.tuning.tinyElements;
  if (tiny) emitter.divides = "by words";
  const wide = !tiny && (inMemory.at(-1) ?? 1) % 4 === 0;
  const workgroups = perInvocation(c, wide ? total / 4 : total, (at) => {
    const position = wide ? add(scale(at, 4), lane) : at;
    const ordered = delinearize(position, inMemory);
    const index = unit.shape.map((_n, axis) => ordered[c.order.indexOf(axis)]!);
    // All values before the first store: a result may take the place of an operand.
    const values = unit.stored.map((id) => ({ id, value: emitter.bind(emitter.value(id, index), id).expr }));
    for (const { id, value } of values) emitter.store(id, index, value);
  });
  return bodyOf(c, { name: "map", doc: [`elementwise: ${opNames(c)}`], workgroups });
}
