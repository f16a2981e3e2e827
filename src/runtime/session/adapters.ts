/**
 * The adapters of a session, by name. Adapters whose programs are equal share one instance: switching writes the parameters and moments of
 * one over those of the other, which are kept on the host. An adapter of another kind or size has an instance of its own.
 * Ranks up to the program's `maximumRank` are one size.
 */

import { WebpeftError } from "../../ir/diagnostics.ts";
import type { AdapterConfigs, CompiledProgram } from "../../program/index.ts";
import type { Instance } from "../executors/executor.ts";
import type { AdapterFiles } from "../files/adapter.ts";
import type { FolderSource } from "../files/folder.ts";
import { shown } from "../options.ts";
import { toProgram } from "../values/rank-padding.ts";
import { currentValues, type RunningAdapter } from "../values/running.ts";
import type { LoadedProgram } from "../values/values.ts";
import { CallQueue } from "./call-queue.ts";
import { interchangeable } from "./interchangeable.ts";
import { TogetherAdapters } from "./together.ts";

/** An adapter of the session. */
export interface AdapterEntry extends RunningAdapter {
  /** Its parameters and moments, by storage buffer, while another adapter uses the instance. */
  kept?: ReadonlyMap<string, Float32Array>;
}

export interface AdapterLoader {
  /** Compiles and reads an adapter for the session's model and shapes; null is the base model alone. */
  read(adapter: FolderSource | AdapterFiles | null): Promise<LoadedProgram>;
  /** Compiles adapters that are in use together, from their configs. */
  together(configs: readonly AdapterConfigs[]): Promise<CompiledProgram>;
  instantiate(loaded: LoadedProgram): Promise<Instance>;
}

/** An adapter by name, several that are in use together, or the base model alone. */
export type AdapterChoice = string | readonly string[] | null;

/** The name of the adapter that a session starts with, as in PEFT. */
const defaultAdapter = "default";

/** Storage that belongs to an adapter. */
const ownBuffers = ["params", "moment1", "moment2"];

export class SessionAdapters {
  private readonly entries = new Map<string | null, AdapterEntry>();
  private readonly together: TogetherAdapters<AdapterEntry>;
  /** The adapter that each instance holds; undefined when that one was deleted. */
  private readonly holders = new Map<Instance, AdapterEntry | undefined>();
  private readonly queue = new CallQueue();
  /** Calls that give or take names and are not over. */
  private namings = 0;
  private settled: AdapterEntry;

  constructor(
    first: AdapterEntry,
    private readonly loader: AdapterLoader,
  ) {
    this.entries.set(first.program.adapter === undefined ? null : defaultAdapter, first);
    this.holders.set(first.instance, first);
    this.together = new TogetherAdapters(loader.together);
    this.settled = first;
  }

  /** Works on the adapter in use, behind every call that was made before. */
  run<T>(work: (entry: AdapterEntry) => Promise<T>): Promise<T> {
    return this.queue.take(() => work(this.settled));
  }

  /** The adapter in use; while a switch is going on the one before. */
  get active(): AdapterEntry {
    return this.settled;
  }

  /** The programs of all adapters, and of the base model where it was used. */
  get programs(): CompiledProgram[] {
    return [this.settled, ...this.entries.values()].map(({ program }) => program);
  }

  get isDisposed(): boolean {
    return this.queue.isClosed;
  }

  /** Reads an adapter and gives it a name; the one in use stays in use. Throws `SESSION-ADAPTER-NAME` for a name that is taken or none. */
  load(name: string, adapter: FolderSource | AdapterFiles): Promise<void> {
    return this.renaming(async () => {
      this.requireFree(name);
      await this.enterAs(name, adapter);
    });
  }

  /**
   * Makes an adapter of others in one turn: `work` with each of them, then what `make` gives is loaded under the new name. Throws
   * `SESSION-ADAPTER-UNKNOWN`, `SESSION-ADAPTER-NAME` and what reading throws.
   */
  derive<T>(
    names: readonly string[],
    name: string,
    work: (entry: AdapterEntry, place: number) => Promise<T>,
    make: (results: T[]) => FolderSource,
  ): Promise<void> {
    this.requireNamed(...names);
    return this.renaming(async () => {
      for (const one of names) this.requireKnown(one);
      this.requireFree(name);
      await this.enterAs(name, make(await this.each(names, work)));
    });
  }

  private requireFree(name: string): void {
    if (typeof name !== "string" || name === "") {
      throw new WebpeftError("SESSION-ADAPTER-NAME", {
        message: "an adapter has a name",
        expected: "a text that is not empty",
        got: shown(name),
      });
    }
    if (!this.entries.has(name)) return;
    throw new WebpeftError("SESSION-ADAPTER-NAME", {
      message: "the session has an adapter of that name",
      where: name,
      help: "choose another name",
    });
  }

  /** A call that gives or takes a name. */
  private renaming(work: () => Promise<void>): Promise<void> {
    this.namings++;
    return this.queue.take(work).finally(() => this.namings--);
  }

  private async enterAs(name: string, adapter: FolderSource | AdapterFiles): Promise<void> {
    this.entries.set(name, await this.enter(await this.loader.read(adapter)));
  }

  /**
   * Switches to an adapter, to several together, or with null to the base model alone. Calls that are made later wait for it, so it need not
   * be awaited. Throws `SESSION-ADAPTER-UNKNOWN` when no adapter has the name: at once when none will have it, else in its turn.
   */
  use(choice: AdapterChoice): Promise<void> {
    const chosen = Array.isArray(choice) ? ([...choice] as readonly string[]) : choice;
    this.requireNamed(chosen);
    return this.queue.take(() =>
      this.orBack(async () => {
        await this.bring(await this.entry(chosen));
      }),
    );
  }

  /**
   * Forgets an adapter; its instance is freed when no other adapter uses it. When it was in use, the first of the names that are left (in
   * sorted order) is used, as PEFT does, and the base model when none is. Throws `SESSION-ADAPTER-UNKNOWN`.
   */
  delete(name: string): Promise<void> {
    this.requireNamed(name);
    return this.renaming(async () => {
      this.requireKnown(name);
      const gone = [this.entries.get(name)!, ...this.together.delete(name)];
      this.entries.delete(name);
      if (gone.includes(this.settled)) await this.bring(await this.entry(this.names().sort()[0] ?? null));
      for (const one of gone) this.forget(one);
    });
  }

  /** Work with each of some adapters, which no other call can come between; afterwards the one that was in use is again. */
  visit<T>(choices: readonly AdapterChoice[], work: (entry: AdapterEntry, place: number) => Promise<T>): Promise<T[]> {
    this.requireNamed(...choices);
    return this.queue.take(() => this.each(choices, work));
  }

  private async each<T>(
    choices: readonly AdapterChoice[],
    work: (entry: AdapterEntry, place: number) => Promise<T>,
  ): Promise<T[]> {
    const before = this.settled;
    const results: T[] = [];
    await this.orBack(async () => {
      for (const [place, choice] of choices.entries())
        results.push(await work(await this.bring(await this.entry(choice)), place));
    });
    await this.bring(before);
    return results;
  }

  /** Names of the adapters. */
  names(): string[] {
    return [...this.entries.keys()].filter((name) => name !== null);
  }

  /** Tells of a wrong name at once where the names are settled; else, and of a session that is disposed, the call's turn tells. */
  private requireNamed(...choices: readonly AdapterChoice[]): void {
    if (!this.isDisposed && this.namings === 0) for (const choice of choices) this.requireKnown(choice);
  }

  private requireKnown(choice: AdapterChoice): void {
    const known = this.names();
    const names = choice === null ? [] : [choice].flat();
    for (const name of names) if (!this.entries.has(name)) throw unknown(name, known);
    if (choice !== null && (names.length === 0 || new Set(names).size < names.length))
      throw unknown(names.join(", "), known, "adapters that are in use together are one or more, each once");
  }

  /** A change of the adapter in use; one that fails leaves the one before. */
  private async orBack(change: () => Promise<void>): Promise<void> {
    const before = this.settled;
    try {
      await change();
    } catch (error) {
      await this.bring(before);
      throw error;
    }
  }

  private async entry(choice: AdapterChoice): Promise<AdapterEntry> {
    if (choice === null) return this.base();
    this.requireKnown(choice);
    const names = [choice].flat();
    if (names.length === 1) return this.entries.get(names[0]!)!;
    const parts: LoadedProgram[] = [];
    for (const name of names) {
      const { program, ...part } = await this.bring(this.entries.get(name)!);
      parts.push({ program, values: await currentValues({ program, ...part }) });
    }
    return this.together.entry(names, parts, (loaded) => this.enter(loaded, this.together.entries));
  }

  private forget(entry: AdapterEntry): void {
    const { instance } = entry;
    if (this.holders.get(instance) === entry) this.holders.set(instance, undefined);
    if ([...this.entries.values(), ...this.together.entries].some((other) => other.instance === instance)) return;
    this.holders.delete(instance);
    instance.dispose();
  }

  private async base(): Promise<AdapterEntry> {
    const entry = this.entries.get(null) ?? (await this.enter(await this.loader.read(null)));
    this.entries.set(null, entry);
    return entry;
  }

  private async enter(loaded: LoadedProgram, others = [...this.entries.values()]): Promise<AdapterEntry> {
    const twin = others.find((entry) => interchangeable(entry, loaded));
    if (twin !== undefined) return { ...loaded, instance: twin.instance, step: 0 };
    const entry = { ...loaded, instance: await this.loader.instantiate(loaded), step: 0 };
    this.holders.set(entry.instance, entry);
    // Disposed meanwhile: nobody else would free it.
    if (this.queue.isClosed) entry.instance.dispose();
    return entry;
  }

  private async bring(entry: AdapterEntry): Promise<AdapterEntry> {
    const { instance, program, values } = entry;
    const holder = this.holders.get(instance);
    if (holder !== entry) {
      const buffers = program.storage.buffers.filter(({ name }) => ownBuffers.includes(name));
      const read = async () => Promise.all(buffers.map(async ({ name }) => [name, await instance.read(name)] as const));
      if (holder !== undefined) holder.kept = new Map(await read());
      for (const { name, size } of buffers) instance.write(name, entry.kept?.get(name) ?? new Float32Array(size));
      if (entry.kept === undefined)
        for (const [key, data] of values.params) instance.write(key, toProgram(program.adapter, key, data));
      this.holders.set(instance, entry);
    }
    this.settled = entry;
    return entry;
  }

  /** Calls that wait, the one under way and later ones fail with `SESSION-DISPOSED`. */
  dispose(): void {
    this.queue.close();
    for (const instance of this.holders.keys()) instance.dispose();
  }
}

function unknown(
  name: string,
  known: readonly string[],
  message = "the session has no adapter of that name",
): WebpeftError {
  return new WebpeftError("SESSION-ADAPTER-UNKNOWN", {
    message,
    where: String(name),
    expected: known.join(", ") || "a name that load was given",
  });
}
