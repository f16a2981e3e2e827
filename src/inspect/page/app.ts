/** What views are given: the program, the state, and how to change it. */
import type { ProgramModel } from "./model.ts";
import type { State } from "./state.ts";

export interface App {
  readonly program: ProgramModel;
  /** What it is compared with. */
  readonly other: ProgramModel | undefined;
  /** What is wrong with the file that was opened last. */
  readonly problem: string;
  readonly state: State;
  /** Shows another state. Options are added to those that there are; an empty text takes one away. */
  go(change: Partial<State>): void;
  /** Compares with the report in a file. */
  open(file: File): Promise<void>;
}

export interface View {
  readonly name: string;
  readonly title: string;
  /** Options of the state that it shows; others change without it being made again. */
  readonly options: readonly string[];
  show(app: App): HTMLElement | Promise<HTMLElement>;
}
