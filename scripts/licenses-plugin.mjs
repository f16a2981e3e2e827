// Puts the licences of the packages that a build takes in beside it, as they ask for: `third-party-licenses.txt`. For rolldown and tsdown.
import { readdirSync, readFileSync } from "node:fs";

/** The folder of a module's package; undefined for modules of our own. */
const packageFolder = (id) => id.match(/^.*[\\/]node_modules[\\/](?:@[^\\/]+[\\/])?[^\\/]+(?=[\\/])/)?.[0];

/** The name of the package in a folder, and its licence. */
export function noticeOf(folder) {
  const { name } = JSON.parse(readFileSync(`${folder}/package.json`, "utf8"));
  const file = readdirSync(folder).find((entry) => /^licen[cs]e(\.|$)/i.test(entry));
  if (file === undefined) throw new Error(`${name} has no file with its licence`);
  return `${name}\n\n${readFileSync(`${folder}/${file}`, "utf8").trim()}\n`;
}

export function licensesPlugin() {
  return {
    name: "third-party-licenses",
    generateBundle(_options, bundle) {
      const modules = Object.values(bundle).flatMap((file) => (file.type === "chunk" ? file.moduleIds : []));
      const folders = [...new Set(modules.flatMap((id) => packageFolder(id) ?? []))].sort();
      if (folders.length === 0) return;
      this.emitFile({ type: "asset", fileName: "third-party-licenses.txt", source: folders.map(noticeOf).join("\n") });
    },
  };
}
