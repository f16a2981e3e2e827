/** `--memory`: what is told, what fits, and what is refused. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { type Finished, golden, llama, scratch, webpeft } from "./helpers.ts";

const folder = scratch();
const config = join(folder, "lora.json");
writeFileSync(config, JSON.stringify({ peft_type: "LORA", r: 4, target_modules: ["q_proj"], task_type: "CAUSAL_LM" }));

let runs = 0;
const train = (...more: readonly string[]): Finished & { readonly records: Record<string, unknown>[] } => {
  const finished = webpeft([
    ...["train", "--model", llama, "--config", config, "--data", join(golden, "cases/llama-lora/inputs.safetensors")],
    ...["--steps", "2", "--json", "--out", join(folder, `out${runs++}`), ...more],
  ]);
  const records = finished.stdout.split("\n").flatMap((line) => (line === "" ? [] : [JSON.parse(line)]));
  return { ...finished, records };
};
const bytesOf = (records: readonly Record<string, unknown>[]): number =>
  records.find(({ type }) => type === "memory")!.bytes as number;

it.each(["cpu", "tfjs"])(
  "on %s is told before anything is loaded, and is what a program is made to fit into",
  (device) => {
    const free = train("--device", device);
    expect(free.code, free.stderr).toBe(0);
    const all = bytesOf(free.records);
    const roomy = train("--device", device, "--memory", "1GiB");
    expect([roomy.code, bytesOf(roomy.records)]).toEqual([0, all]);
    const bound = train("--device", device, "--memory", `${Math.floor((0.97 * all) / 1024)}KiB`);
    expect(bound.code, bound.stderr).toBe(0);
    expect(bytesOf(bound.records)).toBeLessThan(all);
  },
);

it("is refused with what would fit", () => {
  const tight = train("--device", "cpu", "--memory", "10KiB");
  expect(tight).toMatchObject({ code: 1, stderr: expect.stringContaining("COMPILE-MEMORY") });
  expect(train("--device", "cpu", "--memory", "much")).toMatchObject({ code: 2 });
});
