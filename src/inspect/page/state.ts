/** What the page shows, and its address: every state has one, so links lead into the page and Back works. */
import { type ProgramModel, type Ref, refKinds } from "./model.ts";

export interface State {
  readonly view: string;
  /** A stage, or `step`: those of a training step. */
  readonly stage: string;
  readonly selection: Ref | undefined;
  /** What views remember of their own: how a table is sorted, which layer is open. */
  readonly options: Readonly<Record<string, string>>;
}

/** `otherwise`: the view where the address says nothing. */
export function readHash(hash: string, program: ProgramModel, otherwise: string): State {
  const given = [...new URLSearchParams(hash.replace(/^#/, ""))];
  const options = Object.fromEntries(given);
  const [kind, id] = given.find(([name]) => refKinds.some((known) => known === name)) ?? [];
  const { view, stage, ...own } = options;
  for (const known of refKinds) delete own[known];
  const knows = stage === "step" || (stage !== undefined && program.stage(stage) !== undefined);
  return {
    view: view ?? (kind === "node" ? "graph" : kind === "kernel" ? "kernels" : otherwise),
    stage: knows ? stage : program.mainStage,
    selection: kind === undefined ? undefined : (`${kind}:${id}` as Ref),
    options: own,
  };
}

export function hashOf({ view, stage, selection, options }: State): string {
  const all: [string, string][] = [["view", view], ["stage", stage], ...Object.entries(options)];
  if (selection !== undefined) {
    const at = selection.indexOf(":");
    all.push([selection.slice(0, at), selection.slice(at + 1)]);
  }
  const word = (text: string): string => encodeURIComponent(text).replaceAll("%2F", "/").replaceAll("%3A", ":");
  return `#${all.map(([name, value]) => `${word(name)}=${word(value)}`).join("&")}`;
}
