import { defineConfig } from "tsdown";

/** Everything in one file but the packages that bring binaries. */
export default defineConfig({
  entry: { check: "check.ts" },
  outDir: "../gpu-packed",
  format: "esm",
  platform: "node",
  target: "es2022",
  fixedExtension: false,
  dts: false,
  clean: false,
  deps: { neverBundle: ["webgpu", /^node:/], alwaysBundle: [/^(?!webgpu$|node:)/] },
  shims: true,
  define: { __VERSION__: JSON.stringify("gpu-check") },
});
