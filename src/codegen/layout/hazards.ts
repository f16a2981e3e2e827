/**
 * Results in storage replace what ports of the same stage read. A stage reads its ports as they were when it began: whoever reads such a
 * port runs before the unit that overwrites it, or is that unit and reads each element where it writes it. Where neither holds the result is
 * *displaced*: written elsewhere and copied when the stage ends.
 */
import { opRecord } from "../../ir/registry.ts";
import { remembered } from "../../ir/remember.ts";
import type { Fusion } from "../fuse/fuse.ts";
import { type Placement, placeOfPort } from "./ports.ts";
import { outputsBuffer } from "./results.ts";
import { type Hazards, isRead, isStoredPort, type StageSteps } from "./stage.ts";

const overlaps = (a: Placement, b: Placement): boolean =>
  a.buffer === b.buffer && a.offset < b.offset + b.size && b.offset < a.offset + a.size;

/** `results`: where the stage's results belong. */
export function hazardsOf(
  steps: Pick<StageSteps, "input" | "fusion" | "bodies" | "ports">,
  results: ReadonlyMap<number, Placement>,
): Hazards {
  const { input, fusion, bodies, ports } = steps;
  const after = new Map<number, Set<number>>();
  const displaced: number[] = [];
  const placeOf = (node: number): Placement =>
    placeOfPort(ports, input.storage, { port: input.graph.nodes[node]!, order: [] });
  const reads = bodies.map(({ tensors }) =>
    tensors.filter(({ node, writes }) => !writes && isStoredPort(input, node)).map(({ node }) => node),
  );
  /** By buffer: who reads which place. */
  const readings = new Map<string, { readonly unit: number; readonly place: Placement }[]>();
  for (const [unit, nodes] of reads.entries())
    for (const place of nodes.map(placeOf)) remembered(readings, place.buffer, () => []).push({ unit, place });
  for (const [node, place] of results) {
    if (place.buffer === outputsBuffer) continue;
    const writer = fusion.home.get(node)!;
    const overlapping = (readings.get(place.buffer) ?? []).filter((reading) => overlaps(reading.place, place));
    const readers = [...new Set(overlapping.map(({ unit }) => unit))];
    const others = readers.filter((unit) => unit !== writer);
    const own = readers.includes(writer) ? reads[writer]!.filter((port) => overlaps(placeOf(port), place)) : [];
    const inPlace = own.every((port) => sameRange(placeOf(port), place) && readsWhereItWrites(steps, port, node));
    const late = others.some((unit) => dependsOn(fusion, after, unit, writer));
    if (!inPlace || late) displaced.push(node);
    else after.set(writer, new Set([...(after.get(writer) ?? []), ...others]));
  }
  return { after, displaced };
}

const sameRange = (a: Placement, b: Placement): boolean =>
  a.buffer === b.buffer && a.offset === b.offset && a.size === b.size;

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
function readsWhereItWrites(
  { input: { graph }, fusion }: Pick<StageSteps, "input" | "fusion">,
  port: number,
  result: number,
): boolean {
  const unit = fusion.units[fusion.home.get(result)!]!;
  if (unit.form !== "map") return false;
  const seen = new Set<string>();
  const visit = (id: number, same: boolean): boolean => {
    if (id === port) return same;
    const key = `${id} ${same}`;
    if (seen.has(key) || isRead({ graph, home: fusion.home }, unit, id)) return true;
    seen.add(key);
    const keeps = same && opRecord(graph.nodes[id]!.op).opClass === "pointwise";
    return graph.nodes[id]!.inputs.every((input) => visit(input, keeps));
  };
  return unit.stored.every((id) => visit(id, true));
}
