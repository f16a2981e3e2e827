/** `--debug 1..4`: what each level tells, on stderr alone, and that the next one tells it too. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { type Finished, golden, llama, scratch, webpeft } from "./helpers.ts";

const folder = scratch();
const adapter = join(golden, "cases/llama-lora");
const evaluated = (level: number, device: string): Finished =>
  webpeft([
    ...["eval", "--model", llama, "--adapter", adapter, "--device", device, "--debug", String(level), "--json"],
    ...["--input", join(adapter, "inputs.safetensors"), "--out", join(folder, "out.safetensors")],
  ]);
const lines = ({ stderr }: Finished, what: string): string[] =>
  stderr.split("\n").filter((line) => line.startsWith(`debug ${what}`));

it("tells what every level is for, and nothing of it on stdout", () => {
  const all = [0, 1, 2, 3, 4].map((level) => evaluated(level, "cpu"));
  for (const { code, stdout } of all) {
    expect(code).toBe(0);
    expect(stdout).toBe(all[0]!.stdout);
  }
  const told = ["pass ", "kernel ", "cost ", "text of "].map((what) => all.map((one) => lines(one, what).length > 0));
  expect(told).toEqual([
    [false, true, true, true, true],
    [false, false, true, true, true],
    [false, false, false, true, true],
    [false, false, false, false, true],
  ]);
  expect(lines(all[0]!, "")).toEqual([]);
  const [most] = all.slice(-1);
  expect(lines(most!, "pass forward/algebra")[0]).toMatch(/: [\d.]+ ms, \d+ to \d+ nodes; .*flatten-product \d+/);
  expect(most!.stderr).toMatch(/^debug text of .*\n(.*\n)*@group\(0\)/m);
});

it.each(["webgpu", "cpu"])("measures kernels on %s", (device) => {
  const measured = evaluated(2, device);
  expect(measured.code).toBe(0);
  expect(lines(measured, "kernels")[0]).toMatch(/kernels: \d+ runs, each measured by itself/);
  const kernels = lines(measured, "kernel ");
  expect(kernels.length).toBeGreaterThan(5);
  for (const line of kernels)
    expect(line).toMatch(/: \d+ dispatch(es)? of [\d.]+ us(, [\d.]+ GFLOP\/s, [\d.]+ ([KMG]i)?B\/s| and .*)$/);
});

it("tells which schedules were compared, and what is planned where nothing runs", () => {
  const inspected = webpeft([
    ...["inspect", "--model", llama, "--adapter", adapter, "--target", "default", "--length", "128", "--debug", "3"],
    ...["--out", join(folder, "inspected")],
  ]);
  expect(inspected.code).toBe(0);
  expect(lines(inspected, "cost micro/schedule")[0]).toMatch(
    /: [\w ]+ \([\w ]+ [\d.]+( [kMG])?, [\w ,.]+\)(, \d+ times)?$/,
  );
  expect(lines(inspected, "kernels")[0]).toContain("no times were measured");
  expect(lines(inspected, "kernel ")[0]).toMatch(/: \d+ dispatch(es)? of [\d.]+ [kMG]?flop and [\d.]+ ([KMG]i)?B$/);
});

it("takes 0 to 4; a command that fails before it compiles has no kernels to tell of", () => {
  expect(webpeft(["doctor", "--device", "cpu", "--debug", "5"])).toMatchObject({ code: 2 });
  const out = join(folder, "none");
  const failed = webpeft([
    ...["init", "--model", llama, "--config", join(adapter, "adapter_config.json"), "--device", "cpu", "--debug", "2"],
    ...["--method", join(golden, "nothing-there"), "--out", out],
  ]);
  expect(failed.code).toBe(1);
  expect(lines(failed, "kernel")).toEqual([]);
  expect(existsSync(out)).toBe(false);
});
