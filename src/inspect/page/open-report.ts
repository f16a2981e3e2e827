/** Another report to compare with: dropped onto the page, or chosen by a button. */
import type { App } from "./app.ts";
import { h } from "./dom.ts";

export function openButton(app: App, text: string): HTMLElement {
  const input = h("input", {
    ...{ type: "file", accept: ".html,text/html", hidden: true, "aria-label": "Another report" },
    change: () => {
      const [file] = input.files ?? [];
      if (file !== undefined) void app.open(file);
    },
  });
  return h("span", {}, h("button", { type: "button", class: "tool", click: () => input.click() }, text), input);
}

/** Takes files that are dropped anywhere on the page. */
export function takeDrops(app: App): void {
  const isFile = ({ dataTransfer }: DragEvent): boolean => dataTransfer?.types.includes("Files") ?? false;
  const mark = (isOver: boolean): void => void document.body.classList.toggle("is-dropping", isOver);
  document.addEventListener("dragover", (event) => {
    if (!isFile(event)) return;
    event.preventDefault();
    mark(true);
  });
  document.addEventListener("dragleave", ({ relatedTarget }) => relatedTarget === null && mark(false));
  document.addEventListener("drop", (event) => {
    if (!isFile(event)) return;
    event.preventDefault();
    mark(false);
    const [file] = event.dataTransfer?.files ?? [];
    if (file !== undefined) void app.open(file);
  });
}
