/** Encoders of prompts: networks that train, in a file beside the adapter's, which holds what they give. */
import { type DiagnosticSink, WebpeftError } from "../../ir/diagnostics.ts";
import { evaluate } from "../../ir/evaluate.ts";
import type { AdapterPlan, CompiledProgram } from "../../program/index.ts";
import { encoderFile } from "../files/adapter.ts";
import { type HostTensor, toFloat32 } from "../files/tensor.ts";
import type { AdapterTensors } from "./values.ts";

/** The encoder's file where the program reads one. Throws `FILE-ENCODER-MISSING`. */
export function requireEncoder(plan: AdapterPlan, encoder: AdapterTensors | undefined): AdapterTensors | undefined {
  if (encoder !== undefined) return encoder;
  const wanted = plan.tensors.find(({ file }) => file !== undefined);
  if (wanted === undefined) return undefined;
  throw new WebpeftError("FILE-ENCODER-MISSING", {
    message: "the program trains the adapter's encoder, and the adapter's folder has none",
    where: encoderFile,
    expected: wanted.key,
    help: "compile with { encoder: false } to use the adapter as it is, without training",
  });
}

/** An adapter that was loaded without its encoder cannot be trained, nor one that has no numbers left. Throws `TRAIN-ENCODER`, `TRAIN-NOTHING`. */
export function requireTrainable(plan: AdapterPlan | undefined): void {
  if (plan !== undefined && !plan.lacksEncoder && plan.tensors.every(({ role }) => role !== "param"))
    throw new WebpeftError("TRAIN-NOTHING", {
      message: "the adapter has no tensor that trains",
      where: plan.sites[0] ?? plan.method,
      expected: "a module with at least one trained number",
    });
  if (plan?.lacksEncoder !== true) return;
  throw new WebpeftError("TRAIN-ENCODER", {
    message: `the adapter's folder has no ${encoderFile}, so it can be used but not trained`,
    where: encoderFile,
    help: "PEFT does not save the encoder: train in the folder that webpeft wrote, or begin a fresh adapter",
  });
}

/** Tensors that are computed of parameters for the file, by key; empty where there are none. Evaluated in f64 and rounded once. */
export function computedValues(
  { computed }: Pick<CompiledProgram, "computed">,
  params: ReadonlyMap<string, Float32Array>,
): Map<string, Float32Array> {
  const made = computed === undefined ? {} : evaluate(computed, Object.fromEntries(params));
  return new Map(Object.entries(made).map(([key, { data }]) => [key, Float32Array.from(data)]));
}

/** How far the stored output of an encoder may be from what it gives, as a part of the largest number. */
const tolerance = 1e-3;

/**
 * Output of the encoder as the file holds it, where it is the encoder's; it is written back as it was read. Where it is not, the encoder
 * counts, as the trained part does, and there is a warning (`FILE-ENCODER-OTHER`).
 */
export async function storedOutput(
  program: CompiledProgram,
  params: ReadonlyMap<string, Float32Array>,
  read: (key: string) => Promise<HostTensor>,
  sink: DiagnosticSink,
): Promise<Map<string, HostTensor>> {
  const agreeing = new Map<string, HostTensor>();
  for (const [key, made] of computedValues(program, params)) {
    const stored = await read(key);
    const numbers = toFloat32(stored);
    const largest = made.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
    if (made.every((x, i) => Math.abs(x - numbers[i]!) <= tolerance * largest)) agreeing.set(key, stored);
    else
      sink.warn("FILE-ENCODER-OTHER", {
        message: `${encoderFile} does not give what the adapter's file holds; what it gives is used`,
        where: key,
        help: "one of the two files belongs to another adapter",
      });
  }
  return agreeing;
}
