/** Names come from strangers: what a terminal would act on is shown, not sent. */
import { expect, it } from "vitest";
import { DiagnosticSink, formatDiagnostic, printable, WebpeftError } from "../../src/ir/diagnostics.ts";
import { readAdapter } from "../../src/runtime/files/adapter.ts";
import { openSafetensors } from "../../src/runtime/files/safetensors.ts";
import { bytesSource } from "../../src/runtime/files/source.ts";
import { failure, rawFile } from "./helpers.ts";

const hostile = "a\u001b[2J\u0007\u009b31m\u202e\r";
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const acting = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202e]/;

it("errors, warnings and notes hold no character that a terminal acts on", () => {
  const fields = {
    message: hostile,
    where: `${hostile}\nerror FAKE: x`,
    expected: hostile,
    got: hostile,
    help: hostile,
  };
  const sink = new DiagnosticSink();
  sink.warn("DATA-LOST", fields);
  sink.note("METHOD-FILE", fields);
  const error = new WebpeftError("FILE-READ", fields);
  for (const diagnostic of [
    ...sink.diagnostics,
    ...error.diagnostics,
    { code: "FILE-PATH" as const, severity: "error" as const, ...fields },
  ]) {
    const text = formatDiagnostic(diagnostic);
    expect(text).not.toMatch(acting);
    expect(text).not.toMatch(/^error FAKE/m);
  }
  expect(error.message).toBe("a\\u001b[2J\\u0007\\u009b31m\\u202e\\u000d");
  expect(printable("plain\n\tä é 漢 😀")).toBe("plain\n\tä é 漢 😀");
});

it("lines of a text that is told are set in, so that none looks like a line of the message", () => {
  const text = formatDiagnostic({ code: "DATA-LOST", severity: "warning", message: "m", got: "one\nerror FAKE: two" });
  expect(text.split("\n").filter((line) => /^\S/.test(line))).toEqual(["warning DATA-LOST: m"]);
});

it("names of tensors and of experts reach messages escaped", async () => {
  const header = JSON.stringify({ [hostile]: { dtype: "F33", shape: [1], data_offsets: [0, 4] } });
  const tensor = await failure(() => openSafetensors(bytesSource("file", rawFile(header, 4))));
  const config = JSON.stringify({ peft_type: "XLORA", adapters: { [hostile]: hostile } });
  const expert = await failure(() =>
    readAdapter({ "adapter_config.json": config, "adapter_model.safetensors": rawFile("{}") }),
  );
  for (const { message, where = "", got = "" } of [tensor, expert]) expect(message + where + got).not.toMatch(acting);
});
