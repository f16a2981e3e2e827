import { defineConfig } from "tsdown";

export default defineConfig({
  entry: { webpeft: "webpeft.ts", methods: "methods.ts" },
  outDir: "results/webpeft",
  format: "esm",
  platform: "neutral",
  target: "es2022",
  fixedExtension: false,
  dts: false,
  define: { __VERSION__: JSON.stringify("bench") },
});
