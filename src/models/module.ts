/**
 * A base model as modules that contain modules, as in PyTorch: each says once under which name it stands, how transformers lists it and what
 * it computes. The list of modules and the graph are two walks over one tree, so they cannot disagree.
 */
import type { Builder } from "../ir/builder.ts";
import type { DiagnosticSink } from "../ir/diagnostics.ts";
import type {
  BuildOptions,
  FreshHead,
  HeadNames,
  HiddenStates,
  ModelConfig,
  ModelDescription,
  ModuleInfo,
} from "./model.ts";
import type { SiteBuilder } from "./sites.ts";

type Call = (...given: never) => unknown;

/** Where a module stands in a model that is built. */
export interface Place {
  readonly path: string;
  readonly sites: SiteBuilder;
  readonly builder: Builder;
}

/** `C`: what it is called with, and what it gives. */
export interface Module<C extends Call = Call> {
  readonly entry: (path: string) => ModuleInfo;
  /** In the order of `named_modules()`. */
  readonly children: Children;
  readonly call: (place: Place) => C;
}

/** Modules whose names are their numbers. */
export interface ModuleList<C extends Call = Call> extends Module {
  readonly each: readonly Module<C>[];
}

/** One that a model lacks is undefined. */
type Children = Readonly<Record<string, Module | undefined>>;

/** A module in its place: nodes of what it computes stand in its scope. */
export type Bound<C extends Call> = C & { readonly path: string };

type BoundOf<M> =
  M extends ModuleList<infer C> ? readonly Bound<C>[] : M extends Module<infer C> ? Bound<C> : undefined;

type BoundChildren<K extends Children> = { readonly [N in keyof K]: BoundOf<K[N]> };

const containerEntry = (path: string): ModuleInfo => ({ path, kind: "container", layout: "linear" });

/** A module of its own kind, made of others. `call` gets them in their places. */
export function block<K extends Children, C extends Call>(
  children: K,
  call: (modules: BoundChildren<K>, place: Place) => C,
  entry: Module["entry"] = containerEntry,
): Module<C> {
  return { entry, children, call: (place) => call(bindAll(children, place), place) };
}

/**
 * The name of every child, in the order of `named_modules()`, and the part that it plays; or the names inside of it, where it only holds
 * others. A part that is not there has no child.
 */
export interface Names<R extends string> {
  readonly [name: string]: R | "silent" | Names<R>;
}

/** Path of the first child that plays a part; undefined where none does. */
export function pathOf<R extends string>(names: Names<R>, role: R): string | undefined {
  for (const [name, part] of Object.entries(names)) {
    if (part === role) return name;
    const within = typeof part === "string" ? undefined : pathOf(part, role);
    if (within !== undefined) return `${name}.${within}`;
  }
  return undefined;
}

/** A part that not all names have. */
export const maybe = <M extends Module>(part: M): M | undefined => part;

/** A block whose children are found by the parts that they play, whatever their names are. */
export function cast<K extends Children, C extends Call>(
  names: Names<keyof K & string>,
  parts: K,
  call: (modules: BoundChildren<K>, place: Place) => C,
  entry: Module["entry"] = containerEntry,
): Module<C> {
  const children = castChildren(names, parts);
  return { entry, children, call: (place) => call(boundRoles(names, parts, place) as BoundChildren<K>, place) };
}

const castChildren = <K extends Children>(names: Names<keyof K & string>, parts: K): Children =>
  Object.fromEntries(
    Object.entries(names).map(([name, part]) => {
      if (part === "silent") return [name, silent];
      return [name, typeof part === "string" ? parts[part] : { ...silent, children: castChildren(part, parts) }];
    }),
  );

/** The parts in their places, by role. */
const boundRoles = <K extends Children>(
  names: Names<keyof K & string>,
  parts: K,
  place: Place,
): Readonly<Record<string, unknown>> =>
  Object.assign(
    {},
    ...Object.entries(names).map(([name, part]) => {
      if (part === "silent") return {};
      if (typeof part !== "string") return boundRoles(part, parts, { ...place, path: inside(place.path, name) });
      return { [part]: Object.values(bindAll({ [name]: parts[part] }, place))[0] };
    }),
  );

export function list<C extends Call>(each: readonly Module<C>[]): ModuleList<C> {
  return { entry: containerEntry, children: Object.fromEntries(each.entries()), each, call: () => () => undefined };
}

/** Something that is listed and computes nothing here: a dropout, an activation. */
export const silent: Module<() => void> = { entry: containerEntry, children: {}, call: () => () => undefined };

/** The module as a part of the head, which is drawn anew where a file lacks it. */
export const ofHead = <M extends Module>(module: M, head: FreshHead): M => ({
  ...module,
  entry: (path: string) => {
    const { head: own = head, ...info } = module.entry(path);
    return { ...info, head: own };
  },
  children: allOfHead(module.children, head),
});

/** The same of several modules. */
export const allOfHead = <K extends Children>(modules: K, head: FreshHead): K =>
  Object.fromEntries(
    Object.entries(modules).map(([name, module]) => [name, module === undefined ? undefined : ofHead(module, head)]),
  ) as K;

/** One of the modules whose name is known only when the model is. */
export const named = <C extends Call>(modules: Readonly<Record<string, unknown>>, name: string): Bound<C> =>
  modules[name] as Bound<C>;

const isList = (module: Module): module is ModuleList => "each" in module;

/** Those that the model has. */
const present = (children: Children): [string, Module][] =>
  Object.entries(children).flatMap(([name, module]) => (module === undefined ? [] : [[name, module]]));

const inside = (path: string, name: string): string => (path === "" ? name : `${path}.${name}`);

function bindAll<K extends Children>(children: K, place: Place): BoundChildren<K> {
  const bound = present(children).map(([name, module]) => {
    const at = { ...place, path: inside(place.path, name) };
    return [name, isList(module) ? Object.values(bindAll(module.children, at)) : bind(module, at)];
  });
  return Object.fromEntries(bound) as BoundChildren<K>;
}

/** The module in its place; the root, whose path is empty, has no scope. */
export function bind<C extends Call>(module: Module<C>, place: Place): Bound<C> {
  const call = module.call(place) as unknown as (...given: readonly unknown[]) => unknown;
  const { path, sites } = place;
  const scoped = path === "" ? call : (...given: readonly unknown[]) => sites.within(path, () => call(...given));
  return Object.assign(scoped, { path }) as unknown as Bound<C>;
}

/** All modules below one, as `named_modules()` lists them. */
export const namedModules = ({ children }: Module, path = ""): ModuleInfo[] =>
  present(children).flatMap(([name, module]) => [
    module.entry(inside(path, name)),
    ...namedModules(module, inside(path, name)),
  ]);

/** A base model as a tree of modules, with what is said of it as a whole. */
export interface ModelTree extends Omit<ModelDescription, "modules"> {
  /** Gives the logits, or hidden states where there is no head; its children are the modules at the top. */
  readonly root: Module<(options: BuildOptions) => number | HiddenStates>;
  /**
   * The module at the top that is the model without its head: files of it alone have keys that begin inside of it. Without a head the root
   * is that module, and files of a model with one have keys that begin with its name.
   */
  readonly prefix?: string;
  /** Other names that files have for it. */
  readonly otherPrefixes?: readonly string[];
}

/** One family of base models: what a config describes. Throws a `MODEL-` error for configs that it cannot honour. */
export interface ModelFamily {
  readonly modelTypes: readonly string[];
  /** The heads that it has. */
  readonly heads: HeadNames;
  /** Fields of the config that say how many layers there are. */
  readonly layerFields: readonly string[];
  read(config: ModelConfig, sink: DiagnosticSink): ModelTree;
  /** Other keys under which files hold a tensor, the likeliest first. */
  otherKeys?(key: string): readonly string[];
  /** Fields that say what its config says by its ends being tied, for one whose ends part. */
  untied?(config: ModelConfig): ModelConfig;
}
