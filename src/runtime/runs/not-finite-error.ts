/** What is said of the first number that was not finite. */
import { type DiagnosticFields, WebpeftError } from "../../ir/diagnostics.ts";
import type { GivenToKernel, NotFiniteOrigin, NumberRange } from "../../program/run-records.ts";

/** `origin` is absent where there is nothing to say beyond the message. */
export class NotFiniteError extends WebpeftError {
  constructor(
    code: "TRAIN-NOT-FINITE" | "RESULT-NOT-FINITE",
    fields: DiagnosticFields,
    readonly origin: NotFiniteOrigin | undefined,
    /** What shows it again; absent where no kernel made it, or the update would have. */
    readonly given?: GivenToKernel | undefined,
  ) {
    super(code, fields);
  }
}

const isTensor = ({ node }: NotFiniteOrigin): boolean => !node.startsWith("%");

const short = (x: number): string => String(Number(x.toPrecision(3)));

/** `%12 = mul from -3.1 to 88`. */
function rangeText({ node, least, most, notFinite, count }: NumberRange): string {
  const numbers = notFinite === count ? "no finite number" : `${short(least)} to ${short(most)}`;
  return `${node.replace(" = ", " ")} ${numbers}${notFinite > 0 ? `, ${notFinite} of ${count} not finite` : ""}`;
}

/** What errors say of it: a message, a place, and the ranges of what it was made of. */
export function fieldsOf(origin: NotFiniteOrigin | undefined): DiagnosticFields {
  if (origin === undefined)
    return { message: "when it was run again to see where it began every number was finite, or nobody could look" };
  const { node, scope, line, kernel, dispatch, stage, result, inputs, parameter } = origin;
  const got = `${result.notFinite} of ${result.count} numbers of ${parameter ?? origin.type}`;
  if (isTensor(origin)) return { message: `the tensor ${node} holds a NaN or an infinity`, where: node, got };
  const place = kernel === undefined ? `in ${stage}` : `in kernel ${kernel}, dispatch ${dispatch} of ${stage},`;
  return {
    message: `${node}${line === undefined ? "" : ` (${line})`} ${place} was the first to give a NaN or an infinity`,
    ...((parameter ?? scope) === undefined ? {} : { where: parameter ?? scope! }),
    got: inputs.length === 0 ? got : `${got}; of ${inputs.map(rangeText).join("; ")}`,
  };
}
