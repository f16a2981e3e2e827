import { readFileSync } from "node:fs";
import { defineConfig } from "tsdown";
import { licensesPlugin } from "./scripts/licenses-plugin.mjs";
import { reportPagePlugin } from "./scripts/page-plugin.mjs";
import { workerTextPlugin } from "./scripts/worker-text-plugin.mjs";

const { version } = JSON.parse(readFileSync(new URL("package.json", import.meta.url), "utf8")) as { version: string };

export default defineConfig({
  entry: { index: "src/index.ts", cli: "src/cli/main.ts" },
  format: "esm",
  platform: "neutral",
  target: "es2022",
  fixedExtension: false,
  dts: true,
  sourcemap: true,
  clean: true,
  // Node's modules are imported where only Node comes by; the neutral platform does not know them.
  deps: { neverBundle: [/^node:/] },
  inputOptions: { resolve: { mainFields: ["module", "main"] } },
  plugins: [reportPagePlugin(), workerTextPlugin(), licensesPlugin()],
  checks: { pluginTimings: false },
  define: { __VERSION__: JSON.stringify(version) },
});
