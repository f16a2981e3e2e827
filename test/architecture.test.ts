/** The house rules that a machine can check: which room imports which, who may use what, how long a file is. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { describe, expect, it } from "vitest";

const root = resolve("src");

function sources(folder: string): string[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    if (statSync(path).isDirectory()) return sources(path);
    return name.endsWith(".ts") && !name.endsWith(".d.ts") ? [path] : [];
  });
}

const files = sources(root).map((path) => {
  const text = readFileSync(path, "utf8");
  const imports = [...text.matchAll(/(?:^|\n)\s*(import|export)\s+(type\s)?[^;]*?from\s+"([^"]+)"/g)].map((m) => ({
    type: m[2] !== undefined,
    from: m[3]!,
  }));
  const dynamic = [...text.matchAll(/import\("([^"]+)"\)/g)].map((m) => ({ type: false, from: m[1]! }));
  return { name: relative(root, path), path, text, imports: [...imports, ...dynamic] };
});

const rooms: Readonly<Record<string, readonly string[]>> = {
  ir: [],
  models: ["ir"],
  program: ["ir", "models"],
  methods: ["ir", "models", "program"],
  passes: ["ir", "models", "program", "methods"],
  adapters: ["ir", "models", "program", "methods", "passes"],
  codegen: ["ir", "program", "passes"],
  inspect: ["ir", "program", "passes", "codegen"],
  runtime: ["ir", "models", "program", "methods", "passes", "codegen"],
  compile: ["ir", "models", "program", "methods", "passes", "adapters", "codegen", "inspect", "runtime"],
  cli: ["ir", "models", "program", "methods", "passes", "codegen", "inspect", "runtime", "compile"],
};
/** Rooms inside of the runtime; options stand beside them. */
const runtimeRooms: Readonly<Record<string, readonly string[]>> = {
  options: [],
  device: ["options"],
  files: ["options"],
  executors: ["options", "files", "device"],
  data: ["options", "files"],
  values: ["options", "files", "executors", "data"],
  runs: ["options", "files", "executors", "data", "values"],
  training: ["options", "files", "data", "values", "runs"],
  session: ["options", "device", "files", "executors", "data", "values", "runs", "training"],
};
/** Files that name each other's types in a circle, and what makes it one. */
const circlesOfTypes: readonly (readonly [RegExp, string])[] = [
  [
    /^ir\/(builder|cuts|op-record|registry|(ops|operators)\/[\w-]+)\.ts$/,
    "a builder asks the record of an op for a node's type, and records make nodes with builders",
  ],
  [/^methods\/dsl\/(scope|words|room|notes)\.ts$/, "a scope has words, room and notes, which are asked about scopes"],
];
const roomOf = (name: string): string => (name.includes("/") ? name.split("/")[0]! : "");

/** The names that lie on circles or lead only to and from them; none when the edges make no circle. */
function circle(edges: readonly (readonly [string, string])[]): string[] {
  let left = [...edges];
  for (;;) {
    const [sources, targets] = [new Set(left.map(([from]) => from)), new Set(left.map(([, to]) => to))];
    const kept = left.filter(([from, to]) => targets.has(from) && sources.has(to));
    if (kept.length === left.length) return [...sources].sort();
    left = kept;
  }
}

describe("imports", () => {
  it("go one way between rooms", () => {
    const wrong = files.flatMap(({ name, path, imports }) => {
      const room = roomOf(name);
      if (room === "") return [];
      return imports.flatMap(({ from }) => {
        if (!from.startsWith(".")) return [];
        const target = roomOf(relative(root, resolve(dirname(path), from)));
        const allowed = target === room || rooms[room]!.includes(target);
        return allowed ? [] : [`${name} -> ${from}`];
      });
    });
    expect(wrong).toEqual([]);
  });

  it("go one way between the rooms of the runtime", () => {
    const inner = (name: string): string => name.split("/")[1]!.replace(/\.ts$/, "");
    const edges = files
      .filter(({ name }) => name.startsWith("runtime/"))
      .flatMap(({ name, path, imports }) =>
        imports
          .filter(({ from }) => from.startsWith("."))
          .map(({ from }) => [name, relative(root, resolve(dirname(path), from))] as const),
      )
      .filter(([from, to]) => to.startsWith("runtime/") && inner(from) !== inner(to));
    expect(edges.filter(([from, to]) => !runtimeRooms[inner(from)]?.includes(inner(to)))).toEqual([]);
    const allowed = Object.entries(runtimeRooms).flatMap(([from, to]) => to.map((room) => [from, room] as const));
    expect(circle(allowed)).toEqual([]);
  });

  it("make no circle among rooms or files", () => {
    const edges = files.flatMap(({ name, path, imports }) =>
      imports
        .filter(({ from }) => from.startsWith("."))
        .map(({ type, from }) => ({ type, from: name, to: relative(root, resolve(dirname(path), from)) })),
    );
    const between = edges.map(({ from, to }) => [roomOf(from), roomOf(to)] as const);
    expect(circle(between.filter(([from, to]) => from !== to && from !== "" && to !== ""))).toEqual([]);
    expect(circle(edges.filter(({ type }) => !type).map(({ from, to }) => [from, to]))).toEqual([]);
    const pairs = edges.map(({ from, to }) => [from, to] as const);
    const within = ([what]: (typeof circlesOfTypes)[number]) =>
      pairs.filter((ends) => ends.every((end) => what.test(end)));
    const allowed = new Set(circlesOfTypes.flatMap(within));
    expect(circle(pairs.filter((pair) => !allowed.has(pair)))).toEqual([]);
    for (const known of circlesOfTypes) expect(circle(within(known))).not.toEqual([]);
    const known = ["ab", "bc", "cb"].map((edge) => [edge[0]!, edge[1]!] as const);
    expect(circle(known)).toEqual(["b", "c"]);
  });

  it("of the report's page are its own files, its data, and the comparison of two, and the modules of a dispatch, which take types alone from elsewhere", () => {
    const isPage = (path: string): boolean => path.startsWith("inspect/page/");
    const across = files.flatMap(({ name, path, imports }) =>
      imports
        .filter(({ from }) => from.startsWith("."))
        .map(({ from, type }) => ({ type, from: name, to: relative(root, resolve(dirname(path), from)) }))
        .filter(({ from, to }) => isPage(from) !== isPage(to)),
    );
    expect(across.length).toBeGreaterThan(0);
    const own = ["report-types", "diff", "kernel-work", "memory-facts", "places", "seeded", "numbers"];
    const shared = ["ir/modules.ts", "program/precision.ts", ...own.map((name) => `inspect/${name}.ts`)];
    expect(across.filter(({ to }) => !shared.includes(to))).toEqual([]);
    const taken = files
      .filter(({ name }) => shared.includes(name))
      .flatMap(({ path, imports }) =>
        imports.map(({ type, from }) => ({ type, to: relative(root, resolve(dirname(path), from)) })),
      );
    expect(taken.filter(({ to, type }) => !type && !shared.includes(to))).toEqual([]);
  });

  const only = (what: RegExp, where: RegExp): string[] =>
    files
      .filter(({ name, imports }) => !where.test(name) && imports.some(({ from, type }) => !type && what.test(from)))
      .map(({ name }) => name);

  it.each([
    ["chevrotain", /^chevrotain/, /^ir\/text\//],
    ["immer", /^immer$/, /^(passes\/manager\.ts|inspect\/)/],
    ["TensorFlow.js", /^@tensorflow/, /^runtime\/executors\/tfjs\//],
    ["Node", /^node:/, /^(runtime|cli)\//],
    ["commander", /^commander$/, /^cli\//],
  ])("of %s stay in their room", (_name, what, where) => {
    expect(only(what, where)).toEqual([]);
  });
});

describe("files", () => {
  it("stand in rooms, but for the door", () => {
    expect(files.map(({ name }) => name).filter((name) => roomOf(name) === "")).toEqual(["index.ts"]);
    expect([...new Set(files.map(({ name }) => roomOf(name)))].sort()).toEqual(["", ...Object.keys(rooms)].sort());
  });

  it("have at most 300 lines", () => {
    const lines = files.map(({ name, text }) => ({ name, count: text.split("\n").length - 1 }));
    expect(lines.filter(({ count }) => count > 300)).toEqual([]);
  });

  it("ask for the machine only in runtime and commands", () => {
    const machine = /\b(process|navigator)\.[a-z]/;
    const asking = files.filter(({ name, text }) => !/^(runtime|cli|inspect\/page)\//.test(name) && machine.test(text));
    expect(asking.map(({ name }) => name)).toEqual([]);
  });

  it("outside of methods know no method by name", () => {
    const named = /["'`](oft|boft|ia3|vera|fourierft|hra|c3a|miss|bone|shira|randlora|vblora|xlora|poly|lora)["'`]/i;
    expect(
      files
        .filter(
          ({ name, text }) =>
            /^(ir|models|program|passes|adapters|codegen|inspect|runtime|compile)\//.test(name) && named.test(text),
        )
        .map(({ name }) => name),
    ).toEqual([]);
  });

  it("leave nothing undone", () => {
    expect(files.filter(({ text }) => /@ts-ignore|@ts-nocheck|TODO|FIXME/.test(text)).map(({ name }) => name)).toEqual(
      [],
    );
  });
});
