/** A drawing that can be moved by dragging and, where it has the focus, by the arrow keys, made larger by the wheel, and fitted by `f`. */

/** Answers with what fits all of it into the window. `focus`: what to show first. */
export function panZoom(
  svg: SVGSVGElement,
  width: number,
  height: number,
  focus: { readonly x: number; readonly y: number } | undefined,
): () => void {
  let [x, y, scale] = [0, 0, 1];
  const draw = (): void => {
    const { clientWidth, clientHeight } = svg;
    svg.setAttribute("viewBox", `${x} ${y} ${Math.max(1, clientWidth / scale)} ${Math.max(1, clientHeight / scale)}`);
  };
  /** Where a window begins that has the middle `at`: within what is drawn, or around all of it. */
  const begun = (size: number, window: number, at: number): number =>
    size <= window ? (size - window) / 2 : Math.min(Math.max(0, at - window / 2), size - window);
  /** All of the width, but no smaller than can be read; a place of interest in the middle. */
  const begin = (): void => {
    scale = Math.min(1.2, Math.max(0.85, svg.clientWidth / width));
    const [across, down] = [svg.clientWidth / scale, svg.clientHeight / scale];
    x = begun(width, across, focus?.x ?? 0);
    y = focus === undefined ? 0 : begun(height, down, focus.y);
    draw();
  };
  const fit = (): void => {
    scale = Math.min(1.2, svg.clientWidth / width, svg.clientHeight / height);
    [x, y] = [(width - svg.clientWidth / scale) / 2, (height - svg.clientHeight / scale) / 2];
    draw();
  };
  svg.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      if (event.ctrlKey || event.metaKey || event.altKey) {
        const before = scale;
        scale = Math.min(4, Math.max(0.05, scale * Math.exp(-event.deltaY / 300)));
        x += event.offsetX / before - event.offsetX / scale;
        y += event.offsetY / before - event.offsetY / scale;
      } else {
        x += event.deltaX / scale;
        y += event.deltaY / scale;
      }
      draw();
    },
    { passive: false },
  );
  const ways: Readonly<Record<string, readonly [number, number]>> = {
    ...{ ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] },
  };
  svg.addEventListener("keydown", (event) => {
    const way = ways[event.key];
    // Arrows on a box go to the next one.
    if (way === undefined || event.target !== svg) return;
    event.preventDefault();
    event.stopPropagation();
    [x, y] = [x + (80 * way[0]) / scale, y + (80 * way[1]) / scale];
    draw();
  });
  let from: { x: number; y: number } | undefined;
  svg.addEventListener("pointerdown", (event) => {
    from = { x: event.clientX, y: event.clientY };
  });
  svg.addEventListener("pointermove", (event) => {
    if (from === undefined || event.buttons === 0) return;
    x -= (event.clientX - from.x) / scale;
    y -= (event.clientY - from.y) / scale;
    from = { x: event.clientX, y: event.clientY };
    draw();
  });
  svg.addEventListener("pointerup", () => {
    from = undefined;
  });
  // It has a size when it is in the page.
  let hasBegun = false;
  new ResizeObserver(() => {
    if (hasBegun) return draw();
    hasBegun = svg.clientWidth > 0;
    if (hasBegun) begin();
  }).observe(svg);
  return fit;
}
