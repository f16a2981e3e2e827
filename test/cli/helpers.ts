/** Runs the command `webpeft`. */
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll } from "vitest";
import { isAll } from "../extent.ts";
import { runWarm } from "./warm.ts";

const command = resolve("dist/cli.js");
export const golden = resolve("test/fixtures/golden");
export const llama = join(golden, "bases/llama");
export const tinyLlama = resolve("examples/tiny-llama");

export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Drivers of WebGPU want a process of their own. */
const isOnCpu = (args: readonly string[]): boolean => args[args.indexOf("--device") + 1] === "cpu";

/** Milliseconds. */
const timeout = 100_000;

/**
 * Runs the command to its end. What runs on the CPU shares a thread in `npm test`; everything else, and all in `npm run test:all`, is a process
 * of its own.
 */
export function webpeft(
  args: readonly string[],
  options: { readonly cwd?: string; readonly shell?: string; readonly command?: string } = {},
): Finished {
  if (!isAll && isOnCpu(args) && Object.keys(options).length === 0) return runWarm(command, args, timeout);
  const words = [options.command ?? command, ...args];
  const [file, all] =
    options.shell === undefined
      ? [process.execPath, words]
      : ["bash", ["-c", options.shell, "-", process.execPath, ...words]];
  const { status, stdout, stderr } = spawnSync(file, all, { encoding: "utf8", cwd: options.cwd, timeout });
  return { code: status, stdout, stderr };
}

/**
 * Runs until a line of stdout makes `stop` true, then, `delay` milliseconds later, sends a signal, `times` times. Resolves when the process
 * is gone, with its exit code (null: killed) and what it wrote.
 */
export function killed(
  args: readonly string[],
  stop: (line: string) => boolean,
  { signal = "SIGKILL", delay = 0, times = 1 }: { signal?: NodeJS.Signals; delay?: number; times?: number } = {},
): Promise<Finished> {
  return new Promise((done) => {
    const child = spawn(process.execPath, [command, ...args], { stdio: ["ignore", "pipe", "pipe"] });
    const send = (): void => {
      for (let i = 0; i < times; i++) child.kill(signal);
    };
    let [stdout, stderr, seen, met] = ["", "", 0, false];
    child.stdout.on("data", (data: Buffer) => {
      stdout += data.toString();
      const lines = stdout.split("\n").slice(0, -1);
      for (; seen < lines.length && !met; seen++) {
        met = stop(lines[seen]!);
        if (met) setTimeout(send, delay);
      }
    });
    child.stderr.on("data", (data: Buffer) => {
      stderr += data.toString();
    });
    child.on("close", (code) => done({ code, stdout, stderr }));
  });
}

/** A folder that is removed after the tests of the file. */
export function scratch(): string {
  const folder = mkdtempSync(join(tmpdir(), "webpeft-cli-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
