/** The report: one page with everything in it, no network. Its data is JSON in the page, its views are made by `report-script.ts`. */

import { reportData } from "./report-data.ts";
import { reportScript } from "./report-script.ts";
import { reportStyle } from "./report-style.ts";
import type { InspectedProgram } from "./views.ts";

const escapes: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };

const escaped = (text: string): string => text.replace(/[&<>"]/g, (character) => escapes[character]!);

const sections: readonly (readonly [string, string])[] = [
  ["summary", "Summary"],
  ["formula", "Formula"],
  ["passes", "Passes"],
  ["decisions", "Decisions"],
  ["kernels", "Kernels"],
  ["dispatches", "Dispatches"],
  ["graph", "Graph"],
  ["memory", "Memory"],
];

export function reportPage(program: InspectedProgram): string {
  const data = reportData(program);
  const links = sections.map(([id, name]) => `<a href="#${id}">${name}</a>`).join("");
  const bodies = sections.map(([id, name]) => `<section id="${id}"><h2>${name}</h2></section>`).join("\n");
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>webpeft: ${escaped(data.title)}</title>
<style>${reportStyle}</style>
</head>
<body>
<header><h1>${escaped(data.title)}</h1><nav>${links}</nav></header>
<main>
<noscript><p>This page needs scripts to show its tables. Everything in it is also in the files beside it.</p></noscript>
${bodies}
</main>
<script type="application/json" id="data">${JSON.stringify(data).replaceAll("<", "\\u003c")}</script>
<script>${reportScript}</script>
</body>
</html>
`;
}
