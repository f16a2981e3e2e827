/** Elements from calls. What strangers named is text everywhere: nothing here reads markup. */

export type Child = Node | string | number | undefined | false | readonly Child[];
type Property = string | number | boolean | undefined | ((event: never) => void);
export type Properties = Readonly<Record<string, Property>>;

function filled<T extends Element>(element: T, properties: Properties, children: readonly Child[]): T {
  for (const [name, value] of Object.entries(properties)) {
    if (typeof value === "function") element.addEventListener(name, value as EventListener);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== undefined && value !== false) element.setAttribute(name, String(value));
  }
  element.append(...nodesOf(children));
  return element;
}

function nodesOf(children: readonly Child[]): (Node | string)[] {
  return children.flatMap((child): (Node | string)[] => {
    if (child === undefined || child === false) return [];
    if (Array.isArray(child)) return nodesOf(child);
    return [child instanceof Node ? child : String(child)];
  });
}

/** Properties that are functions listen to the event of their name. */
export const h = <K extends keyof HTMLElementTagNameMap>(
  tag: K,
  properties: Properties = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[K] => filled(document.createElement(tag), properties, children);

export const s = <K extends keyof SVGElementTagNameMap>(
  tag: K,
  properties: Properties = {},
  ...children: readonly Child[]
): SVGElementTagNameMap[K] => filled(document.createElementNS("http://www.w3.org/2000/svg", tag), properties, children);

/** A button that selects what it names. */
export const chip = (ref: string, ...children: readonly Child[]): HTMLButtonElement =>
  h("button", { class: "chip", type: "button", "data-ref": ref }, ...children);

export const table = (heads: readonly Child[], rows: readonly Node[]): HTMLElement =>
  h(
    "div",
    { class: "scroll", tabindex: 0 },
    h(
      "table",
      {},
      h(
        "thead",
        {},
        h("tr", {}, ...heads.map((head) => (head instanceof Node ? head : h("th", { scope: "col" }, head)))),
      ),
      h("tbody", {}, ...rows),
    ),
  );

/** A heading of a column of numbers. */
export const numberHead = (text: string): HTMLElement => h("th", { scope: "col", class: "number" }, text);

export const number = (text: Child): HTMLElement => h("td", { class: "number" }, text);

/** A share of a whole as a bar. */
export const bar = (share: number): HTMLElement => {
  const inner = h("span", {});
  inner.style.width = `${(100 * Math.min(1, Math.max(0, share))).toFixed(1)}%`;
  return h("span", { class: "bar" }, inner);
};

export const select = (
  label: string,
  options: readonly (readonly [value: string, text: string])[],
  chosen: string,
  choose: (value: string) => void,
): HTMLElement => {
  const box = h(
    "select",
    { "aria-label": label, change: () => choose(box.value) },
    ...options.map(([value, text]) => h("option", { value, selected: value === chosen }, text)),
  );
  return h("label", { class: "choice" }, h("span", {}, label), box);
};
