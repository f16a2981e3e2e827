/** Elaborates a method for a model: the adapter's tensors, and per site the operator IR of W' and b'. */
import { Builder } from "../../ir/builder.ts";
import type { DiagnosticSink } from "../../ir/diagnostics.ts";
import type { Graph, Output } from "../../ir/graph.ts";
import { sameShape } from "../../ir/types.ts";
import type { AdapterTensor } from "../../program.ts";
import type { FieldValue } from "../fields.ts";
import type { ScalarIds } from "../lib/builtin.ts";
import { hostValues } from "../lib/initial.ts";
import { asOperator } from "./arithmetic.ts";
import type { MethodAst, SiteBlock, TensorItem } from "./ast.ts";
import { checkConstraints } from "./constraints.ts";
import { evaluate, shapeOf } from "./evaluate.ts";
import { type BuildScope, type MethodSite, type ModelScope, Scope } from "./scope.ts";
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
  /** The running weight and the base weight, operators [out, in]. */
  readonly W: number;
  readonly W0: number;
  readonly bias?: number;
  readonly scalars: ScalarIds;
}

export interface SiteResult {
  readonly operator: number;
  readonly bias?: number;
}

export interface ElaboratedTensor extends AdapterTensor {
  /** Index of the site it belongs to; absent for tensors that the whole model shares. */
  readonly site?: number;
  /** Projected at the start of every training step. */
  readonly project: boolean;
}

export const siteKey = (site: MethodSite, key: string): string => `base_model.model.${site.path}.${key}`;

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
    const block = this.method.blocks.find((b) => b.siteKind === site.kind);
    if (block !== undefined) return block;
    const kinds = this.method.blocks.map((b) => b.siteKind);
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
      aliases: [],
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
    const operator = this.newWeight(scope, assigned.get("W") ?? assigned.get("E"), operands.W);
    return bias === undefined ? { operator } : { operator, bias };
  }

  private newWeight(scope: Scope, value: Value | undefined, unchanged: number): number {
    if (value === undefined) return unchanged;
    const { builder } = scope.build!;
    const operator = asOperator(value, () => builder);
    const wanted = builder.operator(unchanged);
    const made = operator === undefined ? undefined : builder.operator(operator);
    if (made !== undefined && made.out === wanted.out && made.in === wanted.in) return operator!;
    throw scope.error("METHOD-TYPE", this.block(scope.siteOrFail()).at, {
      message: "The adapted weight has another size than the weight.",
      expected: `op[${wanted.out},${wanted.in}]`,
      got: made === undefined ? describe(value, builder) : `op[${made.out},${made.in}]`,
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
   * the port `seed`. `baseWeight` answers with the operator W0 of a site, for tensors that begin from the weight.
   */
  initialGraph(baseWeight: (builder: Builder, site: MethodSite) => number): Graph {
    const builder = new Builder("init");
    const seed = builder.port("seed", "input", "u32", []);
    const zero = builder.constant(0, [], "u32");
    const outputs = this.model.sites.flatMap((site): Output[] => {
      const build: BuildScope = {
        builder,
        get W() {
          return baseWeight(builder, site);
        },
        get W0() {
          return baseWeight(builder, site);
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
    const outputs = this.model.sites.flatMap((site): Output[] => {
      const scalars = {
        get seed() {
          return none();
        },
        get step() {
          return none();
        },
        get sampleOffset() {
          return none();
        },
      };
      const scope = this.scope(site, {
        builder,
        get W() {
          return none();
        },
        get W0() {
          return none();
        },
        scalars,
        tensor: none,
      });
      const items = ownTensors(scope).filter((item) => projects(scope, item));
      return items.map((item) => ({
        name: siteKey(site, item.key!),
        node: projected(scope, item, this.port(scope, item, builder)),
      }));
    });
    return outputs.length === 0 ? undefined : builder.finish(outputs);
  }
}
