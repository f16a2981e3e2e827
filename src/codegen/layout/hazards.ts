/**
 * Results in storage replace what ports of the same stage read. A stage reads its ports as they were when it began: whoever reads such a
 * port runs before the unit that overwrites it, or is that unit and reads each element where it writes it. Where neither holds the result is
 * *displaced*: written elsewhere and copied when the stage ends.
 */
import type { Graph } from "../../ir/graph.ts";
import { opRecord } from "../../ir/registry.ts";
import type { Fusion } from "../fuse/fuse.ts";
import type { Body } from "../schedule/body.ts";
import type { Place } from "./assemble.ts";

export interface Hazards {
  /** Units that must have run before a unit, beyond those whose values it reads. */
  readonly after: ReadonlyMap<number, ReadonlySet<number>>;
  readonly displaced: readonly number[];
}

const overlaps = (a: Place, b: Place): boolean =>
  a.buffer === b.buffer && a.offset < b.offset + b.size && b.offset < a.offset + a.size;

export function hazardsOf(
  graph: Graph,
  fusion: Fusion,
  bodies: readonly Body[],
  results: ReadonlyMap<number, Place>,
  placeOfPort: (node: number) => Place,
  isStored: (port: number) => boolean,
): Hazards {
  const after = new Map<number, Set<number>>();
  const displaced: number[] = [];
  const reads = bodies.map((body) =>
    body.tensors.filter((t) => !t.writes && graph.nodes[t.node]!.op === "port" && isStored(t.node)).map((t) => t.node),
  );
  for (const [node, place] of results) {
    if (place.buffer === "outputs") continue;
    const writer = fusion.home.get(node)!;
    const readers = reads.flatMap((ports, unit) =>
      ports.some((port) => overlaps(placeOfPort(port), place)) ? [unit] : [],
    );
    const others = readers.filter((unit) => unit !== writer);
    const own = readers.includes(writer) ? reads[writer]!.filter((port) => overlaps(placeOfPort(port), place)) : [];
    const inPlace = own.every(
      (port) => sameRange(placeOfPort(port), place) && readsWhereItWrites(graph, fusion, port, node),
    );
    const late = others.some((unit) => dependsOn(fusion, after, unit, writer));
    if (!inPlace || late) displaced.push(node);
    else after.set(writer, new Set([...(after.get(writer) ?? []), ...others]));
  }
  return { after, displaced };
}

const sameRange = (a: Place, b: Place): boolean => a.buffer === b.buffer && a.offset === b.offset && a.size === b.size;

function dependsOn(fusion: Fusion, after: ReadonlyMap<number, ReadonlySet<number>>, unit: number, on: number): boolean {
  const seen = new Set<number>();
  const visit = (u: number): boolean =>
    [...fusion.units[u]!.dependencies, ...(after.get(u) ?? [])].some((d) => {
      if (d === on) return true;
      if (seen.has(d)) return false;
      seen.add(d);
      return visit(d);
    });
  return visit(unit);
}

/** Whether the port is read only at the element that the same invocation writes: through pointwise ops alone, in an elementwise unit. */
function readsWhereItWrites(graph: Graph, fusion: Fusion, port: number, result: number): boolean {
  const unit = fusion.units[fusion.home.get(result)!]!;
  if (unit.form !== "map") return false;
  const seen = new Set<string>();
  const visit = (id: number, same: boolean): boolean => {
    if (id === port) return same;
    const key = `${id} ${same}`;
    const isRead = graph.nodes[id]!.op === "port" || (fusion.home.get(id) ?? unit.id) !== unit.id;
    if (seen.has(key) || isRead) return true;
    seen.add(key);
    const keeps = same && opRecord(graph.nodes[id]!.op).opClass === "pointwise";
    return graph.nodes[id]!.inputs.every((input) => visit(input, keeps));
  };
  return unit.stored.every((id) => visit(id, true));
}
