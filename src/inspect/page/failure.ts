/** Error: what ended it, where that is in what was made before it, and what shows it again. */
import type { FailureRecord } from "../report-types.ts";
import type { App, View } from "./app.ts";
import { kernelChip, nodeChip } from "./chips.ts";
import { facts } from "./detail-parts.ts";
import { type Child, chip, h, number, numberHead, table } from "./dom.ts";
import { bytes } from "./format.ts";
import { wgslView } from "./wgsl.ts";

type NumberRange = NonNullable<FailureRecord["origin"]>["result"];

const short = (n: number): string => String(Number(n.toPrecision(4)));

const rangeRow = (role: string, { node, least, most, notFinite, count }: NumberRange): HTMLElement =>
  h(
    "tr",
    {},
    h("td", {}, `${role} ${node}`),
    ...(notFinite === count ? [number(""), number("")] : [number(short(least)), number(short(most))]),
    number(`${notFinite.toLocaleString("en")} of ${count.toLocaleString("en")}`),
  );

const rangesView = ({ origin }: FailureRecord): Child =>
  origin !== undefined && [
    h("h3", {}, "Numbers"),
    table(
      ["value", numberHead("least"), numberHead("largest"), numberHead("not finite")],
      [...origin.inputs.map((input) => rangeRow("given", input)), rangeRow("gave", origin.result)],
    ),
  ];

/** Of a kernel that could not be made. */
const valuesView = ({ values }: FailureRecord): Child =>
  values !== undefined && [
    h("h3", {}, "What it stores and reads"),
    table(
      ["", "value", "type", numberHead("size")],
      values.map(({ role, node, type, bytes: size }) =>
        h("tr", {}, h("td", {}, role), h("td", {}, node), h("td", {}, type), number(bytes(size))),
      ),
    ),
  ];

/** What leads to the places of the error. */
function places(app: App, failure: FailureRecord): (readonly [string, Child])[] {
  const { stage = "", pass, rule, nodes = [], kernel, dispatch, origin } = failure;
  const own = app.program.stage(stage);
  const known = nodes.filter((id) => own?.nodes[id] !== undefined);
  const lines = new Set([origin?.line ?? "", ...known.map((id) => own!.nodes[id]!.line)]);
  lines.delete("");
  const selection = known.length > 0 ? { selection: `node:${stage}/${known[0]}` as const } : {};
  const go = (view: string, text: string): HTMLElement =>
    h("button", { type: "button", class: "chip", click: () => app.go({ view, stage, ...selection }) }, text);
  const hasKernel = app.program.data.kernels.some(({ name }) => name === kernel);
  const entries: (readonly [string, Child])[] = [
    ["stage", stage !== "" && (own === undefined ? stage : go("graph", `${stage} in the graph`))],
    ["pass", pass !== undefined && go("passes", pass)],
    ["rule", rule],
    [
      "nodes",
      known.length > 0 &&
        h("span", { class: "chips" }, ...known.map((id) => nodeChip(stage, id, own!.nodes[id]!.name))),
    ],
    ["module", known.length > 0 && (own!.nodes[known[0]!]!.scope || undefined)],
    [
      "line of the formula",
      lines.size > 0 && h("span", { class: "chips" }, ...[...lines].map((line) => chip(`line:${line}`, line))),
    ],
    ["kernel", kernel !== undefined && (hasKernel ? kernelChip(kernel) : kernel)],
    [
      "dispatch",
      dispatch !== undefined &&
        own?.dispatches[dispatch]?.kernel === kernel &&
        chip(`dispatch:${stage}/${dispatch}`, `${dispatch} of ${stage}`),
    ],
  ];
  return entries.filter(([, value]) => value !== undefined && value !== false);
}

const words = ({ where, expected, got, help }: FailureRecord): (readonly [string, Child])[] =>
  Object.entries({ where, expected, got, help }).filter((entry): entry is [string, string] => entry[1] !== undefined);

export const failureView: View = {
  name: "error",
  title: "Error",
  options: [],
  show(app) {
    const failure = app.program.data.failure!;
    const { code, message, also, doing, stack, wgsl, said = [], reproduce } = failure;
    const hasGraphs = app.program.stages.length > 0;
    return h(
      "section",
      { class: "panel failure", "aria-label": "Error" },
      h("h2", {}, code),
      h("p", { class: "large" }, message),
      facts([...words(failure), ...places(app, failure)]),
      also.length > 0 && h("pre", { tabindex: 0 }, also.join("\n")),
      rangesView(failure),
      valuesView(failure),
      doing.length > 0 && [h("h3", {}, "While"), h("ol", {}, ...doing.map((text) => h("li", {}, text)))],
      wgsl !== undefined && [
        h("h3", {}, "The kernel that the device refused"),
        said.length > 0 && h("ul", {}, ...said.map((text) => h("li", {}, text))),
        wgslView(wgsl),
      ],
      stack !== undefined && h("details", { open: true }, h("summary", {}, "Stack"), h("pre", { tabindex: 0 }, stack)),
      reproduce !== undefined && [h("h3", {}, "To see it again"), h("pre", { tabindex: 0 }, reproduce)],
      h(
        "p",
        { class: "soft" },
        hasGraphs
          ? "The other views show what was made before it: of a stage whose kernels could not all be made, those before the first that could not."
          : "Nothing was made before it.",
      ),
    );
  },
};
