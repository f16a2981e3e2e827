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
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
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

/** The bytes of a function's type, as a text. */
const signature = ({ parameters, results }: WasmFunction): string =>
  [0x60, ...vector(parameters.map((t) => [typeCodes[t]])), ...vector(results.map((t) => [typeCodes[t]]))].join();

function vector(items: readonly (readonly number[])[]): number[] {
  const bytes = unsigned(items.length);
  for (const item of items) for (const byte of item) bytes.push(byte);
  return bytes;
}

function section(id: number, items: readonly (readonly number[])[]): number[] {
  const bytes = vector(items);
  return concat([[id], unsigned(bytes.length), bytes]);
}

function concat(parts: readonly (readonly number[])[]): number[] {
  const bytes: number[] = [];
  for (const part of parts) for (const byte of part) bytes.push(byte);
  return bytes;
}

const text = (name: string): number[] => {
  const bytes = [...new TextEncoder().encode(name)];
  return [...unsigned(bytes.length), ...bytes];
};

function code({ locals, body }: WasmFunction): number[] {
  const runs: [number, ValueType][] = [];
  for (const type of locals) {
    const last = runs.at(-1);
    if (last?.[1] === type) last[0]++;
    else runs.push([1, type]);
  }
  const declared = vector(runs.map(([count, type]) => [...unsigned(count), typeCodes[type]]));
  const bytes = concat([declared, ...body.map(encodeInstruction), instructions.end.code]);
  return concat([unsigned(bytes.length), bytes]);
}

function encodeInstruction({ op, immediates }: Instruction): number[] {
  const { code: opcode, immediate } = instructions[op];
  const [first = 0] = immediates;
  switch (immediate) {
    case "none":
      return [...opcode];
    case "block":
      return [...opcode, noResult];
    case "index":
      return [...opcode, ...unsigned(first)];
    case "i32":
      return [...opcode, ...signed(first | 0)];
    case "f32":
      return [...opcode, ...new Uint8Array(Float32Array.of(first).buffer)];
    // Alignment is a hint: that of four bytes, which every operand of two or more has at least by half.
    case "memory":
      return [...opcode, op === "i32.load16_u" ? 1 : 2, ...unsigned(first)];
    case "lane":
      return [...opcode, first];
    case "bytes":
      return [...opcode, ...immediates];
    default:
      return immediate satisfies never;
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
