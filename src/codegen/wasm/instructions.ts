/** The instructions of WebAssembly that are printed: opcodes and immediates, as the core specification (2.0, with relaxed SIMD) has them. */

export type ValueType = "i32" | "f32" | "v128";

/** What follows an opcode. `memory`: offset in bytes; `bytes`: sixteen bytes. */
type Immediate = "none" | "index" | "i32" | "f32" | "memory" | "lane" | "bytes" | "block";

interface InstructionRecord {
  readonly code: readonly number[];
  readonly immediate: Immediate;
}

const codes = <N extends string>(
  immediate: Immediate,
  prefix: readonly number[],
  table: Readonly<Record<N, number>>,
): Readonly<Record<N, InstructionRecord>> =>
  Object.fromEntries(
    Object.entries<number>(table).map(([name, code]) => [name, { code: [...prefix, ...unsigned(code)], immediate }]),
  ) as unknown as Readonly<Record<N, InstructionRecord>>;

/** LEB128 of an unsigned number; opcodes behind a prefix have it too. */
export function unsigned(value: number): number[] {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return [...bytes, rest];
    bytes.push((rest % 128) + 128);
  }
}

const simd = [0xfd];

export const instructions = {
  ...codes("none", [], {
    unreachable: 0x00,
    else: 0x05,
    end: 0x0b,
    drop: 0x1a,
    select: 0x1b,
    "i32.eqz": 0x45,
    "i32.eq": 0x46,
    "i32.lt_s": 0x48,
    "i32.lt_u": 0x49,
    "i32.le_s": 0x4c,
    "i32.le_u": 0x4d,
    "f32.eq": 0x5b,
    "f32.lt": 0x5d,
    "f32.gt": 0x5e,
    "f32.le": 0x5f,
    "i32.add": 0x6a,
    "i32.sub": 0x6b,
    "i32.mul": 0x6c,
    "i32.div_s": 0x6d,
    "i32.div_u": 0x6e,
    "i32.rem_s": 0x6f,
    "i32.rem_u": 0x70,
    "i32.and": 0x71,
    "i32.or": 0x72,
    "i32.xor": 0x73,
    "i32.shl": 0x74,
    "i32.shr_u": 0x76,
    "i32.rotl": 0x77,
    "f32.abs": 0x8b,
    "f32.neg": 0x8c,
    "f32.floor": 0x8e,
    "f32.trunc": 0x8f,
    "f32.sqrt": 0x91,
    "f32.add": 0x92,
    "f32.sub": 0x93,
    "f32.mul": 0x94,
    "f32.div": 0x95,
    "f32.min": 0x96,
    "f32.max": 0x97,
    "f32.convert_i32_s": 0xb2,
    "f32.convert_i32_u": 0xb3,
    "f32.reinterpret_i32": 0xbe,
  }),
  ...codes("none", [0xfc], { "i32.trunc_sat_f32_s": 0, "i32.trunc_sat_f32_u": 1 }),
  ...codes("block", [], { block: 0x02, loop: 0x03, if: 0x04 }),
  ...codes("index", [], {
    br: 0x0c,
    br_if: 0x0d,
    call: 0x10,
    "local.get": 0x20,
    "local.set": 0x21,

    "global.get": 0x23,
  }),
  ...codes("memory", [], {
    "i32.load": 0x28,
    "f32.load": 0x2a,
    "i32.load16_u": 0x2f,
    "i32.store": 0x36,
    "f32.store": 0x38,
  }),
  ...codes("i32", [], { "i32.const": 0x41 }),
  ...codes("f32", [], { "f32.const": 0x43 }),
  ...codes("bytes", simd, { "v128.const": 12, "i8x16.shuffle": 13 }),
  ...codes("memory", simd, {
    "v128.load": 0,
    "v128.load16x4_u": 4,
    "v128.load32_splat": 9,
    "v128.store": 11,
  }),
  ...codes("lane", simd, {
    "i32x4.extract_lane": 0x1b,
    "i32x4.replace_lane": 0x1c,
    "f32x4.extract_lane": 0x1f,
    "f32x4.replace_lane": 0x20,
  }),
  ...codes("none", simd, {
    "i32x4.splat": 0x11,
    "f32x4.splat": 0x13,
    "i32x4.eq": 0x37,
    "i32x4.lt_s": 0x39,
    "i32x4.lt_u": 0x3a,
    "i32x4.le_s": 0x3d,
    "i32x4.le_u": 0x3e,
    "f32x4.eq": 0x41,
    "f32x4.lt": 0x43,
    "f32x4.gt": 0x44,
    "f32x4.le": 0x45,
    "v128.not": 0x4d,
    "v128.and": 0x4e,
    "v128.andnot": 0x4f,
    "v128.or": 0x50,
    "v128.xor": 0x51,
    "v128.bitselect": 0x52,
    "f32x4.demote_f64x2_zero": 0x5e,
    "f64x2.promote_low_f32x4": 0x5f,
    "f32x4.floor": 0x68,
    "f32x4.trunc": 0x69,
    "i32x4.neg": 0xa1,
    "i32x4.abs": 0xa0,
    "i32x4.shl": 0xab,
    "i32x4.shr_s": 0xac,
    "i32x4.shr_u": 0xad,
    "i32x4.add": 0xae,
    "i32x4.sub": 0xb1,
    "i32x4.mul": 0xb5,
    "i32x4.min_s": 0xb6,
    "i32x4.min_u": 0xb7,
    "i32x4.max_s": 0xb8,
    "i32x4.max_u": 0xb9,
    "f32x4.abs": 0xe0,
    "f32x4.neg": 0xe1,
    "f32x4.sqrt": 0xe3,
    "f32x4.add": 0xe4,
    "f32x4.sub": 0xe5,
    "f32x4.mul": 0xe6,
    "f32x4.div": 0xe7,
    "f32x4.min": 0xe8,
    "f32x4.max": 0xe9,
    "f32x4.pmin": 0xea,
    "f32x4.pmax": 0xeb,
    "i32x4.trunc_sat_f32x4_s": 0xf8,
    "i32x4.trunc_sat_f32x4_u": 0xf9,
    "f32x4.convert_i32x4_s": 0xfa,
    "f32x4.convert_i32x4_u": 0xfb,
    "f64x2.nearest": 0x94,
    "f64x2.sub": 0xf1,
    "f64x2.mul": 0xf2,
    "i32x4.trunc_sat_f64x2_s_zero": 0xfc,
    "f32x4.relaxed_madd": 0x105,
  }),
} satisfies Readonly<Record<string, InstructionRecord>>;

export type Opcode = keyof typeof instructions;

/** One instruction; blocks end with `end`, as in the binary format. */
export interface Instruction {
  readonly op: Opcode;
  /** Numbers of its immediate; none of a block without a result. */
  readonly immediates: readonly number[];
}

export interface WasmFunction {
  readonly name: string;
  readonly parameters: readonly ValueType[];
  readonly results: readonly ValueType[];
  /** Types of the locals behind the parameters. */
  readonly locals: readonly ValueType[];
  readonly body: readonly Instruction[];
  readonly exported: boolean;
}

/** A module with a memory and globals (all i32) that it is given. */
export interface WasmModule {
  readonly memory: { readonly pages: number; readonly most: number; readonly shared: boolean };
  readonly globals: readonly string[];
  readonly functions: readonly WasmFunction[];
}
