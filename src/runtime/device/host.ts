/** What the host is. Node modules are imported by functions only, so that a browser bundle never loads them. */

/** Node itself: Deno has `process` too, but a WebGPU of its own. */
export const isNode = (): boolean =>
  typeof process === "object" && typeof process.versions?.node === "string" && !("Deno" in globalThis);

/** The host's own WebGPU (browsers, Deno), if it has one. */
export function hostGpu(): GPU | undefined {
  return typeof navigator === "object" && "gpu" in navigator ? navigator.gpu : undefined;
}

export interface InstalledPackage {
  readonly folder: string;
  readonly version: string;
}

/** Where a package lies as seen from webpeft itself; undefined when it is not installed. Node only. */
export async function findPackage(name: string): Promise<InstalledPackage | undefined> {
  const { createRequire } = await import("node:module");
  const { readFile } = await import("node:fs/promises");
  const { join } = await import("node:path");
  // Not `resolve(name + "/package.json")`: a package may not export that file.
  for (const folder of createRequire(import.meta.url).resolve.paths(name) ?? []) {
    const found = join(folder, name);
    const text = await readFile(join(found, "package.json"), "utf8").catch(() => undefined);
    if (text === undefined) continue;
    const { version } = JSON.parse(text) as { version?: string };
    return { folder: found, version: version ?? "unknown" };
  }
  return undefined;
}
