import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { prepareOutput, writeFileAtomically, writeFolder } from "../../src/runtime/files/output.ts";
import { failure, temporaryFolder } from "./helpers.ts";

const files = new Map<string, string | Uint8Array>([
  ["a.json", "{}"],
  ["b.bin", Uint8Array.of(1, 2, 3)],
]);

describe("writing a folder", () => {
  it("makes it and the folders around it, and leaves nothing else", async () => {
    const root = temporaryFolder();
    await writeFolder(join(root, "x/y/out"), files);
    expect(readdirSync(join(root, "x/y"))).toEqual(["out"]);
    expect(readdirSync(join(root, "x/y/out")).sort()).toEqual(["a.json", "b.bin"]);
    expect([...readFileSync(join(root, "x/y/out/b.bin"))]).toEqual([1, 2, 3]);
    expect(statSync(join(root, "x/y/out")).mode & 0o777).toBe(0o777 & ~process.umask());
  });

  it("uses an empty folder, and a filled one only when told to", async () => {
    const out = join(temporaryFolder(), "out");
    mkdirSync(out);
    await writeFolder(out, files);
    const error = await failure(() => writeFolder(out, new Map([["a.json", "new"]])));
    expect(error).toMatchObject({ code: "FILE-OUTPUT-EXISTS", where: out });
    expect(readFileSync(join(out, "a.json"), "utf8")).toBe("{}");
    writeFileSync(join(out, "notes.txt"), "mine");
    await writeFolder(out, new Map([["a.json", "new"]]), { overwrite: true, obsolete: ["b.bin", "none"] });
    expect(readdirSync(out).sort()).toEqual(["a.json", "notes.txt"]);
    expect(readFileSync(join(out, "a.json"), "utf8")).toBe("new");
    expect(readdirSync(join(out, ".."))).toEqual(["out"]);
  });

  it("replaces nothing where a folder stands in the place of a file, or a file in that of a folder", async () => {
    const out = join(temporaryFolder(), "out");
    for (const [name, code] of [
      ["b.bin", "FILE-NOT-A-FILE"],
      ["c", "FILE-NOT-A-FOLDER"],
    ] as const) {
      await writeFolder(out, files, { overwrite: true });
      rmSync(join(out, "b.bin"));
      if (code === "FILE-NOT-A-FILE") mkdirSync(join(out, name));
      else writeFileSync(join(out, name), "mine");
      const more = new Map([
        ["a.json", "new"],
        ["b.bin", "new"],
        ["c/d", "new"],
      ]);
      expect(await failure(() => writeFolder(out, more, { overwrite: true }))).toMatchObject({ code });
      expect(readFileSync(join(out, "a.json"), "utf8")).toBe("{}");
      expect(readdirSync(out).sort()).toEqual(["a.json", name]);
      rmSync(out, { recursive: true });
    }
  });

  it("writes through a link to a folder", async () => {
    const root = temporaryFolder();
    mkdirSync(join(root, "real"));
    symlinkSync("real", join(root, "link"));
    await writeFolder(join(root, "link"), files);
    await writeFolder(join(root, "link"), files, { overwrite: true });
    expect(readdirSync(join(root, "real")).sort()).toEqual(["a.json", "b.bin"]);
  });

  it("leaves the old files when a later one fails, and the error as it was", async () => {
    const root = temporaryFolder();
    const out = join(root, "out");
    await writeFolder(out, files);
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield new Uint8Array(1000);
      throw new TypeError("a defect");
    }
    const changed = new Map<string, string | AsyncIterable<Uint8Array>>([
      ["a.json", "new"],
      ["b.bin", broken()],
    ]);
    await expect(writeFolder(out, changed, { overwrite: true })).rejects.toThrow(TypeError);
    expect(readFileSync(join(out, "a.json"), "utf8")).toBe("{}");
    expect(readdirSync(root)).toEqual(["out"]);
    const fresh = new Map([["b.bin", broken()]]);
    await expect(writeFolder(join(root, "p/q/new"), fresh)).rejects.toThrow("a defect");
    expect(readdirSync(root)).toEqual(["out"]);
  });

  it("stops at a signal between two pieces", async () => {
    const root = temporaryFolder();
    const controller = new AbortController();
    async function* pieces(): AsyncGenerator<Uint8Array> {
      for (let i = 0; i < 100; i++) {
        if (i === 3) controller.abort();
        yield new Uint8Array(10);
        if (i > 5) expect.fail("went on");
      }
    }
    const writing = writeFolder(join(root, "out"), new Map([["f", pieces()]]), { signal: controller.signal });
    await expect(writing).rejects.toThrow(/abort/i);
    expect(readdirSync(root)).toEqual([]);
  });

  it.each(["new", "empty"])("does not take over a %s folder that another process filled meanwhile", async (kind) => {
    const root = temporaryFolder();
    const out = join(root, "out");
    if (kind === "empty") mkdirSync(out);
    async function* slow(): AsyncGenerator<Uint8Array> {
      mkdirSync(out, { recursive: true });
      writeFileSync(join(out, "theirs"), "");
      yield Uint8Array.of(1);
    }
    const error = await failure(() => writeFolder(out, new Map([["mine", slow()]])));
    expect(error.code).toBe("FILE-OUTPUT-EXISTS");
    expect(readdirSync(out)).toEqual(["theirs"]);
    expect(readdirSync(root)).toEqual(["out"]);
  });
});

describe("checking an output", () => {
  it("leaves no trace and finds what would fail later", async () => {
    const root = temporaryFolder();
    await prepareOutput(join(root, "a/b/c"));
    expect(readdirSync(root)).toEqual([]);
    writeFileSync(join(root, "file"), "");
    for (const path of ["file", "file/out", "file/deep/out"]) {
      expect((await failure(() => prepareOutput(join(root, path)))).code).toBe("FILE-NOT-A-FOLDER");
    }
    mkdirSync(join(root, "full"));
    writeFileSync(join(root, "full/x"), "");
    expect((await failure(() => prepareOutput(join(root, "full")))).code).toBe("FILE-OUTPUT-EXISTS");
    await prepareOutput(join(root, "full"), { overwrite: true });
  });

  // The superuser may write anywhere.
  it.skipIf(process.getuid?.() === 0)("finds folders that may not be written", async () => {
    const closed = join(temporaryFolder(), "closed");
    mkdirSync(closed);
    chmodSync(closed, 0o555);
    expect((await failure(() => prepareOutput(join(closed, "out")))).code).toBe("FILE-WRITE");
    expect((await failure(() => writeFileAtomically(join(closed, "f"), "x"))).code).toBe("FILE-WRITE");
  });
});

describe("writing one file", () => {
  it("replaces it whole or leaves it", async () => {
    const root = temporaryFolder();
    const path = join(root, "state.json");
    await writeFileAtomically(path, "one");
    await writeFileAtomically(path, "two");
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield Uint8Array.of(1);
      throw new Error("a defect");
    }
    await expect(writeFileAtomically(path, broken())).rejects.toThrow("a defect");
    expect(readFileSync(path, "utf8")).toBe("two");
    expect(readdirSync(root)).toEqual(["state.json"]);
    expect((await failure(() => writeFileAtomically(join(root, "no/f"), "x"))).code).toBe("FILE-WRITE");
  });
});
