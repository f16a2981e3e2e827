/** The documentation says what is so: the page of methods is the registry's, links and paths lead somewhere. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { compile } from "../../src/compile/index.ts";
import { hasOp } from "../../src/ir/registry.ts";
import { methods, parseMethod } from "../../src/methods/index.ts";
import { oft } from "../../src/methods/typed/index.ts";
import { baseModel } from "../golden/helpers.ts";
import { gallery } from "./gallery.ts";
import { functionExamples } from "./language-examples.ts";
import { everyBuiltin, languagePage } from "./language-page.ts";
import { methodsPage } from "./methods-page.ts";
import { typedCommon, typedConfig, typedFile, typedIndex } from "./typed-configs.ts";
import { workedSite } from "./worked-site.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const pages = readdirSync(join(root, "docs")).filter((name) => name.endsWith(".md"));
const text = (page: string): string => readFileSync(join(root, "docs", page), "utf8");

it("docs/methods.md is what the registry says", async () => {
  await expect(methodsPage()).toMatchFileSnapshot(join(root, "docs", "methods.md"));
});

it("docs/architecture.md shows a site as the compiler lowers it", async () => {
  const section = `<!-- site -->\n\n${await workedSite()}\n\n<!-- /site -->`;
  const page = text("architecture.md").replace(/<!-- site -->.*<!-- \/site -->/s, () => section);
  await expect(page).toMatchFileSnapshot(join(root, "docs", "architecture.md"));
});

it("docs/language.md is what the tables of the language say, and its examples compile", async () => {
  await expect(languagePage()).toMatchFileSnapshot(join(root, "docs", "language.md"));
  expect(
    Object.keys(functionExamples).filter((name) => !everyBuiltin.some((builtin) => builtin.name === name)),
  ).toEqual([]);
});

describe.each(["llama", "qwen2"])("the methods from papers compile on %s", (base) => {
  it.each(Object.entries(gallery))("%s", async (_heading, method) => {
    const config = { target_modules: ["q_proj", "k_proj", "down_proj"] };
    const { diagnostics } = await compile(await baseModel(base), config, { batch: 2, length: 4, method });
    expect(diagnostics).toEqual([]);
  });
});

describe("typed configs are what the registry says", () => {
  const file = (name: string) => join(root, "src", "methods", "typed", name);
  it.each([...methods.values()])("$peftType", async (method) => {
    await expect(typedConfig(method)).toMatchFileSnapshot(file(typedFile(method)));
  });
  it("refuse unknown names and wrong types when they are compiled", () => {
    expect(oft({ oft_block_size: 32, target_modules: ["q_proj"] })).toEqual({
      peft_type: "OFT",
      oft_block_size: 32,
      target_modules: ["q_proj"],
    });
    // @ts-expect-error no such field
    expect(oft({ block_size: 32 }).peft_type).toBe("OFT");
    // @ts-expect-error a number
    expect(oft({ oft_block_size: "32" }).peft_type).toBe("OFT");
  });
  it("and their index", async () => {
    await expect(typedCommon()).toMatchFileSnapshot(file("common.ts"));
    await expect(typedIndex()).toMatchFileSnapshot(file("index.ts"));
  });
});

describe.each(pages)("docs/%s", (page) => {
  it("links to files that exist", () => {
    const links = [...text(page).matchAll(/\]\(([^)#]+)[^)]*\)/g)].map((match) => match[1]!);
    const local = links.filter((link) => !link.includes("://"));
    expect(local.filter((link) => !existsSync(join(root, dirname(`docs/${page}`), link)))).toEqual([]);
  });

  it("names files that exist", () => {
    const named = [...text(page).matchAll(/`((?:src|test|examples|docs|bench)\/[\w./-]+)`/g)].map((match) => match[1]!);
    expect(named.filter((path) => !existsSync(join(root, path)))).toEqual([]);
  });
});

it("the method of docs/add-a-method.md is one", () => {
  const [, fragment] = text("add-a-method.md").match(/```\n(method [\s\S]*?)```/)!;
  expect(parseMethod(fragment!).fields.map((field) => field.name)).toEqual(["init_weights"]);
});

it("docs/add-an-op.md shows an op of the registry", () => {
  const [, name] = text("add-an-op.md").match(/name: "(\w+)"/)!;
  expect(hasOp(name!)).toBe(true);
});

it("docs/add-an-op.md shows an operator as it is written", () => {
  const [, tour] = text("add-an-op.md").split("## Add an operator");
  const blocks = [...tour!.matchAll(/```ts\n([\s\S]*?)```/g)].map((match) => match[1]!);
  const source = text("../src/ir/operators/turn.ts").replace(/\s+/g, " ");
  const parts = blocks.flatMap((block) => block.split("...")).map((part) => part.replace(/\s+/g, " ").trim());
  expect(blocks).toHaveLength(3);
  expect(parts.filter((part) => !source.includes(part))).toEqual([]);
});
