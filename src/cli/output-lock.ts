/**
 * One process writes into an output folder at a time. The lock is a file beside the folder, `.NAME.lock`, or inside of it where nothing may be
 * written beside; it tells who holds it. What a killed run left is taken over.
 */
import {
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { hostname } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { WebpeftError } from "../ir/diagnostics.ts";
import { systemCode, writeError } from "../runtime/files/errors.ts";
import { type ClaimOptions, innerLock, prepareOutput } from "../runtime/files/output.ts";
import { warn } from "./output.ts";

interface Holder {
  readonly pid: number;
  readonly host: string;
  /** When the process began, in the system's own units; empty where the system does not tell. Numbers of processes are used again. */
  readonly began: string;
  readonly command: string;
}

/**
 * Checks what `prepareOutput` checks and locks the folder until the process ends. Throws what that throws, and `FILE-OUTPUT-LOCKED` while
 * another process holds the lock.
 */
export async function claimOutput(folder: string, options: ClaimOptions): Promise<void> {
  const target = realTarget(folder);
  const beside = join(dirname(target), `.${basename(target)}.lock`);
  refuseIfHeld(beside, folder);
  await prepareOutput(folder, options);
  const made = mkdirSync(dirname(target), { recursive: true });
  const takeBack = (): void => {
    if (made !== undefined) removeEmpty(dirname(target), made);
  };
  const own = JSON.stringify(self());
  const inner = (error: unknown): Promise<string> => {
    if (!["EACCES", "EPERM", "EROFS"].includes(systemCode(error) ?? "")) throw error;
    return takeLock(join(target, innerLock), folder, own);
  };
  const lock = await takeLock(beside, folder, own)
    .catch(inner)
    .catch((error: unknown) => {
      takeBack();
      throw writeError(error, folder);
    });
  process.once("exit", () => {
    if (read(lock) === own) rmSync(lock, { force: true });
    takeBack();
  });
}

/** Where a folder really is, also one that is not there yet. */
function realTarget(folder: string): string {
  const path = resolve(folder);
  try {
    return realpathSync(path);
  } catch {
    return path === dirname(path) ? path : join(realTarget(dirname(path)), basename(path));
  }
}

/** Words of a command line that are no options and no values of the options that may stand before a command. */
const isCommand = (word: string, before: string | undefined): boolean =>
  !word.startsWith("-") && !["--device", "--debug", "--dump"].includes(before ?? "");

const self = (): Holder => ({
  pid: process.pid,
  host: hostname(),
  began: beginning(process.pid),
  command: process.argv.slice(2).find((word, i, words) => isCommand(word, words[i - 1])) ?? "",
});

/** Field 22 of Linux's `/proc/PID/stat`; the second field is a name in brackets that may hold anything. */
function beginning(pid: number): string {
  const stat = read(`/proc/${pid}/stat`) ?? "";
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "";
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

function parseHolder(text: string): Holder | undefined {
  try {
    const { pid, host, began, command } = JSON.parse(text) as Holder;
    const isHolder = Number.isSafeInteger(pid) && pid > 0 && [host, began, command].every((x) => typeof x === "string");
    return isHolder ? { pid, host, began, command } : undefined;
  } catch {
    return undefined;
  }
}

/** Of a process of another host nothing is known, so it counts as running. */
function isRunning({ pid, host, began }: Holder): boolean {
  if (host !== hostname()) return true;
  try {
    process.kill(pid, 0);
  } catch (error) {
    if (systemCode(error) === "ESRCH") return false;
  }
  return began === "" || beginning(pid) === "" || began === beginning(pid);
}

function refuseIfHeld(lock: string, folder: string): void {
  const holder = parseHolder(read(lock) ?? "");
  if (holder !== undefined && isRunning(holder)) throw held(lock, folder, holder);
}

const words = ({ pid, host, command }: Holder): string => `webpeft ${command}, process ${pid} on ${host}`;

function held(lock: string, folder: string, holder: Holder): WebpeftError {
  const elsewhere = holder.host !== hostname();
  return new WebpeftError("FILE-OUTPUT-LOCKED", {
    message: "another run writes into the output folder",
    where: folder,
    expected: "one run at a time",
    got: words(holder),
    help: elsewhere
      ? `choose another --out; if that run is over, remove ${lock}`
      : "wait until it has ended, or choose another --out",
  });
}

/** Makes the lock, in the place of one that a killed run left. The path of the lock. */
async function takeLock(lock: string, folder: string, own: string): Promise<string> {
  for (;;) {
    try {
      writeNew(lock, own);
      return lock;
    } catch (error) {
      if (systemCode(error) !== "EEXIST") throw error;
    }
    refuseIfHeld(lock, folder);
    const text = read(lock);
    // Without a holder: its run was killed between making the file and writing it, or is about to write it.
    if (text !== undefined && parseHolder(text) === undefined) await wait(200);
    if (text !== undefined && read(lock) === text) takeAway(lock, text);
  }
}

/** Writes a file that is not there yet, whole or not at all: on a full disk one can be made, but not written. Throws what the system throws. */
function writeNew(path: string, text: string): void {
  const file = openSync(path, "wx");
  try {
    writeFileSync(file, text);
  } catch (error) {
    rmSync(path, { force: true });
    throw error;
  } finally {
    closeSync(file);
  }
}

/** Removes a lock whose holder is gone. Another run may be about it too: what it has put in its place goes back. */
function takeAway(lock: string, text: string): void {
  const away = `${lock}.${process.pid}`;
  try {
    renameSync(lock, away);
  } catch (error) {
    if (systemCode(error) === "ENOENT") return;
    throw error;
  }
  const moved = read(away);
  rmSync(away, { force: true });
  if (moved !== text) {
    writeNew(lock, moved ?? "");
    return;
  }
  const holder = parseHolder(text);
  const whose = holder === undefined ? "a run" : words(holder);
  // One line: it stands before what the command says.
  const message = `took over the lock ${lock}, which ${whose} left when it was killed`;
  warn([{ code: "FILE-OUTPUT-LOCK-STALE", severity: "note", message }]);
}

/** Takes back the parent folders that were made, `made` being the outermost, as far as nothing is in them. */
function removeEmpty(innermost: string, made: string): void {
  try {
    for (let folder = innermost; folder.startsWith(made); folder = dirname(folder)) rmdirSync(folder);
  } catch {
    // Something was written.
  }
}
