/** A compiled program as callers have it: what the compiler made, the views of it, and a session on a device. */
import { showIn, type ViewOptions } from "../inspect/embed.ts";
import { type ReportOptions, reportPage } from "../inspect/report.ts";
import { type InspectedProgram, knownGraphAfter, ProgramViews, type ViewedProgram } from "../inspect/views.ts";
import type { Methods } from "../methods/registry.ts";
import type { AdapterConfigs, CompiledProgram } from "../program/index.ts";
import type { Measurement } from "../program/measurement.ts";
import type { Precision } from "../program/precision.ts";
import type { Model } from "../runtime/files/model.ts";
import { type MeasureOptions, measureProgram } from "../runtime/session/measure.ts";
import { type PrecisionOptions, precisionOf } from "../runtime/session/precision.ts";
import type { Session } from "../runtime/session/session.ts";
import { type StartOptions, startSession } from "../runtime/session/start.ts";

/** What the compiler hands over. */
export interface ProgramParts extends ViewedProgram {
  readonly source: Model;
  /** What the configs of its sessions may be for. */
  readonly methods: Methods;
  /** Compiles other adapters' configs for the same model with the same options: none, one, or several in use together. */
  readonly recompile: (adapters: readonly AdapterConfigs[]) => Promise<CompiledProgram>;
}

class StartableProgram extends ProgramViews {
  constructor(private readonly program: ProgramParts) {
    super(program);
  }

  /** The page of `webpeft inspect` as HTML: one text that asks nothing of the network. With what was measured or compared, its columns too. */
  report(this: InspectedProgram, more: Pick<ReportOptions, "measured" | "compared"> = {}): string {
    return reportPage(this, more);
  }

  /** What every dispatch of a step takes on a device, on data that is drawn: no weights are read. Throws `MEASURE-DEVICE`. */
  measure(this: ProgramParts & InspectedProgram, options: MeasureOptions = {}): Promise<Measurement> {
    const { source: model, methods, recompile: compile } = this;
    return measureProgram(this, { model, methods, compile }, { ...options, generated: () => this.generated });
  }

  /**
   * How far every value that a step stores is from its evaluation in f64, on data that is drawn. Throws `MEASURE-DEVICE`, and `PRECISION-SIZE`
   * for programs whose evaluation takes longer than some minutes.
   */
  precision(this: ProgramParts & InspectedProgram, options: PrecisionOptions = {}): Promise<Precision> {
    const { source: model, methods, recompile: compile } = this;
    return precisionOf(this, { model, methods, compile }, { ...options, generated: () => this.generated });
  }

  /**
   * Draws the program's graph, or another view of its report, into an element of a page, for which it answers with the frame that it made.
   * For browsers and notebooks; it needs no device.
   */
  view(this: InspectedProgram, element: HTMLElement, options: ViewOptions = {}): HTMLIFrameElement {
    return showIn(element, (only) => reportPage(this, { only }), options);
  }

  /** A session on a device: weights uploaded, parameters fresh or from an adapter folder. */
  start(options: StartOptions = {}): Promise<Session> {
    const { target, source, methods, recompile } = this.program;
    return startSession(
      this.program,
      { model: source, methods, compile: recompile },
      {
        ...options,
        generated: (facts) => (JSON.stringify(facts) === JSON.stringify(target) ? this.generated : undefined),
      },
    );
  }
}

export type Program = ProgramParts &
  InspectedProgram &
  Pick<StartableProgram, "start" | "report" | "measure" | "precision" | "view">;

export const createProgram = (parts: ProgramParts): Program =>
  Object.assign(new StartableProgram(parts), parts, { graphAfter: knownGraphAfter(parts) });
