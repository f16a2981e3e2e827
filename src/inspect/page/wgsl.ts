/** WGSL in colours. */
import { h } from "./dom.ts";

const token =
  /(\/\/[^\n]*)|(@\w+)|\b(\d[\w.]*(?:[eE][+-]?\d+)?)|\b(fn|let|var|for|if|else|return|struct|loop|break|continue|enable|const|override|while|switch|case|default|true|false)\b|\b(f32|f16|i32|u32|bool|vec[234]\w*|mat\d\w*|array|atomic|ptr|workgroup|storage|uniform|function|read_write|read)\b/g;
const classes = ["comment", "attribute", "literal", "word", "type"] as const;

function coloured(line: string): (Node | string)[] {
  const parts: (Node | string)[] = [];
  let end = 0;
  for (const match of line.matchAll(token)) {
    const kind = classes[match.slice(1).findIndex((text) => text !== undefined)];
    parts.push(line.slice(end, match.index), h("span", { class: `wgsl-${kind}` }, match[0]));
    end = match.index + match[0].length;
  }
  return [...parts, line.slice(end)];
}

export const wgslView = (text: string): HTMLElement =>
  h(
    "pre",
    { class: "wgsl", tabindex: 0, "aria-label": "WGSL" },
    h("code", {}, ...text.split("\n").map((line) => h("span", { class: "line" }, ...coloured(line), "\n"))),
  );
