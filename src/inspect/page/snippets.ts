/** The neighbourhood of a rewrite before and after: what both have stands at the same place, and texts say the same. */
import type { RewriteRecord, SnippetNode } from "../report-types.ts";
import { h, s } from "./dom.ts";
import { cut, plural } from "./format.ts";
import { type Layout, laidOut } from "./layout-worker.ts";
import { panZoom } from "./pan-zoom.ts";
import { diffView, lineDiff } from "./text-diff.ts";

const marks = ["kept", "changed", "changed root"] as const;
const [width, height] = [150, 34] as const;
/** Of a drawing in the page. */
const mostTall = 420;

/** A node of one side: its place in the drawing that both share, and what it is called. */
interface Drawn {
  readonly at: number;
  readonly title: string;
  readonly type: string;
  readonly mark: 0 | 1 | 2;
  /** Places in the drawing. */
  readonly inputs: readonly number[];
}

interface Sides {
  readonly before: readonly Drawn[];
  readonly after: readonly Drawn[];
  readonly size: number;
}

/** Nodes that a rule left alone have the number that they had before; new ones are called `new1`, `new2`. */
function sidesOf(texts: readonly string[], rewrite: RewriteRecord, ids: readonly number[]): Sides {
  const { before, after } = rewrite;
  let size = before.length;
  const places = after.map(([, , , , was]) => (was >= 0 ? was : size++));
  const label = (at: number): string => (at < before.length ? `%${ids[at]}` : `%new${at - before.length + 1}`);
  const drawn = (own: readonly SnippetNode[], placeOf: (at: number) => number): Drawn[] =>
    own.map(([name, type, inputs, mark], at) => ({
      ...{ at: placeOf(at), title: `${label(placeOf(at))} ${texts[name]}`, type: texts[type] ?? "", mark },
      inputs: inputs.map((input) => (input < 0 ? -1 : placeOf(input))),
    }));
  return { before: drawn(before, (at) => at), after: drawn(after, (at) => places[at]!), size };
}

const edgesOf = (side: readonly Drawn[]): (readonly [number, number])[] =>
  side.flatMap(({ at, inputs }) =>
    [...new Set(inputs)].filter((input) => input >= 0).map((input) => [input, at] as const),
  );

function drawing(
  title: string,
  kind: "before" | "after",
  side: readonly Drawn[],
  layout: Layout,
  pathOf: (edge: readonly [number, number]) => string,
  focus: number,
): HTMLElement {
  const svg = s(
    "svg",
    { class: `graph ${kind}`, role: "img", "aria-label": `${title}: ${plural(side.length, "node")}` },
    ...edgesOf(side).map((edge) => s("path", { class: "edge", d: pathOf(edge) })),
    ...side.map(({ at, title: name, type, mark }) =>
      s(
        "g",
        {
          class: `box ${marks[mark]}`,
          transform: `translate(${layout.boxes[at]!.x - width / 2},${layout.boxes[at]!.y - height / 2})`,
        },
        s("title", {}, `${name} : ${type}`),
        s("rect", { width, height, rx: 5 }),
        s("text", { class: "box-title", x: 7, y: 14 }, cut(name, 19)),
        s("text", { class: "box-detail", x: 7, y: 27 }, cut(type, 22)),
      ),
    ),
  );
  svg.style.height = `${Math.min(mostTall, 1.2 * layout.height)}px`;
  panZoom(svg, layout.width, layout.height, layout.boxes[focus]);
  return h("div", { class: "snippet" }, h("h3", {}, title), svg);
}

const linesOf = (side: readonly Drawn[], { before, after }: Sides): string[] => {
  const names = new Map([...before, ...after].map(({ at, title }) => [at, title.split(" ")[0]!]));
  return side.map(({ title, type, inputs }) => {
    const [label, ...what] = title.split(" ");
    return `${label} = ${what.join(" ")} ${inputs.map((input) => names.get(input) ?? "…").join(", ")} : ${type}`;
  });
};

export async function snippets(
  texts: readonly string[],
  rewrite: RewriteRecord,
  ids: readonly number[],
): Promise<HTMLElement> {
  const sides = sidesOf(texts, rewrite, ids);
  const edges = [...new Map([...edgesOf(sides.before), ...edgesOf(sides.after)].map((e) => [e.join(), e])).values()];
  const sizes = Array.from({ length: sides.size }, () => [width, height] as const);
  const layout = await laidOut({ sizes, edges, isUpwards: false });
  const paths = new Map(
    edges.map((edge, at) => [
      edge.join(),
      layout.edges[at]!.map(({ x, y }, i) => `${i === 0 ? "M" : "L"}${x},${y}`).join(""),
    ]),
  );
  const pathOf = (edge: readonly [number, number]): string => paths.get(edge.join())!;
  // Both are seen from the same place.
  const focus = sides.before.find(({ mark }) => mark === 2)?.at ?? 0;
  return h(
    "div",
    {},
    h(
      "div",
      { class: "snippets" },
      drawing("Before", "before", sides.before, layout, pathOf, focus),
      sides.after.length === 0
        ? h("div", {}, h("h3", {}, "After"), h("p", { class: "soft" }, "Nobody needs it any more."))
        : drawing("After", "after", sides.after, layout, pathOf, focus),
    ),
    diffView("IR before and after", lineDiff(linesOf(sides.before, sides), linesOf(sides.after, sides))),
  );
}
