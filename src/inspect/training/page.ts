/** The page of a training: curves, what came out, and where it went wrong. One file without a script that asks nothing of the network. */
import type { NotFiniteOrigin, NumberRange, TrainedStep } from "../../program/run-records.ts";
import { escaped } from "../markup.ts";
import { type Chart, chartSvg, type Point, short } from "./chart.ts";
import { chartStyle, trainingStyle } from "./style.ts";

export interface Failure {
  readonly code: string;
  readonly message: string;
  readonly where?: string | undefined;
  readonly help?: string | undefined;
  /** The step that failed, counted from 0. */
  readonly step: number;
  readonly origin?: NotFiniteOrigin | undefined;
  /** The report of the program, from this page. */
  readonly program?: string | undefined;
}

export interface TrainingData {
  readonly title: string;
  readonly status: string;
  readonly facts: readonly (readonly [name: string, value: string])[];
  readonly steps: readonly TrainedStep[];
  readonly evaluations: readonly { readonly step: number; readonly loss: number }[];
  readonly failure?: Failure | undefined;
}

/** Weight of the steps before in the smoothed loss: about ten of them count. */
const decay = 0.9;

/** An exponential mean, without the pull of where it begins. */
function smoothed(points: readonly Point[]): Point[] {
  let [sum, weight] = [0, 0];
  return points.map(([step, value]): Point => {
    sum = decay * sum + (1 - decay) * value;
    weight = decay * weight + (1 - decay);
    return [step, sum / weight];
  });
}

/** Steps are told from 1 on, as evaluations are: after so many. */
const curve = (steps: readonly TrainedStep[], of: (step: TrainedStep) => number): Point[] =>
  steps.map((one) => [one.step + 1, of(one)]);

function lossChart({ steps, evaluations }: TrainingData): Chart {
  const loss = curve(steps, (one) => one.loss);
  const marks = evaluations.map(({ step, loss: value }): Point => [step, value]);
  return {
    title: "Loss",
    series: [
      { name: "of each step", look: "raw", points: loss },
      { name: "smoothed", look: "smooth", points: smoothed(loss) },
      ...(marks.length === 0 ? [] : [{ name: "evaluation", look: "marks", points: marks } as const]),
    ],
  };
}

const single = (title: string, name: string, points: readonly Point[]): Chart => ({
  ...{ title, series: [{ name, look: "smooth", points }] },
});

/** The curve of the loss as a file of its own. */
export const lossSvg = (data: TrainingData): string =>
  data.steps.length === 0 ? "" : `${chartSvg(lossChart(data), chartStyle)}\n`;

function charts(data: TrainingData): string {
  const { steps } = data;
  if (steps.length === 0) return `<p class="soft">No step was taken.</p>`;
  const all = [
    lossChart(data),
    single(
      "Norm of the gradient, before clipping",
      "norm",
      curve(steps, (one) => one.grad_norm),
    ),
    single(
      "Learning rate",
      "rate",
      curve(steps, ({ lr }) => lr),
    ),
    single(
      "Tokens a second",
      "tokens/s",
      curve(steps, (one) => one.tokens_per_s),
    ),
  ];
  return `<div class="charts">${all.map((chart) => chartSvg(chart)).join("\n")}</div>`;
}

const card = (name: string, value: string, below = ""): string =>
  `<div class="card"><span class="soft">${escaped(name)}</span><b>${escaped(value)}</b><span class="soft">${escaped(below)}</span></div>`;

function cards({ steps, evaluations }: TrainingData): string {
  const [first, last] = [steps[0], steps.at(-1)];
  if (first === undefined || last === undefined) return "";
  const tokens = steps.reduce((sum, one) => sum + one.tokens, 0);
  const ms = steps.reduce((sum, one) => sum + one.ms, 0);
  const loss = smoothed(curve(steps, (one) => one.loss)).at(-1)![1];
  const best = evaluations.reduce<TrainingData["evaluations"][number] | undefined>(
    (least, one) => (least === undefined || one.loss < least.loss ? one : least),
    undefined,
  );
  return `<div class="cards">${[
    card("loss, smoothed", short(loss), `from ${short(first.loss)}, last step ${short(last.loss)}`),
    ...(best === undefined ? [] : [card("best evaluation", short(best.loss), `after ${best.step} steps`)]),
    card("steps", `${first.step + 1} to ${last.step + 1}`, `${(ms / 1000).toFixed(1)} s in steps`),
    card("tokens", tokens.toLocaleString("en"), ms === 0 ? "" : `${((1000 * tokens) / ms).toFixed(0)} a second`),
    card(
      "norm of the gradient",
      short(last.grad_norm),
      `largest ${short(steps.reduce((most, one) => Math.max(most, one.grad_norm), 0))}`,
    ),
  ].join("")}</div>`;
}

const list = (entries: readonly (readonly [string, string | undefined])[]): string =>
  `<dl>${entries.flatMap(([name, text]) => (text === undefined ? [] : [`<dt>${escaped(name)}</dt><dd>${escaped(text)}</dd>`])).join("")}</dl>`;

const cells = (texts: readonly string[], tag: "td" | "th"): string =>
  `<tr>${texts.map((text) => `<${tag}${tag === "th" ? ' scope="col"' : ""}>${escaped(text)}</${tag}>`).join("")}</tr>`;

const table = (heads: readonly string[], rows: readonly (readonly string[])[]): string =>
  `<div class="scroll" tabindex="0"><table><thead>${cells(heads, "th")}</thead><tbody>${rows.map((row) => cells(row, "td")).join("")}</tbody></table></div>`;

const rangeRow = (role: string, { node, least, most, notFinite, count }: NumberRange): string[] => [
  ...[`${role} ${node}`, notFinite === count ? "" : short(least), notFinite === count ? "" : short(most)],
  `${notFinite.toLocaleString("en")} of ${count.toLocaleString("en")}`,
];

function originText(origin: NotFiniteOrigin, program: string | undefined): string {
  const { node, type, stage, scope, line, kernel, dispatch, result, inputs, id, parameter } = origin;
  const link = `${program}#view=graph&stage=${stage}&node=${stage}/${id}`;
  return [
    list([
      ["node", `${node} : ${type}`],
      ["parameter", parameter],
      ["line of the formula", line],
      ["module", scope],
      ["kernel", kernel === undefined ? undefined : `${kernel}, dispatch ${dispatch} of ${stage}`],
    ]),
    table(
      ["value", "least", "largest", "not finite"],
      [...inputs.map((input) => rangeRow("given", input)), rangeRow("gave", result)],
    ),
    program === undefined ? "" : `<p><a href="${escaped(link)}">${escaped(node)} in the graph of the program</a></p>`,
  ].join("\n");
}

function failureText({ code, message, where, help, step, origin, program }: Failure): string {
  return [
    `<section class="failure"><h2>${escaped(code)} at step ${step + 1}</h2>`,
    `<p>${escaped(message)}</p>`,
    origin === undefined ? list([["where", where]]) : originText(origin, program),
    help === undefined ? "" : `<p>${escaped(help)}</p>`,
    "</section>",
  ].join("\n");
}

/** Rows of the table at most: every so many steps. */
const mostRows = 100;

function stepTable({ steps }: TrainingData): string {
  const every = Math.ceil(steps.length / mostRows);
  const rows = steps.filter((_step, i) => i % every === 0 || i === steps.length - 1);
  const heads = ["step", "loss", "rate", "norm", "tokens", "tokens/s", "ms"];
  const texts = rows.map((one) => [
    ...[String(one.step + 1), one.loss.toFixed(4), one.lr.toExponential(2), short(one.grad_norm)],
    ...[String(one.tokens), one.tokens_per_s.toFixed(0), one.ms.toFixed(1)],
  ]);
  return `<details><summary>Numbers${every > 1 ? `, every ${every} steps` : ""}</summary>${table(heads, texts)}</details>`;
}

export const trainingPage = (data: TrainingData): string => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>webpeft: ${escaped(data.title)}</title>
<style>${trainingStyle}</style>
</head>
<body>
<main>
<h1>${escaped(data.title)}</h1>
<p class="soft">${escaped(data.status)}</p>
${data.failure === undefined ? "" : failureText(data.failure)}
${cards(data)}
${charts(data)}
<h2 style="margin-top: 16px">The run</h2>
${list(data.facts)}
${data.steps.length === 0 ? "" : stepTable(data)}
</main>
</body>
</html>
`;
