/** A line for each kernel of a program: what it took on a device, or what the plan says of it. */

import type { Program } from "../compile/program.ts";
import { bytes as bytesText, count, flops as flopsText } from "../inspect/numbers.ts";
import type { StartOptions } from "../runtime/session/start.ts";

type KernelTimes = Parameters<NonNullable<StartOptions["onKernels"]>>[0];

/** Dispatches of one kernel that do as much as each other. `flops`, `bytes` and nanoseconds, where they were measured, are of each. */
interface Work {
  readonly name: string;
  readonly wgsl: string;
  readonly dispatches: number;
  readonly flops: number;
  readonly bytes: number;
  readonly nanoseconds?: number;
}

/** The kernels of one program, measured or as they are planned. */
export class KernelLines {
  private readonly measured = new Map<string, Work & { readonly nanoseconds: number }>();
  private runs = 0;

  constructor(private readonly program: Program) {}

  /** The fastest of equal dispatches counts: a software driver compiles within the first. */
  readonly add = (times: KernelTimes): void => {
    this.runs++;
    for (const { kernel, dispatch, nanoseconds } of times) {
      const { name, wgsl } = kernel;
      const { flops, bytes } = dispatch;
      const key = `${name} ${flops} ${bytes}`;
      const before = this.measured.get(key) ?? { dispatches: 0, nanoseconds };
      const [dispatches, fastest] = [before.dispatches + 1, Math.min(before.nanoseconds, nanoseconds)];
      this.measured.set(key, { name, wgsl, dispatches, flops, bytes, nanoseconds: fastest });
    }
  };

  get isMeasured(): boolean {
    return this.measured.size > 0;
  }

  private get planned(): Work[] {
    const { generated } = this.program;
    const texts = new Map(generated.kernels.map(({ name, wgsl }) => [name, wgsl]));
    return generated.plan.stages.flatMap(({ dispatches }) =>
      dispatches.map(({ kernel, flops, bytes }) => ({
        ...{ name: kernel, wgsl: texts.get(kernel)!, dispatches: 1 },
        ...{ flops, bytes },
      })),
    );
  }

  *lines(texts: boolean): Generator<string> {
    const work = this.isMeasured ? [...this.measured.values()] : this.planned;
    const names = [...new Set(work.map(({ name }) => name))];
    yield this.isMeasured
      ? `kernels: ${this.runs} ${this.runs === 1 ? "run" : "runs"}, each measured by itself`
      : "kernels: as planned for all stages; no times were measured, since nothing that measures ran them";
    const kernels = names.map((name) => {
      const own = work.filter((one) => one.name === name);
      return { name, own, sum: summed(own) };
    });
    for (const { name, sum } of kernels.sort((a, b) => b.sum.nanoseconds - a.sum.nanoseconds))
      yield `kernel ${name}: ${figures(sum, this.isMeasured)}`;
    if (texts) for (const { name, own } of kernels) yield `text of ${name}:\n${own[0]!.wgsl.trimEnd()}`;
  }
}

/** What schedules were compared for the units that several could run; equal comparisons are one line. */
export function* scheduleLines({ generated }: Program): Generator<string> {
  const units = new Map<string, number>();
  for (const { stage, chosen, candidates } of generated.choices) {
    const compared = Object.entries(candidates).map(([name, cost]) => `${name} ${count(cost)}`);
    const line = `cost ${stage}/schedule: ${chosen} (${compared.join(", ")})`;
    units.set(line, (units.get(line) ?? 0) + 1);
  }
  for (const [line, times] of units) yield times === 1 ? line : `${line}, ${times} times`;
}

interface Sum {
  readonly dispatches: number;
  readonly flops: number;
  readonly bytes: number;
  readonly nanoseconds: number;
}

/** All dispatches together. */
const summed = (work: readonly Work[]): Sum => {
  const sum = { dispatches: 0, flops: 0, bytes: 0, nanoseconds: 0 };
  for (const { dispatches, flops, bytes, nanoseconds = 0 } of work) {
    sum.dispatches += dispatches;
    sum.flops += dispatches * flops;
    sum.bytes += dispatches * bytes;
    sum.nanoseconds += dispatches * nanoseconds;
  }
  return sum;
};

function figures({ dispatches, flops, bytes, nanoseconds }: Sum, isMeasured: boolean): string {
  const times = `${dispatches} ${dispatches === 1 ? "dispatch" : "dispatches"}`;
  const each = [flopsText(flops / dispatches), bytesText(bytes / dispatches)].join(" and ");
  if (!isMeasured) return `${times} of ${each}`;
  const measured = `${times} of ${(nanoseconds / dispatches / 1e3).toFixed(1)} us`;
  // Shorter than the device's clock can tell.
  if (nanoseconds === 0) return `${measured} and ${each}`;
  return `${measured}, ${(flops / nanoseconds).toFixed(2)} GFLOP/s, ${bytesText((1e9 * bytes) / nanoseconds)}/s`;
}
