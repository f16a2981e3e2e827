/** WebAssembly modules as text (WAT), one instruction a line. */
import type { Generated } from "../plan.ts";
import { relaxedSimd, type Target } from "../target.ts";
import { type Instruction, instructions, type WasmFunction, type WasmModule } from "./instructions.ts";
import { layoutMemory, pagesOf } from "./layout.ts";
import { link } from "./link.ts";

/** The module of a plan. Its memory is what one thread needs at least. */
export function programText(generated: Generated, { features }: Target): string {
  const { addresses, end } = layoutMemory(generated.plan);
  const map = { bytes: end, addressOf: (buffer: string) => addresses.get(buffer)! };
  const { module, scratchBytes } = link(generated, {
    map,
    fuses: features.includes(relaxedSimd),
    nameOf: ({ kernel }) => kernel,
  });
  return printModule({ ...module, memory: { pages: pagesOf(end + scratchBytes), most: mostPages, shared: false } });
}

/** Of what WebAssembly can address. */
const mostPages = 65536;

export function printModule(module: WasmModule): string {
  const { pages, most, shared } = module.memory;
  return [
    "(module",
    `  (import "env" "memory" (memory ${pages} ${most}${shared ? " shared" : ""}))`,
    ...module.globals.map((name) => `  (import "env" "${name}" (global $${name} i32))`),
    ...module.functions.flatMap((f) => printFunction(f, module).map((line) => `  ${line}`)),
    ")",
    "",
  ].join("\n");
}

/** The lines of one function. */
function printFunction(f: WasmFunction, module: WasmModule): string[] {
  const parameters = f.parameters.map((type, i) => ` (param $${i} ${type})`).join("");
  const results = f.results.map((type) => ` (result ${type})`).join("");
  const locals = f.locals.map((type, i) => `(local $${f.parameters.length + i} ${type})`);
  const name = f.exported ? `$${f.name} (export "${f.name}")` : `$${f.name}`;
  const lines = [`(func ${name}${parameters}${results}`, ...(locals.length === 0 ? [] : [`  ${locals.join(" ")}`])];
  let depth = 1;
  for (const instruction of f.body) {
    const { op } = instruction;
    if (op === "end" || op === "else") depth--;
    lines.push(`${"  ".repeat(depth)}${instructionText(instruction, module)}`);
    if (instructions[op].immediate === "block" || op === "else") depth++;
  }
  return [...lines, ")"];
}

function instructionText({ op, immediates }: Instruction, { functions, globals }: WasmModule): string {
  const [first = 0] = immediates;
  if (op === "call") return `call $${functions[first]!.name}`;
  if (op === "global.get") return `global.get $${globals[first]!}`;
  if (op === "br" || op === "br_if") return `${op} ${first}`;
  switch (instructions[op].immediate) {
    case "none":
    case "block":
      return op;
    case "index":
      return `${op} $${first}`;
    case "memory":
      return first === 0 ? op : `${op} offset=${first}`;
    case "f32":
      return `${op} ${floatText(first)}`;
    case "i32":
    case "lane":
      return `${op} ${first}`;
    case "bytes":
      return `${op}${op === "v128.const" ? " i8x16" : ""} ${immediates.join(" ")}`;
    default:
      return instructions[op].immediate satisfies never;
  }
}

function floatText(value: number): string {
  if (Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  return Object.is(value, -0) ? "-0" : String(Math.fround(value));
}
