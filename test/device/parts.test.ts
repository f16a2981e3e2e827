import { describe, expect, it } from "vitest";
import { adapterKind } from "../../src/runtime/device/facts.ts";
import { sleepingWait, sleepTime } from "../../src/runtime/device/poll.ts";
import { readTarEntry } from "../../src/runtime/device/tar.ts";

const entry = (name: string, contents: string): Uint8Array => {
  const body = new TextEncoder().encode(contents);
  const bytes = new Uint8Array(512 + Math.ceil(body.length / 512) * 512);
  bytes.set(new TextEncoder().encode(name));
  bytes.set(new TextEncoder().encode(`${body.length.toString(8).padStart(11, "0")}\0`), 124);
  bytes.set(body, 512);
  return bytes;
};
const archive = (...entries: Uint8Array[]): Uint8Array =>
  Uint8Array.from([...entries, new Uint8Array(1024)].flatMap((e) => [...e]));
const textOf = (bytes: Uint8Array | undefined): string => new TextDecoder().decode(bytes);

describe("readTarEntry", () => {
  const tar = archive(entry("a.txt", "x".repeat(600)), entry("b/empty", ""), entry("./c.so", "library"));

  it("finds an entry after others of any length", () => {
    expect(textOf(readTarEntry(tar, "a.txt"))).toHaveLength(600);
    expect(readTarEntry(tar, "b/empty")).toHaveLength(0);
    expect(textOf(readTarEntry(tar, "c.so"))).toBe("library");
    expect(readTarEntry(tar, "d")).toBeUndefined();
  });

  it("refuses an archive that ends early", () => {
    expect(() => readTarEntry(tar.subarray(0, 700), "c.so")).toThrow("ends inside of a.txt");
    expect(() => readTarEntry(new Uint8Array(512).fill(120), "c.so")).toThrow("ends inside");
  });
});

describe("adapterKind", () => {
  const info = (fields: Partial<GPUAdapterInfo>): GPUAdapterInfo => ({
    ...{ __brand: "GPUAdapterInfo", vendor: "", architecture: "", device: "", description: "" },
    ...{ subgroupMinSize: 4, subgroupMaxSize: 4, isFallbackAdapter: false },
    ...fields,
  });

  it("knows software drivers by their names, and others by the flag", () => {
    expect(adapterKind(info({ vendor: "mesa", description: "llvmpipe: Mesa 25.0.7 (LLVM 15.0.6)" }))).toBe("lavapipe");
    expect(adapterKind(info({ vendor: "google", architecture: "swiftshader" }))).toBe("swiftshader");
    expect(adapterKind(info({ vendor: "microsoft", description: "Microsoft Basic Render Driver" }))).toBe("software");
    expect(adapterKind(info({ vendor: "other", isFallbackAdapter: true }))).toBe("software");
    expect(adapterKind(info({ vendor: "nvidia", architecture: "ampere" }))).toBe("hardware");
  });
});

describe("sleepingWait", () => {
  it("sleeps longer the longer it waits", () => {
    const times = [0, 1, 10, 100].map(sleepTime);
    expect(times).toEqual([...times].sort((a, b) => a - b));
    expect(times[0]).toBe(0);
    expect(times[3]).toBeLessThanOrEqual(1);
  });

  it("passes values and errors on, several at a time, and stops when nothing is pending", async () => {
    const wait = sleepingWait();
    const later = <T>(value: T, time: number): Promise<T> => new Promise((r) => setTimeout(() => r(value), time));
    const error = new Error("no");
    expect(await Promise.all([wait(later(1, 20)), wait(later(2, 5))])).toEqual([1, 2]);
    await expect(wait(Promise.reject(error))).rejects.toBe(error);
    await later(0, 5);
    // Nothing sleeps any more: many turns of the event loop take no time.
    const begin = performance.now();
    for (let i = 0; i < 200; i++) await new Promise((resolve) => setImmediate(resolve));
    expect(performance.now() - begin).toBeLessThan(150);
  });
});
