/** `webpeft train --report`: a page however the run ends, and the state before a step that is not finite. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { golden, llama, scratch, webpeft } from "./helpers.ts";

const folder = scratch();
const config = join(folder, "lora.json");
writeFileSync(config, JSON.stringify({ peft_type: "LORA", task_type: "CAUSAL_LM", r: 4, target_modules: ["q_proj"] }));

function train(name: string, more: readonly string[]) {
  const [out, report] = [join(folder, name), join(folder, "reports", name, "report.html")];
  const data = join(golden, "cases/llama-lora/inputs.safetensors");
  const finished = webpeft([
    ...["train", "--model", llama, "--config", config, "--data", data, "--device", "cpu"],
    ...["--out", out, "--report", report, "--log", `${out}.jsonl`, ...more],
  ]);
  return { ...finished, out, report, page: existsSync(report) ? readFileSync(report, "utf8") : "" };
}

it("has the curves of a run, with the loss as a file beside it, and nothing of it is in the adapter's folder", () => {
  const { code, stdout, out, report, page } = train("whole", [
    "--steps",
    "6",
    "--valid",
    join(golden, "cases/llama-lora/inputs.safetensors"),
    "--eval-every",
    "3",
  ]);
  expect(code).toBe(0);
  expect(stdout).toContain("report.html: the report of the training, and loss.svg beside it");
  expect(readdirSync(out).sort()).toEqual(["adapter_config.json", "adapter_model.safetensors"]);
  expect(readdirSync(join(report, "..")).sort()).toEqual(["loss.svg", "report.html"]);
  expect(page).toContain("finished after 6 steps");
  expect(page.match(/<svg /g)).toHaveLength(4);
  expect(page.match(/class="marks"/g)).toHaveLength(2);
  expect(page).not.toMatch(/<script|http-equiv="refresh"|src=/);
  // The report of an earlier run is replaced, what is none is not.
  expect(train("whole", ["--steps", "2", "--overwrite"]).page).toContain("finished after 2 steps");
  writeFileSync(report, "a letter");
  expect(train("whole", ["--steps", "2"])).toMatchObject({ code: 1, page: "a letter" });
});

it("tells where a NaN began, and with checkpoints the state before it is kept", () => {
  const method = join(folder, "hot.txt");
  writeFileSync(method, 'method hot on linear { W\' = diag(exp(G)) @ W; param G[out] = zeros at "G"; }');
  writeFileSync(config, JSON.stringify({ peft_type: "HOT", target_modules: ["q_proj"] }));
  // A step of AdamW changes every number by about the learning rate, and f32 does not hold exp(200).
  const hot = ["--method", method, "--lr", "200", "--steps", "9"];
  const { code, stderr, out, page } = train("broken", [...hot, "--save-every", "50"]);
  expect(code).toBe(1);
  expect(stderr).toMatch(
    /TRAIN-NOT-FINITE: step \d+ .*: %\d+ = exp \(\S*hot\.txt:1\) in kernel \w+, dispatch \d+ of micro,/,
  );
  const step = Number(/step (\d+)/.exec(stderr)![1]) - 1;
  expect(page).toContain(`TRAIN-NOT-FINITE at step ${step + 1}`);
  expect(page).toMatch(/<a href="report-program\.html#view=graph&amp;stage=micro&amp;node=micro\/\d+">/);
  expect(readdirSync(out).sort()).toEqual(["checkpoint-0", `checkpoint-${step}`]);
  const last = readFileSync(`${out}.jsonl`, "utf8").trim().split("\n").at(-1)!;
  expect(JSON.parse(last)).toMatchObject({
    type: "failed",
    steps: step,
    code: "TRAIN-NOT-FINITE",
    origin: { stage: "micro" },
  });
  const dump = join(folder, "dump");
  const failed = train("dumped", [...hot, "--dump", dump]);
  const place = /%\d+ = exp \(\S*hot\.txt:1\) in kernel \w+, dispatch \d+ of micro/;
  const file = join(dump, "reproduce.json");
  const { given } = JSON.parse(readFileSync(file, "utf8")) as {
    given: { scalars: object; values: { count: number }[] };
  };
  expect(given).toMatchObject({ run: 0, isWhole: true, stage: "micro" });
  expect(given.scalars).toHaveProperty("lr");
  expect(given.values.reduce((sum, { count }) => sum + count, 0)).toBeLessThan(2 ** 18);
  const again = webpeft(["inspect", "--reproduce", file]);
  expect(again.code).toBe(1);
  expect(place.exec(again.stderr)![0]).toBe(place.exec(failed.stderr)![0]);
  expect(readFileSync(join(dump, "error.txt"), "utf8")).toContain(`again:    webpeft inspect --reproduce ${file}`);
  // A kernel that is another one now shows nothing, and a part of what it was given neither.
  const text = readFileSync(file, "utf8");
  for (const [was, is, reason] of [
    [/"kernel":"\w+"/, '"kernel":"other"', "another kernel"],
    [/"isWhole":true/, '"isWhole":false', "only a part"],
  ] as const) {
    writeFileSync(file, text.replace(was, is));
    const { stderr: refused } = webpeft(["inspect", "--reproduce", file]);
    expect(refused).toContain("INSPECT-DUMP");
    expect(refused).toContain(reason);
  }
  expect(train("unsaved", hot).code).toBe(1);
  expect(existsSync(join(folder, "unsaved"))).toBe(false);
});
