/** A view of a program in an element of another page: a notebook, an application. */
import { unknownName } from "./unknown.ts";

/** The views of the report by their names there. */
const reportViews = ["overview", "kernels", "graph", "memory", "steps", "passes", "decisions"] as const;
export type ReportView = (typeof reportViews)[number];

export interface ViewOptions {
  /** What is shown; `graph` without it. */
  readonly view?: ReportView;
  /** Height in CSS; `480px` without it. The width is that of the element. */
  readonly height?: string;
}

/**
 * Puts a report into an element, in place of what is there, as a frame that shares nothing with the page around it and asks nothing of the
 * network. `report` makes the page of a view. Returns the frame; to remove it is all that there is to clean up. Throws `INSPECT-UNKNOWN` for a
 * view that there is not.
 */
export function showIn(
  element: HTMLElement,
  report: (only: ReportView) => string,
  { view = "graph", height = "480px" }: ViewOptions,
): HTMLIFrameElement {
  if (!reportViews.includes(view)) throw unknownName("view", view, reportViews);
  const frame = element.ownerDocument.createElement("iframe");
  frame.title = `webpeft: ${view}`;
  frame.setAttribute("sandbox", "allow-scripts allow-downloads");
  Object.assign(frame.style, { display: "block", width: "100%", height, border: "0" });
  frame.srcdoc = report(view);
  element.replaceChildren(frame);
  return frame;
}
