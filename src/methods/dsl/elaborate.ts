/** Elaborates a method for a model: the adapter's tensors, and per site the operator IR of W' and b'. */
import { Builder } from "../../ir/builder.ts";
import { compact, type Graph } from "../../ir/graph.ts";
import type { AdapterInput } from "../../program/index.ts";
import type { Site } from "../site.ts";
import type { Expression, InputItem, MethodAst } from "./ast.ts";
import { checkConstraints } from "./constraints.ts";
import { alikeSites, checkBias, lastPass, passes, portsOf, tried, warnOfUnreached } from "./declare.ts";
import type {
  AdditionOperands,
  ElaboratedTensor,
  ElaborationInput,
  SiteOperands,
  SiteResult,
} from "./elaboration-types.ts";
import { condition, evaluate, evaluateKnown, optionSize } from "./evaluate.ts";
import { withFamilies } from "./families.ts";
import { type BaseOf, building, computedGraph, initialGraph, projectionGraph } from "./host-graphs.ts";
import { Notes } from "./notes.ts";
import { constantScalars, placeholderBase, placeholderOperands } from "./placeholders.ts";
import { addedLoss, newBias, newWeight, targetPlace, tensorNode } from "./results.ts";
import { Room } from "./room.ts";
import { type BuildScope, type ModelScope, modelScope, Scope, siteScope } from "./scope.ts";
import { computedEntries, lacksEncoder, sharedEntries, siteEntries } from "./site-entries.ts";
import { paddedShapes } from "./site-tensors.ts";
import { isWhole, known, type Value } from "./value.ts";
import { targetsOf } from "./walk.ts";
import { siteNames } from "./words.ts";

export class Elaboration {
  readonly tensors: readonly ElaboratedTensor[];
  /** What would train lies in a file that is not there. */
  readonly lacksEncoder: boolean;
  /** Whether the adapters that it mixes train too. */
  readonly expertsTrain: boolean;
  /** Shapes of tensors that targets get, by kind of site and target. */
  private readonly made = new Map<string, readonly number[]>();
  private readonly model: ModelScope;
  /** The scope of the whole model, where nothing is built. */
  private readonly whole: Scope;

  constructor(written: MethodAst, input: ElaborationInput) {
    const { sites, situation, sink } = input;
    const groups = alikeSites(written, sites);
    const stills = new Map<number, Scope>();
    const model = modelScope(written, input, ({ index }) => stills.get(index));
    this.model = { ...model, method: withFamilies(new Scope(model)) };
    this.whole = new Scope(this.model);
    this.lacksEncoder = lacksEncoder(this.model);
    const mixes = this.model.method.items.find((item) => item.kind === "mixes");
    this.expertsTrain = mixes?.trained !== undefined && condition(this.whole, mixes.trained);
    for (const group of groups) {
      const still = this.scope(group[0]!);
      for (const { index } of group) stills.set(index, still);
    }
    for (const scope of [this.whole, ...sites.map((site) => this.scope(site))]) checkConstraints(scope, sink);
    this.tensors = [
      ...sharedEntries(this.whole),
      ...computedEntries(this.whole),
      ...sites.flatMap((site) => siteEntries(this.scope(site), site)),
    ];
    const reached = this.declare(groups);
    const scopes = groups.map(([site]) => this.scope(site!));
    if (situation.purpose === "train" && reached !== undefined) warnOfUnreached(written, scopes, reached, sink);
    this.notes.close();
  }

  /** What the graphs of this adapter take from outside of them. */
  get notes(): Notes {
    return this.model.notes;
  }

  /** What names mean at a site. */
  scope(site: Site): Scope {
    return siteScope(this.model, site);
  }

  /** Builds sites that are alike once, to find what their graphs take from outside. Answers the ports that targets are made of, undefined where one has a fault. */
  private declare(groups: readonly (readonly Site[])[]): ReadonlySet<string> | undefined {
    const { model } = this;
    const builder = new Builder("declared");
    const targets: Value[] = [];
    let complete = true;
    for (const group of groups) {
      const [site] = group as readonly [Site];
      this.notes.at(group, () => {
        tried(() => initialGraph({ ...model, sites: [site] }, placeholderBase));
        tried(() => projectionGraph({ ...model, sites: [site] }));
        for (const given of passes(builder, model, site))
          complete =
            tried(() => {
              for (const [name, value] of this.assigned(site, given).assigned) {
                targets.push(value);
                if (value.kind === "tensor") this.made.set(`${site.kind} ${name}`, builder.shape(value.id));
              }
            }) && complete;
      });
      const [given] = passes(builder, model, site);
      checkBias({ ...model, notes: new Notes(), room: new Room(model.base.elements) }, site, given!);
    }
    tried(() => this.computedGraph());
    tried(() => this.reports(builder, { scalars: constantScalars(builder, 1), ...lastPass(builder, model.base) }));
    return complete ? portsOf(builder, targets) : undefined;
  }

  /** How many rows a target gets at the sites of a kind: virtual tokens that are put in front. */
  rows(kind: string, target: string): number {
    return this.made.get(`${kind} ${target}`)?.[0] ?? 0;
  }

  /** Whether something trains, `copies` being how many tensors of the base train beside the method's own. */
  trains(copies: number): boolean {
    return !this.lacksEncoder && (copies > 0 || this.tensors.some(({ role }) => role === "param"));
  }

  /** What the method reads of a batch. */
  get inputs(): readonly AdapterInput[] {
    return this.whole.items.flatMap((item) => (item.kind === "input" ? [batchInput(this.whole, item)] : []));
  }

  /** Numbers that merging is given, with how many there are. */
  get options(): readonly { readonly name: string; readonly size: number }[] {
    return this.whole.items.flatMap((item) =>
      item.kind === "option" ? [{ name: item.name, size: optionSize(this.whole, item) }] : [],
    );
  }

  /** What of a forward pass can be read afterwards, by name; the ids are of `builder`. */
  reports(builder: Builder, operands: Omit<SiteOperands, "weight" | "base" | "bias">): ReadonlyMap<string, number> {
    const scope = building(this.model, undefined, { builder, ...operands });
    const made = scope.items.flatMap((item): [string, number][] => {
      if (item.kind !== "report") return [];
      return [[item.name, tensorNode(scope, evaluate(scope, item.value), item.at, `The report ${item.name}`)]];
    });
    return new Map(made);
  }

  /** Shapes in the program of the tensors that it holds larger than the file does, by key. */
  get paddedShapes(): ReadonlyMap<string, readonly number[]> {
    return new Map(this.model.sites.flatMap((site) => paddedShapes(this.scope(site))));
  }

  private siteOf(index: number): Site {
    const site = this.model.sites.find((one) => one.index === index);
    if (site === undefined) throw new Error(`there is no site ${index}`);
    return site;
  }

  /** Builds W' and b' of one site; the ids are of `builder`. A layer without bias has none afterwards unless the method makes one. */
  site(index: number, builder: Builder, operands: SiteOperands): SiteResult {
    const site = this.siteOf(index);
    const { experts = [] } = this.model;
    const deltas = () =>
      builder.frozenIf(!this.expertsTrain, () => experts.map(({ delta }) => delta(site.path, builder, operands)));
    const { scope, assigned } = this.assigned(site, { builder, ...operands, experts: deltas });
    const bias = newBias(scope, assigned.get("b"), operands.bias);
    const names = siteNames[site.kind]!;
    const weight = newWeight(scope, assigned.get(names.weight!), names.form, operands.weight);
    return { weight, bias, loss: addedLoss(scope, assigned.get("loss")) };
  }

  /**
   * What a method puts in front of or adds to what a site of kind `prompt` or `attention` computes, by target; a target that changes nothing is
   * left out. Throws METHOD-TYPE for what is no f32 tensor.
   */
  additions(index: number, builder: Builder, operands: AdditionOperands): ReadonlyMap<string, number> {
    const { scope, assigned } = this.assigned(this.siteOf(index), { builder, ...operands });
    const made = [...assigned].flatMap(([name, value]): [string, number][] => {
      if (value.kind === "absent") return [];
      return [[name, tensorNode(scope, value, targetPlace(scope, name), `What ${name}' gets`)]];
    });
    return new Map(made);
  }

  /** The labels that the method makes of those of a batch, in a graph of its own; undefined where it leaves them as they are. */
  labelsGraph(): Graph | undefined {
    const site = this.model.sites.find(({ kind }) => kind === "prompt");
    if (site === undefined) return undefined;
    const { builder, ...given } = placeholderOperands(new Builder("labels"), site, this.model.base);
    const node = this.additions(site.index, builder, given).get("labels");
    return node === undefined ? undefined : compact(builder.finish([{ name: "labels", node }]));
  }

  /** The values of the targets at a site. */
  private assigned(
    site: Site,
    build: Omit<BuildScope, "tensor">,
  ): { scope: Scope; assigned: ReadonlyMap<string, Value> } {
    const scope = building(this.model, site, build);
    const targets = targetsOf(scope.block!);
    return { scope, assigned: new Map(targets.map(({ name, value }) => [name, evaluate(scope, value)])) };
  }

  /** See `initialGraph` in `host-graphs.ts`. */
  initialGraph(baseOf: BaseOf): Graph {
    const made = initialGraph(this.model, baseOf);
    return { ...made, outputs: made.outputs.filter(({ name }) => !this.model.tied?.has(name)) };
  }

  /** See `computedGraph` in `host-graphs.ts`. */
  computedGraph(): Graph | undefined {
    return computedGraph(this.model);
  }

  /** Parameters to projected parameters, named by key; undefined when nothing is projected. */
  projectionGraph(): Graph | undefined {
    return projectionGraph(this.model);
  }
}

/** Throws `METHOD-TYPE` where the number of values, or the value of a batch that lacks them, is none. */
function batchInput(scope: Scope, { name, per, below, option, fill, at }: InputItem): AdapterInput {
  const wholeNumber = (value: Expression, least: number, what: string): number => {
    const number = evaluateKnown(scope, value);
    if (isWhole(number, least)) return number;
    throw scope.misfit(at, `${name} has no ${what}.`, known(number));
  };
  const limit = wholeNumber(below, 1, "number of values");
  const row = per === undefined ? { rowShape: [] } : { padding: -1 };
  return { name, dtype: "i32", limit, ...row, option, fill: fill && wholeNumber(fill, 0, "value where it is missing") };
}
