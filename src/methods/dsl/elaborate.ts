/** Elaborates a method for a model: the adapter's tensors, and per site the operator IR of W' and b'. */
import { Builder } from "../../ir/builder.ts";
import type { DiagnosticSink } from "../../ir/diagnostics.ts";
import type { Graph, Output } from "../../ir/graph.ts";
import { sameShape, sameType, typeText } from "../../ir/types.ts";
import type { AdapterTensor } from "../../program.ts";
import type { FieldValue } from "../fields.ts";
import type { ScalarIds } from "../lib/builtin.ts";
import { hostValues } from "../lib/initial.ts";
import { asOperator } from "./arithmetic.ts";
import type { MethodAst, SiteBlock, TensorItem } from "./ast.ts";
import { checkConstraints } from "./constraints.ts";
import { evaluate, shapeOf } from "./evaluate.ts";
import { type BuildScope, type MethodSite, type ModelScope, Scope, siteNames } from "./scope.ts";
import { exists, initialValue, ownTensors, projected, projects, saved } from "./site-tensors.ts";
import { hint } from "./suggest.ts";
import { HostTables } from "./tables.ts";
import { describe, type Value } from "./value.ts";

export interface ElaborationInput {
  readonly sites: readonly MethodSite[];
  /** Whether the program trains: projections happen in a stage of their own instead of on a copy. */
  readonly train: boolean;
  /** Whether dropout and relaxed gates are drawn; default: as `train`. */
  readonly sampling?: boolean;
  /** Resolved config fields of the whole adapter. */
  readonly fields: Readonly<Record<string, FieldValue>>;
  readonly sink: DiagnosticSink;
  /** Names of the fields that the config held itself; default: all of them. */
  readonly present?: ReadonlySet<string>;
  /** The adapter's tensors come from a file. */
  readonly loaded?: boolean;
  /** The base weights are bfloat16: regenerated projections are rounded as PEFT's are. */
  readonly bfloat16?: boolean;
}

/** Operands at a site, in the builder that the site's nodes go to. */
export interface SiteOperands {
  /** The running weight and the base's: operators [out, in] of a linear or embedding site, gains f32[out] of a norm. */
  readonly weight: number;
  readonly base: number;
  /** f32[out]; absent when the layer has none. */
  readonly bias?: number;
  readonly scalars: ScalarIds;
}

/** The adapted weight, of the kind that the operand has, and the bias, when the layer has or gets one. */
export interface SiteResult {
  readonly weight: number;
  readonly bias?: number;
}

export interface ElaboratedTensor extends AdapterTensor {
  /** Index of the site it belongs to; absent for tensors that the whole model shares. */
  readonly site?: number;
  /** Projected at the start of every training step. */
  readonly project: boolean;
}

const siteKey = ({ path }: Pick<MethodSite, "path">, key: string): string => `base_model.model.${path}.${key}`;

export class Elaboration {
  readonly tensors: readonly ElaboratedTensor[];
  private readonly tables = new HostTables();
  private readonly model: ModelScope;
  private readonly bySite: ReadonlyMap<number, MethodSite>;

  constructor(
    private readonly method: MethodAst,
    input: ElaborationInput,
  ) {
    const { sink, present, loaded, bfloat16, sampling, ...rest } = input;
    this.model = {
      ...rest,
      method,
      present: present ?? new Set(Object.keys(input.fields)),
      sampling: sampling ?? input.train,
      loaded: loaded ?? false,
      bfloat16: bfloat16 ?? false,
      table: (name, data, shape) => this.tables.intern(name, data, shape),
    };
    this.bySite = new Map(input.sites.map((site) => [site.index, site]));
    const whole = new Scope(this.model, undefined, undefined);
    checkConstraints(whole, sink);
    for (const site of input.sites) checkConstraints(this.scope(site), sink);
    this.tensors = [...this.sharedTensors(whole), ...input.sites.flatMap((site) => this.siteTensors(site))];
  }

  /**
   * Data of the buffers: what `shared` tensors are drawn as, by key, and index tables by port name. Tables are known once
   * their site has been built.
   */
  get data(): ReadonlyMap<string, Float32Array | Int32Array> {
    return this.tables.data;
  }

  private block(site: MethodSite): SiteBlock {
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

  private scope(site: MethodSite, build?: BuildScope, model = this.model): Scope {
    return new Scope(model, this.block(site), site, build);
  }

  private sharedTensors(scope: Scope): ElaboratedTensor[] {
    const shared = this.method.items.filter((item) => item.kind === "tensor" && item.role === "shared") as TensorItem[];
    return shared
      .filter((item) => exists(scope, item))
      .map((item) => {
        const shape = shapeOf(scope, item);
        const value = evaluate(scope, item.value);
        const values =
          value.kind === "distribution" ? hostValues(value.distribution, shape, this.model.bfloat16) : undefined;
        if (values === undefined) {
          throw scope.error("METHOD-TYPE", item.value.at, {
            message: `The shared tensor ${item.name} must be drawn from a stream or filled.`,
            expected: "torch_kaiming_uniform(stream), zeros, ones or fill(x)",
            got: describe(value),
          });
        }
        this.tables.put(item.key!, values);
        return {
          key: item.key!,
          shape,
          role: "buffer",
          dtype: "f32",
          aliases: [],
          saved: saved(scope, item),
          project: false,
        };
      });
  }

  private siteTensors(site: MethodSite): ElaboratedTensor[] {
    const scope = this.scope(site);
    return ownTensors(scope).map((item) => ({
      key: siteKey(site, item.key!),
      shape: shapeOf(scope, item),
      role: item.role === "param" ? "param" : "buffer",
      dtype: "f32",
      aliases: item.tied && site.tiedTo !== undefined ? [siteKey({ path: site.tiedTo }, item.key!)] : [],
      saved: saved(scope, item),
      site: site.index,
      project: projects(scope, item),
    }));
  }

  private port(scope: Scope, item: TensorItem, builder: Builder): number {
    if (!exists(scope, item)) {
      throw scope.error("METHOD-NAME", item.at, {
        message: `${item.name} is read where it does not exist.`,
        help: "Read it only under the condition of its when.",
      });
    }
    const key = item.role === "shared" ? item.key! : siteKey(scope.siteOrFail(), item.key!);
    const within = item.role === "shared" ? new Scope(scope.model, undefined, undefined) : scope;
    return builder.port(key, item.role === "param" ? "param" : "buffer", "f32", shapeOf(within, item));
  }

  private siteOf(index: number): MethodSite {
    const site = this.bySite.get(index);
    if (site === undefined) throw new Error(`there is no site ${index}`);
    return site;
  }

  /** Whether a linear layer that shares the weight of the site is changed with it. */
  followsTie(index: number): boolean {
    return this.block(this.siteOf(index)).tied;
  }

  /** Builds W' and b' of one site; the ids are of `builder`. A layer without bias has none afterwards unless the method makes one. */
  site(index: number, builder: Builder, operands: SiteOperands): SiteResult {
    const site = this.siteOf(index);
    const tensor = (item: TensorItem): number => {
      const port = this.port(scope, item, builder);
      return !this.model.train && projects(scope, item) ? projected(scope, item, port) : port;
    };
    const scope: Scope = this.scope(site, { builder, ...operands, tensor });
    const assigned = new Map<string, Value>();
    for (const item of this.block(site).items) {
      if (item.kind === "target") assigned.set(item.name, evaluate(scope, item.value));
    }
    const bias = this.newBias(scope, assigned.get("b"), operands.bias);
    const names = siteNames[site.kind]!;
    const weight = this.newWeight(scope, assigned.get(names.weight), names.form, operands.weight);
    return bias === undefined ? { weight } : { weight, bias };
  }

  private newWeight(scope: Scope, value: Value | undefined, form: "operator" | "vector", unchanged: number): number {
    if (value === undefined) return unchanged;
    const { builder } = scope.build!;
    const asVector = value.kind === "tensor" ? value.id : undefined;
    const made = form === "operator" ? asOperator(value, () => builder) : asVector;
    if (made !== undefined && sameType(builder.type(made), builder.type(unchanged))) return made;
    throw scope.error("METHOD-TYPE", this.block(scope.siteOrFail()).at, {
      message: "The adapted weight has another size than the weight.",
      expected: typeText(builder.type(unchanged)),
      got: made === undefined ? describe(value, builder) : typeText(builder.type(made)),
    });
  }

  private newBias(scope: Scope, value: Value | undefined, unchanged: number | undefined): number | undefined {
    if (value === undefined) return unchanged;
    if (value.kind === "absent") return undefined;
    const { builder } = scope.build!;
    const out = scope.siteOrFail().out;
    if (value.kind === "tensor" && sameShape(builder.shape(value.id), [out])) return value.id;
    throw scope.error("METHOD-TYPE", this.block(scope.siteOrFail()).at, {
      message: "The adapted bias has another size than the layer.",
      expected: `f32[${out}]`,
      got: describe(value, builder),
    });
  }

  /**
   * The program that makes a fresh adapter: outputs are the initial values of the site tensors, named by key. Random ones depend on
   * the port `seed`. `baseOf` answers with the base's weight and bias at a site, for tensors that begin from them.
   */
  initialGraph(baseOf: (builder: Builder, site: MethodSite) => Pick<SiteOperands, "weight" | "bias">): Graph {
    const builder = new Builder("init");
    const seed = builder.port("seed", "input", "u32", []);
    const zero = builder.constant(0, [], "u32");
    const outputs = this.model.sites.flatMap((site): Output[] => {
      const build: BuildScope = {
        builder,
        get weight() {
          return baseOf(builder, site).weight;
        },
        get base() {
          return baseOf(builder, site).weight;
        },
        get bias() {
          return baseOf(builder, site).bias;
        },
        scalars: { seed, step: zero, sampleOffset: zero },
        tensor: (item) => initialValue(scope, item, seed, builder),
      };
      const scope: Scope = this.scope(site, build, { ...this.model, train: false, sampling: false });
      return ownTensors(scope).map((item) => ({ name: siteKey(site, item.key!), node: build.tensor(item) }));
    });
    return builder.finish(outputs);
  }

  /** Parameters to projected parameters, named by key; undefined when nothing is projected. */
  projectionGraph(): Graph | undefined {
    const builder = new Builder("project");
    const none = (): never => {
      throw new Error("a projection reads its parameter only");
    };
    const build: BuildScope = {
      builder,
      get weight() {
        return none();
      },
      get base() {
        return none();
      },
      get scalars() {
        return none();
      },
      tensor: none,
    };
    const outputs = this.model.sites.flatMap((site): Output[] => {
      const scope = this.scope(site, build);
      const items = ownTensors(scope).filter((item) => projects(scope, item));
      return items.map((item) => ({
        name: siteKey(site, item.key!),
        node: projected(scope, item, this.port(scope, item, builder)),
      }));
    });
    return outputs.length === 0 ? undefined : builder.finish(outputs);
  }
}
