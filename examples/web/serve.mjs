// Bundles this folder's page and serves it with the small model beside it: `node examples/web/serve.mjs [port]`.
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { rolldown } from "rolldown";

const here = fileURLToPath(new URL(".", import.meta.url));
const model = join(here, "..", "tiny-llama");
const types = { ".html": "text/html", ".js": "text/javascript", ".json": "application/json" };
const modelFiles = [
  "config.json",
  "model.safetensors",
  "tokenizer.json",
  "tokenizer_config.json",
  "generation_config.json",
];

/** The page's script with webpeft in it, from what was built or from its sources. */
export async function pageScript(webpeft = join(here, "../../dist/index.js"), plugins = []) {
  const bundle = await rolldown({
    input: join(here, "page.ts"),
    platform: "browser",
    // What only Node has is loaded by code that does not run here.
    external: [/^node:/, "webgpu"],
    resolve: { alias: { webpeft } },
    plugins,
    logLevel: "silent",
  });
  const { output } = await bundle.generate({ format: "esm", codeSplitting: false });
  await bundle.close();
  return output[0].code;
}

/** What an address of the page gives: its own files and the model's. Nothing else is served. */
export async function answer(path, script) {
  const name = path === "/" ? "index.html" : path.slice(1);
  if (name === "page.js") return { type: types[".js"], body: script };
  const type = types[extname(name)] ?? "application/octet-stream";
  if (name === "index.html") return { type, body: await readFile(join(here, name)) };
  const [folder, file] = name.split("/");
  if (folder === "model" && modelFiles.includes(file)) return { type, body: await readFile(join(model, file)) };
  return undefined;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const script = await pageScript();
  const port = Number(process.argv[2] ?? 8080);
  const server = createServer(async (request, response) => {
    const found = await answer(new URL(request.url, "http://localhost").pathname, script);
    response.writeHead(found === undefined ? 404 : 200, { "content-type": found?.type ?? "text/plain" });
    response.end(found?.body ?? "there is no such file");
  });
  server.listen(port, "127.0.0.1", () => console.log(`http://localhost:${port}/`));
}
