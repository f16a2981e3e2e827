/** Where the time of a step goes: a strip of stages, of layers, of modules and of dispatches, in the order in which they run. */
import { s } from "./dom.ts";
import { lastPart, layerOf, percent, shortPath, time } from "./format.ts";
import type { Ref, StageModel } from "./model.ts";

/** A dispatch that was measured. */
interface Slice {
  readonly stage: StageModel;
  readonly at: number;
  readonly ms: number;
  readonly layer: string;
  readonly site: string;
}

/** What neighbours have in common. */
interface Block {
  readonly text: string;
  readonly ref: Ref | undefined;
  readonly isBackward: boolean;
  readonly begin: number;
  end: number;
}

export function slicesOf(stages: readonly StageModel[], layer: string): Slice[] {
  const all = stages.flatMap((stage) =>
    stage.dispatches.flatMap(({ time: took }, at): Slice[] => {
      if (took === undefined) return [];
      const scopes = stage.scopesOf(at);
      const own = scopes.map(layerOf).find((path) => path !== "") ?? "";
      return [{ stage, at, ms: took[0], layer: own, site: scopes[0] ?? "" }];
    }),
  );
  return layer === "" ? all : all.filter((slice) => slice.layer === layer);
}

/** Layers that something was measured of, in order. */
export const layersOf = (slices: readonly Slice[]): string[] =>
  [...new Set(slices.map(({ layer }) => layer))].filter((layer) => layer !== "");

type Named = Pick<Block, "text" | "ref">;

/** Rows of the strip from the top, by what their blocks are called. */
const rows: readonly ((slice: Slice) => Named)[] = [
  ({ stage }) => ({ text: stage.name, ref: undefined }),
  ({ layer }) => (layer === "" ? { text: "", ref: undefined } : { text: shortPath(layer), ref: `site:${layer}` }),
  ({ site }) => ({ text: lastPart(site).replace(/^\d+$/, "layer"), ref: site === "" ? undefined : `site:${site}` }),
  ({ stage, at }) => ({ text: stage.dispatches[at]!.kernel, ref: `dispatch:${stage.name}/${at}` }),
];

function blocksOf(slices: readonly Slice[], nameOf: (slice: Slice) => Named): Block[] {
  const blocks: Block[] = [];
  let now = 0;
  for (const slice of slices) {
    const named = nameOf(slice);
    const isBackward = slice.stage.isBackward(slice.at);
    const last = blocks.at(-1);
    const end = now + slice.ms;
    const goesOn = last?.text === named.text && last.ref === named.ref && last.isBackward === isBackward;
    if (goesOn) last.end = end;
    else blocks.push({ ...named, isBackward, begin: now, end });
    now = end;
  }
  return blocks;
}

const [width, tall, letter] = [1000, 30, 6.6] as const;

/** As much of a text as there is room for. */
const fitting = (text: string, room: number): string => {
  const most = Math.floor((room - 6) / letter);
  return text.length <= most ? text : most > 3 ? `${text.slice(0, most - 1)}…` : "";
};

export function flameView(slices: readonly Slice[]): SVGSVGElement {
  const total = slices.reduce((sum, { ms }) => sum + ms, 0);
  const x = (ms: number): number => (width * ms) / (total || 1);
  const boxes = rows.flatMap((nameOf, row) =>
    blocksOf(slices, nameOf).map(({ text, ref, isBackward, begin, end }) => {
      const room = x(end) - x(begin);
      const phase = isBackward ? "backward" : "forward";
      const what = `${text || "outside of layers"}: ${time(end - begin)}, ${percent(end - begin, total)}, ${phase}`;
      return s(
        "g",
        { class: text === "" ? "nowhere" : phase, "data-ref": ref },
        s("title", {}, what),
        s("rect", { x: x(begin), y: row * tall, width: Math.max(0.4, room - 0.7), height: tall - 1 }),
        s("text", { x: x(begin) + 3, y: row * tall + 19 }, fitting(text, room)),
      );
    }),
  );
  return s(
    "svg",
    {
      ...{ class: "flame", viewBox: `0 0 ${width} ${rows.length * tall}`, role: "img" },
      "aria-label": `${time(total)} by stage, layer, module and dispatch; the tables below have the numbers`,
    },
    ...boxes,
  );
}
