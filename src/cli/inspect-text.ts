/** `webpeft inspect --print` and `--kernels`: what people ask of a program, on stdout instead of in files. */

import type { Program } from "../compile/program.ts";
import {
  bytes as bytesText,
  count,
  type KernelRow,
  type KernelSort,
  kernelRows,
  printLevel,
  ratio,
  sortKernels,
} from "../inspect/index.ts";
import type { GraphLevel } from "../inspect/views.ts";
import { WebpeftError } from "../ir/diagnostics.ts";
import type { StageName } from "../program/index.ts";
import { type Measurement, measuredMs } from "../program/measurement.ts";
import type { Precision } from "../program/precision.ts";
import { columns } from "./columns.ts";
import { type Finding, findings, printFinding } from "./findings-text.ts";
import { emit, type PrintOptions } from "./output.ts";

export interface TextOptions extends PrintOptions {
  readonly print?: GraphLevel | Finding;
  readonly kernels?: boolean;
  readonly stage?: StageName | "step";
  readonly after?: string;
  readonly site?: string;
  readonly layer?: number;
  readonly sort?: KernelSort;
  readonly top?: number;
  readonly out?: string;
  /** What dispatches took, where that was asked for. */
  readonly measured?: Measurement;
  /** How far values are from f64, where that was asked for. */
  readonly compared?: Precision;
}

/** Whether text is asked for; then no files are written. */
export const wantsText = ({ print, kernels }: TextOptions): boolean => print !== undefined || kernels === true;

/** Throws `CLI-INSPECT` for options that mean nothing together, and for options that go with `--print` or `--kernels` where neither is given. */
export function checkTextOptions(options: TextOptions): void {
  const given = (["stage", "after", "site", "layer", "sort", "top"] as const).filter(
    (name) => options[name] !== undefined,
  );
  if (options.print === undefined && options.kernels === true && options.after !== undefined) throw afterKernels();
  if (options.print === "kernel" && options.after !== undefined) throw afterKernels();
  if (isFinding(options.print)) checkFinding(options.print, options);
  if (wantsText(options) && options.out !== undefined)
    throw new WebpeftError("CLI-INSPECT", {
      message: "--print and --kernels write to stdout, so that --out has nothing to hold",
      help: "leave --out away, or --print and --kernels",
    });
  if (given.length === 0 || wantsText(options)) return;
  throw new WebpeftError("CLI-INSPECT", {
    message: `${given.map((name) => `--${name}`).join(", ")} says what is printed, and nothing is`,
    help: "add --print operator, tensor, kernel, memory or rules, or --kernels",
  });
}

const isFinding = (print: TextOptions["print"]): print is Finding => findings.some((name) => name === print);

/** Throws `CLI-INSPECT` for what says nothing of memory or rules. */
function checkFinding(print: Finding, options: TextOptions): void {
  const of = ["--stage and --top", ...(print === "memory" ? ["--site and --layer"] : [])].join(", ");
  const without: readonly (keyof TextOptions)[] = print === "memory" ? ["after"] : ["after", "site", "layer"];
  for (const name of without)
    if (options[name] !== undefined)
      throw new WebpeftError("CLI-INSPECT", {
        message: `--${name} says nothing of what --print ${print} prints`,
        help: `leave --${name} away; of it are ${of}`,
      });
}

const afterKernels = (): WebpeftError =>
  new WebpeftError("CLI-INSPECT", {
    message: "--after says which pass left a graph, and kernels are made behind all of them",
    help: "leave --after away, or add --print operator or tensor",
  });

/** Throws `INSPECT-UNKNOWN` for what the program does not have. */
export function printText(program: Program, options: TextOptions): void {
  const { print, kernels, measured, compared, top = Number.POSITIVE_INFINITY, json } = options;
  const { sort = measured !== undefined ? "ms" : compared !== undefined ? "error" : "flops" } = options;
  if ((sort === "ms" && measured === undefined) || (sort === "error" && compared === undefined))
    throw new WebpeftError("CLI-INSPECT", {
      message: "nothing was measured that could be sorted",
      help: sort === "ms" ? "add --measure" : "add --precision",
    });
  if (kernels === true) {
    const rows = sortKernels(kernelRows(program, options), sort).slice(0, top);
    if (json) for (const row of rows) emit(options, { type: "kernel", ...row });
    else process.stdout.write(kernelTable(rows, options));
  }
  if (print === undefined) return;
  if (isFinding(print)) {
    printFinding[print](program, options);
    return;
  }
  const text = printLevel(program, print, options);
  if (json) emit(options, { type: "text", level: print, text });
  else process.stdout.write(text);
}

/** A column of the table: what stands above it and in a row. Numbers stand on the right. */
interface Column {
  readonly head: string;
  readonly isNumber: boolean;
  readonly cell: (row: KernelRow) => string;
}

const numbers = (head: string, cell: Column["cell"]): Column => ({ head, isNumber: true, cell });
const texts = (head: string, cell: Column["cell"]): Column => ({ head, isNumber: false, cell });

const some = (names: readonly string[]): string =>
  names.length > 4 ? `${names.slice(0, 4).join(", ")} and ${names.length - 4} more` : names.join(", ");

/** `total`: milliseconds of all kernels of a step. */
const timeColumns = (total: number): readonly Column[] => [
  numbers("ms", ({ ms = 0 }) => ms.toFixed(3)),
  numbers("% of time", ({ ms = 0 }) => ((100 * ms) / total).toFixed(1)),
  numbers("% of roof", ({ ms = 0, leastMs = 0 }) => (ms === 0 ? "" : ((100 * leastMs) / ms).toFixed(1))),
];

const errorColumns: readonly Column[] = [
  numbers("error", ({ error = 0 }) => ratio(error)),
  numbers("own error", ({ own = 0 }) => ratio(own)),
];

/** Rows as text in columns. */
function kernelTable(rows: readonly KernelRow[], { measured, compared }: TextOptions): string {
  const all = [
    texts("kernel", ({ name }) => name),
    numbers("dispatches", ({ dispatches }) => String(dispatches)),
    ...(measured === undefined ? [] : timeColumns(measuredMs(measured))),
    ...(compared === undefined ? [] : errorColumns),
    numbers("flop", ({ flops }) => count(flops)),
    numbers("reads", ({ reads }) => bytesText(reads)),
    numbers("writes", ({ writes }) => bytesText(writes)),
    numbers("flop/byte", ({ flops, bytes }) => (bytes === 0 ? "" : (flops / bytes).toFixed(1))),
    texts("computes for", ({ sites }) => some(sites)),
    texts("lines", ({ lines }) => lines.join(" ")),
  ];
  const right = all.flatMap(({ isNumber }, i) => (isNumber ? [i] : []));
  return columns(
    all.map(({ head }) => head),
    rows.map((row) => all.map(({ cell }) => cell(row))),
    right,
  );
}
