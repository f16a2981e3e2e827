/** A folder that `inspect --out` wrote, as far as it is compared. What it has was written by anybody: every field is looked at before it is read. */

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { type Dump, dumpVersion } from "../inspect/index.ts";
import { WebpeftError } from "../ir/diagnostics.ts";
import type { Graph } from "../ir/graph.ts";
import { findOp, flopsOf } from "../ir/registry.ts";

export const noDump = (
  where: string,
  { got, cause }: { readonly got?: string; readonly cause?: unknown } = {},
): WebpeftError =>
  new WebpeftError(
    "INSPECT-DUMP",
    {
      message: "this is no dump that can be compared",
      where,
      expected: `a folder that inspect --out wrote, of version ${dumpVersion}`,
      ...(got === undefined ? {} : { got }),
      help: "write it again with this version: webpeft inspect ... --out DIR",
    },
    { cause },
  );

/** Throws `INSPECT-DUMP` where the file cannot be read. */
export async function readPart(path: string): Promise<string> {
  return readFile(path, "utf8").catch((cause: unknown) => {
    throw noDump(path, { got: "a file that cannot be read", cause });
  });
}

/** Throws `INSPECT-DUMP` for a folder that is no dump of this version, with the field that is none. */
export async function readDump(folder: string): Promise<Dump> {
  const read = async <T>(name: string, shape: Shape): Promise<T> => {
    const path = join(folder, name);
    const text = await readPart(path);
    let json: unknown;
    try {
      json = JSON.parse(text);
    } catch (cause) {
      throw noDump(path, { got: "no JSON", cause });
    }
    const fault = faultOf(json, shape, "");
    if (fault !== undefined) throw noDump(path, { got: fault });
    return json as T;
  };
  const plan = await read<Dump["plan"]>("plan.json", planShape);
  const timeline = await read<Dump["timeline"]>("timeline.json", timelineShape);
  const graphs = await read<Readonly<Record<string, Graph>>>("graph.json", graphsShape);
  return { plan, timeline, graphs: withFlops(graphs, join(folder, "graph.json")) };
}

type Shape =
  | "number"
  | "string"
  | { readonly is: unknown }
  | { readonly optional: Shape }
  | { readonly each: Shape }
  | { readonly values: Shape }
  | { readonly fields: Readonly<Record<string, Shape>> };

const object: Shape = { fields: {} };
const numbers: Shape = { each: "number" };

const planShape: Shape = {
  fields: {
    ...{
      version: { is: dumpVersion },
      batch: "number",
      length: "number",
      peakBytes: "number",
      kernels: { each: object },
    },
    stages: {
      each: {
        fields: {
          name: "string",
          dispatches: {
            each: {
              fields: {
                ...{ kernel: "string", grid: numbers, nodes: numbers },
                ...{ flops: "number", bytes: "number", reads: "number", writes: "number" },
              },
            },
          },
        },
      },
    },
  },
};

const timelineShape: Shape = {
  each: {
    fields: {
      ...{ pass: "string", stage: "string" },
      notes: {
        each: { fields: { scopes: { each: "string" }, decision: "string", candidates: { values: "number" } } },
      },
    },
  },
};

const graphsShape: Shape = {
  values: {
    fields: {
      nodes: {
        each: {
          fields: {
            ...{ op: "string", inputs: numbers, attributes: object, type: { fields: { kind: "string" } } },
            ...{ scope: { optional: "string" }, phase: { optional: "string" } },
          },
        },
      },
    },
  },
};

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** What of a value has another form, in words. */
function faultOf(value: unknown, shape: Shape, at: string): string | undefined {
  const other = (wanted: string): string => `${at === "" ? "" : `${at}: `}${told(value)} where ${wanted} is expected`;
  const first = (parts: Iterable<readonly [string, unknown, Shape]>): string | undefined => {
    for (const [part, own, ofPart] of parts) {
      const fault = faultOf(own, ofPart, `${at}${part}`);
      if (fault !== undefined) return fault;
    }
    return undefined;
  };
  if (typeof shape === "string") return typeof value === shape ? undefined : other(`a ${shape}`);
  if ("is" in shape) return value === shape.is ? undefined : other(String(shape.is));
  if ("optional" in shape) return value === undefined ? undefined : faultOf(value, shape.optional, at);
  if ("each" in shape) {
    if (!Array.isArray(value)) return other("a list");
    return first((value as readonly unknown[]).map((own, i) => [`[${i}]`, own, shape.each]));
  }
  if (!isRecord(value)) return other("an object");
  const dot = at === "" ? "" : ".";
  if ("values" in shape) return first(Object.entries(value).map(([key, own]) => [`${dot}${key}`, own, shape.values]));
  return first(Object.entries(shape.fields).map(([key, own]) => [`${dot}${key}`, value[key], own]));
}

function told(value: unknown): string {
  if (value === undefined) return "nothing";
  if (Array.isArray(value)) return "a list";
  return isRecord(value) ? "an object" : JSON.stringify(value).slice(0, 40);
}

/** Graphs of a dump with the operations of their nodes; those of ops that this version does not have count none. */
function withFlops(graphs: Readonly<Record<string, Graph>>, where: string): Dump["graphs"] {
  const isKnown = ({ op }: Graph["nodes"][number]): boolean => !op.startsWith("op.") && findOp(op) !== undefined;
  const counted = Object.entries(graphs).map(([name, graph]) => {
    const nodes = graph.nodes.map((node, id) => {
      try {
        return { ...node, flops: isKnown(node) ? flopsOf(graph, node) : 0 };
      } catch (cause) {
        throw noDump(where, { got: `${name}.nodes[${id}]: ${node.op} cannot take its inputs`, cause });
      }
    });
    return [name, { nodes }] as const;
  });
  return Object.fromEntries(counted);
}
