/** `webpeft eval`: one forward pass in evaluation mode, and gradients. */
import { compile } from "../compile/index.ts";
import type { Program } from "../compile/program.ts";
import { WebpeftError } from "../ir/diagnostics.ts";
import { sizeOf } from "../ir/types.ts";
import { logitShape } from "../models/head.ts";
import { forAllSamples, type SessionBatch } from "../runtime/data/batch.ts";
import { readBatch } from "../runtime/data/dataset.ts";
import { writeFileAtomically } from "../runtime/files/output.ts";
import { encodeSafetensors } from "../runtime/files/safetensors.ts";
import { type HostTensor, hostTensor, toFloat32 } from "../runtime/files/tensor.ts";
import type { Session } from "../runtime/session/session.ts";
import { underKeys } from "../runtime/values/codecs/plain.ts";
import { optionsOf } from "../runtime/values/merge-options.ts";
import { compileSources, readSources, type SourceOptions, startProgram } from "./common.ts";
import { emit, say } from "./output.ts";

interface EvalOptions extends SourceOptions {
  readonly input: string;
  readonly out: string;
  readonly merged?: boolean;
  readonly grad?: boolean;
  readonly task?: number;
}

export async function run(raw: Record<string, unknown>): Promise<number | undefined> {
  const options = raw as unknown as EvalOptions;
  if (options.merged && options.grad) {
    throw new WebpeftError("CLI-GRAD", { message: "--merged and --grad exclude each other" });
  }
  const { batch: rows, length, labelLength, ...read } = await readBatch(options.input);
  if (options.grad && options.adapter === undefined)
    throw new WebpeftError("CLI-GRAD", { message: "gradients are of an adapter", expected: "--adapter DIR" });
  if (options.grad && read.labels === undefined) {
    throw new WebpeftError("DATA-LABELS-MISSING", {
      message: "gradients of the loss need labels",
      where: options.input,
      expected: "a tensor labels",
    });
  }
  const sources = await readSources(options);
  const own = labelLength === undefined ? {} : { labelLength };
  const shape = { batch: rows, length, ...own, mask: read.attention_mask !== undefined };
  const program = await compileSources(sources, options, {
    ...shape,
    mode: options.grad ? "train" : "infer",
    sampling: false,
  });
  const batch = { ...forAllSamples(program, { task: options.task }), ...read };
  const reads = readsOf(program, options.grad ?? false);
  let session = await startProgram(program, sources, options, { reads });
  try {
    const isMerged = options.merged === true && sources.adapter !== undefined;
    if (isMerged) session = await mergedSession(session, batch, options, shape);
    const tensors = await results(session, isMerged ? ofModel(program, batch) : batch, options.grad ?? false);
    await writeFileAtomically(options.out, encodeSafetensors(tensors, {}));
    const loss = tensors.has("loss") ? toFloat32(tensors.get("loss")!)[0] : undefined;
    say(
      options,
      `${options.out}: ${[...tensors.keys()].length} tensors${loss === undefined ? "" : `, loss ${loss}`} (${session.device})`,
    );
    emit(options, { type: "done", out: options.out, loss: loss ?? null, device: session.device });
  } finally {
    session.dispose();
  }
  return 0;
}

/** What is read: results of a forward pass, and gradients. */
function readsOf({ storage }: Program, grad: boolean): readonly string[][] {
  const gradients = Object.entries(storage.bindings).filter(([, { buffer }]) => grad && buffer === "grads");
  return [["logits", "loss"], gradients.map(([name]) => name)];
}

/** A batch without what only the adapter read of it. */
function ofModel({ adapter }: Program, batch: SessionBatch): SessionBatch {
  const own = new Set((adapter?.inputs ?? []).map(({ name }) => name));
  return Object.fromEntries(Object.entries(batch).filter(([name]) => !own.has(name)));
}

async function mergedSession(
  session: Session,
  batch: SessionBatch,
  options: EvalOptions,
  shape: { batch: number; length: number; labelLength?: number; mask: boolean },
): Promise<Session> {
  const model = await session.merge(undefined, optionsOf(session.program, batch));
  const plain = await compile(model, null, {
    ...shape,
    mode: "infer",
    strict: options.strict ?? false,
    ...options.debug.passes(),
  });
  session.dispose();
  return plain.start({ device: options.device, ...options.debug.kernels(plain) });
}

async function results(session: Session, batch: SessionBatch, grad: boolean): Promise<Map<string, HostTensor>> {
  const tensors = new Map<string, HostTensor>();
  const { logits, loss } = await session.forward(batch);
  const { batch: rows, length, virtual, model } = session.program;
  const { head } = model.defaults;
  tensors.set("logits", hostTensor("F32", logitShape(head, rows, virtual.tokens + length), logits));
  if (batch.labels !== undefined) {
    if (loss === undefined) {
      throw new WebpeftError("DATA-LABELS-MASKED", {
        message: "no label of the input counts, so there is no loss",
        where: "labels",
      });
    }
    tensors.set("loss", hostTensor("F32", [], Float32Array.of(loss)));
  }
  if (!grad) return tensors;
  const { gradients } = await session.gradients(batch);
  for (const tensor of session.program.adapter!.tensors) {
    // A tensor of no numbers has a gradient of none.
    if (tensor.role !== "param" && sizeOf(tensor.shape) > 0) continue;
    const numbers = gradients[tensor.key] ?? new Float32Array(0);
    for (const [key, gradient] of underKeys(tensor, numbers)) tensors.set(`grad.${key}`, gradient);
  }
  return tensors;
}
