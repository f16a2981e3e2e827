/** `webpeft inspect` on stdout: parts of programs, and what is wrong with a question. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type Finished, golden, llama, scratch, webpeft } from "./helpers.ts";

const inspect = (...args: readonly string[]): Finished =>
  webpeft([
    ...["inspect", "--model", llama, "--adapter", join(golden, "cases/llama-lora")],
    ...["--device", "cpu", "--batch", "2", "--length", "8", ...args],
  ]);

describe("what is printed", () => {
  it("is a graph of what one module computes in one layer, with the lines of the formula", () => {
    const { code, stdout } = inspect("--print", "tensor", "--site", "q_proj", "--layer", "0");
    expect(code).toBe(0);
    const notes = [...stdout.matchAll(/ {2}\/\/ (\S+)/g)].map(([, scope]) => scope!);
    expect(new Set(notes)).toEqual(new Set(["model.layers.0.self_attn.q_proj"]));
    expect(stdout).toMatch(/einsum .*\/\/ model\.layers\.0\.self_attn\.q_proj lora\.ts:\d+/);
    expect(stdout).toMatch(/param "base_model\.model\.model\.layers\.0\.self_attn\.q_proj\.lora_A\.weight"/);
  });

  it("is the graph as a pass left it", () => {
    const before = inspect("--print", "tensor", "--after", "associate").stdout;
    const after = inspect("--print", "tensor", "--after", "differentiate").stdout;
    expect(before).not.toContain("grad.");
    expect(after).toContain("grad.");
  });

  it("is the kernels, the most expensive first, or as many as asked for", () => {
    const { stdout } = inspect("--kernels", "--sort", "bytes", "--top", "3", "--json");
    const rows = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { readonly bytes: number; readonly lines: string[] });
    expect(rows.length).toBe(3);
    expect(rows.map(({ bytes }) => bytes)).toEqual(rows.map(({ bytes }) => bytes).sort((a, b) => b - a));
    const ofSite = inspect("--kernels", "--site", "v_proj").stdout.trim().split("\n");
    expect(ofSite[0]).toMatch(/^kernel +dispatches +flop +reads +writes +flop\/byte +computes for +lines$/);
    for (const row of ofSite.slice(1)) expect(row).toContain("v_proj");
  });

  it("is what kernels take, the longest first, where it is measured", () => {
    const { stdout, stderr } = inspect("--kernels", "--measure", "--json", "--length", "32");
    const rows = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { readonly ms: number });
    expect(rows.map(({ ms }) => ms)).toEqual(rows.map(({ ms }) => ms).sort((a, b) => b - a));
    expect(rows[0]!.ms).toBeGreaterThan(0);
    expect(stderr).toMatch(/^measured +WebAssembly .*, median of 5: [\d.]+ ms, dispatches \d+ %$/m);
    expect(stderr).toMatch(/^peak +[\d.]+ \w?flop\/s, [\d.]+ (\wi)?B\/s$/m);
    const table = inspect("--kernels", "--measure", "--sort", "name").stdout.split("\n");
    expect(table[0]).toMatch(
      /^kernel +dispatches +ms +% of time +% of roof +flop +reads +writes +flop\/byte +computes for +lines$/,
    );
  });

  it("is of one stage, or of all stages of a step", () => {
    const rows = (stage: string): { name: string; flops: number }[] =>
      inspect("--kernels", "--json", "--stage", stage)
        .stdout.trim()
        .split("\n")
        .map((line) => JSON.parse(line));
    const flops = (stage: string): number => rows(stage).reduce((sum, row) => sum + row.flops, 0);
    expect(flops("step")).toBe(flops("micro") + flops("update"));
  });

  it("is who holds the memory peak, and what is computed more than once", () => {
    const rows = inspect("--print", "memory", "--json")
      .stdout.trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    const [peak, ...rest] = rows;
    expect(peak).toMatchObject({ type: "peak", stage: "micro" });
    const held = rest.filter(({ type }) => type === "held");
    expect(held.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(peak.bytes);
    for (const { first, last } of held) expect(first <= peak.dispatch && peak.dispatch <= last).toBe(true);
    const again = rest.filter(({ type }) => type === "repeated");
    expect(again.length).toBeGreaterThan(0);
    for (const { dispatches, flops } of again) expect(dispatches.length > 1 && flops > 0).toBe(true);
    const ofSite = inspect("--print", "memory", "--site", "mlp", "--top", "3").stdout;
    expect(ofSite).toMatch(/^At the peak of micro, dispatch \d+: /);
    expect(ofSite).toContain("Computed more than once");
    expect(ofSite).not.toContain("self_attn");
  });

  it("is what rules did, and where they are written", () => {
    const { stdout } = inspect("--print", "rules", "--stage", "micro");
    const [, ...rows] = stdout.trim().split("\n");
    for (const row of rows) expect(row).toMatch(/^[\w-]+ +\d+ {2}micro +(algebra|simplify) +(\S+\.ts:\d+ )? *\S/);
    expect(rows.find((row) => row.startsWith("identity-in-product"))).toContain(" passes/algebra.ts:");
  });

  it("is how far kernels are from f64, the furthest first", () => {
    const how = ["--precision", "--batch", "1"];
    const { stdout } = inspect("--kernels", ...how, "--sort", "error", "--json");
    const rows = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { error: number; own: number });
    expect(rows.length).toBeGreaterThan(5);
    expect(rows.map(({ error }) => error)).toEqual(rows.map(({ error }) => error).sort((a, b) => b - a));
    for (const { error, own } of rows) expect(Math.max(error, own)).toBeLessThan(1e-5);
    expect(inspect("--kernels", ...how, "--top", "1").stdout).toMatch(
      /error +own error[\s\S]*\d\.\de-\d+ +\d\.\de-\d+/,
    );
  });

  it("is kernel IR of the kernels of a module", () => {
    const names = [...inspect("--print", "kernel", "--site", "embed_tokens").stdout.matchAll(/^kernel @(\w+)/gm)];
    const all = [...inspect("--print", "kernel").stdout.matchAll(/^kernel @(\w+)/gm)];
    expect(names.length).toBeGreaterThan(0);
    expect(names.length).toBeLessThan(all.length);
  });
});

it.each([
  [["--kernels", "--sort", "ms"], 2, "CLI-INSPECT", "--measure"],
  [["--kernels", "--sort", "error"], 2, "CLI-INSPECT", "--precision"],
  [["--kernels", "--precision", "--batch", "8192"], 1, "PRECISION-SIZE", "num_hidden_layers"],
  [["--kernels", "--measure", "--target", "default"], 1, "MEASURE-DEVICE", "--target"],
  [["--print", "tensor", "--after", "nothing"], 1, "INSPECT-UNKNOWN", "one of build, attach, algebra"],
  [["--print", "tensor", "--stage", "sideways"], 1, "INSPECT-UNKNOWN", "micro"],
  [["--kernels", "--site", "z_proj"], 1, "INSPECT-UNKNOWN", "q_proj"],
  [["--print", "operator", "--stage", "update"], 1, "INSPECT-UNKNOWN", "--print tensor"],
  [["--print", "tensor", "--stage", "step"], 1, "INSPECT-UNKNOWN", "micro"],
  [["--kernels", "--after", "algebra"], 2, "CLI-INSPECT", "--print operator or tensor"],
  [["--print", "tensor", "--out", "nowhere"], 2, "CLI-INSPECT", "stdout"],
  [["--print", "rules", "--site", "q_proj"], 2, "CLI-INSPECT", "--stage and --top"],
  [["--print", "memory", "--stage", "sideways"], 1, "INSPECT-UNKNOWN", "micro"],
  [["--print", "rules", "--stage", "sideways"], 1, "INSPECT-UNKNOWN", "micro"],
  [["--kernels", "--layer", "99"], 1, "INSPECT-UNKNOWN", "layer 99"],
  [["--kernels", "--mode", "merge"], 1, "INSPECT-UNKNOWN", "merges has no kernels"],
  [["--print", "kernel", "--mode", "merge"], 1, "INSPECT-UNKNOWN", "show its graphs"],
  [["--print", "memory", "--mode", "merge"], 1, "INSPECT-UNKNOWN", "merges has no kernels"],
  [["--site", "q_proj", "--out", "nowhere"], 2, "CLI-INSPECT", "--kernels"],
  [[], 2, "CLI-INSPECT", "--out"],
])("%j is told what there is", (args, exit, error, help) => {
  const { code, stderr, stdout } = inspect(...args);
  expect(code).toBe(exit);
  expect(stdout).toBe("");
  expect(stderr).toContain(error);
  expect(stderr).toContain(help);
});

describe("a command that fails", () => {
  const folder = scratch();
  const config = join(folder, "adapter_config.json");
  const common = ["--model", llama, "--config", config, "--device", "cpu", "--length", "8"];
  const dump = join(folder, "dump");
  const dumped = (name: string): string => readFileSync(join(dump, name), "utf8");

  it("leaves with --dump what was made, and a file that shows the same error again by itself", () => {
    writeFileSync(config, JSON.stringify({ peft_type: "OFT", target_modules: ["nothing"] }));
    const init = ["--model", llama, "--config", config, "--device", "cpu", "--out", join(folder, "out")];
    const failed = webpeft(["init", ...init, "--dump", dump]);
    expect(failed.code).toBe(1);
    expect(existsSync(join(dump, "report.html"))).toBe(true);
    expect(dumped("error.txt")).toContain(failed.stderr.trim().split("\n").at(0)!);
    const again = webpeft(["inspect", "--reproduce", join(dump, "reproduce.json"), "--device", "cpu"]);
    expect(again).toEqual({ code: 1, stdout: "", stderr: failed.stderr });
  });

  it("replaces an earlier dump, and no other folder", () => {
    const first = dumped("error.json");
    writeFileSync(config, JSON.stringify({ peft_type: "LORA", r: 2, target_modules: ["q_proj"] }));
    const eager = ["inspect", ...common, "--print", "tensor", "--stage", "sideways", "--dump"];
    expect(webpeft([...eager, dump]).code).toBe(1);
    expect(dumped("error.json")).not.toBe(first);
    expect(webpeft([...eager, folder]).stderr).toContain("FILE-OUTPUT-EXISTS");
  });

  it("is said not to be there any more where it is not", () => {
    writeFileSync(config, JSON.stringify({ peft_type: "LORA", r: 2, target_modules: ["none"] }));
    expect(webpeft(["inspect", ...common, "--out", join(folder, "made")]).code).toBe(1);
    const file = join(folder, "made", "reproduce.json");
    const text = readFileSync(file, "utf8").replace('["none"]', '["q_proj"]');
    writeFileSync(file, text);
    const again = webpeft(["inspect", "--reproduce", file, "--device", "cpu"]);
    expect([again.code, again.stderr]).toEqual([0, ""]);
    expect(again.stdout).toContain("no error");
  });
});
