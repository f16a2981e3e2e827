/** Search: kernels, nodes, lines and modules by a part of what they are called, or a regular expression. */
import type { App } from "./app.ts";
import { h } from "./dom.ts";
import { shortPath } from "./format.ts";
import type { Ref } from "./model.ts";

interface Found {
  readonly ref: Ref;
  readonly text: string;
  readonly what: string;
}

/** `/a.*b/` is a regular expression; one that is none is looked for as it is written. */
function matcher(query: string): (text: string) => boolean {
  const [, pattern] = /^\/(.+)\/$/.exec(query) ?? [];
  if (pattern !== undefined) {
    try {
      const expression = new RegExp(pattern, "i");
      return (text) => expression.test(text);
    } catch {
      // Taken as text below.
    }
  }
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  return (text) => words.every((word) => text.toLowerCase().includes(word));
}

function find({ program, state }: App, query: string): Found[] {
  const is = matcher(query);
  const kernels = program.data.kernels.map(({ name, wgsl }) => ({ name, what: wgsl.slice(0, wgsl.indexOf("\n")) }));
  const stages = program.chosen(state.stage);
  const lines = program.data.fragments.flatMap(({ file, line, text }) =>
    text.split("\n").map(
      (own, at): Found => ({
        ref: `line:${file}:${line + at}`,
        text: `${file}:${line + at} ${own.trim()}`,
        what: "line",
      }),
    ),
  );
  const nodes = stages.flatMap((stage) =>
    stage.nodes.map(
      ({ id, name, type, scope }): Found => ({
        ref: `node:${stage.name}/${id}`,
        text: `%${id} ${name} ${type} ${shortPath(scope)}`,
        what: stage.name,
      }),
    ),
  );
  return [
    ...kernels.map(({ name, what }): Found => ({ ref: `kernel:${name}`, text: `${name} ${what}`, what: "kernel" })),
    ...program.sites.map((site): Found => ({ ref: `site:${site}`, text: shortPath(site), what: "module" })),
    ...lines,
    ...nodes,
  ].filter(({ text, what }) => is(`${text} ${what}`));
}

const mostShown = 60;

/** The field, and the list below it; arrows and Enter choose. */
export function searchBox(app: () => App): HTMLElement {
  const list = h("div", { class: "found", role: "listbox", id: "found", "aria-label": "Found", hidden: true });
  const close = (): void => {
    list.hidden = true;
    input.setAttribute("aria-expanded", "false");
  };
  let found: readonly Found[] = [];
  let at = -1;
  const choose = (ref: string): void => {
    close();
    input.blur();
    at = found.findIndex((own) => own.ref === ref);
    place.textContent = `${at + 1} of ${found.length}`;
    steps.hidden = false;
    app().go({ selection: ref as Ref });
  };
  const next = (name: string, text: string, label: string, by: number): HTMLElement => {
    const click = (): void => {
      if (found.length > 0) choose(found[(at + by + found.length) % found.length]!.ref);
    };
    return h(
      "button",
      { type: "button", class: "tool", "data-key": name, "aria-label": label, title: `${label} (${name})`, click },
      text,
    );
  };
  const place = h("span", { class: "soft" });
  const steps = h(
    "span",
    { class: "found-steps", hidden: true },
    next("N", "‹", "The one before among what was found", -1),
    place,
    next("n", "›", "The next one of what was found", 1),
  );
  const rows = (): HTMLElement[] => [...list.querySelectorAll<HTMLElement>("[role=option]")];
  const step = (by: number): void => {
    const all = rows();
    const next = Math.min(all.length - 1, Math.max(0, all.findIndex((row) => row.ariaSelected === "true") + by));
    all.forEach((row, at) => {
      row.ariaSelected = String(at === next);
    });
    all[next]?.scrollIntoView({ block: "nearest" });
  };
  const input = h("input", {
    ...{ type: "search", id: "search", placeholder: "Search ( / )", "aria-label": "Search", autocomplete: "off" },
    ...{ role: "combobox", "aria-controls": "found", "aria-expanded": "false" },
    input: () => {
      found = input.value.trim() === "" ? [] : find(app(), input.value.trim());
      at = -1;
      steps.hidden = true;
      list.replaceChildren(
        h("p", { class: "soft", role: "presentation" }, `${found.length} found`),
        ...found.slice(0, mostShown).map(({ ref, text, what }, row) =>
          h(
            "div",
            {
              role: "option",
              "aria-selected": row === 0 ? "true" : "false",
              mousedown: () => choose(ref),
              "data-found": ref,
            },
            h("span", { class: "soft" }, `${what} `),
            text,
          ),
        ),
      );
      list.hidden = input.value.trim() === "";
      input.setAttribute("aria-expanded", String(!list.hidden));
    },
    blur: close,
    keydown: (event: KeyboardEvent) => {
      const row = rows().find((own) => own.ariaSelected === "true");
      if (event.key === "Enter" && row !== undefined) choose(row.dataset.found!);
      else if (event.key === "ArrowDown") step(1);
      else if (event.key === "ArrowUp") step(-1);
      else if (event.key === "Escape") input.blur();
      else return;
      event.preventDefault();
    },
  });
  return h("div", { class: "search" }, input, steps, list);
}
