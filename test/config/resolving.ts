/** Short ways to resolve a config in tests: on the golden llama with OFT unless told otherwise. */
import { expect } from "vitest";
import { DiagnosticSink, WebpeftError } from "../../src/ir/diagnostics.ts";
import { type MethodConfig, resolveAdapter } from "../../src/methods/config/index.ts";
import type { ModuleInfo } from "../../src/models/model.ts";
import { oft } from "./methods.ts";
import { llama } from "./models.ts";

export interface Options {
  method?: MethodConfig;
  modules?: ModuleInfo[];
  modelType?: string;
  sink?: DiagnosticSink;
  /** Keys of the adapter's file. */
  held?: string[];
}

export function resolve(config: Record<string, unknown>, options: Options = {}) {
  const { method = oft, modules = llama(), modelType = "llama", sink = new DiagnosticSink(), held } = options;
  const whole = { peft_type: method.peftType, ...config };
  return resolveAdapter(whole, method, modules, { model_type: modelType }, sink, { held });
}

export const hits = (config: Record<string, unknown>, options?: Options): string[] =>
  resolve(config, options).sites.map((site) => site.path);

export function messageOf(config: Record<string, unknown>, options?: Options): string {
  try {
    resolve(config, options);
  } catch (error) {
    expect(error).toBeInstanceOf(WebpeftError);
    return (error as WebpeftError).message;
  }
  return "no error";
}
