/**
 * What dispatches took, as a trace of events that Perfetto and chrome://tracing open: a track for every stage, an event for every dispatch.
 * Source: "Trace Event Format", complete events (`"ph": "X"`), times in microseconds.
 */
import type { Dispatch } from "../codegen/index.ts";
import { modulesOf } from "../ir/modules.ts";
import { workOf } from "../ir/registry.ts";
import { linesOf, sitesOf } from "./places.ts";
import type { InspectedProgram } from "./views.ts";

/** What one dispatch took, as executors tell it. */
export interface MeasuredDispatch {
  readonly stage: string;
  readonly kernel: { readonly name: string };
  readonly dispatch: Dispatch;
  readonly nanoseconds: number;
}

interface TraceEvent {
  readonly name: string;
  readonly ph: "X" | "M";
  readonly pid: number;
  readonly tid: number;
  readonly ts?: number;
  readonly dur?: number;
  readonly cat?: string;
  readonly args: Readonly<Record<string, unknown>>;
}

/** Events that a trace holds; later runs are left out, since viewers open no larger files. */
export const mostEvents = 100_000;

export class Trace {
  private readonly events: TraceEvent[] = [];
  private readonly described = new Map<Dispatch, Pick<TraceEvent, "name" | "args">>();
  private readonly stages: string[] = [];
  /** Microseconds from the first run on. */
  private readonly origin: number;
  private cursor = 0;
  private left = 0;

  /** `now`: milliseconds, of any clock. */
  constructor(
    private readonly program: Pick<InspectedProgram, "stages">,
    private readonly now: () => number = () => performance.now(),
  ) {
    this.origin = now();
  }

  /** Dispatches of the runs that were left out. */
  get omitted(): number {
    return this.left;
  }

  /** Adds a run that is just over. Its dispatches stand one after the other, the last at its end. */
  readonly add = (times: readonly MeasuredDispatch[]): void => {
    if (this.events.length + times.length > mostEvents) {
      this.left += times.length;
      return;
    }
    const took = times.reduce((sum, { nanoseconds }) => sum + nanoseconds, 0) / 1e3;
    this.cursor = Math.max(this.cursor, (this.now() - this.origin) * 1e3 - took);
    for (const { stage, kernel, dispatch, nanoseconds } of times) {
      const dur = nanoseconds / 1e3;
      const { name, args } = this.describe(stage, kernel.name, dispatch);
      const rates =
        nanoseconds === 0
          ? {}
          : { "GFLOP/s": dispatch.flops / nanoseconds, "GiB/s": (1e9 * dispatch.bytes) / nanoseconds / 2 ** 30 };
      this.events.push({
        ...{ name, cat: stage, ph: "X", pid: 1, tid: this.track(stage), ts: this.cursor, dur },
        args: { ...args, ...rates },
      });
      this.cursor += dur;
    }
  };

  private track(stage: string): number {
    if (!this.stages.includes(stage)) this.stages.push(stage);
    return this.stages.indexOf(stage) + 1;
  }

  private describe(stage: string, kernel: string, dispatch: Dispatch): Pick<TraceEvent, "name" | "args"> {
    const known = this.described.get(dispatch);
    if (known !== undefined) return known;
    const graph = this.program.stages.find(({ name }) => name === stage)?.graph;
    const nodes = graph === undefined ? [] : workOf(graph, dispatch.nodes);
    const modules = modulesOf(nodes);
    const sites = sitesOf(modules);
    const isBackward = nodes.some(({ phase }) => phase === "backward");
    const { flops, bytes } = dispatch;
    const made = {
      name: `${sites.slice(0, 3).join(", ") || kernel}${isBackward ? " backward" : ""}`,
      args: { kernel, modules: modules.join(" "), formula: linesOf(nodes).join(" "), flops, bytes },
    };
    this.described.set(dispatch, made);
    return made;
  }

  /** The file's text. */
  text(): string {
    const names = this.stages.map(
      (stage, i): TraceEvent => ({ name: "thread_name", ph: "M", pid: 1, tid: i + 1, args: { name: stage } }),
    );
    return `{"traceEvents":[\n${[...names, ...this.events].map((event) => JSON.stringify(event)).join(",\n")}\n]}\n`;
  }
}
