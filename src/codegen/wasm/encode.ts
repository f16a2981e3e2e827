/** The binary format of WebAssembly modules. */
import {
  type Instruction,
  instructions,
  unsigned,
  type ValueType,
  type WasmFunction,
  type WasmModule,
} from "./instructions.ts";

const typeCodes: Readonly<Record<ValueType, number>> = { i32: 0x7f, f32: 0x7d, v128: 0x7b };
const noResult = 0x40;

export function encodeModule(module: WasmModule): Uint8Array<ArrayBuffer> {
  const { memory, globals, functions } = module;
  const types = [...new Set(functions.map(signature))];
  const limits = [memory.shared ? 3 : 1, ...unsigned(memory.pages), ...unsigned(memory.most)];
  const imports = [
    [...text("env"), ...text("memory"), 0x02, ...limits],
    ...globals.map((name) => [...text("env"), ...text(name), 0x03, typeCodes.i32, 0x00]),
  ];
  const exports = functions.flatMap(({ name, exported }, at) =>
    exported ? [[...text(name), 0x00, ...unsigned(at)]] : [],
  );
  return joined([
    [0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(
      1,
      types.map((type) => type.split(",").map(Number)),
    ),
    ...section(2, imports),
    ...section(
      3,
      functions.map((f) => unsigned(types.indexOf(signature(f)))),
    ),
    ...section(7, exports),
    ...section(10, functions.map(code)),
  ]);
}

type Bytes = readonly number[] | Uint8Array;

function joined(parts: readonly Bytes[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** The bytes of a function's type, as a text. */
const signature = ({ parameters, results }: WasmFunction): string =>
  [0x60, ...vector(parameters.map((t) => [typeCodes[t]])), ...vector(results.map((t) => [typeCodes[t]]))].join();

function vector(items: readonly (readonly number[])[]): number[] {
  const bytes = unsigned(items.length);
  for (const item of items) for (const byte of item) bytes.push(byte);
  return bytes;
}

function section(id: number, items: readonly Bytes[]): Bytes[] {
  const count = unsigned(items.length);
  const length = items.reduce((sum, item) => sum + item.length, count.length);
  return [[id], unsigned(length), count, ...items];
}

const text = (name: string): number[] => {
  const bytes = [...new TextEncoder().encode(name)];
  return [...unsigned(bytes.length), ...bytes];
};

/** Functions that several modules have are encoded once, by their instructions. */
const known = new WeakMap<WasmFunction["body"], Uint8Array>();

function code(f: WasmFunction): Uint8Array {
  const before = known.get(f.body);
  if (before !== undefined) return before;
  const runs: [number, ValueType][] = [];
  for (const type of f.locals) {
    const last = runs.at(-1);
    if (last?.[1] === type) last[0]++;
    else runs.push([1, type]);
  }
  const bytes = vector(runs.map(([count, type]) => [...unsigned(count), typeCodes[type]]));
  for (const instruction of f.body) encodeInstruction(bytes, instruction);
  bytes.push(...instructions.end.code);
  const made = joined([unsigned(bytes.length), bytes]);
  known.set(f.body, made);
  return made;
}

function encodeInstruction(bytes: number[], { op, immediates }: Instruction): void {
  const { code: opcode, immediate } = instructions[op];
  for (const byte of opcode) bytes.push(byte);
  const [first = 0] = immediates;
  switch (immediate) {
    case "none":
      return;
    case "block":
      bytes.push(noResult);
      return;
    case "index":
      bytes.push(...unsigned(first));
      return;
    case "i32":
      bytes.push(...signed(first | 0));
      return;
    case "f32":
      bytes.push(...new Uint8Array(Float32Array.of(first).buffer));
      return;
    // Alignment is a hint: that of four bytes, which every operand of two or more has at least by half.
    case "memory":
      bytes.push(op === "i32.load16_u" ? 1 : 2, ...unsigned(first));
      return;
    case "lane":
      bytes.push(first);
      return;
    case "bytes":
      bytes.push(...immediates);
      return;
    default:
      immediate satisfies never;
  }
}

/** LEB128 of a signed number. */
function signed(value: number): number[] {
  const bytes: number[] = [];
  for (let rest = value; ; rest >>= 7) {
    const low = rest & 0x7f;
    const isLast = (rest >> 7 === 0 && (low & 0x40) === 0) || (rest >> 7 === -1 && (low & 0x40) !== 0);
    bytes.push(isLast ? low : low | 0x80);
    if (isLast) return bytes;
  }
}
