/** `--dump`: what a command that fails leaves behind for whoever looks for the reason. */
import { access } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import type { Target } from "../codegen/index.ts";
import type { Program } from "../compile/program.ts";
import type { Reproduction } from "../compile/reproduction.ts";
import type { ShownAgain } from "../inspect/index.ts";
import { codeOf, WebpeftError } from "../ir/diagnostics.ts";
import { lastDone, trailOf } from "../ir/trail.ts";
import type { GivenToKernel, GivenValue } from "../program/run-records.ts";
import { writeFolder } from "../runtime/files/output.ts";
import { NotFiniteError } from "../runtime/runs/not-finite-error.ts";
import type { DeviceName } from "../runtime/session/executor-choice.ts";
import { type PrintOptions, say } from "./output.ts";
import { claimOutput } from "./output-lock.ts";
import { shellWord } from "./shell.ts";

/** What shows the error again: also the error, so that another one is known as such. */
export type ReproductionFile = Reproduction & {
  readonly error: { readonly code: string; readonly message: string };
  /** Of a number that is not finite: what its kernel was given, numbers as base64 of little-endian f32. */
  readonly given?: GivenFile;
};

export type GivenFile = Omit<GivenToKernel, "values"> & {
  readonly values: readonly (Omit<GivenValue, "numbers"> & { readonly numbers: string })[];
};

const givenFile = ({ values, ...place }: GivenToKernel): GivenFile => ({
  ...place,
  values: values.map(({ numbers, ...value }) => {
    const { buffer, byteOffset, byteLength } = numbers;
    return { ...value, numbers: Buffer.from(buffer, byteOffset, byteLength).toString("base64") };
  }),
});

export const packed = (text: string): string => gzipSync(text).toString("base64");

/** What an error of a run on a device says that needs no numbers of anybody. */
const isOfDevice = (error: unknown): boolean =>
  !(error instanceof WebpeftError) || error.code.startsWith("DEVICE-") || trailOf(error).length > 0;

const isThere = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

export class FailureDump {
  private program: Program | undefined;
  private given: (() => Reproduction) | undefined;
  private target: Target | undefined;
  private device: DeviceName = "auto";
  private written = false;

  constructor(private readonly folder: string | undefined) {}

  get isWritten(): boolean {
    return this.written;
  }

  /** Checks the folder before anything else is done; an earlier dump is replaced. Throws what `claimOutput` does. */
  async claim(): Promise<void> {
    if (this.folder !== undefined) await claimOutput(this.folder, { overwrite: await this.replaces(this.folder) });
  }

  private readonly replaces = (folder: string): Promise<boolean> => isThere(join(folder, "error.json"));

  /** What is compiled from now on. */
  compiling(given: () => Reproduction, device: DeviceName): void {
    Object.assign(this, { given, device, program: undefined, target: undefined });
  }

  compiled(program: Program): void {
    this.program = program;
  }

  /** What kernels of a program that runs are made for: the dump has those. */
  runs(program: Program, target: Target): void {
    if (program === this.program) this.target = target;
  }

  /** All files for an error; `folder` is where they go. */
  async files(error: unknown, folder: string): Promise<ReadonlyMap<string, string>> {
    const { program, target } = this;
    // Commands that do not fail do without it.
    const { failureFiles } = await import("../inspect/index.ts");
    return failureFiles(error, { program, target, pack: packed, reproduction: this.reproduction(error, folder) });
  }

  private reproduction(error: unknown, folder: string): ShownAgain {
    if (this.given === undefined) return { none: "the same command: it failed before anything was compiled" };
    if (error instanceof NotFiniteError && error.given !== undefined) return this.ofKernel(error, error.given, folder);
    const runs = this.program !== undefined && lastDone(error, "stage") === undefined;
    if (runs && !isOfDevice(error))
      return { none: "the same command: the error depends on numbers of weights or data, which are in no dump" };
    const message = error instanceof WebpeftError ? error.message : String(error);
    const file: ReproductionFile = { ...this.given(), error: { code: codeOf(error), message } };
    const words = ["webpeft", "inspect", "--reproduce", join(folder, "reproduce.json")];
    if (runs) words.push("--measure", "--device", this.device);
    return { json: `${JSON.stringify(file)}\n`, command: words.map(shellWord).join(" ") };
  }

  /** What a kernel was given: compiled for what ran it, so that the kernel is the same one. */
  private ofKernel({ code, message }: NotFiniteError, given: GivenToKernel, folder: string): ShownAgain {
    const { options, ...more } = this.given!();
    const target = this.target ?? options.target;
    const file: ReproductionFile = {
      ...{ ...more, options: { ...options, ...(target && { target }) } },
      ...{ error: { code, message }, given: givenFile(given) },
    };
    const words = ["webpeft", "inspect", "--reproduce", join(folder, "reproduce.json")];
    return {
      json: `${JSON.stringify(file)}\n`,
      command: given.isWhole
        ? words.map(shellWord).join(" ")
        : "the same command: the kernel was given more numbers than a dump holds; reproduce.json has those around the first that is not finite",
    };
  }

  /** Writes the files where `--dump` says. An error of writing them is told and changes nothing. */
  async write(error: unknown, options: PrintOptions): Promise<void> {
    const { folder } = this;
    if (folder === undefined) return;
    try {
      const files = await this.files(error, folder);
      await writeFolder(folder, files, { overwrite: await this.replaces(folder) });
      this.written = true;
      say(options, `${folder}: what was made before the error, ${files.size} files; open report.html`);
    } catch (second) {
      process.stderr.write(`error: --dump ${folder} could not be written: ${String(second)}\n`);
    }
  }
}
