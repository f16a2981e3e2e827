// Puts the script and the style of the report into `src/inspect/page-text.ts` when something is built: `src/inspect/page/` as one minified
// text. For tsdown, rolldown and vite.
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { rolldown } from "rolldown";
import { noticeOf } from "./licenses-plugin.mjs";

const folder = fileURLToPath(new URL("../src/inspect/page/", import.meta.url));

async function bundledScript() {
  const bundle = await rolldown({ input: `${folder}main.ts`, platform: "browser", logLevel: "warn" });
  const { output } = await bundle.generate({ format: "iife", minify: true, comments: { legal: false } });
  await bundle.close();
  // Neither may end the element that it stands in.
  return output[0].code.replaceAll("</script", "<\\/script");
}

const squeezed = (css) =>
  css
    .replace(/\/\*.*?\*\//gs, "")
    .replace(/\s+/g, " ")
    .replace(/ ?([{};,>]) ?/g, "$1")
    .trim();

/** What the licences of the libraries in the script ask to stand beside them. */
function notices() {
  const packages = ["@dagrejs/dagre", "@dagrejs/graphlib"];
  return packages
    .map((name) => noticeOf(fileURLToPath(new URL(".", import.meta.resolve(`${name}/package.json`)))))
    .join("\n");
}

/** Where the rules of passes are written: the lines of their names. */
function rulePlaces() {
  const folders = ["passes", "ir/operators"];
  const rules = folders.flatMap((folder) => {
    const path = fileURLToPath(new URL(`../src/${folder}/`, import.meta.url));
    return readdirSync(path).flatMap((file) =>
      readFileSync(`${path}${file}`, "utf8").split("\n").flatMap((line, at) =>
        [...line.matchAll(/\bname: "([\w-]+)"/g)].map(([, name]) => [name, `${folder}/${file}:${at + 1}`]),
      ),
    );
  });
  return Object.fromEntries(rules);
}

async function pageText() {
  const texts = {
    rulePlaces: rulePlaces(),
    pageScript: await bundledScript(),
    pageStyle: squeezed(readFileSync(`${folder}style.css`, "utf8")),
    pageNotices: notices(),
  };
  return Object.entries(texts).map(([name, text]) => `export const ${name} = ${JSON.stringify(text)};\n`).join("");
}

export function reportPagePlugin() {
  let text;
  return {
    name: "report-page",
    load(id) {
      if (!/src[\\/]inspect[\\/]page-text\.ts$/.test(id)) return undefined;
      text ??= pageText();
      return text.then((code) => ({ code, moduleType: "js", map: null }));
    },
  };
}
