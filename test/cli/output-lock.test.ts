/** One run per output folder, and logs that are written to whatever they are: in this process, through the commands' own functions. */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import fs, {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { hostname } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { checkLog, LogFile } from "../../src/cli/log-file.ts";
import { claimOutput } from "../../src/cli/output-lock.ts";
import { failure, temporaryFolder } from "../files/helpers.ts";

let [said, exits]: [string, (() => void)[]] = ["", []];
beforeEach(() => {
  [said, exits] = ["", []];
  vi.spyOn(process.stderr, "write").mockImplementation((text, done?: unknown) => {
    said += String(text);
    if (typeof done === "function") done();
    return true;
  });
  vi.spyOn(process, "once").mockImplementation((event: string | symbol, listener: () => void) => {
    if (event === "exit") exits.push(listener);
    return process;
  });
});
afterEach(() => vi.restoreAllMocks());

/** What the end of the process does. */
const end = (): void => {
  for (const listener of exits.splice(0)) listener();
};
const lock = (root: string): string => join(root, ".out.lock");

describe("an output folder", () => {
  it("has one run at a time, by whatever path it is called", async () => {
    const root = temporaryFolder();
    symlinkSync(".", join(root, "link"));
    await claimOutput(join(root, "out"), {});
    for (const name of ["out", "link/out", "../".concat(root.split("/").at(-1)!, "/out")])
      expect(await failure(() => claimOutput(join(root, name), { overwrite: true }))).toMatchObject({
        code: "FILE-OUTPUT-LOCKED",
        got: expect.stringContaining(`process ${process.pid} on ${hostname()}`) as string,
      });
    mkdirSync(join(root, "out"));
    expect((await failure(() => claimOutput(join(root, "out"), {}))).code).toBe("FILE-OUTPUT-LOCKED");
    end();
    expect(readdirSync(root).sort()).toEqual(["link", "out"]);
    await claimOutput(join(root, "out"), {});
    end();
    expect(said).toBe("");
  });

  it("leaves no folder behind that was made for its lock", async () => {
    const root = temporaryFolder();
    await claimOutput(join(root, "a/b/out"), {});
    expect(existsSync(join(root, "a/b/.out.lock"))).toBe(true);
    end();
    expect(readdirSync(root)).toEqual([]);
  });

  it("has no lock and no folder made for one where the disk is full", async () => {
    const root = temporaryFolder();
    const write = vi.spyOn(fs, "writeFileSync").mockImplementation(() => {
      throw Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
    });
    syncBuiltinESMExports();
    try {
      for (const name of ["out", "a/b/out"])
        expect((await failure(() => claimOutput(join(root, name), {}))).code).toBe("FILE-DISK-FULL");
      expect([readdirSync(root), exits.length]).toEqual([[], 0]);
    } finally {
      write.mockRestore();
      syncBuiltinESMExports();
    }
    await claimOutput(join(root, "out"), {});
    end();
    expect(said).toBe("");
  });

  it("takes over the lock of a process that is gone, and says so", async () => {
    const root = temporaryFolder();
    const child = spawn(process.execPath, ["-e", ""]);
    await once(child, "close");
    const gone = { pid: child.pid, host: hostname(), began: "", command: "train" };
    const another = { pid: process.pid, host: hostname(), began: "1", command: "train" };
    for (const text of [JSON.stringify(gone), JSON.stringify(another), "", "null", '{"pid":-1}', "{}"]) {
      writeFileSync(lock(root), text);
      said = "";
      await claimOutput(join(root, "out"), {});
      expect(said, text).toContain("note FILE-OUTPUT-LOCK-STALE");
      expect(JSON.parse(readFileSync(lock(root), "utf8"))).toMatchObject({ pid: process.pid });
      end();
      expect(readdirSync(root)).toEqual([]);
    }
  });

  it("is not taken from a run of another host, of which nothing is known", async () => {
    const root = temporaryFolder();
    writeFileSync(lock(root), JSON.stringify({ pid: 1, host: "another", began: "", command: "train" }));
    const error = await failure(() => claimOutput(join(root, "out"), {}));
    expect(error).toMatchObject({ code: "FILE-OUTPUT-LOCKED", help: expect.stringContaining(lock(root)) as string });
    expect(readdirSync(root)).toEqual([".out.lock"]);
  });
});

describe("a log", () => {
  const header = { type: "header", step: undefined };
  const none = (): boolean => false;
  const write = async (path: string, ...lines: object[]): Promise<void> => {
    const log = await LogFile.begin(path, header, none);
    for (const line of lines) await log.write({ ...line });
    await log.close();
  };

  it("behind a link is written there, and the link stays", async () => {
    const root = temporaryFolder();
    writeFileSync(join(root, "real"), '{"type":"header"}\n{"step":0}\n');
    symlinkSync("real", join(root, "link"));
    symlinkSync("new", join(root, "dangling"));
    for (const name of ["link", "dangling"]) {
      await write(join(root, name), { step: 1 });
      expect(lstatSync(join(root, name)).isSymbolicLink()).toBe(true);
    }
    for (const name of ["real", "new"])
      expect(readFileSync(join(root, name), "utf8")).toBe('{"type":"header"}\n{"step":1}\n');
    symlinkSync("circle", join(root, "circle"));
    expect((await failure(() => checkLog(join(root, "circle")))).code).toBe("FILE-WRITE");
  });

  it("that goes on keeps whole lines of steps before", async () => {
    const path = join(temporaryFolder(), "log");
    writeFileSync(path, '{"type":"header"}\n{"step":0}\n{"step":12}\n{"step":1');
    const log = await LogFile.begin(path, header, ({ type, step }) => type === "header" || Number(step) < 5);
    await log.close();
    expect(readFileSync(path, "utf8")).toBe('{"type":"header"}\n{"step":0}\n');
  });

  it("goes to pipes, devices and the process's own streams, which stay what they are", async () => {
    const root = temporaryFolder();
    execFileSync("mkfifo", [join(root, "pipe")]);
    const reader = spawn("cat", [join(root, "pipe")]);
    let heard = "";
    reader.stdout.on("data", (data: Buffer) => {
      heard += data.toString();
    });
    // It may be over before the log is closed.
    const isRead = once(reader, "close");
    await write(join(root, "pipe"), { step: 0 });
    await isRead;
    expect(heard).toBe('{"type":"header"}\n{"step":0}\n');
    expect(lstatSync(join(root, "pipe")).isFIFO()).toBe(true);
    await write("/dev/null", { step: 0 });
    expect(lstatSync("/dev/null").isCharacterDevice()).toBe(true);
    symlinkSync("/dev/stderr", join(root, "screen"));
    await write(join(root, "screen"), { step: 7 });
    expect(said).toContain('{"step":7}');
  });

  it("without room, or that is a folder or another file, is a coded error", async () => {
    const root = temporaryFolder();
    expect((await failure(() => write("/dev/full"))).code).toBe("FILE-DISK-FULL");
    writeFileSync(join(root, "data.jsonl"), '{"text":"a"}\n');
    expect((await failure(() => checkLog(root))).code).toBe("FILE-NOT-A-FILE");
    expect((await failure(() => checkLog(join(root, "no/log")))).code).toBe("FILE-NOT-FOUND");
    expect((await failure(() => checkLog(join(root, "data.jsonl")))).code).toBe("FILE-OUTPUT-EXISTS");
    await checkLog(join(root, "data.jsonl"), { overwrite: true });
    symlinkSync(root, `${root}-link`);
    for (const reads of [[root], [join(root, "data.jsonl")], [`${root}-link`, "https://nowhere"]]) {
      const error = await failure(() => checkLog(join(root, "data.jsonl"), { overwrite: true, reads }));
      expect(error.help).toBe("choose another file");
    }
    rmSync(`${root}-link`);
  });
});
