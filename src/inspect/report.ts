/** The report: one page with everything in it, which asks nothing of the network. Its views are made of its data by `page/`. */
import { pageNotices, pageScript, pageStyle } from "./page-text.ts";
import { reportData } from "./report-data.ts";
import type { InspectedProgram } from "./views.ts";

const escapes: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };

const escaped = (text: string): string => text.replace(/[&<>"]/g, (character) => escapes[character]!);

/** Compresses the data of a report: base64 of what gzip makes of the text. */
export type Packer = (text: string) => string;

/** Its data is JSON, as it is or packed; texts of strangers cannot end the element that holds it. */
export function reportPage(program: InspectedProgram, pack?: Packer): string {
  const data = reportData(program);
  const json = JSON.stringify(data);
  const [type, text] =
    pack === undefined ? ["application/json", json.replaceAll("<", "\\u003c")] : ["application/gzip", pack(json)];
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'unsafe-inline' blob:; worker-src blob:; style-src 'unsafe-inline'">
<title>webpeft: ${escaped(data.title)}</title>
<style>${pageStyle}</style>
</head>
<body>
<noscript><p>This page needs scripts to show its tables. Everything in it is also in the files beside it.</p></noscript>
<script type="${type}" id="data">${text}</script>
<script type="text/plain" id="notices">${pageNotices.replaceAll("<", "\\u003c")}</script>
<script id="script">${pageScript}</script>
</body>
</html>
`;
}
