/** Compute pipelines of a device, made once per WGSL text, all at the same time. */
import type { GeneratedKernel } from "../../../codegen/plan.ts";
import { WebpeftError } from "../../../ir/diagnostics.ts";
import { remembered } from "../../../ir/remember.ts";
import { during } from "../../../ir/trail.ts";
import type { OpenDevice } from "../../device/index.ts";

export interface Pipeline {
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
}

/** Value of `GPUShaderStage.COMPUTE`. */
const computeStage = 4;

export class PipelineCache {
  private readonly made = new Map<string, Promise<Pipeline>>();

  constructor(private readonly open: OpenDevice) {}

  /** Number of distinct pipelines made so far. */
  get size(): number {
    return this.made.size;
  }

  async get(kernels: readonly GeneratedKernel[]): Promise<Map<string, Pipeline>> {
    const entries = kernels.map(async (kernel): Promise<[string, Pipeline]> => [kernel.name, await this.one(kernel)]);
    return new Map(await Promise.all(entries));
  }

  private one(kernel: GeneratedKernel): Promise<Pipeline> {
    // What the comment says is not part of what the kernel is.
    const text = kernel.wgsl.replace(/^(\/\/.*\n)+/, "");
    const known = this.made.get(text);
    if (known !== undefined) return known;
    const made = this.create(kernel);
    this.made.set(text, made);
    made.catch(() => this.made.delete(text));
    return made;
  }

  private async create(kernel: GeneratedKernel): Promise<Pipeline> {
    const { device } = this.open;
    const entries = kernel.bindings.map(({ access }, binding): GPUBindGroupLayoutEntry => {
      const type = access === "read" ? "read-only-storage" : "storage";
      return { binding, visibility: computeStage, buffer: { type } };
    });
    entries.push({ binding: kernel.bindings.length, visibility: computeStage, buffer: { type: "uniform" } });
    const [, purpose = ""] = /^\/\/ (.*)/.exec(kernel.wgsl) ?? [];
    const label = `${kernel.name} ${purpose}`;
    const layout = device.createBindGroupLayout({ label, entries });
    const module = device.createShaderModule({ label, code: kernel.wgsl });
    const pipeline = await this.open
      .wait(
        device.createComputePipelineAsync({
          label,
          layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
          compute: { module, entryPoint: "main" },
        }),
      )
      .catch(async (error: unknown) => {
        throw await refused(error, kernel, module);
      });
    return { pipeline, layout };
  }
}

const caches = new WeakMap<GPUDevice, PipelineCache>();

/** The pipelines of a device, for all executors on it. */
export const pipelinesOf = (open: OpenDevice): PipelineCache =>
  remembered(caches, open.device, () => new PipelineCache(open));

/** The error of a kernel that the device's compiler refused; that of a device that is gone stays as it is. Throws none. */
async function refused(error: unknown, { name, wgsl }: GeneratedKernel, module: GPUShaderModule): Promise<unknown> {
  const { messages } = await module.getCompilationInfo().catch(() => ({ messages: [] }));
  const said = messages
    .filter(({ type }) => type === "error")
    .map(({ lineNum, linePos, message }) => `${lineNum}:${linePos} ${message}`);
  const isOwn = said.length > 0 || !(error instanceof WebpeftError);
  if (!isOwn) return error;
  const told = new WebpeftError(
    "DEVICE-VALIDATION",
    {
      message: "the device refused a kernel",
      where: name,
      got: said.length > 0 ? said.join("; ") : error instanceof Error ? error.message : String(error),
      help: "this is a defect of webpeft or of the driver: please report it with the folder that the same command writes with --dump",
    },
    { cause: error },
  );
  return during(told, { doing: "pipeline", kernel: name, wgsl, said });
}
