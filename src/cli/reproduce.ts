/** `webpeft inspect --reproduce FILE`: shows an error again, from what a dump of it has. */
import { readFile } from "node:fs/promises";
import { compileAgain } from "../compile/index.ts";
import type { Program } from "../compile/program.ts";
import { type Reproduction, readReproduction } from "../compile/reproduction.ts";
import { codeOf, WebpeftError } from "../ir/diagnostics.ts";
import { readError } from "../runtime/files/errors.ts";
import { originAgain } from "../runtime/runs/again.ts";
import { fieldsOf, NotFiniteError } from "../runtime/runs/not-finite-error.ts";
import type { DeviceName } from "../runtime/session/executor-choice.ts";
import type { GivenFile, ReproductionFile } from "./failure-dump.ts";
import type { GlobalOptions } from "./global-options.ts";
import type { InspectedOn } from "./measure.ts";
import { observedOn } from "./measure.ts";

export interface ReproduceOptions extends GlobalOptions {
  readonly reproduce: string;
  readonly measure?: boolean;
  readonly precision?: boolean;
  readonly device: DeviceName;
  readonly target?: string;
  readonly seed?: number;
}

/**
 * Compiles, makes the kernels and, with `--measure`, runs them: throws the error, where it is still there. Gives the program where it is not.
 * Throws `FILE-NOT-FOUND`, `FILE-JSON` and `INSPECT-DUMP` for what is no such file.
 */
export async function reproduced(options: ReproduceOptions, on: InspectedOn): Promise<Program> {
  const { reproduce: path, failure, device, debug } = options;
  const text = await readFile(path, "utf8").catch((cause: unknown) => {
    throw readError(cause, path);
  });
  const read = readReproduction(text, path) as ReproductionFile;
  const given: Reproduction = options.measure === true ? withTarget(read, on) : read;
  failure.compiling(() => given, device);
  try {
    const program = await compileAgain(given, debug.passes());
    failure.compiled(program);
    void program.kernels;
    if (read.given !== undefined) throwAgain(program, read.given, read.error.code, path);
    await observedOn(program, {}, options, on);
    return program;
  } catch (error) {
    if (codeOf(error) !== read.error.code)
      process.stderr.write(`another error than ${read.error.code}, which ${path} is of\n`);
    throw error;
  }
}

/** Throws the error of a kernel on what it was given, and `INSPECT-DUMP` where the file does not show it. */
function throwAgain(program: Program, { values, ...place }: GivenFile, code: string, path: string): void {
  const given = {
    ...place,
    values: values.map(({ numbers, ...value }) => {
      const bytes = Uint8Array.from(Buffer.from(numbers, "base64"));
      return { ...value, numbers: new Float32Array(bytes.buffer) };
    }),
  };
  const found = given.isWhole ? originAgain(program.generated, given) : "part";
  if (typeof found === "object")
    throw new NotFiniteError(code === "TRAIN-NOT-FINITE" ? code : "RESULT-NOT-FINITE", fieldsOf(found), found, given);
  throw new WebpeftError("INSPECT-DUMP", {
    message: reasons[found],
    where: path,
    got: `kernel ${given.kernel}, dispatch ${given.dispatch} of ${given.stage}`,
  });
}

const reasons = {
  part: "the file has only a part of what the kernel was given, which shows nothing again",
  other: "this version makes another kernel there, so that what it was given shows nothing",
  finite: "in f64 the kernel gives finite numbers on what it was given: its own text makes the one that is not",
};

const withTarget = (read: Reproduction, { target }: InspectedOn): Reproduction => ({
  ...read,
  options: { ...read.options, target },
});
