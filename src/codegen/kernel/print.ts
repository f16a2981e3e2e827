/**
 * Kernel IR as text: what `wgsl.ts` prints without the target's syntax. A tensor is `%t0: f32 in b0`, an element `%t0[i]`, four of them
 * `%t0[i..4]`; `#3` is word 3 of the sizes, `<f32>` and the like say how it is read.
 */
import type { Expr, KernelIR, Statement } from "./kernel.ts";

export function printKernel(kernel: KernelIR, name = "kernel"): string {
  const tensors = kernel.tensors.map((t) => `%${t.name}: ${t.dtype} in b${t.binding}`);
  const access = kernel.bindings.map((b) => `${b.name}: ${b.access}`);
  const shared = kernel.shared.map((s) => `  workgroup ${s.name}: ${s.type}${s.lanes === 4 ? "x4" : ""}[${s.length}]`);
  return [
    ...kernel.doc.map((line) => `// ${line}`),
    `kernel @${name}(${tensors.join(", ")}) {`,
    `  workgroup_size ${kernel.workgroup}, sizes ${kernel.sizes}, bindings ${access.join(", ")}`,
    ...shared,
    ...statements(kernel.body, "  "),
    "}",
  ].join("\n");
}

const statements = (body: readonly Statement[], indent: string): string[] => body.flatMap((s) => statement(s, indent));

function statement(s: Statement, indent: string): string[] {
  const inner = `${indent}  `;
  switch (s.kind) {
    case "let":
    case "var":
      return [`${indent}${s.kind} ${s.name} = ${text(s.value)}`];
    case "array":
      return [`${indent}array ${s.name} = [${s.values.map(text).join(", ")}]`];
    case "assign":
      return [`${indent}${s.name} := ${text(s.value)}`];
    case "for":
      return [
        `${indent}for ${s.name} = ${text(s.from)} to ${text(s.to)} step ${text(s.step)} {`,
        ...statements(s.body, inner),
        `${indent}}`,
      ];
    case "if": {
      const otherwise = s.otherwise === undefined ? [] : [`${indent}} else {`, ...statements(s.otherwise, inner)];
      return [`${indent}if ${text(s.condition)} {`, ...statements(s.body, inner), ...otherwise, `${indent}}`];
    }
    case "store":
      return [
        `${indent}store %t${s.tensor}[${text(s.index)}${"lanes" in s.value && s.value.lanes === 4 ? "..4" : ""}] = ${text(s.value)}`,
      ];
    case "store-shared":
      return [`${indent}store ${s.array}[${text(s.index)}] = ${text(s.value)}`];
    case "barrier":
      return [`${indent}barrier`];
    case "comment":
      return [`${indent}// ${s.text}`];
  }
}

function text(e: Expr): string {
  switch (e.kind) {
    case "literal":
      return e.type === "u32" ? String(e.value) : `${e.value}:${e.type}`;
    case "size":
      return e.type === "u32" ? `#${e.index}` : `#${e.index}<${e.type}>`;
    case "base":
      return `base(%t${e.tensor})`;
    case "variable":
    case "builtin":
      return e.name;
    case "binary":
      return `(${text(e.a)} ${e.operator} ${text(e.b)})`;
    case "op": {
      const name = e.op === "cast" ? `cast<${e.type}>` : e.op;
      return `${name}(${e.args.map(text).join(", ")})`;
    }
    case "random":
      return `uniform(${[e.seed, e.step, e.site, e.tensor, e.counter].map(text).join(", ")})`;
    case "load":
      return `%t${e.tensor}[${text(e.index)}${e.lanes === 4 ? "..4" : ""}]`;
    case "shared":
    case "item":
      return `${e.array}[${text(e.index)}]`;
    case "vector":
      return `<${e.parts.map(text).join(", ")}>`;
    case "component":
      return `${text(e.of)}.${"xyzw"[e.at]}`;
  }
}
