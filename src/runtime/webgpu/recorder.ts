/** Bind groups of a plan, made once, and the encoding of stages into a pass. */
import type { Dispatch, Plan, PlannedStage } from "../../codegen/plan.ts";
import { bufferUsage } from "../device/index.ts";
import type { Pipeline } from "./pipelines.ts";

interface Step {
  readonly dispatch: Dispatch;
  readonly pipeline: GPUComputePipeline;
  readonly group: GPUBindGroup;
}

const uniformSlot = 256;

export class Recorder {
  private readonly steps = new Map<PlannedStage, readonly Step[]>();
  private readonly uniforms: GPUBuffer;

  constructor(
    private readonly device: GPUDevice,
    plan: Plan,
    private readonly buffers: ReadonlyMap<string, GPUBuffer>,
    pipelines: ReadonlyMap<string, Pipeline>,
    private readonly locate: (name: string, offset: number) => { buffer: GPUBuffer; offset: number },
  ) {
    const dispatches = plan.stages.flatMap((s) => s.dispatches);
    const slots = dispatches.map((d) => Math.max(1, Math.ceil((4 * d.sizes.length) / uniformSlot)));
    const words = new Uint32Array(
      (uniformSlot / 4) *
        Math.max(
          1,
          slots.reduce((a, b) => a + b, 0),
        ),
    );
    this.uniforms = device.createBuffer({
      label: "sizes",
      size: words.byteLength,
      usage: bufferUsage.UNIFORM | bufferUsage.COPY_DST,
    });
    let at = 0;
    let index = 0;
    for (const stage of plan.stages) {
      const steps = stage.dispatches.map((dispatch): Step => {
        words.set(dispatch.sizes, at / 4);
        const { pipeline, layout } = pipelines.get(dispatch.kernel)!;
        const step = { dispatch, pipeline, group: this.bindGroup(dispatch, layout, at) };
        at += slots[index++]! * uniformSlot;
        return step;
      });
      this.steps.set(stage, steps);
    }
    device.queue.writeBuffer(this.uniforms, 0, words);
  }

  private bindGroup(dispatch: Dispatch, layout: GPUBindGroupLayout, uniformOffset: number): GPUBindGroup {
    const entries = dispatch.bindings.map(
      ({ buffer, offset, size }, binding): GPUBindGroupEntry => ({
        binding,
        resource: { buffer: this.buffers.get(buffer)!, offset, size },
      }),
    );
    const resource = { buffer: this.uniforms, offset: uniformOffset, size: 4 * dispatch.sizes.length };
    entries.push({ binding: dispatch.bindings.length, resource });
    return this.device.createBindGroup({ label: dispatch.kernel, layout, entries });
  }

  /** Encodes stages one after the other: one pass, unless results have to be copied between them. */
  record(encoder: GPUCommandEncoder, stages: readonly PlannedStage[], want: ReadonlySet<string>): void {
    let pass: GPUComputePassEncoder | undefined;
    for (const stage of stages) {
      for (const { dispatch, pipeline, group } of this.steps.get(stage)!) {
        if (!dispatch.always && !dispatch.outputs.some((name) => want.has(name))) continue;
        pass ??= encoder.beginComputePass();
        pass.setPipeline(pipeline);
        pass.setBindGroup(0, group);
        pass.dispatchWorkgroups(...dispatch.grid);
      }
      if (stage.copies.length === 0) continue;
      pass?.end();
      pass = undefined;
      for (const { from, to, size } of stage.copies) {
        const [source, target] = [this.locate(from.buffer, from.offset), this.locate(to.buffer, to.offset)];
        encoder.copyBufferToBuffer(source.buffer, source.offset, target.buffer, target.offset, size);
      }
    }
    pass?.end();
  }

  dispose(): void {
    this.uniforms.destroy();
  }
}
