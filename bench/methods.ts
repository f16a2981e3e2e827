/** A training step of one method on the bench's llama, for the comparison of methods (`methods.mjs`). */
import { compile } from "../src/compile/index.ts";
import { stepStages } from "../src/inspect/views.ts";
import { methods } from "../src/methods/index.ts";
import type { FileRecord } from "../src/runtime/files/folder.ts";
import type { Model } from "../src/runtime/files/model.ts";
import type { SessionBatch } from "../src/runtime/session/session.ts";
import { experts, llama, sizes } from "../test/budgets/llama.ts";
import type { Engine } from "./webpeft.ts";

export { load } from "./webpeft.ts";

interface Entry {
  readonly name: string;
  readonly config: Readonly<Record<string, unknown>>;
  /** Inputs beside tokens and labels. */
  readonly inputs?: Readonly<Record<string, readonly number[]>>;
}

interface KernelCost {
  readonly kernel: string;
  readonly dispatches: number;
  readonly megaflops: number;
  readonly megabytes: number;
}

export interface MethodStep {
  /** One training step; resolves when its loss has been read back. */
  step(): Promise<number>;
  readonly facts: {
    readonly dispatches: number;
    readonly megaflops: number;
    readonly megabytes: number;
    readonly peakMB: number;
    /** Costly ones first. */
    readonly kernels: readonly KernelCost[];
  };
}

export const isBuilt = ({ config }: Entry): boolean => methods.has(config.peft_type as string);

function tokens(): SessionBatch {
  const ids = Int32Array.from(
    { length: sizes.batch * sizes.length },
    (_unused, i) => (i * 37 + (i >> 3)) % sizes.vocabulary,
  );
  return { input_ids: ids, labels: ids };
}

/** Fresh adapters as files in memory. */
async function expertFolders(model: Model): Promise<Record<string, FileRecord>> {
  const made = Object.entries(experts).map(async ([name, config]): Promise<[string, FileRecord]> => {
    const session = await (await compile(model, config, { mode: "infer", batch: 1, length: 8 })).start({
      device: "cpu",
    });
    const files = Object.fromEntries(await session.files());
    session.dispose();
    return [name, files];
  });
  return Object.fromEntries(await Promise.all(made));
}

export async function prepare(engine: Engine, entry: Entry): Promise<MethodStep> {
  const { target } = engine;
  // A method that mixes adapters has their targets.
  const targets = entry.config.adapters === undefined ? { target_modules: ["q_proj", "v_proj"] } : {};
  const [model, config] = [await llama(), { ...targets, ...entry.config }];
  const program = await compile(model, config, { batch: sizes.batch, length: sizes.length, target, experts });
  const folders = await expertFolders(model);
  const session = await program.start({ device: engine.executor, seed: 1, experts: folders });
  const more = Object.entries(entry.inputs ?? {}).map(([name, values]) => [name, Int32Array.from(values)]);
  const batch: SessionBatch = { ...tokens(), ...Object.fromEntries(more) };
  const dispatches = program.plan.stages
    .filter(({ name }) => stepStages.includes(name))
    .flatMap((stage) => stage.dispatches);
  const total = (field: "flops" | "bytes", of = dispatches): number => of.reduce((sum, d) => sum + d[field], 0) / 1e6;
  const kernels = [...new Set(dispatches.map(({ kernel }) => kernel))].map((kernel): KernelCost => {
    const of = dispatches.filter((d) => d.kernel === kernel);
    return { kernel, dispatches: of.length, megaflops: total("flops", of), megabytes: total("bytes", of) };
  });
  return {
    step: async () => (await session.step(batch, { lr: 1e-3 })).loss,
    facts: {
      dispatches: dispatches.length,
      megaflops: total("flops"),
      megabytes: total("bytes"),
      peakMB: program.plan.peakBytes / 2 ** 20,
      kernels: kernels.sort((a, b) => b.megaflops + b.megabytes - a.megaflops - a.megabytes),
    },
  };
}
