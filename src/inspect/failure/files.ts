/** The files of what failed: the error first, what was made before it, and what shows it again. */
import type { Target } from "../../codegen/index.ts";
import { printGraph } from "../../ir/text/print.ts";
import { lastDone } from "../../ir/trail.ts";
import { type FileOptions, json, programFiles } from "../files.ts";
import { reportPage } from "../report.ts";
import type { ReportSource } from "../report-data.ts";
import { timelineFile } from "../timeline.ts";
import type { InspectedProgram } from "../views.ts";
import { failureRecord, failureText } from "./record.ts";
import { nothingMade, partialCompilation, partialProgram, soFarOf } from "./so-far.ts";

/** What shows the error again, as JSON, and the command that does; or only what else would. */
export type ShownAgain = { readonly json: string; readonly command: string } | { readonly none: string };

export interface FailureOptions extends FileOptions {
  /** The program, where it was compiled. */
  readonly program?: InspectedProgram | undefined;
  /** What the kernels that ran were made for, where that is not what the program was compiled for: those are shown. */
  readonly target?: Target | undefined;
  readonly reproduction?: ShownAgain | undefined;
}

/** All files by name. `graph.before.ir` and `graph.after.ir` are of the pass that failed. */
export function failureFiles(error: unknown, options: FailureOptions = {}): ReadonlyMap<string, string> {
  const { program: compiled, target, reproduction, ...more } = options;
  const program = compiled && partialProgram(compiled, target);
  const hasJson = reproduction !== undefined && "json" in reproduction;
  const again = reproduction === undefined ? undefined : hasJson ? reproduction.command : reproduction.none;
  const failure = failureRecord(error, again);
  const files = new Map([["error.txt", failureText(error, failure)]]);
  files.set("error.json", json(failure));
  if (hasJson) files.set("reproduce.json", reproduction.json);
  if (failure.wgsl !== undefined) files.set(`kernels/${failure.kernel}.wgsl`, failure.wgsl);
  const pass = lastDone(error, "pass");
  if (pass !== undefined) files.set("graph.before.ir", printGraph(pass.before));
  if (pass?.after !== undefined) files.set("graph.after.ir", printGraph(pass.after));
  const soFar = program === undefined ? soFarOf(error) : undefined;
  const compilation = soFar && partialCompilation(soFar);
  const made = program === undefined ? compilation && compiledFiles(compilation) : programFiles(program, more, attempt);
  for (const [name, text] of made ?? []) if (!files.has(name)) files.set(name, text);
  return files.set("report.html", reportPage(program ?? compilation ?? nothingMade(), { ...more, failure }));
}

const attempt = <T>(make: () => T): T | undefined => {
  try {
    return make();
  } catch {
    // The error that is told is the first one.
    return undefined;
  }
};

/** Of a compilation without kernels. */
function* compiledFiles({ stages, timeline, operatorGraph }: ReportSource): Generator<[string, string]> {
  const main = stages.find(({ name }) => name === "micro") ?? stages[0];
  if (operatorGraph.nodes.length > 0) yield ["graph.operator.ir", printGraph(operatorGraph)];
  if (main !== undefined) yield ["graph.tensor.ir", printGraph(main.graph)];
  yield ["graph.json", json(Object.fromEntries(stages.map(({ name, graph }) => [name, graph])))];
  yield ["timeline.json", timelineFile(timeline)];
}
