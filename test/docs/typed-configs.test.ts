/** Typed configs accept what PEFT saves: the golden config of every case is a literal of its method's type. */
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { expect, it } from "vitest";
import { commonFields } from "../../src/methods/config/common.ts";
import { type Method, methodFor, methods } from "../../src/methods/index.ts";
import { goldenCases, goldenJson } from "../config/golden.ts";
import { camel } from "./typed-configs.ts";

const file = fileURLToPath(new URL("golden-literals.ts", import.meta.url));

/** What is wrong with a text that calls the functions of `typed`, line by line. */
function complaints(lines: readonly string[]): string[] {
  const text = ['import * as typed from "../../src/methods/typed/index.ts";', ...lines].join("\n");
  const options: ts.CompilerOptions = {
    ...{ strict: true, exactOptionalPropertyTypes: true, noEmit: true, allowImportingTsExtensions: true, types: [] },
    ...{ target: ts.ScriptTarget.ES2022, lib: ["lib.es2022.d.ts"], skipLibCheck: true },
    ...{ module: ts.ModuleKind.ESNext, moduleResolution: ts.ModuleResolutionKind.Bundler },
  };
  const host = ts.createCompilerHost(options);
  const { fileExists, readFile } = host;
  host.fileExists = (path) => path === file || fileExists(path);
  host.readFile = (path) => (path === file ? text : readFile(path));
  const program = ts.createProgram([file], options, host);
  return ts.getPreEmitDiagnostics(program, program.getSourceFile(file)).map(({ start, messageText }) => {
    const line = text.slice(0, start).split("\n").length - 1;
    return `${text.split("\n")[line]}: ${ts.flattenDiagnosticMessageText(messageText, "\n")}`;
  });
}

const saved = goldenCases()
  .map((name) => goldenJson(`cases/${name}/adapter_config.json`))
  .map((config) => ({ config, method: methodFor(config.peft_type as string, config)! }))
  // The types are those of the methods, not of their variants.
  .filter(({ method }) => methods.get(method.peftType) === method);

/** The call with those of a config's fields that have an effect. */
function literal({ name, fields, profile }: Method, config: Readonly<Record<string, unknown>>): string {
  const known = new Set<string>([...[...fields, ...commonFields].map((field) => field.name), ...profile.shared]);
  const kept = Object.entries(config).filter(([field]) => known.has(field));
  return `typed.${camel(name)}(${JSON.stringify(Object.fromEntries(kept))});`;
}

it("are those of all golden configs, and have no other fields", { timeout: 60_000 }, () => {
  expect(new Set(saved.map(({ method }) => method))).toEqual(new Set(methods.values()));
  const literals = saved.map(({ config, method }) => literal(method, config));
  const unknown = [...methods.values()].map(({ name }) => `typed.${camel(name)}({ no_such_field: 1 });`);
  const refused = complaints([...literals, ...unknown]).map((complaint) =>
    complaint.slice(0, complaint.indexOf(";") + 1),
  );
  expect(refused).toEqual(unknown);
});
