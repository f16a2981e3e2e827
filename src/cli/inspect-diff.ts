/** `webpeft inspect --diff A B`: what differs between two dumps, as text on stdout or as files. */

import { join } from "node:path";
import {
  bytes as bytesText,
  compareDumps,
  comparisonPage,
  count,
  type KernelChange,
  type ProgramDiff,
} from "../inspect/index.ts";
import { WebpeftError } from "../ir/diagnostics.ts";
import { writeFolder } from "../runtime/files/output.ts";
import { columns } from "./columns.ts";
import { emit, type PrintOptions, say } from "./output.ts";
import { claimOutput } from "./output-lock.ts";
import { noDump, readDump, readPart } from "./read-dump.ts";

export interface DiffOptions extends PrintOptions {
  readonly diff: readonly string[];
  readonly out?: string;
  readonly overwrite?: boolean;
}

/** Throws `CLI-INSPECT` for other than two folders, `INSPECT-DUMP` for one that is no dump of this version. */
export async function runDiff({ diff, out, overwrite = false, ...options }: DiffOptions): Promise<void> {
  const [a, b, ...more] = diff;
  if (a === undefined || b === undefined || more.length > 0) {
    throw new WebpeftError("CLI-INSPECT", {
      message: "--diff compares two folders that inspect wrote",
      expected: "--diff A B",
      got: `${diff.length} ${diff.length === 1 ? "folder" : "folders"}`,
    });
  }
  const compared = compareDumps(await readDump(a), await readDump(b));
  const text = diffText(compared, a, b);
  if (out === undefined) {
    if (options.json) emit(options, { type: "diff", a, b, ...compared });
    else process.stdout.write(text);
    return;
  }
  await claimOutput(out, { overwrite });
  const files = new Map([
    ["diff.txt", text],
    ["diff.json", `${JSON.stringify({ a, b, ...compared }, null, 1)}\n`],
    ["report.html", await bothReports(a, b)],
  ]);
  await writeFolder(out, files, { overwrite });
  say(options, `${out}: diff.txt, diff.json; open report.html`);
  emit(options, { type: "done", out, files: [...files.keys()] });
}

async function bothReports(a: string, b: string): Promise<string> {
  const paths = [a, b].map((folder) => join(folder, "report.html"));
  const [first, second] = await Promise.all(paths.map(readPart));
  const page = comparisonPage(first!, second!);
  if (page === undefined) throw noDump(paths.join(" or "));
  return page;
}

function diffText({ facts, kernels, flips, ops }: ProgramDiff, a: string, b: string): string {
  const { same, resized, onlyA, onlyB } = kernels;
  const changed = facts.filter((fact) => fact.a !== fact.b);
  const parts = [
    `A: ${a}\nB: ${b}\n`,
    section("Figures", changed.length === 0 ? "all equal\n" : factTable(changed)),
    section(
      "Kernels",
      `${same.length} equal, ${resized.length} with the same text and other sizes, ${onlyA.length} in A only, ${onlyB.length} in B only\n`,
    ),
    kernelPart("The same text, other sizes", resized),
    kernelPart("In A only", onlyA),
    kernelPart("In B only", onlyB),
    section("Decisions that flipped", flips.length === 0 ? "none\n" : `${flips.map(flipText).join("\n")}\n`),
    section("Operations, by kind of module", ops.length === 0 ? "all equal\n" : opTable(ops)),
  ];
  return parts.filter((part) => part !== "").join("\n");
}

const section = (title: string, body: string): string => `${title}\n${body.replace(/^(?=.)/gm, "  ")}`;

const signed = (n: number): string => (n > 0 ? `+${count(n)}` : `-${count(-n)}`);

const factTable = (facts: ProgramDiff["facts"]): string =>
  columns(
    ["", "A", "B", "B - A"],
    facts.map(({ name, a, b }) => [name, count(a), count(b), signed(b - a)]),
    [1, 2, 3],
  );

function kernelPart(title: string, changes: readonly KernelChange[]): string {
  if (changes.length === 0) return "";
  const both = (change: KernelChange, show: (work: NonNullable<KernelChange["a"]>) => string): string => {
    const shown = [change.a, change.b].flatMap((work) => (work === undefined ? [] : [show(work)]));
    return [...new Set(shown)].join(" -> ");
  };
  const rows = changes.map((change) => {
    const { sites, lines } = (change.b ?? change.a)!;
    return [
      change.name,
      both(change, ({ dispatches }) => String(dispatches)),
      both(change, ({ flops }) => count(flops)),
      both(change, ({ bytes }) => bytesText(bytes)),
      ...[sites.slice(0, 4).join(", "), lines.join(" ")],
    ];
  });
  return section(title, columns(["kernel", "dispatches", "flop", "bytes", "computes for", "lines"], rows, [1, 2, 3]));
}

function flipText({ stage, pass, scopes, a, b }: ProgramDiff["flips"][number]): string {
  const costs = (candidates: Readonly<Record<string, number>>): string =>
    Object.entries(candidates)
      .map(([name, cost]) => `${name} ${count(cost)}`)
      .join(", ");
  const places = `${scopes[0]}${scopes.length > 1 ? ` and ${scopes.length - 1} more` : ""}`;
  return `${stage}/${pass} at ${places}: ${a.decision} (${costs(a.candidates)}) -> ${b.decision} (${costs(b.candidates)})`;
}

/** A row for every kind of module and phase. */
function opTable(ops: ProgramDiff["ops"]): string {
  const rows = new Map<string, { readonly head: readonly string[]; readonly changes: string[] }>();
  for (const { stage, site, phase, op, a, b } of ops) {
    const head = [stage, phase, site === "" ? "(outside of modules)" : site];
    const row = rows.get(head.join()) ?? { head, changes: [] };
    rows.set(head.join(), row);
    row.changes.push(`${op} ${a} -> ${b}`);
  }
  return columns(
    ["stage", "phase", "module", "operations, A -> B"],
    [...rows.values()].map(({ head, changes }) => [...head, changes.join(", ")]),
    [],
  );
}
