/** Kernels of a program, shared by text. Texts, and the names that are made of them, are made when somebody asks: processors run none. */
import { remembered } from "../../ir/remember.ts";
import type { Dispatch, GeneratedKernel, SourceKernel } from "../plan.ts";
import { textHash } from "./canonical.ts";
import type { KernelIR, Statement } from "./kernel.ts";
import { printWgsl } from "./wgsl.ts";

/** Texts by what is printed beside the statements; bodies of one canonical text share those. */
const texts = new WeakMap<readonly Statement[], Map<string, string>>();

interface Entry extends SourceKernel {
  readonly frame: string;
  name?: string;
}

export class KernelTable {
  /** `copiesSizes` as in `Tuning`. */
  constructor(private readonly copiesSizes: boolean) {}

  private readonly entries: Entry[] = [];
  private readonly known = new Map<readonly Statement[], Map<string, Entry>>();
  private readonly byKernel = new Map<KernelIR, Entry>();
  private readonly sources = new WeakMap<Dispatch, Entry>();
  private readonly printed: GeneratedKernel[] = [];
  private readonly names = new Map<string, string>();

  /** The dispatch that the rest is of, with the kernel's name. */
  dispatch(kind: string, ir: KernelIR, rest: Omit<Dispatch, "kernel">): Dispatch {
    const entry = remembered(this.byKernel, ir, () => this.entryOf(kind, ir));
    const nameOf = (): string => this.nameOf(entry);
    const dispatch: Dispatch = {
      get kernel() {
        return nameOf();
      },
      ...rest,
    };
    this.sources.set(dispatch, entry);
    return dispatch;
  }

  private entryOf(kind: string, ir: KernelIR): Entry {
    const { body, doc: _doc, words: _words, ...printed } = ir;
    const own = remembered(this.known, body, () => new Map<string, Entry>());
    const frame = JSON.stringify(printed);
    return remembered(own, `${kind} ${frame}`, () => {
      const made = { kind, ir, frame };
      this.entries.push(made);
      return made;
    });
  }

  /** What a dispatch of this table runs. */
  sourceOf(dispatch: Dispatch): SourceKernel {
    return this.sources.get(dispatch)!;
  }

  /** In the order of their first dispatches. */
  get kernels(): readonly GeneratedKernel[] {
    for (const entry of this.entries) this.nameOf(entry);
    return this.printed;
  }

  private nameOf(entry: Entry): string {
    if (entry.name === undefined)
      for (const earlier of this.entries) {
        earlier.name ??= this.print(earlier);
        if (earlier === entry) break;
      }
    return entry.name!;
  }

  private print({ kind, ir, frame }: Entry): string {
    const own = remembered(texts, ir.body, () => new Map<string, string>());
    // What the comment says is not part of what the kernel is.
    const text = remembered(own, `${this.copiesSizes} ${frame}`, () => printWgsl(ir, this.copiesSizes));
    return remembered(this.names, text, () => {
      const name = `${kind}_${textHash(text)}`;
      const wgsl = [...ir.doc.map((line) => `// ${line}`), text].join("\n");
      const { workgroup, bindings, sizes } = ir;
      this.printed.push({ name, wgsl, ir, workgroup, bindings, sizes });
      return name;
    });
  }
}
