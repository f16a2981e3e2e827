/** The way to an adapter: the host's own WebGPU, Dawn on the system's drivers, Dawn on SwiftShader. */
import { WebpeftError } from "../../ir/diagnostics.ts";
import { dawnPackage, swiftShaderDawn, systemDawn } from "./dawn.ts";
import { adapterFacts } from "./facts.ts";
import { findPackage, hostGpu, isNode } from "./host.ts";
import { chromiumPackage } from "./swiftshader.ts";
import type { AdapterFacts, DeviceAttempt, DeviceOptions, DeviceReport, DeviceSource } from "./types.ts";

export interface FoundAdapter {
  readonly adapter: GPUAdapter;
  readonly facts: AdapterFacts;
}

export interface SearchStep {
  readonly attempt: DeviceAttempt;
  readonly found?: FoundAdapter;
}

/** The places to look in, in this order. */
export function deviceSources(): readonly DeviceSource[] {
  if (hostGpu() !== undefined || !isNode()) return ["navigator"];
  return ["dawn", "swiftshader"];
}

/** Looks in one place. What is wrong there is told in the attempt, never thrown. */
export async function searchIn(source: DeviceSource, power: DeviceOptions["power"]): Promise<SearchStep> {
  const begin = performance.now();
  const took = (): number => Math.round(performance.now() - begin);
  let gpu: GPU;
  try {
    gpu = await instance(source);
  } catch (error) {
    if (!(error instanceof WebpeftError)) throw error;
    return { attempt: { source, outcome: "absent", reason: reasonOf(error), milliseconds: took() } };
  }
  const adapter = await gpu.requestAdapter(power === undefined ? {} : { powerPreference: power }).catch(() => null);
  if (adapter === null) {
    const reason = source === "navigator" ? "the browser offers no adapter" : "no driver that Dawn can use";
    return { attempt: { source, outcome: "none", reason, milliseconds: took() } };
  }
  const facts = adapterFacts(adapter.info, source);
  return {
    attempt: { source, outcome: "found", adapter: facts, milliseconds: took() },
    found: { adapter, facts },
  };
}

async function instance(source: DeviceSource): Promise<GPU> {
  if (source === "dawn") return systemDawn();
  if (source === "swiftshader") return swiftShaderDawn();
  const gpu = hostGpu();
  if (gpu === undefined) {
    throw new WebpeftError("DEVICE-NONE", {
      message: "this browser has no WebGPU, or the page is not served over https or from localhost",
    });
  }
  return gpu;
}

const reasonOf = (error: WebpeftError): string =>
  [error.message, error.got === undefined ? "" : `(${error.got})`, error.help ?? ""].filter((t) => t !== "").join("; ");

/**
 * Whether `auto` takes an adapter before the CPU executor. Matrix products, GFLOP/s on two cores: WebAssembly 74, lavapipe 13 to 20,
 * SwiftShader 3.
 */
export const worthTaking = (adapter: AdapterFacts): boolean => !adapter.software;

/** What `auto` takes of what was found, and why. */
export function chooseExecutor(attempts: readonly DeviceAttempt[]): DeviceReport["choice"] {
  const found = attempts.filter((a) => a.adapter !== undefined).map((a) => a.adapter!);
  const taken = found.find(worthTaking);
  if (taken !== undefined) {
    return { executor: "webgpu", source: taken.source, reason: `${taken.description} is hardware` };
  }
  const first = found[0];
  return first === undefined
    ? { executor: "cpu", reason: "there is no WebGPU adapter" }
    : {
        executor: "cpu",
        reason: `${first.description} is a software driver, and those multiply matrices slower than WebAssembly does`,
      };
}

/** Looks everywhere, for `webpeft doctor`; opens nothing. */
export async function listDevices(): Promise<DeviceReport> {
  const attempts: DeviceAttempt[] = [];
  for (const source of deviceSources()) attempts.push((await searchIn(source, undefined)).attempt);
  return { attempts, choice: chooseExecutor(attempts), versions: await versions() };
}

async function versions(): Promise<Record<string, string>> {
  if (!isNode()) return { userAgent: navigator.userAgent };
  const found: Record<string, string> = { node: process.versions.node };
  for (const name of [dawnPackage, chromiumPackage])
    found[name] = (await findPackage(name))?.version ?? "not installed";
  return found;
}
