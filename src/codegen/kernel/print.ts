/**
 * Kernel IR as text: what `wgsl.ts` prints without the target's syntax. A tensor is `%t0: f32 in b0`, an element `%t0[i]`, four of them
 * `%t0[i..4]`; `#3` is word 3 of the sizes, `<f32>` and the like say how it is read.
 */
import { recordOf } from "./expressions.ts";
import type { Expr, KernelIR, Statement } from "./kernel.ts";
import { statementRecordOf } from "./statements.ts";

export function printKernel(kernel: KernelIR, name = "kernel"): string {
  const tensors = kernel.tensors.map((t) => `%${t.name}: ${t.dtype} in b${t.binding}`);
  const access = kernel.bindings.map((b) => `${b.name}: ${b.access}`);
  const shared = kernel.shared.map((s) => `  workgroup ${s.name}: ${s.type}${s.lanes === 4 ? "x4" : ""}[${s.length}]`);
  const known = (kernel.words ?? []).flatMap((word, i) => (word === "" ? [] : [`#${i}: ${word}`]));
  const words = known.length === 0 ? [] : [`  // ${known.join(", ")}`];
  const enables = kernel.features.length === 0 ? [] : [`  enable ${kernel.features.join(", ")}`];
  return [
    ...kernel.doc.map((line) => `// ${line}`),
    `kernel @${name}(${tensors.join(", ")}) {`,
    ...enables,
    `  workgroup_size ${kernel.workgroup}, sizes ${kernel.sizes}, bindings ${access.join(", ")}`,
    ...shared,
    ...words,
    ...printStatements(kernel.body),
    "}",
  ].join("\n");
}

const printExpr = (e: Expr): string => recordOf(e).text(e, printExpr);

export const printStatements = (body: readonly Statement[]): string[] =>
  body
    .flatMap((s) => statementRecordOf(s).text(s, { expr: printExpr, block: printStatements }))
    .map((line) => `  ${line}`);
