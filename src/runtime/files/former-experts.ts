/**
 * LoRAs whose experts were modules of their own, as files of transformers 4 have them: one tensor for all experts, as PEFT makes it on loading. Where
 * two layers became one its rows of A stand behind one another, and B has a block for each.
 */
import { WebpeftError } from "../../ir/diagnostics.ts";
import type { SafetensorsFile } from "./safetensors.ts";
import type { TensorEntry } from "./safetensors-header.ts";
import type { HostTensor } from "./tensor.ts";

/** Names of an expert's layers, in the order in which they stand in a parameter. */
const parameters = [
  ["w1", "gate_proj", "w3", "up_proj"],
  ["w2", "down_proj"],
] as const;

const pattern = /^(.*\.experts)\.(\d+)\.(w1|w2|w3|gate_proj|up_proj|down_proj)\.lora_([AB])\.weight$/;

/** One tensor of a former layer. */
interface Part {
  readonly key: string;
  readonly entry: TensorEntry;
  readonly expert: number;
  /** Which of the two layers of its parameter it is. */
  readonly side: number;
}

/** One tensor of a parameter: its parts by expert, then by layer. */
interface Joined {
  readonly isB: boolean;
  readonly sides: number;
  readonly experts: number;
  readonly parts: readonly Part[];
}

/** The path of a module as it is now. */
const renamed = (key: string): string => key.replace(".block_sparse_moe.", ".mlp.");

/** The tensors of a file with those of all experts as one; the file where it has none of single experts. Throws `FILE-ADAPTER-MISSING`. */
export function withFormerExperts(file: SafetensorsFile): SafetensorsFile {
  const groups = groupsOf(file);
  if (groups.size === 0) return file;
  const joined = new Map([...groups].map(([key, group]) => [key, checked(file.name, group)] as const));
  const others = [...file.tensors]
    .filter(([key]) => !pattern.test(key))
    .map(([key, entry]) => [renamed(key), entry, key] as const);
  const original = new Map(others.map(([key, , before]) => [key, before]));
  return {
    ...file,
    tensors: new Map([
      ...others.map(([key, entry]) => [key, entry] as const),
      ...[...joined].map(([key, tensor]) => [key, entryOf(tensor)] as const),
    ]),
    read: async (key) => {
      const tensor = joined.get(key);
      return tensor === undefined ? file.read(original.get(key) ?? key) : read(file, tensor);
    },
  };
}

/** Parts by the key that they are to have: the first parameter of a module is the inner one of two. */
function groupsOf({ tensors }: SafetensorsFile): Map<string, { readonly isB: boolean; readonly parts: Part[] }> {
  const groups = new Map<string, { readonly isB: boolean; readonly parts: Part[] }>();
  const found = [...tensors].flatMap(([key, entry]) => {
    const [, path, expert, layer, end] = pattern.exec(key) ?? [];
    if (path === undefined) return [];
    const parameter = parameters.findIndex((names) => (names as readonly string[]).includes(layer!));
    const side = (parameters[parameter] as readonly string[]).indexOf(layer!) >> 1;
    return [{ path: renamed(path), parameter, isB: end === "B", part: { key, entry, expert: Number(expert), side } }];
  });
  const outer = new Set(found.filter(({ parameter }) => parameter === 1).map(({ path }) => path));
  for (const { path, parameter, isB, part } of found) {
    const wrapper = parameter === 0 && outer.has(path) ? ".base_layer" : "";
    const key = `${path}${wrapper}.lora_${isB ? "B" : "A"}.weight`;
    const group = groups.get(key) ?? { isB, parts: [] };
    group.parts.push(part);
    groups.set(key, group);
  }
  return groups;
}

/** Every expert has the same layers, of the same shapes. */
function checked(name: string, { isB, parts }: { readonly isB: boolean; readonly parts: readonly Part[] }): Joined {
  const sides = 1 + Math.max(...parts.map(({ side }) => side));
  const experts = 1 + Math.max(...parts.map(({ expert }) => expert));
  const first = parts[0]!;
  const told = ({ dtype, shape }: TensorEntry): string => `${dtype} [${shape.join(", ")}]`;
  const inOrder = Array.from({ length: sides * experts }, (_unused, at): Part => {
    const [expert, side] = [Math.floor(at / sides), at % sides];
    const part = parts.find((one) => one.expert === expert && one.side === side);
    if (part !== undefined && told(part.entry) === told(first.entry)) return part;
    throw new WebpeftError(part === undefined ? "FILE-ADAPTER-MISSING" : "FILE-ADAPTER-SHAPE", {
      message: "experts of one layer have other tensors than its others, so that they are not one tensor",
      where: `${name}: ${part?.key ?? first.key}`,
      expected: `${told(first.entry)} of each of ${experts} experts${sides === 1 ? "" : ", of both layers of its gate"}`,
      got:
        part === undefined
          ? `none of ${side === first.side ? "" : "the other layer of "}expert ${expert}`
          : told(part.entry),
      help: "Train the adapter again with all experts, or merge it with the versions of PEFT and transformers that made it.",
    });
  });
  return { isB, sides, experts, parts: inOrder };
}

/** The rows and columns of the whole. */
function entryOf({ isB, sides, experts, parts }: Joined): TensorEntry {
  const { dtype, shape, begin, end } = parts[0]!.entry;
  const [rows, columns] = shape as [number, number];
  const whole = isB ? [sides * rows, experts * sides * columns] : [experts * sides * rows, columns];
  // Blocks of B beside which there are zeros.
  const size = (end - begin) * experts * sides * (isB ? sides : 1);
  return { dtype, shape: whole, begin: 0, end: size };
}

async function read(file: SafetensorsFile, joined: Joined): Promise<HostTensor> {
  const { isB, sides, experts, parts } = joined;
  const { dtype, shape, end } = entryOf(joined);
  const bytes = new Uint8Array(end);
  const [rows, columns] = parts[0]!.entry.shape as [number, number];
  for (const [at, { key }] of parts.entries()) {
    const part = (await file.read(key)).bytes;
    if (!isB) {
      bytes.set(part, at * part.byteLength);
      continue;
    }
    const [expert, side, size] = [Math.floor(at / sides), at % sides, part.byteLength / (rows * columns)];
    for (let row = 0; row < rows; row++)
      for (let column = 0; column < columns; column++) {
        const from = (row * columns + column) * size;
        // Columns go by rank, then by expert.
        const to = (side * rows + row) * shape[1]! + (side * columns + column) * experts + expert;
        bytes.set(part.subarray(from, from + size), to * size);
      }
  }
  return { dtype, shape, bytes };
}
