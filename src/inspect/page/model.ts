/** The program as views ask about it: records of the report with what leads from one to another. */
import { moduleShares, modulesOf } from "../../ir/modules.ts";
import type { Errors } from "../../program/precision.ts";
import { computedBy } from "../memory-facts.ts";
import type { DispatchRecord, NodeRecord, ReportData, ValueRecord } from "../report-types.ts";
import { lastPart, layerOf } from "./format.ts";

export interface PageNode {
  readonly id: number;
  readonly name: string;
  readonly type: string;
  readonly scope: string;
  /** `file:line` of the formula. */
  readonly line: string;
  readonly isBackward: boolean;
  readonly flops: number;
  readonly bytes: number;
  readonly inputs: readonly number[];
}

export class GraphModel {
  readonly nodes: readonly PageNode[];
  readonly readers: readonly (readonly number[])[];

  constructor(
    readonly name: string,
    records: readonly NodeRecord[],
    texts: readonly string[],
  ) {
    const text = (at: number): string => texts[at] ?? "";
    this.nodes = records.map(([name, type, scope, line, backward, flops, bytes, inputs], id) => ({
      ...{ id, name: text(name), type: text(type), scope: text(scope), line: text(line) },
      ...{ isBackward: backward === 1, flops, bytes, inputs },
    }));
    const readers: number[][] = this.nodes.map(() => []);
    for (const { id, inputs } of this.nodes) for (const input of new Set(inputs)) readers[input]!.push(id);
    this.readers = readers;
  }
}

export class StageModel extends GraphModel {
  readonly dispatches: readonly DispatchRecord[];
  readonly values: readonly ValueRecord[];
  readonly isOfStep: boolean;
  readonly outputs: readonly (readonly [string, number])[];
  /** By node: the dispatches that compute it. */
  readonly computedBy: ReadonlyMap<number, readonly number[]>;
  /** By node: the dispatch that stores it. */
  readonly storedBy: ReadonlyMap<number, number>;
  readonly kept: ReadonlyMap<number, ValueRecord>;
  /** Of nodes that were compared with f64. */
  readonly errors: ReadonlyMap<number, Errors>;

  constructor(record: ReportData["stages"][number], texts: readonly string[]) {
    super(record.name, record.nodes, texts);
    this.dispatches = record.dispatches;
    this.values = record.values;
    this.isOfStep = record.isOfStep;
    this.outputs = record.outputs;
    const stored = new Map<number, number>();
    record.dispatches.forEach(({ parts }, dispatch) => {
      for (const node of parts.flatMap((part) => part.stored)) stored.set(node, dispatch);
    });
    this.computedBy = computedBy(record.dispatches);
    this.storedBy = stored;
    this.errors = new Map(record.errors?.map(([node, error, own]) => [node, { error, own }]));
    this.kept = new Map(record.values.map((value) => [value[0], value]));
  }

  /** Nodes that a dispatch reads from memory. */
  readOf(dispatch: number): number[] {
    const own = new Set(this.dispatches[dispatch]!.nodes);
    const inputs = [...own].flatMap((id) => this.nodes[id]?.inputs ?? []);
    return [...new Set(inputs)].filter((id) => !own.has(id));
  }

  isBackward(dispatch: number): boolean {
    const stored = this.dispatches[dispatch]!.parts.flatMap((part) => part.stored);
    return stored.some((id) => this.nodes[id]?.isBackward === true);
  }

  private computedIn(dispatch: number): PageNode[] {
    return this.dispatches[dispatch]!.nodes.flatMap((id) => this.nodes[id] ?? []);
  }

  /** The share that every module has in the work of a dispatch. */
  sharesOf(dispatch: number): ReadonlyMap<string, number> {
    return moduleShares(this.computedIn(dispatch));
  }

  /** Modules that a dispatch is for, those with the most work first. */
  scopesOf(dispatch: number): string[] {
    return modulesOf(this.computedIn(dispatch));
  }
}

/** `kind:id`. Ids: `stage/12` of nodes and dispatches, names of kernels, `file:line`, paths of modules or their ends. */
export type Ref = `${RefKind}:${string}`;
export const refKinds = ["kernel", "dispatch", "node", "line", "site"] as const;
export type RefKind = (typeof refKinds)[number];

/** Marks ids of the program that this one is compared with. */
export const otherMark = "B:";

export const isOfOther = (ref: Ref): boolean => idOf(ref).startsWith(otherMark);
export const ofOther = (ref: Ref): Ref => `${kindOf(ref)}:${otherMark}${idOf(ref)}`;
export const fromOther = (ref: Ref): Ref => `${kindOf(ref)}:${idOf(ref).slice(otherMark.length)}`;

export const kindOf = (ref: Ref): RefKind => ref.slice(0, ref.indexOf(":")) as RefKind;
export const idOf = (ref: Ref): string => ref.slice(ref.indexOf(":") + 1);

/** Whether a module is meant by a path or the end of one. */
export const isSite = (scope: string, path: string): boolean => scope === path || scope.endsWith(`.${path}`);

interface Meaning {
  readonly nodes: readonly number[];
  readonly dispatches: readonly number[];
}

/** The number in `stage/12` where the stage is this one. */
function numbersIn(stage: StageModel, id: string): number[] {
  const [name, at = ""] = id.split("/");
  return name === stage.name ? [Number(at.replace("%", ""))] : [];
}

const nodesThat = (stage: StageModel, is: (node: PageNode) => boolean): Meaning => ({
  nodes: stage.nodes.filter(is).map(({ id }) => id),
  dispatches: [],
});

/** Nodes and dispatches of a stage that are meant directly. */
const meanings: Readonly<Record<RefKind, (stage: StageModel, id: string) => Meaning>> = {
  node: (stage, id) => ({ nodes: numbersIn(stage, id), dispatches: [] }),
  dispatch: (stage, id) => ({ nodes: [], dispatches: numbersIn(stage, id) }),
  kernel: (stage, id) => ({
    nodes: [],
    dispatches: stage.dispatches.flatMap(({ kernel }, i) => (kernel === id ? [i] : [])),
  }),
  line: (stage, id) => nodesThat(stage, ({ line }) => line === id),
  site: (stage, id) => nodesThat(stage, ({ scope }) => isSite(scope, id)),
};

export class ProgramModel {
  readonly stages: readonly StageModel[];
  readonly operators: GraphModel;
  readonly sites: readonly string[];

  constructor(readonly data: ReportData) {
    this.stages = data.stages.map((stage) => new StageModel(stage, data.texts));
    this.operators = new GraphModel("operators", data.operators, data.texts);
    const formed = this.stages.flatMap(({ nodes }) => nodes.filter(({ line }) => line !== ""));
    this.sites = [...new Set(formed.map(({ scope }) => scope).filter((scope) => scope !== ""))];
  }

  /** Nodes and dispatches that are to blame for the error that ended it. */
  get failed(): ReadonlySet<string> {
    const { stage: name = "", nodes = [], dispatch = -1, kernel } = this.data.failure ?? {};
    const stage = this.stage(name);
    if (stage === undefined) return new Set();
    // What ran may have been compiled for another target: then its dispatches are not those that are shown.
    const isShown = stage.dispatches[dispatch]?.kernel === kernel && kernel !== undefined;
    const dispatches = isShown
      ? [dispatch]
      : nodes.flatMap((id) => stage.storedBy.get(id) ?? stage.computedBy.get(id)?.slice(0, 1) ?? []);
    return new Set([...nodes.map((id) => `node:${name}/${id}`), ...dispatches.map((at) => `dispatch:${name}/${at}`)]);
  }

  get mainStage(): string {
    return (this.stages.find(({ name }) => name === "micro") ?? this.stages.at(-1))?.name ?? "";
  }

  graph(name: string): GraphModel | undefined {
    return name === "operators" ? this.operators : this.stage(name);
  }

  stage(name: string): StageModel | undefined {
    return this.stages.find((stage) => stage.name === name);
  }

  /** The stages that a choice of them means: one, or those of a training step. */
  chosen(name: string): StageModel[] {
    return this.stages.filter((stage) => (name === "step" ? stage.isOfStep : stage.name === name));
  }

  /** The graph and the number in `stage/12`. */
  place(
    id: string,
  ): { readonly graph: GraphModel; readonly stage: StageModel | undefined; readonly at: number } | undefined {
    const [name = "", at] = id.split("/");
    const graph = this.graph(name);
    return graph === undefined ? undefined : { graph, stage: this.stage(name), at: Number(at?.replace("%", "")) };
  }

  lineText(line: string): string {
    const [file, at] = line.split(":");
    const fragment = this.data.fragments.find((own) => own.file === file);
    return fragment?.text.split("\n")[Number(at) - fragment.line]?.trim() ?? "";
  }

  /** Everything that belongs to something: what computes it, what it computes, where it was written, which modules it is for. */
  related(ref: Ref): Set<string> {
    const found = new Set<string>([ref]);
    for (const stage of this.stages) {
      const meant = meanings[kindOf(ref)](stage, idOf(ref));
      const dispatches = new Set([...meant.dispatches, ...meant.nodes.flatMap((id) => stage.computedBy.get(id) ?? [])]);
      const nodes = new Set([...meant.nodes, ...meant.dispatches.flatMap((at) => stage.dispatches[at]?.nodes ?? [])]);
      for (const at of dispatches) {
        found.add(`dispatch:${stage.name}/${at}`);
        found.add(`kernel:${stage.dispatches[at]?.kernel}`);
      }
      for (const at of nodes) {
        const node = stage.nodes[at];
        found.add(`node:${stage.name}/${at}`);
        if (node !== undefined && node.line !== "") found.add(`line:${node.line}`);
        if (node !== undefined && node.scope !== "")
          found.add(`site:${node.scope}`).add(`site:${lastPart(node.scope)}`);
      }
    }
    return found;
  }
}

/** The layer of a node or of a dispatch, or nothing. */
export function layerOfRef(program: ProgramModel, ref: Ref): string {
  const { graph, stage, at = -1 } = program.place(idOf(ref)) ?? {};
  if (kindOf(ref) === "node") return layerOf(graph?.nodes[at]?.scope ?? "");
  if (kindOf(ref) !== "dispatch" || stage?.dispatches[at] === undefined) return "";
  return (
    stage
      .scopesOf(at)
      .map(layerOf)
      .find((layer) => layer !== "") ?? ""
  );
}
