/** What a graph is drawn of: dispatches, or nodes, with what they read, the layer that they are in and what they cost. */
import type { Errors } from "../../program/precision.ts";
import { bytes, layerOf, shortPath } from "./format.ts";
import type { GraphModel, ProgramModel, Ref, StageModel } from "./model.ts";

export interface Element {
  readonly ref: Ref;
  readonly title: string;
  readonly detail: string;
  /** Path of its layer, or nothing. */
  readonly layer: string;
  readonly isBackward: boolean;
  readonly role: "forward" | "backward" | "param" | "weight" | "input";
  readonly flops: number;
  readonly bytes: number;
  /** Milliseconds, of dispatches that were measured. */
  readonly time?: number;
  /** Of what it stores, where that was compared with f64. */
  readonly errors?: Errors;
  /** Elements that it reads. */
  readonly inputs: readonly number[];
  /** What it keeps for the backward pass, in words. */
  readonly saved: string;
  /** What it does, and of what kind that is: by these elements of two programs are told to be the same. */
  readonly does: string;
  readonly kind: string;
  /** How many dispatches compute it, of values. */
  readonly times?: number;
  /** Modules, and the phase. */
  readonly place: string;
  /** Where two programs are drawn together: which of them have it, or that it is not the same in both. */
  readonly among?: Among;
}

export type Among = "both" | "differs" | "only-a" | "only-b";

export const levels: readonly (readonly [level: string, title: string])[] = [
  ["kernels", "kernels"],
  ["tensors", "tensors"],
  ["formula", "formula"],
];

/** The name of a kernel without the hash of its text. */
const kindOf = (kernel: string): string => kernel.replace(/_[0-9a-f]+$/, "");

function dispatchElements(stage: StageModel): Element[] {
  const savedOf = (at: number): number =>
    stage.values
      .filter(([, , , , first, , why]) => first === at && why === "saved for backward")
      .reduce((sum, value) => sum + value[3], 0);
  const shared = new Set<number>();
  const all = stage.dispatches.map((dispatch, at): Element => {
    const scopes = stage.scopesOf(at);
    const layers = new Set(scopes.map(layerOf).filter((layer) => layer !== ""));
    if (layers.size > 1) shared.add(at);
    const isBackward = stage.isBackward(at);
    const makers = stage.readOf(at).map((node) => stage.storedBy.get(node));
    const names = scopes.map((scope) =>
      scope
        .slice(layerOf(scope).length)
        .replace(/^\.(self_attn|mlp)\./, "")
        .replace(/^\./, ""),
    );
    const saved = savedOf(at);
    return {
      ...{ ref: `dispatch:${stage.name}/${at}`, title: `${at} ${kindOf(dispatch.kernel)}` },
      ...{ does: `${dispatch.kernel} ${dispatch.flops} ${dispatch.bytes}`, kind: kindOf(dispatch.kernel) },
      place: `${scopes.join(" ")} ${isBackward}`,
      detail: names.filter(Boolean).join(" ") || scopes.map(shortPath).join(" "),
      ...{ layer: [...layers][0] ?? "", isBackward },
      ...{ role: isBackward ? "backward" : "forward", flops: dispatch.flops, bytes: dispatch.bytes },
      ...(dispatch.time === undefined ? {} : { time: dispatch.time[0] }),
      ...(dispatch.errors && { errors: dispatch.errors }),
      inputs: [...new Set(makers)].filter((maker) => maker !== undefined && maker !== at) as number[],
      saved: saved === 0 ? "" : `saved ${bytes(saved)}`,
    };
  });
  const outside = turningBack(all, shared);
  return all.map((element, at) => (outside.has(at) ? { ...element, layer: "" } : element));
}

/** Elements of several layers that would lead from the layer that they are drawn in to one that runs before it: folded ones would look like a circle. */
function turningBack(elements: readonly Element[], shared: ReadonlySet<number>): Set<number> {
  const isBack = (from: Element, to: Element): boolean => {
    if (from.layer === "" || to.layer === "" || from.isBackward !== to.isBackward) return false;
    const order = from.layer.localeCompare(to.layer, "en", { numeric: true });
    return from.isBackward ? order < 0 : order > 0;
  };
  return new Set(
    elements.flatMap((to, at) =>
      to.inputs
        .filter((input) => isBack(elements[input]!, to))
        .flatMap((input) => [input, at].filter((one) => shared.has(one))),
    ),
  );
}

/** Numbers that graphs are full of and that tell nothing. */
const isHidden = (name: string): boolean => name === "constant" || name === "iota";

function nodeElements(graph: GraphModel, stage: StageModel | undefined): Element[] {
  const shown = graph.nodes.filter(({ name }) => !isHidden(name));
  const places = new Map(shown.map(({ id }, place) => [id, place]));
  return shown.map((node): Element => {
    const [, role] = /^(param|weight|input|buffer) /.exec(node.name) ?? [];
    const value = stage?.kept.get(node.id);
    const times = stage?.computedBy.get(node.id)?.length ?? 0;
    const errors = stage?.errors.get(node.id);
    return {
      ...{
        ref: `node:${graph.name}/${node.id}`,
        title: `%${node.id} ${role === undefined ? node.name : node.name.split(/[ .]/).slice(-2).join(".")}`,
      },
      ...{ does: `${node.name} ${node.type}`, kind: node.name, place: `${node.scope} ${node.isBackward}` },
      ...{ detail: node.type, layer: layerOf(node.scope), isBackward: node.isBackward },
      role:
        role === undefined
          ? node.isBackward
            ? "backward"
            : "forward"
          : role === "buffer"
            ? "weight"
            : (role as "param"),
      ...{ flops: node.flops, bytes: node.bytes, times, ...(errors && { errors }) },
      inputs: [...new Set(node.inputs)].flatMap((input) => places.get(input) ?? []),
      saved: value?.[6] === "saved for backward" ? `saved ${bytes(value[3])}` : "",
    };
  });
}

export function elementsOf(program: ProgramModel, stageName: string, level: string): Element[] {
  const stage = program.stage(stageName) ?? program.stage(program.mainStage);
  if (level === "formula") return nodeElements(program.operators, undefined);
  if (stage === undefined) return [];
  return level === "tensors" ? nodeElements(stage, stage) : dispatchElements(stage);
}

/** Rows of the drawing, from the first to the last: what comes before all layers, the layers, what comes behind them. */
export const [beginning, end] = ["the beginning", "the end"];

/**
 * The row of every element. What has no layer stands behind the layers if it reads of them, or of gradients (a loss whose parts a kernel of the
 * backward pass makes); gradients the other way round.
 */
export function rowsOf(elements: readonly Element[]): string[] {
  const behind: boolean[] = [];
  return elements.map(({ layer, isBackward, inputs }, at) => {
    const reads = inputs.some((input) => {
      const own = elements[input]!;
      if (own.isBackward !== isBackward) return own.isBackward;
      return own.layer !== "" || behind[input] === true;
    });
    behind[at] = reads;
    if (layer !== "") return layer;
    return reads === isBackward ? beginning : end;
  });
}
