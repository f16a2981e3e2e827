#!/usr/bin/env node
/** The command `webpeft`. Each command stands in a file of its own, which is loaded when it runs. */
import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { headTasks } from "../models/choose-head.ts";
import { amount } from "../runtime/options.ts";
import type { CommandModule } from "./common.ts";
import { DebugOutput } from "./debug.ts";
import { tuneEngine } from "./engine.ts";
import { FailureDump } from "./failure-dump.ts";
import { exitCodes, report } from "./output.ts";
import { stdoutLoss } from "./stdout-loss.ts";

const number = (check: (x: number) => boolean, wanted: string) => (text: string) => {
  const x = Number(text);
  if (text.trim() !== "" && check(x)) return x;
  throw new InvalidArgumentError(`It must be ${wanted}.`);
};
const count = number((x) => Number.isInteger(x) && x > 0, "a whole number above 0");
const whole = number((x) => Number.isInteger(x) && x >= 0, "a whole number, 0 or above");
const level = number((x) => [0, 1, 2, 3, 4].includes(x), "0 to 4");
const numbers = (text: string) => text.split(",").map(number(Number.isFinite, "numbers with commas between them"));
const positive = number((x) => amount(x) === undefined, "a finite number, 0 or above, that f32 can hold");

const units: Readonly<Record<string, number>> = {
  ...{ "": 1, B: 1, KB: 1e3, MB: 1e6, GB: 1e9 },
  ...{ KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 },
};

/** Bytes: `2GiB`, `800 MB`, or a number of them. */
const bytes = (text: string): number => {
  const [, digits = "", unit = ""] = /^(\d+(?:\.\d+)?) ?([KMG]i?B|B|)$/.exec(text.trim()) ?? [];
  const size = Math.floor(Number(digits) * units[unit]!);
  if (Number.isSafeInteger(size) && size > 0) return size;
  throw new InvalidArgumentError("It must be a size, such as 2GiB or 800MB.");
};

/** Collects `NAME=FOLDER`, given any number of times. */
const folderByName = (text: string, before: Readonly<Record<string, string>> = {}): Record<string, string> => {
  const [, name, folder] = /^([^=]+)=(.+)$/s.exec(text) ?? [];
  if (name === undefined || folder === undefined) throw new InvalidArgumentError("It must be NAME=FOLDER.");
  return { ...before, [name]: folder };
};

/** `3`, or `neg,neu,pos`; what names and numbers there may be is checked where they are used. */
const labels = (text: string): number | string[] => {
  const names = text.split(",").map((name) => name.trim());
  if (names.length > 1) return names;
  const counted = "a whole number above 0, or names with commas between them; of one name alone the comma is missing";
  return number((x) => Number.isInteger(x) && x > 0, counted)(text);
};

type Loader = () => Promise<CommandModule>;

/** Runs a command; what it throws becomes a message on stderr and an exit code. */
function runs(command: Command, load: Loader): void {
  command.action(async (options: Record<string, unknown>) => {
    const globals = command.parent!.opts();
    const debug = new DebugOutput(globals.debug as number);
    const failure = new FailureDump(globals.dump as string | undefined);
    const all = { ...globals, ...options, debug, failure };
    try {
      await failure.claim();
      const code = await (await load()).run(all);
      process.exitCode = stdoutLoss.settle(code ?? exitCodes.done);
      debug.finish(false);
    } catch (error) {
      await failure.write(error, globals);
      process.exitCode = stdoutLoss.settle(report(error, all));
      debug.finish(true);
    }
  });
}

function build(): Command {
  const program = new Command("webpeft")
    .description("Trains, merges and inspects PEFT adapters on WebGPU and on the CPU.")
    .version(__VERSION__)
    .exitOverride()
    .configureHelp({ showGlobalOptions: true })
    .addHelpText(
      "after",
      "\nExit codes: 0 done; 1 failed, or stopped before the end (Ctrl+C in train); 2 wrong usage; 141 nobody reads stdout any more.",
    )
    .addOption(
      new Option("--device <name>", "what runs it: a GPU by webgpu, WebAssembly by cpu, TensorFlow.js by tfjs")
        .choices(["auto", "webgpu", "cpu", "tfjs"])
        .default("auto"),
    )
    .option("--json", "machine-readable lines on stdout, all else on stderr")
    .option("--strict", "warnings fail")
    .option(
      "--debug <level>",
      "on stderr: 1 passes, 2 also kernels with their times, 3 also costs compared, 4 also kernel texts; stacks of defects",
      level,
      0,
    )
    .option(
      "--dump <folder>",
      "where what was made before an error goes, with a report and what shows the error again",
    );
  const add = (name: string, description: string, load: Loader): Command => {
    const command = program.command(name).description(description).exitOverride();
    runs(command, load);
    return command;
  };
  const model = ["--model <folder>", "a Hugging Face folder"] as const;
  const memory = [
    "--memory <size>",
    "what it may take, such as 2GiB: it takes more time for less, or says what would fit",
    bytes,
  ] as const;
  const expert = ["--expert <name=folder>", "where an adapter that the config mixes is", folderByName] as const;

  const head = (command: Command): Command =>
    command
      .option(
        "--labels <list>",
        "of a model without a classifier: how many labels a new one has, or their names",
        labels,
      )
      .addOption(
        new Option("--head <task>", "what the labels are of, where the config does not say").choices([...headTasks]),
      )
      .addOption(
        new Option("--problem <name>", "what the labels of rows are").choices([
          ...["single_label_classification", "multi_label_classification", "regression"],
        ]),
      );

  head(add("init", "writes a fresh adapter", () => import("./init.ts")))
    .requiredOption(...model)
    .requiredOption("--config <file>", "adapter_config.json")
    .option(...expert)
    .requiredOption("--out <folder>", "where the adapter goes")
    .option("--seed <n>", "seed of the first values", whole, 0)
    .option("--method <file>", "a method of your own, as text")
    .option("--overwrite", "write into a folder that is not empty");
  head(add("train", "trains an adapter, or with --full all weights", () => import("./train.ts")))
    .requiredOption(...model)
    .option("--config <file>", "adapter_config.json of a fresh adapter")
    .option("--adapter <folder>", "an adapter to train on")
    .option(...expert)
    .requiredOption("--data <file>", ".txt, .jsonl or .safetensors")
    .requiredOption("--out <folder>", "where adapter and checkpoints go")
    .option("--steps <n>", "optimizer steps", count)
    .option("--epochs <n>", "passes over the data, unless --steps says how far; 1", count)
    .option("--batch-size <n>", "rows of a micro-batch", count, 8)
    .option("--length <n>", "tokens of a row; 128 or what the model takes", count)
    .option("--lr <x>", "peak learning rate", positive, 1e-3)
    .option("--weight-decay <x>", "decoupled weight decay", positive, 0)
    .addOption(
      new Option("--schedule <name>", "learning rate over the run")
        .choices(["constant", "linear", "cosine"])
        .default("constant"),
    )
    .option("--warmup <n>", "steps of linear warm-up", whole, 0)
    .option("--clip <x>", "largest gradient norm; 0 is off", positive, 0)
    .option("--accumulate <n>", "micro-batches per step", count, 1)
    .option("--seed <n>", "seed of everything random", whole, 0)
    .option("--save-every <n>", "steps between checkpoints; they are removed when the run ends", count)
    .option("--eval-every <n>", "steps between evaluations", count)
    .option("--valid <file>", "data to evaluate on")
    .option(
      "--resume",
      "go on from the newest checkpoint in --out, which a run that ended no longer has: it is trained further by --adapter",
    )
    .option("--overwrite", "write into a folder that is not empty")
    .option("--task <n>", "the task of data that names none, for adapters that route by tasks", whole)
    .option(
      "--doc-stride <n>",
      "of questions: contexts that are longer than a row are read in windows that share so many tokens",
      whole,
    )
    .option("--no-sampling", "no dropout and no relaxed gates")
    .option("--method <file>", "a method of your own, as text")
    .option("--full", "train all weights and write a model folder")
    .option(...memory)
    .option("--log <file>", "a line of JSON per step")
    .option("--report <file>", "a page with the curves of the run, and loss.svg beside it, however the run ends")
    .option("--trace <file>", "what every dispatch took, as a trace that Perfetto opens; runs are slower for it");
  head(add("eval", "one forward pass, and gradients", () => import("./eval.ts")))
    .requiredOption(...model)
    .option("--adapter <folder>", "a trained adapter; the base model alone without")
    .option(...expert)
    .requiredOption("--input <file>", "input_ids, labels, attention_mask as .safetensors")
    .requiredOption("--out <file>", "logits, loss and grad.* as .safetensors")
    .option("--task <n>", "the task of all rows, for adapters that route by tasks", whole)
    .option("--merged", "through merged weights")
    .addOption(
      new Option("--pooling <name>", "of a model without a head: one vector of every row").choices(["mean", "cls"]),
    )
    .option("--grad", "gradients of the trained tensors")
    .option(...memory)
    .option("--method <file>", "a method of your own, as text")
    .option("--overwrite", "replace a file that is no earlier output; never one that is read");
  head(add("merge", "writes the model with the adapter merged in", () => import("./merge.ts")))
    .requiredOption(...model)
    .requiredOption("--adapter <folder>", "a trained adapter")
    .option(...expert)
    .requiredOption("--out <folder>", "where the model goes")
    .option("--task <n>", "the task whose mixture is merged, of adapters that route by tasks", whole)
    .option("--gates <w,...>", "the weight of every expert, of adapters that mix others", numbers)
    .option("--method <file>", "a method of your own, as text")
    .option("--overwrite", "write into a folder that is not empty");
  head(add("convert", "writes an adapter as LoRA of a rank", () => import("./convert.ts")))
    .requiredOption(...model)
    .requiredOption("--adapter <folder>", "a trained adapter")
    .option(...expert)
    .requiredOption("--rank <n>", "rank of the LoRA, up to what the largest of its modules can use", count)
    .requiredOption("--out <folder>", "where the LoRA goes")
    .option("--method <file>", "a method of your own, as text")
    .option("--overwrite", "write into a folder that is not empty");
  add("generate", "continues a text", () => import("./generate.ts"))
    .requiredOption(...model)
    .option("--adapter <folder>", "a trained adapter")
    .option(...expert)
    .requiredOption("--prompt <text>", "the text to continue")
    .option("--max-tokens <n>", "tokens to add", count, 64)
    .option("--temperature <x>", "0 takes the likeliest token", positive, 0)
    .option("--length <n>", "tokens that the model looks back on; the whole text, up to 2048 or what it takes", count)
    .option("--task <n>", "the task of the text, for adapters that route by tasks", whole)
    .option("--seed <n>", "seed of the draws", whole, 0)
    .option("--method <file>", "a method of your own, as text");
  head(add("inspect", "writes what the compiler makes of a config; needs no device", () => import("./inspect.ts")))
    .option(...model)
    .option("--config <file>", "adapter_config.json")
    .option("--adapter <folder>", "a trained adapter")
    .option(...expert)
    .addOption(new Option("--mode <name>", "which program").choices(["train", "infer", "merge"]).default("train"))
    .option("--batch <n>", "rows", count, 8)
    .option("--length <n>", "tokens of a row", count)
    .option(
      "--target <name>",
      "default (a GPU), cpu (a driver in software), wasm (what --device cpu runs on this engine), or a JSON file with a target",
    )
    .option(...memory)
    .option("--measure", "also runs it on --device, with data that is drawn, and tells what every kernel takes")
    .option(
      "--precision",
      "also runs it on --device, with data that is drawn, and tells how far every value is from f64",
    )
    .option("--seed <n>", "of that data", whole)
    .option("--method <file>", "a method of your own, as text")
    .option("--out <folder>", "where the files go")
    .option("--diff <folders...>", "compares two folders that inspect wrote")
    .option("--reproduce <file>", "compiles what a reproduce.json of --dump has: shows an error again by itself")
    .addOption(
      new Option(
        "--print <what>",
        "prints textual IR of a level instead; who holds the memory peak and what is computed twice (memory); or what rules did, how often and where they are written (rules)",
      ).choices(["operator", "tensor", "kernel", "memory", "rules"]),
    )
    .option("--kernels", "prints a table of kernels instead")
    .option(
      "--stage <name>",
      "of --print, --kernels: micro where the program trains, else forward; for --kernels also step, which is all of a training step; --print rules has all",
    )
    .option("--after <pass>", "of --print: the graph as this pass left it")
    .option("--site <name>", "of --print, --kernels: what is computed at modules of this name, as q_proj")
    .option("--layer <n>", "of --print, --kernels: what is computed in this layer", whole)
    .addOption(
      new Option("--sort <by>", "of --kernels; flops without, ms where they are measured").choices([
        ...["ms", "error", "flops", "bytes", "dispatches", "name"],
      ]),
    )
    .option("--top <n>", "of --kernels, --print memory and rules: the first of them", count)
    .option("--overwrite", "write into a folder that is not empty");
  add("methods", "the methods with their formulas and fields", () => import("./methods.ts"));
  add("doctor", "devices found, and what auto takes", () => import("./doctor.ts"));
  return program;
}

stdoutLoss.watch();
tuneEngine();
try {
  await build().parseAsync(process.argv);
} catch (error) {
  if (!(error instanceof CommanderError)) throw error;
  process.exitCode = error.exitCode === 0 ? exitCodes.done : exitCodes.usage;
}
