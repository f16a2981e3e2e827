/** WGSL in colours, whose variables say what they hold. */
import { type Child, h } from "./dom.ts";

const token =
  /(\/\/[^\n]*)|(@\w+)|\b(\d[\w.]*(?:[eE][+-]?\d+)?)|\b(fn|let|var|for|if|else|return|struct|loop|break|continue|enable|const|override|while|switch|case|default|true|false)\b|\b(f32|f16|i32|u32|bool|vec[234]\w*|mat\d\w*|array|atomic|ptr|workgroup|storage|uniform|function|read_write|read)\b|\b([A-Za-z_]\w*)/g;
const classes = ["comment", "attribute", "literal", "word", "type", "name"] as const;

/** What a variable holds: what a click on it selects, and what is said of it where it is pointed at. */
export interface HeldValue {
  readonly ref: string;
  readonly said: Child;
}

type Held = ReadonlyMap<string, HeldValue>;

function coloured(line: string, held: Held): (Node | string)[] {
  const parts: (Node | string)[] = [];
  let end = 0;
  for (const match of line.matchAll(token)) {
    const kind = classes[match.slice(1).findIndex((text) => text !== undefined)];
    const [text] = match;
    parts.push(line.slice(end, match.index));
    if (kind !== "name") parts.push(h("span", { class: `wgsl-${kind}` }, text));
    else if (!held.has(text)) parts.push(text);
    else parts.push(variable(text, held.get(text)!, /(let|var) $/.test(line.slice(0, match.index))));
    end = match.index + text.length;
  }
  return [...parts, line.slice(end)];
}

/** The keyboard goes from declaration to declaration. */
const variable = (name: string, { ref }: HeldValue, isDeclared: boolean): HTMLElement => {
  const own = { class: "wgsl-held", "data-ref": ref, "data-name": name };
  return isDeclared ? h("button", { ...own, type: "button" }, name) : h("span", own, name);
};

export function wgslView(text: string, held: Held = new Map()): HTMLElement {
  const lines = text.split("\n").map((line) => h("span", { class: "line" }, ...coloured(line, held), "\n"));
  const pre = h("pre", { class: "wgsl", tabindex: 0, "aria-label": "WGSL" }, h("code", {}, ...lines));
  if (held.size === 0) return pre;
  const said = h(
    "div",
    { class: "wgsl-said", "aria-live": "polite" },
    h("p", { class: "soft" }, "Point at a name that is underlined to see whose value it holds; a click selects that."),
  );
  const point = ({ target }: Event): void => {
    const name = (target as Element).closest("[data-name]")?.getAttribute("data-name");
    if (name == null) return;
    for (const own of pre.querySelectorAll(".wgsl-held"))
      own.classList.toggle("is-pointed", own.getAttribute("data-name") === name);
    for (const own of said.children) (own as HTMLElement).hidden = own.getAttribute("data-of") !== name;
  };
  said.append(...[...held].map(([name, own]) => h("div", { "data-of": name, hidden: true }, own.said)));
  pre.addEventListener("pointerover", point);
  pre.addEventListener("focusin", point);
  return h("div", {}, pre, said);
}
