/** The report's page: three panes, one selection, one address for everything that it shows. */
import type { App, View } from "./app.ts";
import { openReport, readData, readOther } from "./data.ts";
import { decisionsView } from "./decisions.ts";
import { detailsOf } from "./details.ts";
import { diffView } from "./diff-view.ts";
import { h } from "./dom.ts";
import { failureView } from "./failure.ts";
import { graphView } from "./graph-view.ts";
import { kernelsView } from "./kernels.ts";
import { serveLayouts } from "./layout-worker.ts";
import { memoryView } from "./memory.ts";
import { layerOfRef, ProgramModel, type Ref } from "./model.ts";
import { takeDrops } from "./open-report.ts";
import { overviewView } from "./overview.ts";
import { passesView } from "./passes.ts";
import { searchBox } from "./search.ts";
import { siteIndex } from "./site-index.ts";
import { hashOf, readHash, type State } from "./state.ts";
import { stepsView } from "./steps.ts";
import { themeButton } from "./theme.ts";

const allViews: readonly View[] = [
  ...[overviewView, kernelsView, graphView, memoryView, stepsView, passesView, decisionsView, diffView],
];

/** In a page of somebody else one view is shown, and the history is that page's. */
const shownAlone = (): string | undefined => document.documentElement.dataset.only;

/** What finds an element of a view again that was drawn anew: what it is of, or else where it stands. */
const findAgain = (element: Element | null): string[] =>
  ["data-ref", "data-place", "data-key", "aria-label"].flatMap((name) => {
    const value = element?.getAttribute(name);
    return value == null ? [] : [`main .box[${name}="${CSS.escape(value)}"]`, `main [${name}="${CSS.escape(value)}"]`];
  });

class Page implements App {
  state: State;
  problem = "";
  private readonly main = h("main", { id: "main", tabindex: -1 });
  private readonly details = h("aside", { id: "details", "aria-label": "Details of the selection" });
  private readonly tabs = h("nav", { "aria-label": "Views" });
  private shown = "";
  private readonly views: readonly View[];

  constructor(
    readonly program: ProgramModel,
    public other: ProgramModel | undefined,
  ) {
    const { data } = program;
    this.views = data.failure === undefined ? allViews : [failureView, ...allViews];
    this.state = readHash(location.hash, program, this.firstView);
    document.body.append(
      h(
        "header",
        {},
        h("h1", {}, data.title),
        h("span", { class: "soft subtitle" }, data.subtitle),
        searchBox(() => this),
        themeButton(),
      ),
      h("div", { class: "index" }, this.tabs, siteIndex(program)),
      this.main,
      this.details,
    );
    document.addEventListener("click", (event) => this.clicked(event.target as Element));
    document.addEventListener("keydown", (event) => this.pressed(event));
    addEventListener("popstate", () => {
      this.state = readHash(location.hash, program, this.firstView);
      void this.draw();
    });
    takeDrops(this);
  }

  private get firstView(): string {
    return shownAlone() ?? (this.other === undefined ? this.views[0]!.name : "diff");
  }

  async open(file: File): Promise<void> {
    const opened = await openReport(file);
    this.problem = typeof opened === "string" ? opened : "";
    if (typeof opened !== "string") this.other = new ProgramModel(opened);
    this.shown = "";
    this.go({ view: "diff", options: { kernels: "", pair: "", beside: "" } });
  }

  go(change: Partial<State>): void {
    const options = Object.fromEntries(
      Object.entries({ ...this.state.options, ...this.opened(change.selection), ...change.options }).filter(
        ([, value]) => value !== "",
      ),
    );
    this.state = { ...this.state, ...change, options };
    const hash = hashOf(this.state);
    if (hash !== location.hash && shownAlone() === undefined) history.pushState(null, "", hash);
    void this.draw();
  }

  /** The layer that the graph shows open where something in one is chosen. */
  private opened(selection: Ref | undefined): Readonly<Record<string, string>> {
    const layer = selection === undefined ? "" : layerOfRef(this.program, selection);
    return layer === "" ? {} : { layer };
  }

  private clicked(target: Element): void {
    const ref = target.closest("[data-ref]")?.getAttribute("data-ref");
    if (ref != null) this.go({ selection: ref as Ref });
  }

  private pressed(event: KeyboardEvent): void {
    if ((event.target as Element).matches("input, select, textarea")) return;
    const ref = (event.target as Element).getAttribute("data-ref");
    if (event.key === "/") {
      event.preventDefault();
      document.getElementById("search")?.focus();
    } else if (
      document.querySelector(`[data-key="${CSS.escape(event.key)}"]`) !== null &&
      !event.ctrlKey &&
      !event.metaKey
    )
      document.querySelector<HTMLElement>(`[data-key="${CSS.escape(event.key)}"]`)?.click();
    else if (event.key === "Escape") this.go({ selection: undefined });
    else if (event.key === "Enter" && ref !== null && !(event.target instanceof HTMLButtonElement))
      this.go({ selection: ref as Ref });
  }

  async draw(): Promise<void> {
    const { state, views } = this;
    const view = views.find(({ name }) => name === state.view) ?? overviewView;
    this.tabs.replaceChildren(
      ...views.map(({ name, title }) =>
        h(
          "button",
          {
            type: "button",
            "aria-current": name === view.name ? "page" : undefined,
            click: () => this.go({ view: name }),
          },
          title,
        ),
      ),
    );
    this.tabs.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
    const key = JSON.stringify([view.name, state.stage, ...view.options.map((option) => state.options[option])]);
    if (key !== this.shown) {
      this.shown = key;
      const content = await view.show(this);
      if (key !== this.shown) return;
      const { activeElement } = document;
      const held = this.main.contains(activeElement) ? findAgain(activeElement) : [];
      this.main.replaceChildren(content);
      this.main.scrollTop = 0;
      const again = held.map((selector) => document.querySelector<HTMLElement | SVGElement>(selector));
      again.find((element) => element !== null)?.focus({ preventScroll: true });
    }
    this.drawSelection();
  }

  private drawSelection(): void {
    const { selection } = this.state;
    document.body.classList.toggle("has-selection", selection !== undefined);
    this.details.replaceChildren(
      ...(selection === undefined
        ? []
        : [
            h(
              "button",
              {
                type: "button",
                class: "close",
                "aria-label": "Close the details",
                click: () => this.go({ selection: undefined }),
              },
              "×",
            ),
            detailsOf(this, selection),
          ]),
    );
    this.details.scrollTop = 0;
    const related = selection === undefined ? new Set<string>() : this.program.related(selection);
    for (const element of document.querySelectorAll("[data-ref]")) {
      const ref = element.getAttribute("data-ref")!;
      element.classList.toggle("is-lit", related.has(ref));
      element.classList.toggle("is-selected", ref === selection);
    }
  }
}

// The same script is the worker that lays graphs out.
if (typeof document === "undefined") serveLayouts();
else
  void Promise.all([readData(), readOther()]).then(([data, other]) =>
    new Page(new ProgramModel(data), other === undefined ? undefined : new ProgramModel(other)).draw(),
  );
