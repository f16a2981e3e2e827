/** What `webpeft train` says of examples that do not fit into a row. */
import type { Code } from "../ir/codes/index.ts";
import { type DiagnosticFields, DiagnosticSink } from "../ir/diagnostics.ts";
import type { DataReport } from "../runtime/data/fit.ts";
import type { SourceOptions } from "./common.ts";
import { emit, say, warn } from "./output.ts";

/** So many lines are named. */
const named = 8;
const namedToMachines = 1000;

const linesText = (lines: readonly number[]): string =>
  `${lines.length === 1 ? "line" : "lines"} ${lines.slice(0, named).join(", ")}${lines.length > named ? " ..." : ""}`;

function advice({ keepsAll, dropped, windows = false }: DataReport, maximumLength: number): string {
  if (keepsAll === undefined)
    return dropped.length === 1 ? "that example holds no label at all" : "those examples hold no label at all";
  const most = keepsAll > maximumLength ? `, though the model was made for at most ${maximumLength} tokens` : "";
  return `--length ${keepsAll} keeps all${most}${windows ? "; --doc-stride N reads contexts in windows" : ""}`;
}

/** A warning, which is an error under `--strict`. */
function tell(code: Code, fields: DiagnosticFields, { strict }: SourceOptions): void {
  const sink = new DiagnosticSink(strict);
  sink.warn(code, fields);
  warn(sink.diagnostics);
}

/** Warns of labels beside texts that a head without classes does not read. */
export function tellOfUnreadLabels({ file, unreadLabels = [] }: DataReport, options: SourceOptions): void {
  if (unreadLabels.length === 0) return;
  const fields = {
    message: "lines have labels that the model does not read: it learns to write their texts",
    where: file,
    expected: '{"text"}, {"prompt","completion"} or {"messages"} for a head of next tokens',
    got: `a label in ${linesText(unreadLabels)}`,
    help: 'a classifier comes with "task_type": "SEQ_CLS" in the config and --labels; {"prompt","completion"} learns to write a label',
  };
  tell("DATA-LABELS-UNREAD", fields, options);
}

/** Tells how many examples are cut and how many are dropped, which ones, and what would keep them; nothing when all fit. */
export function tellOfLost(report: DataReport, maximumLength: number, options: SourceOptions): void {
  const { file, examples, length, cut, dropped, keepsAll } = report;
  if (cut.length === 0 && dropped.length === 0) return;
  const summary = `${cut.length} of ${examples} examples cut at ${length} tokens, ${dropped.length} dropped because no label is left`;
  const lines = [
    ...(cut.length === 0 ? [] : [`cut: ${linesText(cut)}`]),
    ...(dropped.length === 0 ? [] : [`dropped: ${linesText(dropped)}`]),
  ];
  const fields = { message: summary, where: file, got: lines.join("; "), help: advice(report, maximumLength) };
  tell("DATA-LOST", fields, options);
  say(options, `examples    ${summary}`);
  emit(options, {
    type: "data",
    ...{ file, examples, length, cut: cut.length, dropped: dropped.length },
    ...{ cut_lines: cut.slice(0, namedToMachines), dropped_lines: dropped.slice(0, namedToMachines) },
    ...(keepsAll === undefined ? {} : { keeps_all: keepsAll }),
  });
}
