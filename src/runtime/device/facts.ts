/** Facts about adapters and devices as plain JSON. */
import type { AdapterFacts, AdapterKind, DeviceSource, TargetFacts } from "./types.ts";

/** Features that kernels use where they are offered. */
const usefulFeatures: readonly GPUFeatureName[] = ["subgroups", "shader-f16", "timestamp-query"];

/** Limits that grow with the memory of the device: large models want all of it. Everything else stays at the portable default. */
const memoryLimits = ["maxBufferSize", "maxStorageBufferBindingSize"] as const;

export function adapterKind(info: GPUAdapterInfo): AdapterKind {
  const text = `${info.vendor} ${info.architecture} ${info.device} ${info.description}`.toLowerCase();
  if (/llvmpipe|lavapipe/.test(text)) return "lavapipe";
  if (text.includes("swiftshader")) return "swiftshader";
  const software = info.isFallbackAdapter === true || /basic render|\bwarp\b|\bsoftware\b/.test(text);
  return software ? "software" : "hardware";
}

export function adapterFacts(info: GPUAdapterInfo, source: DeviceSource): AdapterFacts {
  const kind = adapterKind(info);
  return {
    source,
    kind,
    software: kind !== "hardware",
    vendor: info.vendor,
    architecture: info.architecture,
    description: info.description || info.device || info.architecture || info.vendor || "unnamed adapter",
    backend: backendName(source),
  };
}

/** Dawn's choice by platform; the host's own WebGPU does not say what it stands on. */
function backendName(source: DeviceSource): string {
  if (source === "navigator") return "webgpu";
  if (source === "swiftshader") return "vulkan";
  const byPlatform: Record<string, string> = { darwin: "metal", win32: "d3d12" };
  return byPlatform[process.platform] ?? "vulkan";
}

/** What to ask of an adapter: useful features that it has, and its memory limits. */
export function deviceDescriptor(adapter: GPUAdapter): GPUDeviceDescriptor {
  return {
    label: "webpeft",
    requiredFeatures: usefulFeatures.filter((name) => adapter.features.has(name)),
    requiredLimits: Object.fromEntries(memoryLimits.map((name) => [name, adapter.limits[name]])),
  };
}

export function targetFacts(device: GPUDevice, info: GPUAdapterInfo): TargetFacts {
  const kind = adapterKind(info);
  const subgroups = device.features.has("subgroups");
  return {
    kind,
    software: kind !== "hardware",
    vendor: info.vendor,
    architecture: info.architecture,
    features: [...device.features].sort(),
    limits: limitsRecord(device.limits),
    subgroupMinSize: subgroups ? info.subgroupMinSize : 0,
    subgroupMaxSize: subgroups ? info.subgroupMaxSize : 0,
  };
}

/** Limits are getters of the prototype, so that neither `Object.entries` nor JSON sees them. */
function limitsRecord(limits: GPUSupportedLimits): Record<string, number> {
  const found: [string, number][] = [];
  for (const name in limits) {
    const value: unknown = limits[name as keyof GPUSupportedLimits];
    if (typeof value === "number") found.push([name, value]);
  }
  return Object.fromEntries(found.sort(([a], [b]) => (a < b ? -1 : 1)));
}
