/** Pipelines and bind groups of a plan's dispatches, made when they are first needed, and the encoding of stages into a pass. */
import { placeSizes } from "../../../codegen/index.ts";
import type { Dispatch, GeneratedKernel, Plan, PlannedStage } from "../../../codegen/plan.ts";
import { bufferUsage, type OpenDevice } from "../../device/index.ts";
import { isNeeded } from "../recipes.ts";
import type { PipelineCache } from "./pipelines.ts";
import { hasTimestamps, type KernelListener, Timings } from "./timings.ts";

/** A dispatch, what it needs to run, and where its sizes stand. */
interface Step {
  readonly dispatch: Dispatch;
  readonly uniformOffset: number;
  ready?: { readonly pipeline: GPUComputePipeline; readonly group: GPUBindGroup };
}

/** A dispatch or the copies of a stage, to be encoded alone. */
export interface RecordedStep {
  readonly stage: PlannedStage;
  readonly ran?: { readonly dispatch: Dispatch; readonly at: number };
  readonly encode: (encoder: GPUCommandEncoder) => void;
}

function runAlone(
  encoder: GPUCommandEncoder,
  { grid }: Dispatch,
  { pipeline, group }: NonNullable<Step["ready"]>,
): void {
  const pass = encoder.beginComputePass({ label: group.label });
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, group);
  pass.dispatchWorkgroups(...grid);
  pass.end();
}

export interface RecorderParts {
  readonly open: OpenDevice;
  readonly plan: Plan;
  readonly kernels: readonly GeneratedKernel[];
  readonly pipelines: PipelineCache;
  /** What dispatches are for. */
  readonly labels: ReadonlyMap<Dispatch, string>;
  readonly bufferOf: (name: string) => GPUBuffer;
  readonly locate: (name: string, offset: number) => { buffer: GPUBuffer; offset: number };
}

export class Recorder {
  private readonly steps = new Map<PlannedStage, readonly Step[]>();
  private readonly kernels: ReadonlyMap<string, GeneratedKernel>;
  private readonly uniforms: GPUBuffer;

  constructor(private readonly parts: RecorderParts) {
    const { open, plan, kernels } = parts;
    const { device } = open;
    this.kernels = new Map(kernels.map((kernel) => [kernel.name, kernel]));
    const { offsets, bytes } = placeSizes(plan);
    const sizes = new Uint32Array(bytes / 4);
    for (const [dispatch, offset] of offsets) sizes.set(dispatch.sizes, offset / 4);
    for (const stage of plan.stages)
      this.steps.set(
        stage,
        stage.dispatches.map((dispatch) => ({ dispatch, uniformOffset: offsets.get(dispatch)! })),
      );
    this.uniforms = device.createBuffer({
      label: "sizes",
      size: bytes,
      usage: bufferUsage.UNIFORM | bufferUsage.COPY_DST,
    });
    device.queue.writeBuffer(this.uniforms, 0, sizes);
  }

  get sizesBytes(): number {
    return this.uniforms.size;
  }

  /** The dispatches of these stages that run when these results are wanted. */
  private wanted(stages: readonly PlannedStage[], want: ReadonlySet<string>): Step[] {
    return stages.flatMap((stage) => this.steps.get(stage)!.filter(({ dispatch }) => isNeeded(dispatch, want)));
  }

  /** Makes what these stages still lack, all pipelines at the same time; undefined when they lack nothing. */
  prepare(stages: readonly PlannedStage[], want: ReadonlySet<string>): Promise<void> | undefined {
    const missing = this.wanted(stages, want).filter((step) => step.ready === undefined);
    if (missing.length === 0) return undefined;
    return this.make(missing, new Set(missing.map(({ dispatch }) => dispatch.kernel)));
  }

  private async make(steps: readonly Step[], names: ReadonlySet<string>): Promise<void> {
    const { open, pipelines } = this.parts;
    const made = await pipelines.get([...names].map((name) => this.kernels.get(name)!));
    await open.scoped("bind groups of the plan", () => {
      for (const step of steps) {
        const { pipeline, layout } = made.get(step.dispatch.kernel)!;
        step.ready = { pipeline, group: this.bindGroup(step.dispatch, layout, step.uniformOffset) };
      }
    });
  }

  private bindGroup(dispatch: Dispatch, layout: GPUBindGroupLayout, uniformOffset: number): GPUBindGroup {
    const entries = dispatch.bindings.map(
      ({ buffer, offset, size }, binding): GPUBindGroupEntry => ({
        binding,
        resource: { buffer: this.parts.bufferOf(buffer), offset, size },
      }),
    );
    const resource = { buffer: this.uniforms, offset: uniformOffset, size: 4 * dispatch.sizes.length };
    entries.push({ binding: dispatch.bindings.length, resource });
    const label = this.parts.labels.get(dispatch) ?? dispatch.kernel;
    return this.parts.open.device.createBindGroup({ label, layout, entries });
  }

  /**
   * Encodes stages that are prepared, one after the other: one pass, unless results have to be copied between them or dispatches are
   * measured.
   */
  record(
    encoder: GPUCommandEncoder,
    stages: readonly PlannedStage[],
    want: ReadonlySet<string>,
    timings?: Timings,
  ): void {
    let pass: GPUComputePassEncoder | undefined;
    for (const stage of stages) {
      for (const { dispatch, ready } of this.wanted([stage], want)) {
        const { pipeline, group } = ready!;
        if (timings !== undefined) {
          pass?.end();
          pass = encoder.beginComputePass({ label: group.label, ...timings.pass(stage.name, dispatch) });
        }
        pass ??= encoder.beginComputePass({ label: stage.name });
        pass.setPipeline(pipeline);
        pass.setBindGroup(0, group);
        pass.dispatchWorkgroups(...dispatch.grid);
      }
      if (stage.copies.length === 0) continue;
      pass?.end();
      pass = undefined;
      this.copy(encoder, stage);
    }
    pass?.end();
  }

  /** What stages that are prepared do, one after the other: dispatches with their places in the plan, and copies. */
  *apart(stages: readonly PlannedStage[], want: ReadonlySet<string>): Generator<RecordedStep> {
    for (const stage of stages) {
      for (const { dispatch, ready } of this.wanted([stage], want)) {
        const at = stage.dispatches.indexOf(dispatch);
        yield { stage, ran: { dispatch, at }, encode: (encoder) => runAlone(encoder, dispatch, ready!) };
      }
      if (stage.copies.length > 0) yield { stage, encode: (encoder) => this.copy(encoder, stage) };
    }
  }

  private copy(encoder: GPUCommandEncoder, { copies }: PlannedStage): void {
    for (const { from, to, size } of copies) {
      const [source, target] = [this.parts.locate(from.buffer, from.offset), this.parts.locate(to.buffer, to.offset)];
      encoder.copyBufferToBuffer(source.buffer, source.offset, target.buffer, target.offset, size);
    }
  }

  /** For a run that is to be measured, where the device can. */
  timings(listener: KernelListener | undefined): Timings | undefined {
    if (listener === undefined || !hasTimestamps(this.parts.open)) return undefined;
    return new Timings(this.parts.open, this.kernels, listener);
  }

  dispose(): void {
    this.uniforms.destroy();
  }
}
