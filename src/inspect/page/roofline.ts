/** How near kernels come to what the device reaches: rates over what they do with every byte, both on logarithmic scales. */
import type { MeasuredRecord } from "../report-types.ts";
import type { Cost } from "./costs.ts";
import { s } from "./dom.ts";
import { count, percent, time } from "./format.ts";

const [width, tall, left, right, foot] = [1000, 360, 86, 24, 30] as const;

/** Powers of ten from one that is below all numbers to one above them. */
function decades(numbers: readonly number[]): readonly [number, number] {
  const logs = numbers.map(Math.log10);
  return [Math.floor(Math.min(...logs)), Math.ceil(Math.max(...logs))];
}

interface Point {
  readonly kernel: string;
  /** flop a byte. */
  readonly intensity: number;
  /** flop a second. */
  readonly rate: number;
  readonly cost: Cost;
}

/** Kernels that compute something. */
const pointsOf = (costs: ReadonlyMap<string, Cost>): Point[] =>
  [...costs].flatMap(([kernel, cost]) => {
    const { flops, bytes, ms } = cost;
    if (ms === 0 || flops === 0 || bytes === 0) return [];
    return [{ kernel, intensity: flops / bytes, rate: (1000 * flops) / ms, cost }];
  });

function scale([from, to]: readonly [number, number], begin: number, end: number): (value: number) => number {
  return (value) => begin + ((end - begin) * (Math.log10(value) - from)) / Math.max(1, to - from);
}

export function rooflineView(costs: ReadonlyMap<string, Cost>, { peak }: MeasuredRecord): SVGSVGElement {
  const points = pointsOf(costs);
  const { flopsPerSecond, bytesPerSecond } = peak;
  const ridge = flopsPerSecond / bytesPerSecond;
  const xs = decades([...points.map(({ intensity }) => intensity), ridge]);
  const ys = decades([...points.map(({ rate }) => rate), flopsPerSecond]);
  const [x, y] = [scale(xs, left, width - right), scale(ys, tall - foot, 12)];
  const roof = (at: number): number => Math.min(flopsPerSecond, bytesPerSecond * at);
  const total = points.reduce((sum, { cost }) => sum + cost.ms, 0);
  const grid = [
    ...ticks(xs).map((at) =>
      s(
        "g",
        {},
        s("line", { class: "axis", x1: x(at), x2: x(at), y1: 12, y2: tall - foot }),
        s("text", { x: x(at), y: tall - 12, "text-anchor": "middle" }, `${at < 1 ? at : count(at)}`),
      ),
    ),
    ...ticks(ys).map((at) =>
      s(
        "g",
        {},
        s("line", { class: "axis", x1: left, x2: width - right, y1: y(at), y2: y(at) }),
        s("text", { x: left - 6, y: y(at) + 4, "text-anchor": "end" }, `${count(at)}flop/s`),
      ),
    ),
  ];
  const [first, last] = [10 ** xs[0], 10 ** xs[1]];
  const line = [first, ridge, last].map((at) => `${x(at)},${Math.min(tall - foot, y(roof(at)))}`).join(" ");
  const dots = points.map(({ kernel, intensity, rate, cost }) =>
    s(
      "circle",
      {
        ...{ "data-ref": `kernel:${kernel}`, cx: x(intensity), cy: y(rate) },
        r: 3 + 14 * Math.sqrt(cost.ms / (total || 1)),
      },
      s("title", {}, `${kernel}: ${time(cost.ms)}, ${percent(cost.leastMs, cost.ms)} of what the device reaches`),
    ),
  );
  return s(
    "svg",
    {
      ...{ class: "roofline", viewBox: `0 0 ${width} ${tall}`, role: "img" },
      "aria-label":
        "Rates of kernels over their flop per byte, below the line of what the device reaches; the table below has the numbers",
    },
    ...grid,
    s("polyline", { class: "roof", points: line }),
    s(
      "text",
      { class: "roof-text", x: width - right - 4, y: y(flopsPerSecond) - 6, "text-anchor": "end" },
      `${count(flopsPerSecond)}flop/s`,
    ),
    s("text", { x: width - right - 4, y: tall - foot - 6, "text-anchor": "end" }, "flop per byte"),
    ...dots,
  );
}

const ticks = ([from, to]: readonly [number, number]): number[] =>
  Array.from({ length: to - from + 1 }, (_unused, i) => 10 ** (from + i));
