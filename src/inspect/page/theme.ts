/** Light or dark: what the system says, until the reader chooses by the button. */
import { h } from "./dom.ts";

const show = (dark: boolean): void => {
  document.documentElement.dataset.theme = dark ? "dark" : "light";
};

export function themeButton(): HTMLElement {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const follow = (): void => show(system.matches);
  follow();
  system.addEventListener("change", follow);
  return h(
    "button",
    {
      ...{ type: "button", class: "tool", "aria-label": "Light or dark", title: "Light or dark" },
      click: () => {
        system.removeEventListener("change", follow);
        show(document.documentElement.dataset.theme !== "dark");
      },
    },
    "◐",
  );
}
