/** The report: one page with everything in it, which asks nothing of the network. Its views are made of its data by `page/`. */
import type { Measurement } from "../program/measurement.ts";
import type { Precision } from "../program/precision.ts";
import type { ReportView } from "./embed.ts";
import { escaped } from "./markup.ts";
import { pageNotices, pageScript, pageStyle } from "./page-text.ts";
import { type ReportSource, reportData } from "./report-data.ts";
import type { FailureRecord } from "./report-types.ts";

/** Compresses the data of a report: base64 of what gzip makes of the text. */
type Packer = (text: string) => string;

/** The data of a report as its element holds it. */
interface HeldData {
  readonly type: string;
  readonly text: string;
}

const element = (id: string, { type, text }: HeldData): string => `<script type="${type}" id="${id}">${text}</script>`;

const page = (title: string, data: string, only?: ReportView): string => `<!doctype html>
<html lang="en"${only === undefined ? "" : ` data-only="${only}"`}>
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'unsafe-inline' blob:; worker-src blob:; style-src 'unsafe-inline'; img-src data:">
<title>${title}</title>
<style>${pageStyle}</style>
</head>
<body>
<noscript><p>This page needs scripts to show its tables. Everything in it is also in the files beside it.</p></noscript>
${data}
<script type="text/plain" id="notices">${pageNotices.replaceAll("<", "\\u003c")}</script>
<script id="script">${pageScript}</script>
</body>
</html>
`;

export interface ReportOptions {
  /** Without it the data is JSON as it is; texts of strangers cannot end the element that holds it. */
  readonly pack?: Packer | undefined;
  /** What its dispatches took. */
  readonly measured?: Measurement | undefined;
  /** How far its values are from f64. */
  readonly compared?: Precision | undefined;
  /** What ended it; the page begins with that. */
  readonly failure?: FailureRecord | undefined;
  /** The one view that is shown. */
  readonly only?: ReportView;
}

export function reportPage(program: ReportSource, options: ReportOptions = {}): string {
  const { pack, only } = options;
  const data = reportData(program, options);
  const json = JSON.stringify(data);
  const held =
    pack === undefined
      ? { type: "application/json", text: json.replaceAll("<", "\\u003c") }
      : { type: "application/gzip", text: pack(json) };
  return page(`webpeft: ${escaped(data.title)}`, element("data", held), only);
}

/** The data of a report, as it stands there; nothing where the text is no report. */
function heldData(html: string): HeldData | undefined {
  const [, type, text] = /<script type="(application\/(?:json|gzip))" id="data">([^<]*)<\/script>/.exec(html) ?? [];
  return type === undefined || text === undefined ? undefined : { type, text };
}

/** A report of two programs, from theirs; nothing where one of the texts is no report. */
export function comparisonPage(a: string, b: string): string | undefined {
  const [first, second] = [heldData(a), heldData(b)];
  if (first === undefined || second === undefined) return undefined;
  return page("webpeft: two programs", `${element("data", first)}\n${element("other", second)}`);
}
