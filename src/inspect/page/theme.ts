/** Light or dark: the reader's own choice, which the button turns over. */
import { h } from "./dom.ts";

const isDark = (): boolean => {
  const chosen = document.documentElement.dataset.theme;
  return chosen === undefined ? matchMedia("(prefers-color-scheme: dark)").matches : chosen === "dark";
};

export const themeButton = (): HTMLElement =>
  h(
    "button",
    {
      ...{ type: "button", class: "tool", "aria-label": "Light or dark", title: "Light or dark" },
      click: () => {
        document.documentElement.dataset.theme = isDark() ? "light" : "dark";
      },
    },
    "◐",
  );
