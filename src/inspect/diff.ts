/** What differs between two programs, from their dumps: figures, kernels, decisions, and what their modules compute. */
import type { Dispatch } from "../codegen/index.ts";
import type { Node } from "../ir/graph.ts";
import { type KernelWork, type WorkingNode, withDispatch } from "./kernel-work.ts";
import { joined, sitesOf } from "./places.ts";

interface Choice {
  readonly decision: string;
  readonly candidates: Readonly<Record<string, number>>;
}

/** What is compared of a program: parts of the files of a dump, which `docs/dump.md` describes, or of the data of a report. */
export interface Dump {
  readonly plan: {
    readonly batch: number;
    readonly length: number;
    readonly peakBytes: number;
    readonly kernels: readonly object[];
    readonly stages: readonly {
      readonly name: string;
      readonly dispatches: readonly Pick<
        Dispatch,
        "kernel" | "grid" | "nodes" | "flops" | "bytes" | "reads" | "writes"
      >[];
    }[];
  };
  readonly timeline: readonly {
    readonly pass: string;
    readonly stage: string;
    readonly notes: readonly (Choice & { readonly scopes: readonly string[] })[];
  }[];
  readonly graphs: Readonly<Record<string, ComparedGraph>>;
}

interface ComparedGraph {
  readonly nodes: readonly (WorkingNode & Pick<Node, "op" | "phase">)[];
}

interface Fact {
  readonly name: string;
  readonly a: number;
  readonly b: number;
}

/** A kernel of one program, or of both with other sizes: dispatches, flops and bytes of all stages. */
export interface KernelChange {
  readonly name: string;
  readonly a?: KernelWork;
  readonly b?: KernelWork;
}

/** A choice that went the other way at the same places. */
interface Flip {
  readonly stage: string;
  readonly pass: string;
  readonly scopes: readonly string[];
  readonly a: Choice;
  readonly b: Choice;
}

/** How often modules of one kind compute an op, in one phase of one stage. */
interface OpChange {
  readonly stage: string;
  readonly site: string;
  readonly phase: "forward" | "backward";
  readonly op: string;
  readonly a: number;
  readonly b: number;
}

export interface ProgramDiff {
  readonly facts: readonly Fact[];
  readonly kernels: {
    /** Names of kernels whose texts, sizes and numbers of dispatches are equal. */
    readonly same: readonly string[];
    /** The same text with other sizes or another number of dispatches. */
    readonly resized: readonly KernelChange[];
    readonly onlyA: readonly KernelChange[];
    readonly onlyB: readonly KernelChange[];
  };
  readonly flips: readonly Flip[];
  readonly ops: readonly OpChange[];
}

export function compareDumps(a: Dump, b: Dump): ProgramDiff {
  return { facts: facts(a, b), kernels: compareKernels(a, b), flips: flips(a, b), ops: compareOps(a, b) };
}

function facts(a: Dump, b: Dump): Fact[] {
  const stages = [...new Set([...a.plan.stages, ...b.plan.stages].map(({ name }) => name))];
  const figures = (dump: Dump): Map<string, number> => {
    const { plan } = dump;
    const named: [string, number][] = [
      ["rows of a batch", plan.batch],
      ["tokens of a row", plan.length],
      ["distinct kernels", plan.kernels.length],
      ["bytes of all buffers", plan.peakBytes],
    ];
    for (const stage of stages) {
      const dispatches = plan.stages.find(({ name }) => name === stage)?.dispatches ?? [];
      const sum = (field: "flops" | "bytes"): number => dispatches.reduce((total, one) => total + one[field], 0);
      named.push([`dispatches of ${stage}`, dispatches.length], [`flop of ${stage}`, sum("flops")]);
      named.push([`bytes moved by ${stage}`, sum("bytes")]);
    }
    return new Map(named);
  };
  const [ofA, ofB] = [figures(a), figures(b)];
  return [...ofA].map(([name, value]) => ({ name, a: value, b: ofB.get(name)! }));
}

/** Kernels with equal names have equal texts. */
function compareKernels(a: Dump, b: Dump): ProgramDiff["kernels"] {
  const [worksA, worksB] = [works(a), works(b)];
  const shared = [...worksA].flatMap(([name, work]) => {
    const other = worksB.get(name);
    return other === undefined ? [] : [{ name, a: work, b: other }];
  });
  const isSame = (change: (typeof shared)[number]): boolean => change.a.sizes === change.b.sizes;
  const strip = ({ sizes: _sizes, ...work }: Work): KernelWork => work;
  return {
    same: shared.filter(isSame).map(({ name }) => name),
    resized: shared
      .filter((change) => !isSame(change))
      .map(({ name, a: own, b: other }) => ({ name, a: strip(own), b: strip(other) })),
    onlyA: [...worksA].filter(([name]) => !worksB.has(name)).map(([name, work]) => ({ name, a: strip(work) })),
    onlyB: [...worksB].filter(([name]) => !worksA.has(name)).map(([name, work]) => ({ name, b: strip(work) })),
  };
}

interface Work extends KernelWork {
  /** The sizes of all dispatches, as text. */
  readonly sizes: string;
}

/** Places of values are words of the sizes too, so what counts of a dispatch is its grid and what it does. */
function works({ plan, graphs }: Dump): Map<string, Work> {
  const found = new Map<string, Work>();
  for (const { name: stage, dispatches } of plan.stages) {
    for (const dispatch of dispatches) {
      const { kernel, grid, flops, bytes } = dispatch;
      const before = found.get(kernel);
      const computed = dispatch.nodes.flatMap((id) => graphs[stage]?.nodes[id] ?? []);
      const sizes = `${before?.sizes ?? ""} ${stage}:${grid.join("x")}:${flops}:${bytes}`;
      found.set(kernel, { ...withDispatch(before, dispatch, computed), sizes });
    }
  }
  return found;
}

function flips(a: Dump, b: Dump): Flip[] {
  const others = choicesOf(b);
  const groups = new Map<string, Flip & { readonly scopes: string[] }>();
  for (const [key, { stage, pass, scope, choice }] of choicesOf(a)) {
    const other = others.get(key)?.choice;
    if (other === undefined || choice.decision === other.decision) continue;
    const group = JSON.stringify([stage, pass, choice, other]);
    const flip = groups.get(group) ?? { stage, pass, scopes: [], a: choice, b: other };
    flip.scopes.push(scope);
    groups.set(group, flip);
  }
  return [...groups.values()];
}

interface PlacedChoice {
  readonly stage: string;
  readonly pass: string;
  readonly scope: string;
  readonly choice: Choice;
}

/** What was chosen, by where it was: several choices of a pass at one module are told apart by their order. */
function choicesOf({ timeline }: Dump): Map<string, PlacedChoice> {
  const found = new Map<string, PlacedChoice>();
  for (const { stage, pass, notes } of timeline) {
    for (const { scopes, decision, candidates } of notes) {
      for (const scope of scopes) {
        const place = `${stage}/${pass}/${scope}`;
        let nth = 0;
        while (found.has(`${place}/${nth}`)) nth++;
        found.set(`${place}/${nth}`, { stage, pass, scope, choice: { decision, candidates } });
      }
    }
  }
  return found;
}

/** Ops whose number differs, by kind of module: layers count together. */
function compareOps(a: Dump, b: Dump): OpChange[] {
  const stages = [...new Set([...Object.keys(a.graphs), ...Object.keys(b.graphs)])];
  return stages
    .filter((stage) => stage !== "operator")
    .flatMap((stage) => {
      const [ofA, ofB] = [a, b].map(({ graphs }) => counts(graphs[stage]));
      return joined([...ofA!.keys()], [...ofB!.keys()]).flatMap((key): OpChange[] => {
        const [site, phase, op] = JSON.parse(key) as [string, OpChange["phase"], string];
        const [inA, inB] = [ofA!.get(key) ?? 0, ofB!.get(key) ?? 0];
        return inA === inB ? [] : [{ stage, site, phase, op, a: inA, b: inB }];
      });
    });
}

function counts(graph: ComparedGraph | undefined): Map<string, number> {
  const found = new Map<string, number>();
  for (const node of graph?.nodes ?? []) {
    const [site = ""] = sitesOf([node.scope ?? ""]);
    const key = JSON.stringify([site, node.phase ?? "forward", node.op]);
    found.set(key, (found.get(key) ?? 0) + 1);
  }
  return found;
}
