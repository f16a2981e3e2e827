/** `webpeft inspect --print` and `--kernels`: what people ask of a program, on stdout instead of in files. */
import type { Program } from "../compile/program.ts";
import { type KernelRow, type KernelSort, kernelRows, printLevel, sortKernels } from "../inspect/index.ts";
import type { GraphLevel } from "../inspect/views.ts";
import { WebpeftError } from "../ir/diagnostics.ts";
import type { StageName } from "../program/index.ts";
import { columns, count } from "./columns.ts";
import { emit, type PrintOptions } from "./output.ts";

export interface TextOptions extends PrintOptions {
  readonly print?: GraphLevel;
  readonly kernels?: boolean;
  readonly stage?: StageName;
  readonly after?: string;
  readonly site?: string;
  readonly layer?: number;
  readonly sort?: KernelSort;
  readonly top?: number;
}

/** Whether text is asked for; then no files are written. */
export const wantsText = ({ print, kernels }: TextOptions): boolean => print !== undefined || kernels === true;

/** Throws `CLI-INSPECT` for options that go with `--print` or `--kernels` where neither is given. */
export function checkTextOptions(options: TextOptions): void {
  const given = (["stage", "after", "site", "layer", "sort", "top"] as const).filter(
    (name) => options[name] !== undefined,
  );
  if (given.length === 0 || wantsText(options)) return;
  throw new WebpeftError("CLI-INSPECT", {
    message: `${given.map((name) => `--${name}`).join(", ")} says what is printed, and nothing is`,
    help: "add --print operator, tensor or kernel, or --kernels",
  });
}

/** Throws `INSPECT-UNKNOWN` for what the program does not have. */
export function printText(program: Program, options: TextOptions): void {
  const { print, kernels, sort = "flops", top = Number.POSITIVE_INFINITY, json } = options;
  if (kernels === true) {
    const rows = sortKernels(kernelRows(program, options), sort).slice(0, top);
    if (json) for (const row of rows) emit(options, { type: "kernel", ...row });
    else process.stdout.write(kernelTable(rows));
  }
  if (print === undefined) return;
  const text = printLevel(program, print, options);
  if (json) emit(options, { type: "text", level: print, text });
  else process.stdout.write(text);
}

const headings = ["kernel", "dispatches", "flop", "bytes", "flop/byte", "computes for", "lines"] as const;

/** Rows as text in columns. */
function kernelTable(rows: readonly KernelRow[]): string {
  const cells = rows.map(({ name, dispatches, flops, bytes, sites, lines }) => [
    ...[name, String(dispatches), count(flops, "").trimEnd(), count(bytes, "B")],
    bytes === 0 ? "" : (flops / bytes).toFixed(1),
    sites.length > 4 ? `${sites.slice(0, 4).join(", ")} and ${sites.length - 4} more` : sites.join(", "),
    lines.join(" "),
  ]);
  return columns(headings, cells, [1, 2, 3, 4]);
}
