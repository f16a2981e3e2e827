/** What one run of `webpeft train` is made of: its options, and what was read and compiled for it. */
import type { Program } from "../compile/program.ts";
import type { BatchStream } from "../runtime/data/dataset.ts";
import type { Session } from "../runtime/session/session.ts";
import type { ScheduleName } from "../runtime/training/schedule.ts";
import type { SourceOptions, Sources } from "./common.ts";
import type { TrainingReport } from "./training-report.ts";

export interface TrainCommandOptions extends SourceOptions {
  readonly data: string;
  readonly out: string;
  readonly steps?: number;
  readonly epochs?: number;
  readonly batchSize: number;
  readonly length?: number;
  readonly lr: number;
  readonly weightDecay: number;
  readonly schedule: ScheduleName;
  readonly warmup: number;
  readonly clip: number;
  readonly accumulate: number;
  readonly saveEvery?: number;
  readonly evalEvery?: number;
  readonly valid?: string;
  readonly resume?: boolean;
  readonly overwrite?: boolean;
  readonly task?: number;
  readonly docStride?: number;
  readonly sampling: boolean;
  readonly full?: boolean;
  readonly log?: string;
  readonly trace?: string;
  readonly report?: string;
  readonly memory?: number;
}

export interface TrainRunParts {
  readonly options: TrainCommandOptions;
  readonly sources: Sources;
  readonly program: Program;
  readonly session: Session;
  readonly stream: BatchStream;
  /** Labels that count and that do not, in all data. */
  readonly labels: { readonly trained: number; readonly ignored: number };
  /** Optimizer steps of the whole run. */
  readonly steps: number;
  readonly validation: BatchStream | undefined;
  /** Hears what the log hears, and how the run ends. */
  readonly report?: Pick<TrainingReport, "add" | "fail"> | undefined;
  /** Hashes of the contents of the base model's weights, and of the files that make tokens of text. */
  readonly weights: string;
  readonly tokenizer: string;
}
