/** Values that a method reports of a forward pass. */
import { WebpeftError } from "../../ir/diagnostics.ts";
import type { TensorType } from "../../ir/types.ts";
import type { AdapterEntry } from "../session/adapters.ts";

/** Numbers of a report, row-major; zeros before the first pass. */
export interface Report {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

export async function readReport({ program, instance }: AdapterEntry, name: string): Promise<Report> {
  for (const { graph } of program.stages) {
    const output = graph.outputs.find((one) => one.name === name);
    if (output === undefined || !(program.adapter?.reports ?? []).includes(name)) continue;
    return { shape: (graph.nodes[output.node]!.type as TensorType).shape, data: await instance.read(name) };
  }
  throw new WebpeftError("SESSION-REPORT", {
    message: "the adapter in use reports nothing under that name",
    where: name,
    expected: program.adapter?.reports.join(", ") || "an adapter that reports something",
  });
}
