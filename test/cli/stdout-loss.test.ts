/** Commands whose stdout cannot be written any more. */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it, vi } from "vitest";
import { exitCodes } from "../../src/cli/output.ts";
import { stdoutLoss } from "../../src/cli/stdout-loss.ts";
import { golden, llama, scratch, webpeft } from "./helpers.ts";

const folder = scratch();
const train = (out: string, steps: number): string[] => [
  ...["train", "--device", "cpu", "--model", llama, "--config", join(golden, "cases/llama-lora/adapter_config.json")],
  ...["--data", join(golden, "cases/llama-lora/inputs.safetensors"), "--steps", `${steps}`, "--out", join(folder, out)],
];
/** What a shell does with the command; the command's own exit code. */
const piped = (args: readonly string[], to: string) => webpeft(args, { shell: `"$@" ${to}; exit \${PIPESTATUS[0]}` });

describe("a reader that goes away", () => {
  it.each(["| head -3", "2>&1 | head -3"])("stops a training, which keeps its state: %s", (to) => {
    const out = `read ${to.length}`;
    const { code, stdout, stderr } = piped(train(out, 100_000), to);
    expect([code, stdout.trim().split("\n").length]).toEqual([1, 3]);
    expect(readdirSync(join(folder, out))).toEqual([expect.stringMatching(/^checkpoint-\d+$/)]);
    expect(readdirSync(folder).filter((name) => name.endsWith(".lock"))).toEqual([]);
    if (to.startsWith("2>&1")) return;
    expect(stderr).toContain("error TRAIN-STOPPED: stopped after ");
    expect(stderr).toContain("the reader of stdout went away");
  });

  it("ends another command as SIGPIPE does", () => {
    expect(piped(["methods"], "| true")).toMatchObject({ code: 141, stderr: "" });
  });
});

describe("a full disk", () => {
  it.each([
    ["methods", ["methods"]],
    ["a training that has not begun", train("full", 1)],
  ])("behind the stdout of %s is an error without a stack", (_name, args) => {
    const { code, stderr } = piped(args, ">/dev/full");
    expect([code, stderr]).toEqual([1, expect.stringMatching(/^error FILE-DISK-FULL: .*\n {2}where: {4}stdout\n/m)]);
    expect(stderr).not.toMatch(/\n\s+at /);
    expect(existsSync(join(folder, "full"))).toBe(false);
  });
});

describe("of a command in this process", () => {
  const [no, full] = [
    Object.assign(new Error("EPIPE"), { code: "EPIPE" }),
    Object.assign(new Error("ENOSPC"), { code: "ENOSPC" }),
  ];
  const listening = [process.stdout, process.stderr].map((stream) => [stream, stream.listeners("error")] as const);
  let said = "";
  const watch = () => {
    said = "";
    vi.spyOn(process.stderr, "write").mockImplementation((text) => {
      said += String(text);
      return true;
    });
    const exit = vi.spyOn(process, "exit").mockImplementation((() => undefined) as never);
    stdoutLoss.watch();
    return exit;
  };
  afterEach(() => {
    vi.restoreAllMocks();
    for (const [stream, before] of listening)
      for (const listener of stream.listeners("error"))
        if (!before.includes(listener)) stream.off("error", listener as () => void);
  });

  it("the first failed write stops it by its own means, once", () => {
    const exit = watch();
    const reasons: string[] = [];
    stdoutLoss.stopsBy((reason) => reasons.push(reason));
    for (const error of [full, no, full]) process.stdout.emit("error", error);
    expect([reasons, said]).toEqual([["there is no room for stdout"], ""]);
    expect(stdoutLoss.settle(exitCodes.failed)).toBe(exitCodes.failed);
    expect(exit).not.toHaveBeenCalled();
  });

  it("is not done where it went on to its end", () => {
    watch();
    stdoutLoss.stopsBy(() => undefined);
    process.stdout.emit("error", full);
    expect(stdoutLoss.settle(exitCodes.done)).toBe(exitCodes.failed);
    expect(said).toContain("error FILE-DISK-FULL: there is no room for stdout");
  });

  it("ends at once where nothing stops it, and never for stderr", () => {
    const exit = watch();
    process.stderr.emit("error", no);
    expect(exit).not.toHaveBeenCalled();
    process.stdout.emit("error", no);
    expect([exit.mock.calls, said]).toEqual([[[141]], ""]);
  });
});
