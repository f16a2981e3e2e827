/** Kernels of a program, shared by text. */

import type { GeneratedKernel } from "../plan.ts";
import { textHash } from "./canonical.ts";
import type { KernelIR } from "./kernel.ts";
import { printWgsl } from "./wgsl.ts";

export class KernelTable {
  readonly kernels: GeneratedKernel[] = [];
  private readonly names = new Map<string, string>();

  add(kind: string, kernel: KernelIR): string {
    // What the comment says is not part of what the kernel is.
    const text = printWgsl({ ...kernel, doc: [] });
    const known = this.names.get(text);
    if (known !== undefined) return known;
    const name = `${kind}_${textHash(text)}`;
    this.names.set(text, name);
    const wgsl = printWgsl(kernel);
    const { workgroup, bindings, sizes } = kernel;
    this.kernels.push({ name, wgsl, ir: kernel, workgroup, bindings, sizes });
    return name;
  }
}
