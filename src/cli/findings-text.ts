/** `webpeft inspect --print memory` and `--print rules`: what the report's views of memory and passes find, as tables or lines of JSON. */
import type { Program } from "../compile/program.ts";
import {
  bytes as bytesText,
  count,
  type MemoryFindings,
  memoryFindings,
  percent,
  type RuleRow,
  ruleRows,
} from "../inspect/index.ts";
import type { StageName } from "../program/index.ts";
import { columns } from "./columns.ts";
import { emit, type PrintOptions } from "./output.ts";

/** Which rows are printed, where not all are. */
interface FindingOptions extends PrintOptions {
  readonly stage?: StageName | "step";
  readonly site?: string;
  readonly layer?: number;
  readonly top?: number;
}

export const findings = ["memory", "rules"] as const;
export type Finding = (typeof findings)[number];

/** Throws `INSPECT-UNKNOWN` for a stage that the program does not have. */
export const printFinding: Readonly<Record<Finding, (program: Program, options: FindingOptions) => void>> = {
  memory(program, options) {
    const { held, repeated, ...facts } = memoryFindings(program, options);
    const { top = Number.POSITIVE_INFINITY, json } = options;
    if (!json) {
      process.stdout.write(memoryText({ held, repeated, ...facts }, top));
      return;
    }
    emit(options, { type: "peak", ...facts });
    for (const row of held.slice(0, top)) emit(options, { type: "held", ...row });
    for (const row of repeated.slice(0, top)) emit(options, { type: "repeated", ...row });
  },
  rules(program, options) {
    const rows = ruleRows(program, options.stage).slice(0, options.top);
    if (options.json) for (const row of rows) emit(options, { type: "rule", ...row });
    else process.stdout.write(rows.length === 0 ? "no rule was applied\n" : ruleTable(rows));
  },
};

const listed = (all: readonly number[]): string =>
  all.length > 6 ? `${all.slice(0, 6).join(", ")} and ${all.length - 6} more` : all.join(", ");

/** Below a table that does not have all rows. */
const more = (rows: readonly unknown[], top: number): string =>
  rows.length > top ? `and ${rows.length - top} more\n` : "";

function memoryText({ stage, dispatch, bytes, held, repeated }: MemoryFindings, top: number): string {
  const peak = columns(
    ["value", "bytes", "% of peak", "why", "from", "to", "module", "line", "what"],
    held
      .slice(0, top)
      .map((row) => [
        ...[row.node, bytesText(row.bytes), percent(row.bytes, bytes).replace(" %", ""), row.why],
        ...[String(row.first), String(row.last), row.module, row.line, row.what],
      ]),
    [1, 2, 4, 5],
  );
  const again = columns(
    ["value", "times", "flop more", "in dispatches", "module", "line", "what"],
    repeated
      .slice(0, top)
      .map((row) => [
        ...[row.node, String(row.dispatches.length), count(row.flops), listed(row.dispatches)],
        ...[row.module, row.line, row.what],
      ]),
    [1, 2],
  );
  return [
    `At the peak of ${stage}, dispatch ${dispatch}: ${bytesText(bytes)} between dispatches\n`,
    held.length === 0 ? "nothing\n" : `${peak}${more(held, top)}`,
    "\nComputed more than once\n",
    repeated.length === 0 ? "nothing that costs anything\n" : `${again}${more(repeated, top)}`,
  ].join("");
}

const ruleTable = (rows: readonly RuleRow[]): string =>
  columns(
    ["rule", "rewrites", "stage", "pass", "written in", "what it does"],
    rows.map(({ rule, rewrites, stage, pass, place, doc }) => [rule, String(rewrites), stage, pass, place, doc]),
    [1],
  );
