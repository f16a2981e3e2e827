/**
 * Names for people in the text of a kernel: of what a value is made by, of which tensor it is, of what a word is for. They are made of the
 * kernel IR alone, so that equal kernels have equal texts, whatever modules they run for.
 */
import type { BinaryOperator, Expr, KernelIR, Statement } from "./kernel.ts";
import { childrenOf, mapExpr, mapStatements, operandsOf, visitStatements } from "./walk.ts";

export interface ReadableKernel {
  readonly kernel: KernelIR;
  /** Names of the words of a part. */
  readonly words: readonly string[];
  /** Of the variables whose names are others than in the kernel IR. */
  readonly variables: ReadonlyMap<string, string>;
}

const operations: Readonly<Partial<Record<BinaryOperator, string>>> = {
  "+": "add",
  "-": "sub",
  "*": "mul",
  "<": "less",
  "&&": "both",
};

/** Names that were given, each once. */
class Names {
  private readonly given = new Set<string>();
  private readonly counts = new Map<string, number>();

  /** `stem_0`, `stem_1`, ... */
  numbered(stem: string): string {
    const at = this.counts.get(stem) ?? 0;
    this.counts.set(stem, at + 1);
    return this.single(`${stem}_${at}`);
  }

  /** The name, or one like it where it was given before. */
  single(wanted: string): string {
    let name = wanted;
    for (let more = 2; this.given.has(name); more++) name = `${wanted}_${more}`;
    this.given.add(name);
    return name;
  }
}

/** `in0`, `in1` what is read, `out0` what is written. */
function tensorNames({ tensors, body }: KernelIR): string[] {
  const written = new Set<number>();
  visitStatements(body, (s) => s.kind === "store" && written.add(s.tensor));
  const counts = { in: 0, out: 0 };
  return tensors.map((_tensor, at) => {
    const kind = written.has(at) ? "out" : "in";
    return `${kind}${counts[kind]++}`;
  });
}

/** A binding by the tensors in it. */
function bindingName(own: readonly string[], at: number): string {
  return own.length === 0 || own.length > 3 ? `buffer${at}` : own.join("_");
}

/** The place of the invocation among all of its part: `block * workgroup + local`. */
const isElement = ({ operator, a, b }: Extract<Expr, { kind: "binary" }>): boolean =>
  operator === "+" && b.kind === "builtin" && b.name === "local" && childrenOf(a).some((c) => c.kind === "builtin");

class Namer {
  private readonly names = new Names();
  private readonly variables = new Map<string, string>();
  /** By variable: the tensor whose address it is. */
  private readonly addresses = new Map<string, number>();
  private readonly words: (string | undefined)[];
  private readonly tensors: readonly string[];
  private readonly bases: ReadonlyMap<number, number>;

  constructor(private readonly kernel: KernelIR) {
    this.tensors = tensorNames(kernel);
    this.words = new Array<string | undefined>(kernel.sizes).fill(undefined);
    this.bases = new Map(kernel.bases.map((word, tensor) => [word, tensor]));
  }

  run(): ReadableKernel {
    const { kernel } = this;
    const bindings = kernel.bindings.map((binding, at) => ({
      ...binding,
      name: this.names.single(
        bindingName(
          this.tensors.filter((_name, tensor) => kernel.tensors[tensor]!.binding === at),
          at,
        ),
      ),
    }));
    for (const { name } of kernel.shared) this.names.single(name);
    visitStatements(kernel.body, (s) => this.statement(s));
    const body = mapStatements(kernel.body, {
      expr: (e) =>
        mapExpr(e, (x) => (x.kind === "variable" ? { ...x, name: this.variables.get(x.name) ?? x.name } : x)),
      name: (name) => this.variables.get(name) ?? name,
    });
    const words = this.words.map((name) => name ?? this.names.numbered("size"));
    return { kernel: { ...kernel, bindings, body }, words, variables: this.variables };
  }

  /** Names what the statement declares, and the words that it uses. */
  private statement(s: Statement): void {
    for (const e of operandsOf(s)) this.expression(e, s.kind === "store" ? s.tensor : this.tensorOf(e));
    if (s.kind === "for" && s.to.kind === "size") this.word(s.to.index, `${s.name}_end`);
    if (s.kind !== "let") return;
    const tensor = this.tensorOf(s.value);
    if (tensor !== undefined) this.addresses.set(s.name, tensor);
    // Others have names of their own: sums, turns of loops.
    if (/^t\d+$/.test(s.name)) this.variables.set(s.name, this.names.numbered(this.stem(s.value, tensor)));
  }

  /** What a value is called by. */
  private stem(e: Expr, address: number | undefined): string {
    switch (e.kind) {
      case "load":
        return this.tensors[e.tensor]!;
      case "op":
        return e.op === "cast" && e.type === "u32" ? "row" : e.op;
      case "binary":
        if (address !== undefined) return `at_${this.tensors[address]}`;
        if (isElement(e)) return "element";
        if (e.operator === "/") return "outer";
        if (e.operator === "%") return "inner";
        return e.type === "u32" ? "index" : (operations[e.operator] ?? "bits");
      case "random":
        return "uniform";
      case "shared":
      case "item":
        return e.array.replace(/\d+$/, "");
      case "vector":
        return "lanes";
      case "component":
        return "lane";
      case "builtin":
      case "literal":
      case "size":
      case "base":
      case "variable":
        return "value";
      default:
        return e satisfies never;
    }
  }

  /** The tensor whose address an index is. */
  private tensorOf(e: Expr): number | undefined {
    if (e.kind === "size") return this.bases.get(e.index);
    if (e.kind === "variable") return this.addresses.get(e.name);
    if (e.kind !== "binary" || e.type !== "u32") return undefined;
    return this.tensorOf(e.a) ?? this.tensorOf(e.b);
  }

  private expression(e: Expr, tensor: number | undefined): void {
    if (e.kind === "load") {
      this.expression(e.index, e.tensor);
      return;
    }
    if (e.kind === "binary") this.wordsOf(e, tensor);
    if (e.kind === "size" && this.words[e.index] === undefined) {
      const base = this.bases.get(e.index);
      if (base !== undefined) this.word(e.index, `${this.tensors[base]}_begin`);
      else if (e.type !== "u32") this.words[e.index] = this.names.numbered("number");
    }
    const isIndex = e.kind === "binary" && e.type === "u32";
    for (const child of childrenOf(e)) this.expression(child, isIndex ? tensor : this.tensorOf(child));
  }

  /** A word beside a variable: how far apart elements are along it, where it ends, by what it is divided. */
  private wordsOf({ operator, a, b }: Extract<Expr, { kind: "binary" }>, tensor: number | undefined): void {
    if (b.kind !== "size" || this.words[b.index] !== undefined || this.bases.has(b.index)) return;
    if (operator === "+" && tensor !== undefined) this.word(b.index, `${this.tensors[tensor]}_apart`);
    const of = this.nameOf(a);
    if (of === undefined) return;
    if (operator === "<") this.word(b.index, `${of}_end`);
    else if (operator === "/" || operator === "%") this.word(b.index, `${of}_by`);
    else if (operator === "*" && tensor !== undefined) this.word(b.index, `${this.tensors[tensor]}_per_${of}`);
    else if (operator === "*") this.word(b.index, `${of}_step`);
  }

  private nameOf(e: Expr): string | undefined {
    if (e.kind === "variable") return this.variables.get(e.name) ?? e.name;
    if (e.kind === "builtin") return e.name;
    return e.kind === "size" && this.bases.has(e.index) ? "begin" : undefined;
  }

  private word(index: number, name: string): void {
    this.words[index] ??= this.names.single(name);
  }
}

export const readable = (kernel: KernelIR): ReadableKernel => new Namer(kernel).run();

/** Names of the words of a part in the text. */
export const wordNames = (kernel: KernelIR): readonly string[] => readable(kernel).words;
