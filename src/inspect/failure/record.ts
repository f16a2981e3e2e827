/** An error as data: what went wrong, what was being done, and where that is in the program. */
import { type Diagnostic, defect, formatDiagnostic, WebpeftError } from "../../ir/diagnostics.ts";
import { placedName } from "../../ir/graph.ts";
import { type Doing, lastDone, trailOf } from "../../ir/trail.ts";
import { byteWidth, sizeOf, typeText } from "../../ir/types.ts";
import type { NotFiniteOrigin } from "../../program/run-records.ts";
import { bytes } from "../numbers.ts";
import type { FailureRecord } from "../report-types.ts";

const wordsOf = (doing: Doing): string => {
  switch (doing.doing) {
    case "pass":
      return doing.after === undefined
        ? `pass ${doing.stage}/${doing.pass}`
        : `verifying what pass ${doing.stage}/${doing.pass} made`;
    case "rule":
      return `rule ${doing.rule} at %${doing.at}`;
    case "stage":
      return `kernels of stage ${doing.stage}`;
    case "kernel":
      return `the kernel that stores ${doing.nodes.map((id) => `%${id}`).join(", ")}`;
    case "pipeline":
      return `making the pipeline of ${doing.kernel}`;
  }
};

/** Rules call each other as often as two hundred times: these are enough to see the circle. */
const mostSteps = 8;

/** What a kernel that could not be made stores and reads, with sizes. */
function valuesOf({ graph, nodes, reads }: Extract<Doing, { doing: "kernel" }>): NonNullable<FailureRecord["values"]> {
  const of = (role: "stores" | "reads", id: number) => {
    const { type } = graph.nodes[id]!;
    const bytes = type.kind === "tensor" ? sizeOf(type.shape) * byteWidth(type.dtype) : 0;
    return { role, node: placedName(graph, id), type: typeText(type), bytes };
  };
  return [...nodes.map((id) => of("stores", id)), ...reads.map((id) => of("reads", id))];
}

/** Where in the program: from what was being done, or from where the first number that is not finite was made. */
function placeOf(error: unknown): Partial<FailureRecord> {
  const origin = (error as { readonly origin?: NotFiniteOrigin }).origin;
  if (origin !== undefined) {
    const { stage, id, kernel, dispatch } = origin;
    return { stage, nodes: [id], origin, ...(kernel && { kernel }), ...(dispatch !== undefined && { dispatch }) };
  }
  const [pass, rule, stage, kernel, pipeline] = [
    lastDone(error, "pass"),
    lastDone(error, "rule"),
    lastDone(error, "stage"),
    lastDone(error, "kernel"),
    lastDone(error, "pipeline"),
  ];
  const name = pass?.stage ?? stage?.stage;
  const nodes = rule === undefined ? kernel?.nodes : [rule.at];
  return {
    ...(name && { stage: name }),
    ...(pass && { pass: pass.pass }),
    ...(rule && { rule: rule.rule }),
    ...(nodes && { nodes }),
    ...(kernel && { values: valuesOf(kernel) }),
    ...(pipeline && { kernel: pipeline.kernel, wgsl: pipeline.wgsl, said: pipeline.said }),
  };
}

/** `reproduce`: the command that shows the error alone, or why there is none. */
export function failureRecord(error: unknown, reproduce?: string): FailureRecord {
  const doing = trailOf(error).slice(0, mostSteps).map(wordsOf);
  const place = { doing, ...placeOf(error), ...(reproduce && { reproduce }) };
  if (error instanceof WebpeftError) {
    const [{ severity: _severity, ...first }, ...more] = error.diagnostics as [Diagnostic, ...Diagnostic[]];
    return { ...first, also: more.map(formatDiagnostic), ...place };
  }
  const { message = String(error), stack } = error instanceof Error ? error : ({} as Partial<Error>);
  return { code: defect, message, also: [], ...(stack && { stack }), ...place };
}

/** The same for people, as the command tells it, with what was being done. */
export function failureText(error: unknown, record: FailureRecord): string {
  const { code, stack, message, doing, values = [], reproduce } = record;
  const text =
    error instanceof WebpeftError
      ? error.diagnostics.map(formatDiagnostic).join("\n")
      : `error ${code}: ${stack ?? message}`;
  const during = doing.map((words) => `  during:   ${words}\n`).join("");
  const kernel = values.map(
    ({ role, node, type, bytes: size }) => `  ${`${role}:`.padEnd(9)} ${node} : ${type}, ${bytes(size)}\n`,
  );
  return `${text}\n${during}${kernel.join("")}${reproduce === undefined ? "" : `  again:    ${reproduce}\n`}`;
}
