/** Adapters of a session that are in use together: programs by their names, and instances that sets of equal configs share. */
import type { AdapterConfigs, CompiledProgram } from "../../program.ts";
import { joinedBase } from "../values/base-tensors.ts";
import type { AdapterValues } from "../values/initial.ts";
import { parametersOf } from "../values/parameters.ts";
import type { AdapterEntry, LoadedProgram } from "./adapters.ts";

interface Together {
  readonly names: readonly string[];
  readonly program: CompiledProgram;
  /** The last one that was made of it; another is made at every use, because the parts train on. */
  entry?: AdapterEntry;
}

/** The numbers of several adapters as the ports of their common program are called: the place of the adapter, a colon, the port. */
export function joinedValues(parts: readonly AdapterValues[]): AdapterValues {
  const renamed = <T>(pick: (part: AdapterValues) => ReadonlyMap<string, T>): Map<string, T> =>
    new Map(parts.flatMap((part, place) => [...pick(part)].map(([key, data]) => [`${place}:${key}`, data] as const)));
  const [params, buffers] = [renamed((part) => part.params), renamed((part) => part.buffers)];
  return { params, buffers, asRead: new Map(), forms: new Map(), base: joinedBase(parts) };
}

/** The numbers that an adapter has now; it must be the one in use. */
export const currentValues = async (entry: AdapterEntry): Promise<AdapterValues> => ({
  ...entry.values,
  params: await parametersOf(entry),
});

export class TogetherAdapters {
  private readonly made = new Map<string, Together>();

  constructor(private readonly compile: (configs: readonly AdapterConfigs[]) => Promise<CompiledProgram>) {}

  get entries(): AdapterEntry[] {
    return [...this.made.values()].flatMap(({ entry }) => (entry === undefined ? [] : [entry]));
  }

  /** An entry of these adapters with these numbers. `enter` finds or makes its instance. */
  async entry(
    names: readonly string[],
    parts: readonly LoadedProgram[],
    enter: (loaded: LoadedProgram) => Promise<AdapterEntry>,
  ): Promise<AdapterEntry> {
    const key = JSON.stringify(names);
    const known = this.made.get(key) ?? { names, program: await this.compile(parts.map(configOf)) };
    const entry = await enter({ program: known.program, values: joinedValues(parts.map(({ values }) => values)) });
    this.made.set(key, { ...known, entry });
    return entry;
  }

  /** Forgets what an adapter is part of. */
  delete(name: string): AdapterEntry[] {
    const gone = [...this.made].filter(([, { names }]) => names.includes(name));
    for (const [key] of gone) this.made.delete(key);
    return gone.flatMap(([, { entry }]) => (entry === undefined ? [] : [entry]));
  }
}

const configOf = ({ program }: LoadedProgram): AdapterConfigs => {
  const { savedConfig: config, held } = program.adapter!;
  return { config, held };
};
