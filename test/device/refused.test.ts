/** A kernel that the device's compiler refuses: named, with its text and what is said of it, in what is left of the run. */
import { expect, it } from "vitest";
import { compile } from "../../src/compile/index.ts";
import { failureFiles } from "../../src/inspect/index.ts";
import type { FailureRecord } from "../../src/inspect/report-types.ts";
import { openDevice } from "../../src/runtime/device/index.ts";
import { webgpuExecutor } from "../../src/runtime/executors/webgpu/executor.ts";
import { loadCase } from "../golden/helpers.ts";

it("is told with the line of its text", async () => {
  const open = await openDevice({ prefer: "webgpu" });
  try {
    const executor = webgpuExecutor(open);
    const { model, adapter } = await loadCase("llama-lora");
    const program = await compile(model, adapter, { batch: 2, length: 8, target: executor.target! });
    const { generated } = program;
    const wrong = generated.kernels[1]!;
    const kernels = generated.kernels.map((kernel) =>
      kernel === wrong ? { ...kernel, wgsl: kernel.wgsl.replace(/\}\s*$/, "  nothing();\n}\n") } : kernel,
    );
    const refusing = Object.create(generated, { kernels: { value: kernels } }) as typeof generated;
    const device: typeof executor = {
      ...executor,
      instantiate: (own, data, more) => executor.instantiate(own, data, { ...more, generated: () => refusing }),
    };
    const input_ids = new Int32Array(16).fill(3);
    const error: unknown = await program
      .start({ device })
      .then((session) => session.step({ input_ids, labels: input_ids }, { lr: 0 }))
      .catch((own: unknown) => own);
    expect(error).toMatchObject({ code: "DEVICE-VALIDATION", where: wrong.name });
    const files = failureFiles(error, { program });
    const record = JSON.parse(files.get("error.json")!) as FailureRecord;
    expect(record.said![0]).toMatch(/^\d+:\d+ .*nothing/);
    expect(record.wgsl!.split("\n")[Number(record.said![0]!.split(":")[0]) - 1]).toContain("nothing()");
    expect(files.get(`kernels/${wrong.name}.wgsl`)).toBe(record.wgsl);
  } finally {
    open.dispose();
  }
});
