/**
 * Files with which text becomes tokens and chats become text. An adapter's folder may hold those that it was trained with; they then go before
 * the base model's, group by group, so that two tokenizers are never mixed.
 */
import { type FileTree, readText } from "./folder.ts";
import { isJsonObject } from "./json.ts";

const configFile = "tokenizer_config.json";

const groups = {
  vocabulary: [
    "tokenizer.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
  ],
  config: [configFile, "special_tokens_map.json"],
  template: ["chat_template.jinja", "chat_template.json"],
} as const;

type Group = keyof typeof groups;
const groupNames = Object.keys(groups) as Group[];

export const textFiles: readonly string[] = groupNames.flatMap((group) => groups[group]);

const groupOf = (path: string): Group | undefined =>
  groupNames.find((group) => (groups[group] as readonly string[]).includes(path));

async function firstOf(tree: FileTree, names: readonly string[]): Promise<string | undefined> {
  const listed = await tree.list();
  if (listed !== undefined) return names.find((name) => listed.includes(name));
  for (const name of names) if ((await tree.open(name)) !== undefined) return name;
  return undefined;
}

/** A template in the tokenizer's config is one too: a file of the base model must not go before it. */
async function hasTemplate(tree: FileTree): Promise<boolean> {
  if ((await firstOf(tree, groups.template)) !== undefined) return true;
  const text = await readText(tree, configFile);
  try {
    const config: unknown = JSON.parse(text ?? "{}");
    return isJsonObject(config) && "chat_template" in config;
  } catch {
    // Whoever reads the file tells what is wrong with it.
    return true;
  }
}

/** A folder with the text files of `over` where it has some. Every group comes from one of the two. Nothing is read before it is asked for. */
export function withTextOf(base: FileTree | undefined, over: FileTree | undefined): FileTree | undefined {
  if (over === undefined) return base;
  const known = new Map<Group, Promise<boolean>>();
  const owns = (group: Group): Promise<boolean> => {
    const asked = known.get(group);
    if (asked !== undefined) return asked;
    const answer =
      group === "template" ? hasTemplate(over) : firstOf(over, groups[group]).then((name) => name !== undefined);
    known.set(group, answer);
    return answer;
  };
  const homeOf = async (path: string): Promise<FileTree | undefined> => {
    const group = groupOf(path);
    return group !== undefined && (await owns(group)) ? over : base;
  };
  const namesAt = async (tree: FileTree, here: FileTree | undefined): Promise<string[]> => {
    const names = (await tree.list()) ?? [];
    const homes = await Promise.all(names.map(homeOf));
    return names.filter((name, i) => homes[i] === here && (tree === base || groupOf(name) !== undefined));
  };
  return {
    ...(base ?? { name: over.name }),
    async list() {
      if (base !== undefined && (await base.list()) === undefined) return undefined;
      if ((await over.list()) === undefined) return undefined;
      const own = base === undefined ? [] : await namesAt(base, base);
      return [...own, ...(await namesAt(over, over))].sort();
    },
    open: async (path, options) => (await homeOf(path))?.open(path, options),
  };
}

/** The text files of a folder, whole. */
export async function readTextFiles(tree: FileTree | undefined): Promise<Map<string, Uint8Array>> {
  const files = new Map<string, Uint8Array>();
  const listed = await tree?.list();
  for (const name of textFiles) {
    if (tree === undefined || (listed !== undefined && !listed.includes(name))) continue;
    const source = await tree.open(name);
    if (source !== undefined) files.set(name, await source.read(0, source.size));
  }
  return files;
}

/** How many rows of a table the tokens of a `tokenizer.json` need; undefined where it does not say. */
export function tokenCount(text: string): number | undefined {
  const json: unknown = JSON.parse(text);
  if (!isJsonObject(json)) return undefined;
  const { model, added_tokens: added } = json;
  const vocabulary = isJsonObject(model) ? model.vocab : undefined;
  const listed = Array.isArray(vocabulary) ? vocabulary.map((_entry, id) => id) : Object.values(vocabulary ?? {});
  const more = Array.isArray(added) ? added.map((token: unknown) => (isJsonObject(token) ? token.id : undefined)) : [];
  const ids = [...listed, ...more].filter((id): id is number => Number.isSafeInteger(id));
  return ids.length === 0 ? undefined : ids.reduce((most, id) => Math.max(most, id), 0) + 1;
}
