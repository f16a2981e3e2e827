/** `--log`: a line of JSON per record. A file is replaced when a run begins; a pipe, a device, and what a link leads to are written to. */
import { constants } from "node:fs";
import { type FileHandle, lstat, open, readlink } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { WebpeftError } from "../ir/diagnostics.ts";
import { isDiskFull, readError, systemCode, writeError } from "../runtime/files/errors.ts";
import { writeFileAtomically } from "../runtime/files/output.ts";
import { checkFolderOf, isRead } from "./replaced.ts";

type Line = Readonly<Record<string, unknown>>;

interface Target {
  readonly path: string;
  readonly kind: "file" | "stream";
  /** Bytes; undefined where there is nothing yet. */
  readonly size?: number;
}

/** Links of these folders lead to what a process has open: to follow them would be to open another file. */
const isOfSystem = (path: string): boolean => /^\/(dev|proc)\//.test(path);
const mostLinks = 40;
/** How long a pipe is waited for that nobody reads yet, in ms. */
const patience = 10_000;

/** What a path leads to. Throws `FILE-NOT-A-FILE` for a folder, `FILE-NOT-FOUND` where its own folder is missing. */
async function targetOf(log: string): Promise<Target> {
  let path = resolve(log);
  for (let links = 0; links < mostLinks; links++) {
    const known = await lstat(path).catch((error: unknown) => {
      if (systemCode(error) === "ENOENT") return undefined;
      throw writeError(error, log);
    });
    if (known === undefined) {
      await checkFolderOf(path, "make the folder of the log first");
      return { path, kind: "file" };
    }
    if (known.isDirectory())
      throw new WebpeftError("FILE-NOT-A-FILE", { message: "the log is a folder", where: log, expected: "a file" });
    if (known.isFile()) return { path, kind: "file", size: known.size };
    if (!known.isSymbolicLink() || isOfSystem(path)) return { path, kind: "stream" };
    path = resolve(dirname(path), await readlink(path));
  }
  throw new WebpeftError("FILE-WRITE", { message: "links lead around in a circle", where: log });
}

async function contents({ path, size = 0 }: Target): Promise<string> {
  if (size === 0) return "";
  const handle = await open(path, "r");
  try {
    return await handle.readFile("utf8");
  } finally {
    await handle.close();
  }
}

/** The line as JSON; undefined for one that is none, as the last line of a killed run may be. */
function parsed(line: string): Line | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === "object" && value !== null ? (value as Line) : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Before anything is done: whether the log can be written. Throws `FILE-OUTPUT-EXISTS` for a file that is no log, unless `overwrite`; one that
 * the run reads, or that lies in a folder that it reads, is never replaced.
 */
export async function checkLog(
  log: string,
  { overwrite = false, reads = [] }: { readonly overwrite?: boolean; readonly reads?: readonly string[] } = {},
): Promise<void> {
  const target = await targetOf(log);
  if (target.kind === "stream" || (target.size ?? 0) === 0) return;
  const isOneRead = await isRead(target.path, reads);
  if (overwrite && !isOneRead) return;
  const text = await contents(target).catch((error: unknown) => {
    throw readError(error, log);
  });
  if (parsed(text.split("\n", 1)[0]!)?.type === "header") return;
  throw new WebpeftError("FILE-OUTPUT-EXISTS", {
    message: `--log names a file that is no log${isOneRead ? ", and that the run reads" : ""}`,
    where: log,
    expected: "a new file, an empty one, or the log of an earlier run",
    help: isOneRead ? "choose another file" : "choose another file, or allow overwriting",
  });
}

/** What takes the lines. */
interface Sink {
  append(text: string): Promise<unknown>;
  close(): Promise<unknown>;
}

const sinkOf = (handle: FileHandle): Sink => ({
  append: (text) => handle.appendFile(text),
  close: () => handle.close(),
});

export class LogFile {
  private constructor(
    private readonly name: string,
    private readonly sink: Sink,
  ) {}

  /** Begins a log: with the lines of the one that is there which `keeps` takes, or with `header`. Throws what `write` throws. */
  static async begin(log: string, header: Line, keeps: (line: Line) => boolean): Promise<LogFile> {
    const target = await targetOf(log);
    try {
      if (target.kind === "stream") {
        const file = new LogFile(log, await openStream(target.path));
        await file.write(header).catch(async (error: unknown) => {
          await file.close();
          throw error;
        });
        return file;
      }
      const kept = (await contents(target)).split("\n").filter((text) => {
        const line = parsed(text);
        return line !== undefined && keeps(line);
      });
      await writeFileAtomically(target.path, `${(kept.length > 0 ? kept : [JSON.stringify(header)]).join("\n")}\n`);
      return new LogFile(log, sinkOf(await open(target.path, "a")));
    } catch (error) {
      throw notWritten(error, log);
    }
  }

  /** Throws `FILE-DISK-FULL` where there is no room, `FILE-WRITE` for other reasons (nobody reads the pipe any more). */
  async write(record: Line): Promise<void> {
    try {
      await this.sink.append(`${JSON.stringify(record)}\n`);
    } catch (error) {
      throw notWritten(error, this.name);
    }
  }

  async close(): Promise<void> {
    await this.sink.close().catch(() => undefined);
  }
}

function notWritten(error: unknown, log: string): unknown {
  if (systemCode(error) === undefined || error instanceof WebpeftError) return error;
  const full = isDiskFull(error);
  return new WebpeftError(
    full ? "FILE-DISK-FULL" : "FILE-WRITE",
    {
      message: full ? "there is no room for the next line of the log" : "the log can't be written",
      where: log,
      got: error instanceof Error ? error.message : String(error),
      help: `${full ? "free space on the disk" : "check --log"}; a run that has checkpoints goes on with --resume`,
    },
    { cause: error },
  );
}

/** The stream of the process that a path stands for. Opened by its path it would be another one, or fail where it is a socket. */
function standardStream(path: string): NodeJS.WriteStream | undefined {
  const [, name, fd] = /^\/(?:dev\/(stdout|stderr)|(?:dev|proc\/self)\/fd\/([12]))$/.exec(path) ?? [];
  if (name === "stdout" || fd === "1") return process.stdout;
  return name === "stderr" || fd === "2" ? process.stderr : undefined;
}

/** A pipe without a reader would block for ever, so it is tried without blocking until somebody reads. */
async function openStream(path: string): Promise<Sink> {
  const stream = standardStream(path);
  if (stream !== undefined) {
    const append = (text: string) =>
      new Promise<void>((done, fail) => stream.write(text, (error) => (error ? fail(error) : done())));
    return { append, close: async () => undefined };
  }
  const { O_APPEND, O_NONBLOCK, O_WRONLY } = constants;
  for (const began = performance.now(); ; await wait(50)) {
    try {
      const probe = await open(path, O_WRONLY | O_NONBLOCK);
      const handle = await open(path, O_WRONLY | O_APPEND);
      // Not before: a reader sees the end of a pipe that nobody has open for writing.
      await probe.close();
      return sinkOf(handle);
    } catch (error) {
      if (systemCode(error) !== "ENXIO" || performance.now() - began > patience) throw error;
    }
  }
}
