/** Reads the text of a method: text to tree, with every error of the text at once. */
import { builtins } from "../lib/index.ts";
import type { MethodRecord } from "../record.ts";
import type { Item, MethodAst, Place, SiteBlock } from "./ast.ts";
import { collected } from "./collected.ts";
import { checkLength, checkTokens } from "./limits.ts";
import { Misread, Reader } from "./reader.ts";
import { readItems, readKinds, statements } from "./statements.ts";
import { tokensOf } from "./tokens.ts";

/**
 * The tree of a method. Lines are those of its file (`lora.ts:6:3`). Throws METHOD-SYNTAX with all errors of the text, METHOD-LIMIT when it is
 * too large.
 */
export function parseFragment(record: MethodRecord): MethodAst {
  const { text: source, file = "method", line: firstLine = 1, calls = 0, builtins: own = [] } = record;
  checkLength(file, source);
  const { tokens, foreign } = tokensOf(source, firstLine);
  checkTokens(file, tokens);
  const reader = new Reader(tokens, foreign, file, Object.keys(statements));
  reader.calls = calls;
  const header = reader.statement(() => [method(reader)])[0];
  if (header !== undefined && reader.faults.length === 0 && !reader.atEnd) reader.note("the end of the text");
  const error = collected(reader.faults);
  if (error !== undefined) throw error;
  const known = new Map([...builtins, ...own.map((builtin) => [builtin.name, builtin] as const)]);
  return { ...header!, file, source, firstLine, builtins: known };
}

/** `method NAME (on KIND, ...)? { statements }` */
function method(r: Reader): Pick<MethodAst, "name" | "items" | "blocks" | "at"> {
  const { at } = r.next;
  if (!r.flag("method")) {
    r.note('"method"');
    if (r.next.kind !== "name") throw new Misread();
  }
  const name = r.name();
  const kinds = r.behind("on", () => readKinds(r)) ?? [];
  return { name, ...arranged(kinds, readItems(r), at), at };
}

/**
 * Items of the whole method, and its blocks. Several `on` blocks may name one kind: their items add up in the order of the text, so that
 * formulas that kinds share are written once. `method m on linear { ... }` is a method whose targets all stand in one block.
 */
function arranged(
  kinds: ReturnType<typeof readKinds>,
  all: readonly Item[],
  head: Place,
): Pick<MethodAst, "items" | "blocks"> {
  const written = all.filter((item) => item.kind === "on");
  const rest = all.filter((item) => item.kind !== "on");
  if (kinds.length === 0) return { items: rest, blocks: merged(written) };
  const items = rest.filter((item) => item.kind === "target");
  const own = kinds.map(({ name: siteKind, at }): SiteBlock => {
    return { kind: "on", siteKind, tied: false, backwards: false, items, at, head };
  });
  return { items: rest.filter((item) => item.kind !== "target"), blocks: merged([...own, ...written]) };
}

function merged(written: readonly SiteBlock[]): SiteBlock[] {
  const blocks = new Map<string, SiteBlock>();
  for (const block of written) {
    const key = `${block.siteKind} ${block.from ?? ""}`;
    const { tied = false, backwards = false, items = [], at = block.at } = blocks.get(key) ?? {};
    blocks.set(key, {
      ...{ ...block, at, items: [...items, ...block.items] },
      ...{ tied: tied || block.tied, backwards: backwards || block.backwards },
    });
  }
  return [...blocks.values()];
}
