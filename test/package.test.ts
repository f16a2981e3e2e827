/** What is published: that a package without the repository around it has all that it imports. */
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { builtinModules } from "node:module";
import { join } from "node:path";
import { describe, expect, it } from "vitest";

interface Manifest {
  readonly bin: Readonly<Record<string, string>>;
  readonly exports: Readonly<Record<string, string | Readonly<Record<string, string>>>>;
  readonly files: readonly string[];
  readonly dependencies: Readonly<Record<string, string>>;
}

const manifest = JSON.parse(readFileSync("package.json", "utf8")) as Manifest;
const published = (path: string): boolean =>
  path === "./package.json" || manifest.files.some((entry) => path.startsWith(`./${entry}`));

/** The package of a module specifier; undefined for files and for Node's own modules. */
function packageOf(specifier: string): string | undefined {
  if (specifier.startsWith(".") || specifier.startsWith("node:") || builtinModules.includes(specifier))
    return undefined;
  return specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/");
}

describe("the package", () => {
  it("publishes what its manifest names", () => {
    const targets = Object.values(manifest.exports).flatMap((one) =>
      typeof one === "string" ? [one] : Object.values(one),
    );
    for (const path of [...targets, ...Object.values(manifest.bin)])
      expect([path, existsSync(path), published(path)]).toEqual([path, true, true]);
  });

  it("has a command that a shell can run", () => {
    expect(readFileSync(manifest.bin.webpeft!, "utf8").split("\n")[0]).toBe("#!/usr/bin/env node");
    expect(statSync(manifest.bin.webpeft!).mode & 0o111).not.toBe(0);
  });

  it("depends on everything that its code and its types import", () => {
    const files = readdirSync("dist").filter((name) => /\.(js|d\.ts)$/.test(name));
    const imported = files.flatMap((name) => {
      const text = readFileSync(join("dist", name), "utf8");
      const found = [...text.matchAll(/(?:(?<!")\bfrom\s*|^import\s*|\bimport\()"([^"\n]+)"/gm)];
      return found.flatMap((match) => packageOf(match[1]!) ?? []);
    });
    expect(new Set(imported).size).toBeGreaterThan(5);
    expect([...new Set(imported)].filter((name) => manifest.dependencies[name] === undefined)).toEqual([]);
  });

  it("depends on nothing that its code does not name", () => {
    const files = readdirSync("dist").filter((name) => name.endsWith(".js"));
    const code = files.map((name) => readFileSync(join("dist", name), "utf8")).join("\n");
    // Some are loaded by a name in a variable.
    const named = (name: string): boolean => code.includes(`"${name}"`) || code.includes(`"${name}/`);
    expect(Object.keys(manifest.dependencies).filter((name) => !named(name))).toEqual([]);
  });
});
