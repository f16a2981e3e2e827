import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import { reportPagePlugin } from "./scripts/page-plugin.mjs";
import { isAll } from "./test/extent.ts";
import { SlowFirst } from "./test/sequencer.ts";

/** They take the process with them: devices that are lost, environments that they change. */
const alone = ["test/device/{device,swiftshader}.test.ts"];

/**
 * Tests run most of their code a few times: V8 of Node 20 would spend as long on making it fast as they take. Later ones have a compiler in
 * between that costs little, and do not know the option. Most objects die young.
 */
const execArgv = [
  "--max-semi-space-size=64",
  ...(process.version.startsWith("v20.") ? ["--interrupt-budget=400000"] : []),
];

/**
 * Where nothing else is said, a short run takes the driver that is bundled: it compiles a kernel in a quarter of the time of Mesa's, and is the
 * same on every machine. `npm run test:all` takes what the system has.
 */
const env = isAll ? {} : { VK_DRIVER_FILES: process.env.VK_DRIVER_FILES ?? "none" };

export default defineConfig({
  define: { __VERSION__: JSON.stringify("test") },
  plugins: [reportPagePlugin()],
  resolve: { alias: { webpeft: fileURLToPath(new URL("./src/index.ts", import.meta.url)) } },
  test: {
    globalSetup: ["test/cli/build.ts"],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    pool: "forks",
    maxWorkers: 2,
    execArgv,
    env,
    sequence: { sequencer: SlowFirst },
    projects: [
      { extends: true, test: { name: "alone", include: alone } },
      // Two processes share all other files: the compiler is loaded, and made fast by its use, twice instead of a hundred times.
      { extends: true, test: { name: "shared", include: ["test/**/*.test.ts"], exclude: alone, isolate: false } },
    ],
  },
});
