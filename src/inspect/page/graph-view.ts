/** Graph: what a stage is made of, forward and backward beside each other, one layer open at a time. */
import type { App, View } from "./app.ts";
import { h, s, select } from "./dom.ts";
import { bytes, cut, flops, plural, ratio, shortPath, time } from "./format.ts";
import { bothElements } from "./graph-both.ts";
import { type Among, type Element, elementsOf, levels } from "./graph-elements.ts";
import { type Box, type Scene, sceneOf } from "./graph-scene.ts";
import { stageChoice } from "./kernels.ts";
import type { Point } from "./layout-worker.ts";
import { panZoom } from "./pan-zoom.ts";
import { save, savePicture, svgText } from "./save.ts";

const sizes: Readonly<Record<string, readonly [number, number]>> = {
  kernels: [184, 42],
  tensors: [168, 34],
  formula: [168, 34],
};

/** What bars tell: a number of an element, nothing where it is not known; of a folded layer the sum, or the largest. */
interface Bars {
  readonly of: (element: Element) => number | undefined;
  readonly text: (n: number) => string;
  readonly isLargest?: boolean;
}

const allBars: Readonly<Record<string, Bars>> = {
  flops: { of: (element) => element.flops, text: flops },
  bytes: { of: (element) => element.bytes, text: bytes },
  time: { of: (element) => element.time, text: time },
  "error against f64": { of: ({ errors }) => errors?.error, text: ratio, isLargest: true },
  "own error": { of: ({ errors }) => errors?.own, text: ratio, isLargest: true },
};

/** Those that are known of elements: times and errors where they were measured. */
const barsOf = (elements: readonly Element[]): string[] =>
  Object.entries(allBars).flatMap(([name, { of }]) =>
    elements.length === 0 || elements.some((element) => of(element) !== undefined) ? [name] : [],
  );

const costOf = ({ of, isLargest }: Bars, elements: readonly Element[]): number =>
  elements.reduce((all, element) => {
    const own = of(element) ?? 0;
    return isLargest === true ? Math.max(all, own) : all + own;
  }, 0);

const pathOf = (points: readonly Point[]): string =>
  points.map(({ x, y }, at) => `${at === 0 ? "M" : "L"}${x},${y}`).join("");

const arcOf = (a: Box, b: Box): string => {
  const [x1, y1, x2, y2] = [a.x + a.width, a.y + a.height / 2, b.x, b.y + b.height / 2];
  const bend = Math.max(40, Math.abs(x2 - x1) / 2);
  return `M${x1},${y1}C${x1 + bend},${y1} ${x2 - bend},${y2} ${x2},${y2}`;
};

interface Drawing {
  readonly elements: readonly Element[];
  readonly scene: Scene;
  readonly bars: Bars;
  readonly most: number;
  readonly arcs: SVGGElement;
  /** What is to blame for an error. */
  readonly failed: ReadonlySet<string>;
}

/** Arcs to what reads a value that was kept for gradients. */
function showSaved({ elements, scene, arcs }: Drawing, box: Box): void {
  const own = new Set(box.elements);
  const readers = elements.flatMap(({ inputs, isBackward }, at) => {
    const isKept = isBackward && inputs.some((input) => own.has(input) && !elements[input]!.isBackward);
    return isKept ? [scene.boxOf[at]!] : [];
  });
  arcs.replaceChildren(
    ...[...new Set(readers)].map((reader) => s("path", { class: "arc", d: arcOf(box, scene.boxes[reader]!) })),
  );
}

/** Of a folded layer: in how many of its elements two programs differ. */
function differences(own: readonly Element[]): string {
  const times = (among: Among): number => own.filter((element) => element.among === among).length;
  const counts = [times("only-a"), times("only-b"), times("differs")].map((n, at) => (n > 0 ? `${"−+≠"[at]}${n}` : ""));
  return counts.filter((text) => text !== "").join(" ");
}

const failedText = ({ program }: App): string =>
  program.data.failure?.origin === undefined ? "here it failed" : "here the first number was not finite";

function boxView(app: App, drawing: Drawing, box: Box): SVGGElement {
  const { elements, bars, most, failed } = drawing;
  const own = box.elements.map((element) => elements[element]!);
  const [first] = own;
  const sum = costOf(bars, own);
  const saved = own.filter((element) => element.saved !== "").length;
  const isFolded = box.fold !== undefined;
  const differ = differences(own);
  const title = isFolded ? `${shortPath(box.fold!)} ${differ}` : first!.title;
  const among = isFolded ? (differ === "" ? "both" : "differs") : (first!.among ?? "");
  const detail = isFolded ? `${plural(own.length, "box").replace("boxs", "boxes")}, ${bars.text(sum)}` : first!.detail;
  const { times = 0 } = first!;
  const isAgain = !isFolded && times > 1;
  const again = isAgain ? `computed in ${times} dispatches` : "";
  const isFailed = own.some(({ ref }) => failed.has(ref));
  const stub = isFolded ? (saved > 0 ? `${saved} saved →` : "") : first!.saved === "" ? "" : `${first!.saved} →`;
  const open = () => app.go({ options: { layer: box.fold! } });
  const showing = () => showSaved(drawing, box);
  return s(
    "g",
    {
      ...{
        class: `box ${first!.role} ${among} ${isFolded ? "is-folded" : ""} ${isAgain ? "is-again" : ""} ${isFailed ? "is-failed" : ""}`,
        tabindex: 0,
        role: "button",
      },
      "data-place": box.cell,
      ...(isFolded
        ? { click: open, keydown: (event: KeyboardEvent) => event.key === "Enter" && open() }
        : { "data-ref": first!.ref }),
      ...{ mouseenter: showing, focus: showing, transform: `translate(${box.x},${box.y})` },
    },
    s("title", {}, [title, detail, again, bars.text(sum), isFailed ? failedText(app) : ""].join("\n").trim()),
    s("rect", { width: box.width, height: box.height, rx: 5 }),
    s("rect", { class: "cost", x: 0, y: box.height - 4, width: (box.width * sum) / most, height: 4 }),
    s(
      "text",
      { class: "box-title", x: 8, y: 15 },
      cut(isFailed ? `⚠ ${title}` : title, Math.floor((box.width - 12) / 6.9)),
    ),
    s("text", { class: "box-detail", x: 8, y: 29 }, cut(detail, Math.floor((box.width - 12) / 6.1))),
    isAgain && s("text", { class: "box-detail", x: box.width - 6, y: 29, "text-anchor": "end" }, `${times} ×`),
    stub !== "" && s("text", { class: "stub", x: box.width + 3, y: box.height / 2 + 4 }, isFolded ? stub : "saved →"),
  );
}

/** The box nearest in a direction. */
function step(boxes: readonly Box[], from: Box, key: string): number {
  const directions: Readonly<Record<string, readonly [number, number]>> = {
    ArrowUp: [0, -1],
    ArrowDown: [0, 1],
    ArrowLeft: [-1, 0],
    ArrowRight: [1, 0],
  };
  const [dx, dy] = directions[key]!;
  const distances = boxes.map((box) => {
    const [x, y] = [box.x + box.width / 2 - from.x - from.width / 2, box.y + box.height / 2 - from.y - from.height / 2];
    const [ahead, aside] = [x * dx + y * dy, Math.abs(x * dy) + Math.abs(y * dx)];
    return ahead > 1 ? ahead + 2 * aside : Number.POSITIVE_INFINITY;
  });
  const least = Math.min(...distances);
  return Number.isFinite(least) ? distances.indexOf(least) : -1;
}

function dotText(elements: readonly Element[]): string {
  const quoted = (text: string): string => JSON.stringify(text);
  const nodes = elements.map(({ title, detail }, at) => `  n${at} [label=${quoted(`${title}\n${detail}`)}];`);
  const edges = elements.flatMap(({ inputs }, at) => inputs.map((input) => `  n${input} -> n${at};`));
  return ["digraph {", "  node [shape=box, fontsize=10];", ...nodes, ...edges, "}", ""].join("\n");
}

function frameView(app: App, { row, cell, x, y, width, height }: Scene["frames"][number]): SVGGElement {
  const fold = () => app.go({ options: { layer: "" } });
  return s(
    "g",
    { class: "frame" },
    s("rect", { x, y, width, height, rx: 6 }),
    s(
      "text",
      {
        ...{ x: x + 8, y: y + 15, role: "button", tabindex: 0, click: fold, "data-place": cell },
        keydown: (event: KeyboardEvent) => event.key === "Enter" && fold(),
      },
      `${shortPath(row)}  ▾ fold`,
    ),
  );
}

function draw(app: App, elements: readonly Element[], scene: Scene, bars: Bars): SVGSVGElement {
  const sums = scene.boxes.map(({ elements: own }) =>
    costOf(
      bars,
      own.map((at) => elements[at]!),
    ),
  );
  const drawing: Drawing = {
    elements,
    scene,
    bars,
    most: Math.max(...sums) || 1,
    arcs: s("g"),
    failed: app.program.failed,
  };
  const boxes = scene.boxes.map((box) => boxView(app, drawing, box));
  const svg = s(
    "svg",
    {
      ...{ class: "graph", role: "group", "aria-label": "Graph", tabindex: 0 },
      keydown: (event: KeyboardEvent) => {
        const at = boxes.indexOf(event.target as SVGGElement);
        if (at < 0 || !event.key.startsWith("Arrow")) return;
        event.preventDefault();
        boxes[step(scene.boxes, scene.boxes[at]!, event.key)]?.focus();
      },
    },
    s(
      "defs",
      {},
      s(
        "marker",
        {
          ...{ id: "arrow", viewBox: "0 0 8 8", refX: 7, refY: 4 },
          ...{ markerWidth: 6, markerHeight: 6, orient: "auto" },
        },
        s("path", { class: "head", d: "M0,0L8,4L0,8z" }),
      ),
    ),
    ...scene.frames.map((frame) => frameView(app, frame)),
    ...scene.edges.map(({ points, isFar }) =>
      s("path", { class: isFar ? "edge is-far" : "edge", d: pathOf(points), "marker-end": "url(#arrow)" }),
    ),
    ...boxes,
    drawing.arcs,
  );
  return svg;
}

/** The middle of what is selected, or of what belongs to it; the top of the open layer where nothing is. */
function focusOf(app: App, elements: readonly Element[], { boxes, frames }: Scene): Point | undefined {
  const { selection } = app.state;
  const related = selection === undefined ? new Set<string>() : app.program.related(selection).add(selection);
  const box = boxes.find((own) => own.fold === undefined && related.has(elements[own.elements[0]!]!.ref));
  if (box !== undefined) return { x: box.x + box.width / 2, y: box.y + box.height / 2 };
  const [frame] = frames;
  return frame === undefined ? undefined : { x: frame.x + frame.width / 2, y: frame.y + 250 };
}

export const graphView: View = {
  name: "graph",
  title: "Graph",
  options: ["level", "layer", "cost", "both"],
  async show(app) {
    const { options, stage } = app.state;
    const hasKernels = app.program.data.kernels.length > 0;
    const level = options.level ?? (hasKernels ? "kernels" : "tensors");
    const own = elementsOf(app.program, stage, level);
    const isBoth = app.other !== undefined && options.both === "1";
    const elements = isBoth ? bothElements(own, elementsOf(app.other!, stage, level)) : own;
    const known = barsOf(elements);
    const cost = known.find((name) => name === options.cost) ?? "flops";
    const scene = await sceneOf(elements, options.layer ?? "", sizes[level] ?? sizes.kernels!);
    const svg = draw(app, elements, scene, allBars[cost]!);
    const fit = panZoom(svg, scene.width, scene.height, focusOf(app, elements, scene));
    const tool = (text: string, click: () => void): HTMLElement =>
      h("button", { type: "button", class: "tool", click }, text);
    return h(
      "section",
      { class: "whole", "aria-label": "Graph" },
      h(
        "div",
        { class: "tools" },
        level === "formula" ? undefined : stageChoice(app, false),
        select("Level", hasKernels ? levels : levels.slice(1), level, (chosen) =>
          app.go({ options: { level: chosen } }),
        ),
        select(
          "Bars",
          known.map((name) => [name, name] as const),
          cost,
          (chosen) => app.go({ options: { cost: chosen } }),
        ),
        app.other !== undefined &&
          select("Of", [["", "A"] as const, ["1", "A and B"] as const], options.both ?? "", (both) =>
            app.go({ options: { both } }),
          ),
        isBoth && h("span", { class: "soft" }, "− only A, + only B, ≠ changed"),
        h("button", { type: "button", class: "tool", "data-key": "f", title: "f", click: fit }, "Fit"),
        tool("SVG", () => save("graph.svg", "image/svg+xml", svgText(svg, scene.width, scene.height))),
        tool("PNG", () => {
          const { width, height } = scene;
          void savePicture("graph.png", svgText(svg, width, height), width, height);
        }),
        tool("DOT", () => save("graph.dot", "text/vnd.graphviz", dotText(elements))),
        h(
          "span",
          { class: "soft" },
          `${plural(elements.length, level === "kernels" ? "dispatch" : "node").replace("dispatchs", "dispatches")}; a layer opens by a click, Ctrl and the wheel zoom`,
        ),
      ),
      svg,
    );
  },
};
