/** Heads of vision models whose files have none, or one of other labels: trained, saved, and found again by the adapter's file alone. */
import { expect, it } from "vitest";
import { compile, type Model, readAdapter } from "../../src/index.ts";
import { ports } from "../../src/ir/graph.ts";
import { sizeOf, type TensorType } from "../../src/ir/types.ts";
import { baseModel } from "../golden/helpers.ts";

/** The model as files hold it that were saved as that class, without a classifier, or as it is. */
async function headless(base: string, architecture: string | undefined): Promise<Model> {
  const { config, weights, ...rest } = await baseModel(base);
  if (architecture === undefined) return { config, weights, ...rest };
  const { num_labels: _labels, id2label: _names, label2id: _numbers, ...plain } = config;
  const keys = (): string[] => weights.keys().filter((key) => !key.startsWith("classifier"));
  const info = (key: string) => (key.startsWith("classifier") ? undefined : weights.info(key));
  return {
    ...rest,
    config: { ...plain, architectures: [architecture] },
    weights: { ...weights, keys, info, read: (key) => weights.read(key) },
  };
}

it.each([
  ["vit-cls", "ViTModel", ["query", "value"]],
  ["dinov2", "Dinov2Model", ["q_proj", "v_proj"]],
  ["vit-cls", undefined, ["query", "value"]],
  ["dinov2", undefined, ["q_proj", "v_proj"]],
])("%s as %s gets a classifier of five labels, which its adapter brings back", async (base, architecture, targets) => {
  const model = await headless(base, architecture);
  const config = {
    peft_type: "LORA",
    task_type: null,
    r: 2,
    target_modules: targets,
    modules_to_save: ["classifier"],
  };
  const program = await compile(model, config, { batch: 2, head: { task: "SEQ_CLS", labels: 5, seed: 3 } });
  const isTold = program.diagnostics.some(({ code }) => code === "MODEL-HEAD-DRAWN");
  expect(isTold).toBe(architecture === undefined);
  const session = await program.start({ device: "cpu", seed: 1 });
  const { node } = ports(program.graph("tensor"), "input").find(({ name }) => name === "pixel_values")!;
  const pixel_values = Float32Array.from({ length: sizeOf((node.type as TensorType).shape) }, (_unused, i) =>
    Math.sin(i),
  );
  for (let step = 0; step < 2; step++) await session.step({ pixel_values, labels: Int32Array.of(4, 0) }, { lr: 0.05 });
  const trained = await session.forward({ pixel_values });
  expect(trained.logits!.length).toBe(10);
  const adapter = await readAdapter(Object.fromEntries(await session.files()));
  session.dispose();
  const again = await (await compile(model, adapter, { mode: "infer", batch: 2 })).start({ device: "cpu", adapter });
  const { logits } = await again.forward({ pixel_values });
  expect(Math.max(...logits!.map((x, i) => Math.abs(x - trained.logits![i]!)))).toBeLessThan(1e-5);
  again.dispose();
});
