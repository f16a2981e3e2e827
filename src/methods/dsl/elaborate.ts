/** Elaborates a method for a model: the adapter's tensors, and per site the operator IR of W' and b'. */
import { Builder } from "../../ir/builder.ts";
import { compact, type Graph } from "../../ir/graph.ts";
import type { AdapterInput } from "../../program/index.ts";
import type { Site } from "../site.ts";
import type { MethodAst, SiteBlock, TensorItem } from "./ast.ts";
import { batchInputs } from "./batch-inputs.ts";
import { checkConstraints } from "./constraints.ts";
import { alikeSites, checkBias, lastPass, passes, portsOf, tried, warnOfUnreached } from "./declare.ts";
import { type ElaboratedTensor, type ElaborationInput, unknownBase } from "./elaboration-types.ts";
import { condition, evaluate, extentFault, optionSize, shapeOf } from "./evaluate.ts";
import { withFamilies } from "./families.ts";
import { coding } from "./file-forms.ts";
import { type BaseOf, computedGraph, initialGraph, projectionGraph } from "./host-graphs.ts";
import { Notes } from "./notes.ts";
import type { AdditionOperands, Expert, SiteOperands, SiteResult } from "./operands.ts";
import { type BatchSize, constantScalars, placeholderBase, placeholderOperands } from "./placeholders.ts";
import { addedLoss, newBias, newWeight, targetPlace, tensorNode } from "./results.ts";
import { Room } from "./room.ts";
import { type BuildScope, type ModelScope, Scope } from "./scope.ts";
import { computedEntries, lacksEncoder, sharedEntries, siteEntries } from "./site-entries.ts";
import { computedNode, exists, isEmpty, paddedScope, paddedShapes, projected, projects } from "./site-tensors.ts";
import { hint } from "./suggest.ts";
import type { Value } from "./value.ts";
import { siteNames } from "./words.ts";

export class Elaboration {
  readonly tensors: readonly ElaboratedTensor[];
  /** What would train lies in a file that is not there. */
  readonly lacksEncoder: boolean;
  /** What the graphs of this adapter take from outside of them. */
  readonly notes = new Notes();
  /** Shapes of tensors that targets get, by kind of site and target. */
  private readonly made = new Map<string, readonly number[]>();
  private readonly model: ModelScope;
  /** Whether the adapters that it mixes train too. */
  readonly expertsTrain: boolean;
  /** The scope of the whole model, where nothing is built. */
  private readonly whole: Scope;
  private readonly bySite: ReadonlyMap<number, Site>;
  private readonly method: MethodAst;
  private readonly experts: readonly Expert[];
  private readonly tied: ReadonlyMap<string, string>;

  constructor(written: MethodAst, input: ElaborationInput) {
    const { sites, fields, situation, base = unknownBase, firstStream, experts = [], tied = new Map(), sink } = input;
    this.experts = experts;
    this.tied = tied;
    const groups = alikeSites(written, sites);
    const stills = new Map<number, Scope>();
    const model: ModelScope = {
      ...{ sites, fields, situation, base, firstStream },
      method: written,
      experts: experts.map(({ fields }) => fields),
      present: input.present ?? new Set(Object.keys(fields)),
      room: new Room(base.elements),
      notes: this.notes,
      still: ({ index }) => stills.get(index),
    };
    this.method = withFamilies(written, new Scope(model));
    this.model = { ...model, method: this.method };
    this.bySite = new Map(sites.map((site) => [site.index, site]));
    this.lacksEncoder = lacksEncoder(this.model);
    const whole = new Scope(this.model);
    const mixes = this.method.items.find((item) => item.kind === "mixes");
    this.expertsTrain = mixes?.trained !== undefined && condition(whole, mixes.trained);
    this.whole = whole;
    for (const group of groups) {
      const still = this.scope(group[0]!);
      for (const { index } of group) stills.set(index, still);
    }
    checkConstraints(whole, sink);
    for (const site of sites) checkConstraints(this.scope(site), sink);
    this.tensors = [
      ...sharedEntries(whole, this.notes),
      ...computedEntries(whole),
      ...sites.flatMap((site) => siteEntries(this.scope(site), site, this.notes, tied)),
    ];
    const reached = this.declare(groups, { samples: base.samples, length: base.length, width: base.hiddenWidth });
    const scopes = groups.map(([site]) => this.scope(site!));
    if (situation.purpose === "train" && reached !== undefined) warnOfUnreached(written, scopes, reached, tied, sink);
    this.notes.close();
  }

  /** Builds sites that are alike once, to find what their graphs take from outside. Answers the ports that targets are made of, undefined where one has a fault. */
  private declare(groups: readonly (readonly Site[])[], batch: BatchSize): ReadonlySet<string> | undefined {
    const builder = new Builder("declared");
    const targets: Value[] = [];
    let complete = true;
    for (const group of groups) {
      const [site] = group as readonly [Site];
      this.notes.at(group, () => {
        tried(() => initialGraph({ ...this.model, sites: [site] }, this.scope, placeholderBase));
        tried(() => projectionGraph({ ...this.model, sites: [site] }, this.scope, this.port));
        for (const given of passes(builder, this.method, site, this.experts.length, batch))
          complete =
            tried(() => {
              for (const [name, value] of this.assigned(site, given).assigned) {
                targets.push(value);
                if (value.kind === "tensor") this.made.set(`${site.kind} ${name}`, builder.shape(value.id));
              }
            }) && complete;
      });
      const model = { ...this.model, notes: new Notes(), room: new Room(this.model.base.elements) };
      const [given] = passes(builder, this.method, site, this.experts.length, batch);
      checkBias(site, given!, (at, build) => this.scope(at, build, model), this.port);
    }
    tried(() => this.computedGraph());
    tried(() => this.reports(builder, { scalars: constantScalars(builder, 1), ...lastPass(builder, batch) }));
    return complete ? portsOf(builder, targets) : undefined;
  }

  /** How many rows a target gets at the sites of a kind: virtual tokens that are put in front. */
  rows(kind: string, target: string): number {
    return this.made.get(`${kind} ${target}`)?.[0] ?? 0;
  }

  /** Data of the buffers: what `shared` tensors are drawn as, by key, and index tables by port name. */
  get data(): ReadonlyMap<string, Float32Array | Int32Array> {
    return this.notes.data;
  }

  /** Whether something trains, `copies` being how many tensors of the base train beside the method's own. */
  trains(copies: number): boolean {
    return !this.lacksEncoder && (copies > 0 || this.tensors.some(({ role }) => role === "param"));
  }

  /** What the method reads of a batch. */
  get inputs(): readonly AdapterInput[] {
    return batchInputs(this.whole);
  }

  /** Numbers that merging is given, with how many there are. */
  get options(): readonly { readonly name: string; readonly size: number }[] {
    return this.method.items.flatMap((item) =>
      item.kind === "option" ? [{ name: item.name, size: optionSize(this.whole, item) }] : [],
    );
  }

  /** What of a forward pass can be read afterwards, by name; the ids are of `builder`. */
  reports(builder: Builder, operands: Omit<SiteOperands, "weight" | "base" | "bias">): ReadonlyMap<string, number> {
    const tensor = (item: TensorItem): number => this.port(scope, item, builder);
    const scope: Scope = new Scope(this.model, undefined, undefined, { builder, ...operands, tensor });
    const made = this.method.items.flatMap((item): [string, number][] => {
      if (item.kind !== "report") return [];
      return [[item.name, tensorNode(scope, evaluate(scope, item.value), item.at, `The report ${item.name}`)]];
    });
    return new Map(made);
  }

  private block(site: Site): SiteBlock {
    const block = this.method.blocks.find((b) => b.siteKind === site.kind && b.from === site.from);
    if (block !== undefined) return block;
    const kinds = this.method.blocks.filter((b) => b.from === site.from).map((b) => b.siteKind);
    throw new Scope(this.model, undefined, site).error("METHOD-SITE", this.method.at, {
      message: `${this.method.name} cannot change a site of kind ${site.kind}.`,
      expected: kinds.join(" or "),
      got: site.kind,
      help: hint(site.kind, kinds) ?? "Leave the module out of target_modules.",
    });
  }

  /** What names mean at a site. */
  readonly scope = (site: Site, build?: BuildScope, model = this.model): Scope =>
    new Scope(model, this.block(site), site, build);

  private readonly port = (scope: Scope, item: TensorItem, builder: Builder): number => {
    if (!exists(scope, item)) {
      throw scope.error("METHOD-NAME", item.at, {
        message: `${item.name} is read where it does not exist.`,
        help: "Read it only under the condition of its when.",
      });
    }
    if (isEmpty(scope, item)) throw extentFault(scope, item.name, item.at, 0);
    const key = item.role === "shared" ? item.key! : scope.siteKey(item.key!);
    const within = item.role === "shared" ? new Scope(scope.model) : scope;
    const role = item.role === "param" || item.trained === true ? "param" : "buffer";
    const shape = shapeOf(paddedScope(within), item);
    const turned = this.tied.get(key);
    if (turned === undefined) return builder.port(key, role, "f32", shape);
    return builder.transpose(builder.port(turned, role, "f32", [...shape].reverse()), [1, 0]);
  };

  /** Shapes in the program of the tensors that it holds larger than the file does, by key. */
  get paddedShapes(): ReadonlyMap<string, readonly number[]> {
    return new Map(this.model.sites.flatMap((site) => paddedShapes(this.scope(site))));
  }

  private siteOf(index: number): Site {
    const site = this.bySite.get(index);
    if (site === undefined) throw new Error(`there is no site ${index}`);
    return site;
  }

  /** Builds W' and b' of one site; the ids are of `builder`. A layer without bias has none afterwards unless the method makes one. */
  site(index: number, builder: Builder, operands: SiteOperands): SiteResult {
    const site = this.siteOf(index);
    const experts = () =>
      builder.frozenIf(!this.expertsTrain, () =>
        this.experts.map((expert) => expert.delta(site.path, builder, operands)),
      );
    const { scope, assigned } = this.assigned(site, { builder, ...operands, experts });
    const bias = newBias(scope, assigned.get("b"), operands.bias);
    const names = siteNames[site.kind]!;
    const weight = newWeight(scope, assigned.get(names.weight!), names.form, operands.weight);
    const loss = addedLoss(scope, assigned.get("loss"));
    return { weight, ...(bias === undefined ? {} : { bias }), ...(loss === undefined ? {} : { loss }) };
  }

  /**
   * What a method puts in front of or adds to what a site of kind `prompt` or `attention` computes, by target; a target that changes nothing is
   * left out. Throws METHOD-TYPE for what is no f32 tensor.
   */
  additions(index: number, builder: Builder, operands: AdditionOperands): ReadonlyMap<string, number> {
    const site = this.siteOf(index);
    const { scope, assigned } = this.assigned(site, { builder, ...operands });
    const made = [...assigned].flatMap(([name, value]): [string, number][] => {
      if (value.kind === "absent") return [];
      return [[name, tensorNode(scope, value, targetPlace(scope, name), `What ${name}' gets`)]];
    });
    return new Map(made);
  }

  /** The labels that the method makes of those of a batch, in a graph of its own; undefined where it leaves them as they are. */
  labelsGraph(batch: Omit<BatchSize, "width">): Graph | undefined {
    const site = this.model.sites.find(({ kind }) => kind === "prompt");
    if (site === undefined) return undefined;
    const { builder, ...given } = placeholderOperands(new Builder("labels"), site, batch);
    const node = this.additions(site.index, builder, given).get("labels");
    return node === undefined ? undefined : compact(builder.finish([{ name: "labels", node }]));
  }

  /** The values of the targets at a site. */
  private assigned(
    site: Site,
    build: Omit<BuildScope, "tensor">,
  ): { scope: Scope; assigned: ReadonlyMap<string, Value> } {
    const tensor = (item: TensorItem): number => {
      if (item.role === "computed") return computedNode(scope, item);
      const port = this.port(scope, item, build.builder);
      const { purpose, fixed = false } = this.model.situation;
      const isProjected = purpose === "train" || (fixed && coding(scope, item)?.name === "on_rows");
      return !isProjected && projects(scope, item) ? projected(scope, item, port) : port;
    };
    const scope: Scope = this.scope(site, { ...build, tensor });
    const assigned = new Map<string, Value>();
    for (const item of this.block(site).items) {
      if (item.kind === "target") assigned.set(item.name, evaluate(scope, item.value));
    }
    return { scope, assigned };
  }

  /** See `initialGraph` in `host-graphs.ts`. */
  initialGraph(baseOf: BaseOf): Graph {
    const made = initialGraph(this.model, this.scope, baseOf);
    return { ...made, outputs: made.outputs.filter(({ name }) => !this.tied.has(name)) };
  }

  /** See `computedGraph` in `host-graphs.ts`. */
  computedGraph(): Graph | undefined {
    return computedGraph(this.model, this.port);
  }

  /** Parameters to projected parameters, named by key; undefined when nothing is projected. */
  projectionGraph(): Graph | undefined {
    return projectionGraph(this.model, this.scope, this.port);
  }
}
