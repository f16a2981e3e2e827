// Puts the programs of workers into `src/runtime/executors/wasm/worker-text.ts` as plain texts when what is published is built: made of functions when it runs,
// they would be what a later bundler makes of those. For tsdown and rolldown.
import { fileURLToPath } from "node:url";
import { rolldown } from "rolldown";

const file = fileURLToPath(new URL("../src/runtime/executors/wasm/worker-text.ts", import.meta.url));

async function texts() {
  const bundle = await rolldown({ input: file, platform: "neutral", logLevel: "warn" });
  const { output } = await bundle.generate({ format: "esm", minify: true, comments: { legal: false } });
  await bundle.close();
  const made = await import(`data:text/javascript,${encodeURIComponent(output[0].code)}`);
  return Object.entries(made).map(([name, text]) => `export const ${name} = ${JSON.stringify(text)};\n`).join("");
}

export function workerTextPlugin() {
  return {
    name: "worker-text",
    load(id) {
      if (!/src[\\/]runtime[\\/]executors[\\/]wasm[\\/]worker-text\.ts$/.test(id)) return undefined;
      return texts().then((code) => ({ code, moduleType: "js", map: null }));
    },
  };
}
