/** `webpeft doctor`: devices found, what `auto` takes and why. */
import { listDevices } from "../runtime/device/index.ts";
import { threadsHere } from "../runtime/executors/wasm/workers.ts";
import { emit, type PrintOptions, say } from "./output.ts";

export async function run(raw: Record<string, unknown>): Promise<number | undefined> {
  const options = raw as PrintOptions;
  const report = await listDevices();
  for (const { source, outcome, reason, adapter, milliseconds } of report.attempts) {
    const what =
      adapter === undefined ? (reason ?? outcome) : `${adapter.description} (${adapter.kind}, ${adapter.backend})`;
    say(options, `${source.padEnd(12)} ${outcome.padEnd(7)} ${what}   ${milliseconds} ms`);
  }
  const threads = await threadsHere();
  say(options, `${"cpu".padEnd(12)} found   WebAssembly on ${threads === 1 ? "one thread" : `${threads} threads`}`);
  say(options, `auto takes ${report.choice.executor}: ${report.choice.reason}`);
  emit(options, { type: "doctor", ...report, cpu: { threads } });
  return 0;
}
