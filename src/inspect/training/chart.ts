/** Curves over the steps of a training as SVG, which needs no script. */
import { escaped } from "../markup.ts";

export type Point = readonly [step: number, value: number];

interface Series {
  readonly name: string;
  /** Its class in the style: `raw`, `smooth` or `marks`. */
  readonly look: "raw" | "smooth" | "marks";
  readonly points: readonly Point[];
}

export interface Chart {
  readonly title: string;
  readonly series: readonly Series[];
}

const [width, tall, left, right, top, foot] = [560, 230, 58, 16, 30, 28] as const;

/** Three digits, as short as they can be. */
export const short = (x: number): string => {
  const text = String(Number(x.toPrecision(3)));
  return (text.length > 7 ? x.toExponential(1) : text).replace("e+", "e");
};

/** Points of a curve that tell it from others at this width: of every column the least and the largest. */
function thinned(points: readonly Point[], x: (step: number) => number): Point[] {
  const columns = new Map<number, Point[]>();
  for (const point of points) {
    const column = Math.round(x(point[0]));
    const [least = point, most = point] = columns.get(column) ?? [];
    columns.set(column, [point[1] < least[1] ? point : least, point[1] > most[1] ? point : most]);
  }
  return [...columns.values()].flatMap(([least, most]) => {
    if (least === most) return [least!];
    return least![0] < most![0] ? [least!, most!] : [most!, least!];
  });
}

/** Round numbers that divide a range into four or so, with as many digits as tell them apart. */
function ticks(from: number, to: number): { readonly value: number; readonly text: string }[] {
  const raw = (to - from) / 4;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = power * (raw / power < 1.5 ? 1 : raw / power < 3.5 ? 2 : raw / power < 7.5 ? 5 : 10);
  const first = Math.ceil(from / step - 1e-9);
  const last = Math.floor(to / step + 1e-9);
  const digits = Math.max(0, -Math.floor(Math.log10(step)));
  const text = (value: number): string => (digits > 4 || Math.abs(value) >= 1e6 ? short(value) : value.toFixed(digits));
  return Array.from({ length: last - first + 1 }, (_unused, i) => (first + i) * step).map((value) => ({
    value,
    text: text(value),
  }));
}

/** A range of numbers with some room, wider than nothing. */
function rangeOf(numbers: readonly number[]): readonly [number, number] {
  let [least, most] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const x of numbers) [least, most] = [Math.min(least, x), Math.max(most, x)];
  if (least === most) return least === 0 ? [-1, 1] : [least - Math.abs(least) / 10, most + Math.abs(most) / 10];
  const room = (most - least) / 20;
  return [least >= 0 && least < room ? 0 : least - room, most + room];
}

const at = (n: number): string => n.toFixed(1);

/** What the curves are around a step, shown where the pointer is. */
function spots(series: readonly Series[], x: (step: number) => number): string {
  const [first = { points: [] }] = series;
  const most = 80;
  const every = Math.max(1, Math.ceil(first.points.length / most));
  const room = (width - left - right) / Math.min(most, Math.max(1, first.points.length));
  return first.points
    .map(([step], i): string => {
      if (i % every !== 0) return "";
      const told = series
        .filter(({ look }) => look !== "marks")
        .map(({ name, points }) => `${name} ${short(points[i]![1])}`);
      const title = `<title>step ${step}: ${escaped(told.join(", "))}</title>`;
      return `<rect class="spot" x="${at(x(step) - room / 2)}" y="${top}" width="${at(room)}" height="${tall - top - foot}">${title}</rect>`;
    })
    .join("");
}

/** `standalone`: a file of its own, with its style in it; else a part of a page, without. Series share their steps, marks apart. */
export function chartSvg({ title, series }: Chart, style = ""): string {
  const all = series.flatMap(({ points }) => points);
  const steps = rangeOf(all.map(([step]) => step));
  const [low, high] = rangeOf(all.map(([, value]) => value));
  const [firstStep, lastStep] = [Math.max(0, steps[0]), steps[1]];
  const x = (step: number): number => left + ((width - left - right) * (step - firstStep)) / (lastStep - firstStep);
  const y = (value: number): number => tall - foot - ((tall - top - foot) * (value - low)) / (high - low);
  const lines = [
    ...ticks(low, high).map(
      ({ value, text }) =>
        `<path class="grid" d="M${left} ${at(y(value))}H${width - right}"/><text x="${left - 6}" y="${at(y(value) + 4)}" text-anchor="end">${text}</text>`,
    ),
    ...ticks(firstStep, lastStep)
      .map(({ value }) => ({ value, step: Math.round(value) }))
      .filter(({ value, step }) => Math.abs(value - step) < 1e-9)
      .map(({ step }) => `<text x="${at(x(step))}" y="${tall - 8}" text-anchor="middle">${step}</text>`),
  ];
  const curves = series.map(({ look, points }) => {
    if (look === "marks" || points.length === 1)
      return points
        .map(
          ([step, value]) =>
            `<circle class="${look}" cx="${at(x(step))}" cy="${at(y(value))}" r="3.5"><title>${step}: ${short(value)}</title></circle>`,
        )
        .join("");
    const path = thinned(points, x).map(([step, value]) => `${at(x(step))} ${at(y(value))}`);
    return `<path class="${look}" d="M${path.join("L")}"/>`;
  });
  let room = width - right;
  const keys = [...series].reverse().map(({ name, look }) => {
    room -= 7.7 * name.length + 16;
    return `<text class="${look}-key" x="${at(room)}" y="18">${escaped(name)}</text>`;
  });
  const named = series.map(({ name, points }) => `${name}: ${short(points[0]![1])} to ${short(points.at(-1)![1])}`);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${tall}" role="img" aria-label="${escaped(`${title}. ${named.join("; ")}`)}">`,
    style === "" ? "" : `<style>${style}</style><rect class="paper" width="${width}" height="${tall}"/>`,
    `<text class="title" x="${left}" y="18">${escaped(title)}</text>`,
    ...keys,
    ...lines,
    ...curves,
    spots(series, x),
    "</svg>",
  ].join("\n");
}
