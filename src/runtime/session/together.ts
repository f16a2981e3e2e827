/** Adapters of a session that are in use together: programs by their names, and instances that sets of equal configs share. */
import { type AdapterConfigs, type CompiledProgram, placePrefix } from "../../program/index.ts";
import { joinedBase } from "../values/base-tensors.ts";
import type { RunningAdapter } from "../values/running.ts";
import type { AdapterValues, LoadedProgram } from "../values/values.ts";

interface Together<Entry> {
  readonly names: readonly string[];
  readonly program: CompiledProgram;
  /** The last one that was made of it; another is made at every use, because the parts train on. */
  entry?: Entry;
}

/** The numbers of several adapters as the ports of their common program are called: the place of the adapter, a colon, the port. */
function joinedValues(parts: readonly AdapterValues[]): AdapterValues {
  const renamed = <T>(pick: (part: AdapterValues) => ReadonlyMap<string, T>): Map<string, T> =>
    new Map(
      parts.flatMap((part, place) =>
        [...pick(part)].map(([key, data]) => [`${placePrefix(place)}${key}`, data] as const),
      ),
    );
  const [params, buffers] = [renamed((part) => part.params), renamed((part) => part.buffers)];
  return { params, buffers, asRead: new Map(), codecs: new Map(), base: joinedBase(parts) };
}

/** What the adapter of a program was compiled from. */
export function configsIn({ adapter }: CompiledProgram): AdapterConfigs {
  const { savedConfig: config, held, experts, lacksEncoder } = adapter!;
  const mixed = experts.map(({ name, plan }) => [name, plan.savedConfig] as const);
  return { config, held, experts: Object.fromEntries(mixed), encoder: !lacksEncoder };
}

export class TogetherAdapters<Entry extends RunningAdapter> {
  private readonly made = new Map<string, Together<Entry>>();

  constructor(private readonly compile: (configs: readonly AdapterConfigs[]) => Promise<CompiledProgram>) {}

  get entries(): Entry[] {
    return [...this.made.values()].flatMap(({ entry }) => (entry === undefined ? [] : [entry]));
  }

  /** An entry of these adapters with these numbers. `enter` finds or makes its instance. */
  async entry(
    names: readonly string[],
    parts: readonly LoadedProgram[],
    enter: (loaded: LoadedProgram) => Promise<Entry>,
  ): Promise<Entry> {
    const key = JSON.stringify(names);
    const known = this.made.get(key) ?? {
      names,
      program: await this.compile(parts.map(({ program }) => configsIn(program))),
    };
    const entry = await enter({ program: known.program, values: joinedValues(parts.map(({ values }) => values)) });
    this.made.set(key, { ...known, entry });
    return entry;
  }

  /** Forgets what an adapter is part of. */
  delete(name: string): Entry[] {
    const gone = [...this.made].filter(([, { names }]) => names.includes(name));
    for (const [key] of gone) this.made.delete(key);
    return gone.flatMap(([, { entry }]) => (entry === undefined ? [] : [entry]));
  }
}
