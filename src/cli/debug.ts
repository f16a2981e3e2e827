/**
 * What `--debug 1..4` tells on stderr, in lines that begin with `debug`. 1: every pass with its time and the rules that fired; 2: also
 * every kernel with what it took, where that is measured, else with what the plan says; 3: also the costs that were compared;
 * 4: also the texts of the kernels. 0 tells nothing.
 */

import type { Program } from "../compile/program.ts";
import { count } from "../inspect/numbers.ts";
import { printable, WebpeftError } from "../ir/diagnostics.ts";
import type { PassListener, TimelineEntry } from "../passes/manager.ts";
import type { StartOptions } from "../runtime/session/start.ts";
import { KernelLines, scheduleLines } from "./kernel-lines.ts";

const debugLevels = { passes: 1, kernels: 2, costs: 3, texts: 4 } as const;

function passLine({ pass, stage, milliseconds, nodesBefore, nodesAfter, hits }: TimelineEntry): string {
  const fired = Object.entries(hits).map(([rule, times]) => `${rule} ${times}`);
  const rules = fired.length === 0 ? "" : `; ${fired.join(", ")}`;
  return `pass ${stage}/${pass}: ${milliseconds.toFixed(1)} ms, ${nodesBefore} to ${nodesAfter} nodes${rules}`;
}

function* costLines({ pass, stage, notes }: TimelineEntry): Generator<string> {
  for (const { scope, decision, candidates } of notes) {
    const compared = Object.entries(candidates).map(([name, cost]) => `${name} ${count(cost)}`);
    yield `cost ${stage}/${pass} at ${scope}: ${decision} (${compared.join(", ")})`;
  }
}

/** What a command tells while it runs and at its end. */
export class DebugOutput {
  private readonly programs = new Map<Program, KernelLines>();

  constructor(readonly level: number) {}

  private write(lines: Iterable<string>): void {
    for (const line of lines) process.stderr.write(`${printable(`debug ${line}`)}\n`);
  }

  /** What a program is compiled with, so that its passes are told; `also` listens beside. */
  passes(also?: PassListener): { readonly onPass?: PassListener } {
    if (this.level < debugLevels.passes) return also === undefined ? {} : { onPass: also };
    const onPass: PassListener = (entry, graph) => {
      this.write([passLine(entry)]);
      if (this.level >= debugLevels.costs) this.write(costLines(entry));
      also?.(entry, graph);
    };
    return { onPass };
  }

  /** Remembers a program whose kernels are told at the end; gives what it is started with, so that they are measured. */
  kernels(program: Program): Pick<StartOptions, "onKernels"> {
    if (this.level < debugLevels.kernels) return {};
    const lines = this.programs.get(program) ?? new KernelLines(program);
    this.programs.set(program, lines);
    return { onKernels: lines.add };
  }

  /** When the command is over; one that failed has kernels to tell of only where they ran. */
  finish(failed: boolean): void {
    const texts = this.level >= debugLevels.texts;
    for (const [program, kernels] of this.programs) {
      if (failed && !kernels.isMeasured) continue;
      try {
        if (this.level >= debugLevels.costs) this.write(scheduleLines(program));
        this.write(kernels.lines(texts));
      } catch (error) {
        if (!(error instanceof WebpeftError)) throw error;
        this.write([`kernels: none are planned: ${error.message}`]);
      }
    }
  }
}
