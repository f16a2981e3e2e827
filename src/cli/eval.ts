/** `webpeft eval`: one forward pass in evaluation mode, and gradients. */
import { compile } from "../compile/index.ts";
import type { Program } from "../compile/program.ts";
import { WebpeftError } from "../ir/diagnostics.ts";
import { sizeOf } from "../ir/types.ts";
import { logitShape } from "../models/head.ts";
import { describeModel } from "../models/index.ts";
import type { Pooling } from "../models/model.ts";
import type { CompiledProgram } from "../program/index.ts";
import { forAllSamples, type SessionBatch } from "../runtime/data/batch.ts";
import { readBatch } from "../runtime/data/dataset.ts";
import { isLabelled, takenLabels } from "../runtime/data/head-labels.ts";
import type { Reads } from "../runtime/executors/executor.ts";
import { forwardReads } from "../runtime/executors/memory.ts";
import { writeFileAtomically } from "../runtime/files/output.ts";
import { encodeSafetensors, openSafetensors } from "../runtime/files/safetensors.ts";
import { fileSource } from "../runtime/files/source.ts";
import { type HostTensor, hostTensor, toFloat32 } from "../runtime/files/tensor.ts";
import type { ForwardResult } from "../runtime/runs/forward.ts";
import type { Session } from "../runtime/session/session.ts";
import { underKeys } from "../runtime/values/codecs/plain.ts";
import { optionsOf } from "../runtime/values/merge-options.ts";
import { compileSources, readSources, type SourceOptions, startProgram } from "./common.ts";
import { compiledFor } from "./memory.ts";
import { emit, say } from "./output.ts";
import { checkFolderOf, checkReplaced, readPaths } from "./replaced.ts";
import { type RunsOn, runOn } from "./runs-on.ts";

interface EvalOptions extends SourceOptions {
  readonly input: string;
  readonly out: string;
  readonly merged?: boolean;
  readonly grad?: boolean;
  readonly task?: number;
  readonly pooling?: Pooling;
  readonly memory?: number;
  readonly overwrite?: boolean;
}

/** Names of what is written; `grad.` begins those of gradients. */
const outputNames = ["logits", "start_logits", "end_logits", "last_hidden_state", "pooler_output", "pooled", "loss"];

/** Before anything is computed: whether the output can be written. Throws what `checkReplaced` and `checkFolderOf` throw. */
async function checkOut(options: EvalOptions): Promise<void> {
  const { out, overwrite = false } = options;
  const isOutput = (name: string): boolean => outputNames.includes(name) || name.startsWith("grad.");
  await checkReplaced(out, {
    overwrite,
    reads: readPaths(options),
    ours: async () => {
      const names = await openSafetensors(await fileSource(out), true).then(
        ({ tensors }) => [...tensors.keys()],
        () => [],
      );
      return names.length > 0 && names.every(isOutput);
    },
    message: "--out names a file that is no earlier output of eval",
    expected: "a new file, an empty one, or an earlier output",
  });
  await checkFolderOf(out, "make the folder of the output first");
}

export async function run(raw: Record<string, unknown>): Promise<number | undefined> {
  const options = raw as unknown as EvalOptions;
  if (options.merged && options.grad) {
    throw new WebpeftError("CLI-GRAD", { message: "--merged and --grad exclude each other" });
  }
  if (options.grad && options.adapter === undefined)
    throw new WebpeftError("CLI-GRAD", { message: "gradients are of an adapter", expected: "--adapter DIR" });
  await checkOut(options);
  const sources = await readSources(options);
  const { head } = describeModel(sources.model.config).defaults;
  const { batch: rows, length, labelLength, ...read } = await readBatch(options.input, head);
  if (options.grad && !isLabelled(read)) {
    throw new WebpeftError("DATA-LABELS-MISSING", {
      message: "gradients of the loss need labels",
      where: options.input,
      expected: takenLabels(head, rows, length),
    });
  }
  const own = labelLength === undefined ? {} : { labelLength };
  const pooling = options.pooling === undefined ? {} : { pooling: options.pooling };
  const shape = { batch: rows, length, ...own, mask: read.attention_mask !== undefined };
  const reads = (program: CompiledProgram): Reads => readsOf(program, options.grad ?? false);
  await runOn(options.device, async (on) => {
    const program = await compileSources(sources, options, {
      ...compiledFor(on, options, sources.model, reads),
      ...shape,
      mode: options.grad ? "train" : "infer",
      sampling: false,
      ...pooling,
    });
    const batch = { ...forAllSamples(program, { task: options.task }), ...read };
    let session = await startProgram(program, sources, options, on, { reads: reads(program) });
    try {
      const isMerged = options.merged === true && sources.adapter !== undefined;
      if (isMerged) session = await mergedSession(session, batch, options, on, { ...shape, ...pooling });
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
  });
  return 0;
}

/** What is read: results of a forward pass, and gradients. */
function readsOf(program: CompiledProgram, grad: boolean): Reads {
  const bound = Object.entries(program.storage.bindings);
  const gradients = bound.filter(([, { buffer }]) => grad && buffer === "grads");
  return [...forwardReads(program), gradients.map(([name]) => name)];
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
  { executor, target }: RunsOn,
  shape: { batch: number; length: number; labelLength?: number; mask: boolean; pooling?: Pooling },
): Promise<Session> {
  const model = await session.merge(undefined, optionsOf(session.program, batch));
  const plain = await compile(model, null, {
    ...shape,
    target,
    mode: "infer",
    strict: options.strict ?? false,
    ...options.debug.passes(),
  });
  session.dispose();
  return plain.start({ device: executor, ...options.debug.kernels(plain) });
}

/** What a forward pass gives, under the names of transformers. */
function* outputs({ batch, length, virtual, model }: CompiledProgram, result: ForwardResult) {
  const { head } = model.defaults;
  const tensor = (shape: readonly number[], data: Float32Array) => hostTensor("F32", shape, data);
  const positions = virtual.tokens + length;
  if (head.kind === "span") {
    const { logits } = result;
    for (const [end, name] of ["start_logits", "end_logits"].entries())
      yield [
        name,
        tensor(
          [batch, positions],
          logits.filter((_x, i) => i % 2 === end),
        ),
      ] as const;
    return;
  }
  if (head.kind !== "none") {
    yield ["logits", tensor(logitShape(head, batch, positions), result.logits)] as const;
    return;
  }
  const { hidden, pooler_output, pooled } = result;
  yield ["last_hidden_state", tensor([batch, hidden!.length / batch / head.classes, head.classes], hidden!)] as const;
  for (const [name, rows] of Object.entries({ pooler_output, pooled }))
    if (rows !== undefined) yield [name, tensor([batch, rows.length / batch], rows)] as const;
}

async function results(session: Session, batch: SessionBatch, grad: boolean): Promise<Map<string, HostTensor>> {
  const tensors = new Map<string, HostTensor>();
  const result = await session.forward(batch);
  for (const [name, tensor] of outputs(session.program, result)) tensors.set(name, tensor);
  const { loss } = result;
  if (isLabelled(batch)) {
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
