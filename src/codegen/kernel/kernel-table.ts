/** Kernels of a program, shared by text. */
import { remembered } from "../../ir/remember.ts";
import type { GeneratedKernel } from "../plan.ts";
import { textHash } from "./canonical.ts";
import type { KernelIR, Statement } from "./kernel.ts";
import { printWgsl } from "./wgsl.ts";

export class KernelTable {
  readonly kernels: GeneratedKernel[] = [];
  private readonly names = new Map<string, string>();
  /** Names by what is printed beside the statements; bodies of one canonical text share those. */
  private readonly printed = new WeakMap<readonly Statement[], Map<string, string>>();

  add(kind: string, kernel: KernelIR): string {
    const { body, doc, words: _words, ...frame } = kernel;
    const own = this.printed.get(body) ?? new Map<string, string>();
    this.printed.set(body, own);
    return remembered(own, JSON.stringify([kind, frame]), () => this.print(kind, doc, kernel));
  }

  private print(kind: string, doc: readonly string[], kernel: KernelIR): string {
    // What the comment says is not part of what the kernel is.
    const text = printWgsl(kernel);
    const known = this.names.get(text);
    if (known !== undefined) return known;
    const name = `${kind}_${textHash(text)}`;
    this.names.set(text, name);
    const wgsl = [...doc.map((line) => `// ${line}`), text].join("\n");
    const { workgroup, bindings, sizes } = kernel;
    this.kernels.push({ name, wgsl, ir: kernel, workgroup, bindings, sizes });
    return name;
  }
}
