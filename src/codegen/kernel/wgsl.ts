/** Prints kernel IR as WGSL. */
import { opRecord } from "../../ir/registry.ts";
import { type BindingType, bindingTypes, wordsInLoops } from "./accesses.ts";
import type { WgslWriter } from "./contexts.ts";
import { recordOf } from "./expressions.ts";
import { type Expr, type KernelIR, lanesOf, mostParts, partWords, type Scalar, type Statement } from "./kernel.ts";
import { readable } from "./readable.ts";
import { statementRecordOf, typeName } from "./statements.ts";
import { erfText, fourPackedText, oneOfFourText, onePackedText, sineText, threefryText } from "./wgsl-helpers.ts";

/** The text without the kernel's comment; `copiesSizes` as in `Tuning`. */
export function printWgsl(ir: KernelIR, copiesSizes = false): string {
  const { kernel, words } = readable(ir);
  return new Printer(kernel, words, copiesSizes).print();
}

class Printer implements WgslWriter {
  private readonly types: readonly BindingType[];
  private readonly helpers = new Set<string>();
  /** Words that loops use: read once, as a driver may not know that they stay the same. */
  private readonly inLoops: ReadonlySet<number>;

  constructor(
    private readonly kernel: KernelIR,
    private readonly words: readonly string[],
    private readonly copiesSizes: boolean,
  ) {
    this.types = bindingTypes(kernel);
    this.inLoops = wordsInLoops(kernel.body);
  }

  print(): string {
    const { kernel } = this;
    const body = this.block(kernel.body);
    const lines = kernel.features.map((feature) => `enable ${feature};`);
    kernel.bindings.forEach(({ name, access }, i) => {
      const { element, width } = this.types[i]!;
      const array = width === 1 ? element : `vec${width}<${element}>`;
      lines.push(`@group(0) @binding(${i}) var<storage, ${access}> ${name}: array<${array}>;`);
    });
    const parts = this.parts();
    lines.push(parts.struct);
    lines.push(`@group(0) @binding(${kernel.bindings.length}) var<uniform> parts: array<${parts.type}, ${mostParts}>;`);
    for (const { name, type, lanes, length } of kernel.shared)
      lines.push(`var<workgroup> ${name}: array<${typeName(type, lanes)}, ${length}>;`);
    lines.push(...[...this.helpers].sort());
    lines.push(
      "",
      `@compute @workgroup_size(${kernel.workgroup})`,
      "fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) local: u32) {",
      "  let group_index = group.x + group.y * groups.x;",
      `  if (group_index >= ${parts.end(mostParts - 1)}) { return; }`,
      `  let part = ${Array.from({ length: mostParts - 1 }, (_unused, i) => `u32(group_index >= ${parts.end(i)})`).join(" + ")};`,
      ...parts.sizes,
      "  let block = group_index - sizes.first;",
      ...[...this.inLoops]
        .sort((a, b) => a - b)
        .map((word) => `  let ${this.words[word]} = sizes.${this.words[word]};`),
      ...body,
      "}",
      "",
    );
    return lines.join("\n");
  }

  /** How the records of the parts are declared, and how an invocation gets at `sizes`, that of its own. */
  private parts() {
    const words = partWords(this.kernel.sizes);
    const fields = Array.from({ length: words - 2 }, (_unused, i) => this.words[i] ?? `unused${i}`);
    const struct = `struct Part { ${["end", "first", ...fields].map((name) => `${name}: u32`).join(", ")} }`;
    if (!this.copiesSizes)
      return { struct, type: "Part", end: (i: number) => `parts[${i}].end`, sizes: ["  let sizes = &parts[part];"] };
    const type = `array<vec4u, ${words / 4}>`;
    const values = Array.from({ length: words }, (_unused, i) => `words[${Math.floor(i / 4)}].${"xyzw"[i % 4]}`);
    const sizes = [
      `  var words: ${type};`,
      `  for (var i = 0u; i < ${words / 4}u; i += 1u) { words[i] = parts[part][i]; }`,
      `  let sizes = Part(${values.join(", ")});`,
    ];
    return { struct, type, end: (i: number) => `parts[${i}][0].x`, sizes };
  }

  block(body: readonly Statement[]): string[] {
    return body.flatMap((s) => statementRecordOf(s).wgsl(s, this)).map((line) => `  ${line}`);
  }

  /** Index of an element, counted in units of `divisor`, plus `more`. */
  private element(index: Expr, divisor: number, more = 0): string {
    const divided = divisor === 1 ? this.bare(index) : `${this.expr(index)} / ${divisor}u`;
    return more === 0 ? divided : `${divisor === 1 ? this.expr(index) : divided} + ${more}u`;
  }

  store(tensor: number, index: Expr, value: Expr): string[] {
    const { binding, dtype } = this.kernel.tensors[tensor]!;
    const { name } = this.kernel.bindings[binding]!;
    const { element, width } = this.types[binding]!;
    const lanes = lanesOf(value);
    const convert = (text: string, n: number): string => {
      if (dtype === "bool") return n === 4 ? `select(vec4u(0u), vec4u(1u), ${text})` : `select(0u, 1u, ${text})`;
      return element === dtype ? text : `bitcast<${typeName(element, n)}>(${text})`;
    };
    if (width === lanes) return [`${name}[${this.element(index, width)}] = ${convert(this.bare(value), lanes)};`];
    const text = this.expr(value);
    return [0, 1, 2, 3].map((at) => `${name}[${this.element(index, 1, at)}] = ${convert(`${text}[${at}]`, 1)};`);
  }

  bare(e: Expr): string {
    const text = this.expr(e);
    return e.kind === "binary" ? text.slice(1, -1) : text;
  }

  expr(e: Expr): string {
    return recordOf(e).wgsl(e, this);
  }

  word(index: number): string {
    return this.inLoops.has(index) ? this.words[index]! : `sizes.${this.words[index]}`;
  }

  random(args: readonly string[]): string {
    this.helpers.add(threefryText);
    return `uniform_number(${args.join(", ")})`;
  }

  vector(values: readonly Expr[], type: Scalar): string {
    const parts = values.map((p) => this.bare(p));
    const same = parts.every((p) => p === parts[0]);
    return `${typeName(type, 4)}(${same ? parts[0]! : parts.join(", ")})`;
  }

  op(op: string, args: readonly Expr[], type: Scalar, lanes: number): string {
    const texts = args.map((a) => this.expr(a));
    if (op === "cast") {
      const from = args[0]!.type;
      if (from === type) return texts[0]!;
      return `${typeName(type, lanes)}(${texts[0]!})`;
    }
    if (op === "sin" || op === "cos") {
      this.helpers.add(sineText);
      const turned = (x: string): string => `sine(${x}, ${op === "sin" ? 0 : 1})`;
      return lanes === 4 ? turned(texts[0]!) : `${turned(`vec4f(${texts[0]!})`)}.x`;
    }
    if (op === "erf") {
      this.helpers.add(erfText);
      return lanes === 4 ? `erf_number(${texts[0]!})` : `erf_number(vec4f(${texts[0]!})).x`;
    }
    // Beyond 15 the result is 1 in f32; some drivers overflow on the way there.
    if (op === "tanh") return `tanh(clamp(${texts[0]!}, ${lanes === 4 ? "vec4f(-15.0), vec4f(15.0)" : "-15.0, 15.0"}))`;
    if (op === "and" && lanes === 4) return `(${texts[0]!} & ${texts[1]!})`;
    const record = opRecord(op);
    if (record.wgsl === undefined) throw new Error(`${op} has no WGSL`);
    return record.wgsl(texts, {});
  }

  load(tensor: number, index: Expr, lanes: number): string {
    const { binding, dtype } = this.kernel.tensors[tensor]!;
    const { name } = this.kernel.bindings[binding]!;
    const { element, width } = this.types[binding]!;
    if (dtype === "bf16" || dtype === "f16") return this.packed(index, lanes, name, width, dtype);
    const typed = (text: string, n: number): string => {
      if (dtype === "bool") return n === 4 ? `(${text} != vec4u(0u))` : `(${text} != 0u)`;
      return element === dtype ? text : `bitcast<${typeName(dtype as Scalar, n)}>(${text})`;
    };
    if (width === 4 && lanes === 1) {
      this.helpers.add(oneOfFourText(name, element));
      return typed(`${name}_one(${this.bare(index)})`, 1);
    }
    if (width === lanes) return typed(`${name}[${this.element(index, width)}]`, lanes);
    const parts = [0, 1, 2, 3].map((at) => typed(`${name}[${this.element(index, 1, at)}]`, 1));
    return `${typeName(dtype as Scalar, 4)}(${parts.join(", ")})`;
  }

  private packed(index: Expr, lanes: number, name: string, width: 1 | 2 | 4, dtype: "bf16" | "f16"): string {
    this.helpers.add(lanes === 4 ? fourPackedText(name, width, dtype) : onePackedText(name, width, dtype));
    return `${name}_${dtype}${lanes === 4 ? "x4" : ""}(${this.bare(index)})`;
  }

  literal(type: Scalar, value: number): string {
    return literal(type, value);
  }
}

function literal(type: Scalar, value: number): string {
  if (type === "bool") return value !== 0 ? "true" : "false";
  if (type === "u32") return `${value}u`;
  if (type === "i32") return value === -2147483648 ? "i32(-2147483648)" : String(value);
  const rounded = Math.fround(value);
  if (!Number.isFinite(rounded))
    return `bitcast<f32>(${rounded > 0 ? "0x7f800000u" : rounded < 0 ? "0xff800000u" : "0x7fc00000u"} + min(local, 0u))`;
  const text = String(rounded);
  const decimal = /[.e]/.test(text) ? text : `${text}.0`;
  return value < 0 ? `(${decimal})` : decimal;
}
