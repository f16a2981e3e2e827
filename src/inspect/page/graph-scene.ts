/** Where everything of a drawing is: forward and backward are two columns, a row per layer; one layer is open, the others are a box each. */
import { beginning, type Element, end, rowsOf } from "./graph-elements.ts";
import { type Layout, laidOut, type Point } from "./layout-worker.ts";

export interface Box {
  /** Elements that it stands for: one, or all of a folded layer. */
  readonly elements: readonly number[];
  /** Row and column that it is in. */
  readonly cell: string;
  /** The row that a folded box opens. */
  readonly fold: string | undefined;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

interface Frame {
  readonly row: string;
  readonly cell: string;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export interface Scene {
  readonly boxes: readonly Box[];
  /** `isFar`: over other rows. */
  readonly edges: readonly { readonly points: readonly Point[]; readonly isFar: boolean }[];
  readonly frames: readonly Frame[];
  /** By element: its box. */
  readonly boxOf: readonly (number | undefined)[];
  readonly width: number;
  readonly height: number;
}

const foldSize = [190, 42] as const;
const gap = 34;
/** Rows without a layer are drawn open up to here, and layers are laid out in layers of values up to the other number. */
const [mostOpen, mostLaidOut] = [120, 400];

interface Cell {
  readonly row: string;
  readonly isBackward: boolean;
  readonly elements: readonly number[];
  readonly isOpen: boolean;
  readonly layout: Layout;
}

/** Rows of boxes: what is too much for a layout. */
function grid(sizes: readonly (readonly [number, number])[]): Layout {
  const across = Math.ceil(Math.sqrt(sizes.length));
  const [width = 0, height = 0] = sizes[0] ?? [];
  const boxes = sizes.map((_size, at) => ({
    x: ((at % across) + 0.5) * (width + 12),
    y: (Math.floor(at / across) + 0.5) * (height + 12),
  }));
  const down = Math.ceil(sizes.length / across);
  return { boxes, edges: [], width: across * (width + 12), height: down * (height + 12) };
}

async function cell(
  given: Omit<Cell, "layout">,
  elements: readonly Element[],
  size: readonly [number, number],
): Promise<Cell> {
  if (!given.isOpen) {
    const [width, height] = foldSize;
    return { ...given, layout: { boxes: [{ x: width / 2, y: height / 2 }], edges: [], width, height } };
  }
  const places = new Map(given.elements.map((element, place) => [element, place]));
  const sizes = given.elements.map(() => size);
  if (sizes.length > mostLaidOut) return { ...given, layout: grid(sizes) };
  const edges = given.elements.flatMap((element, to) =>
    elements[element]!.inputs.flatMap((input) => {
      const from = places.get(input);
      return from === undefined ? [] : [[from, to] as const];
    }),
  );
  return { ...given, layout: await laidOut({ sizes, edges, isUpwards: given.isBackward }) };
}

/** Cells by row and column. */
function cellsOf(elements: readonly Element[], open: string, size: readonly [number, number]): Promise<Cell[]> {
  const rows = rowsOf(elements);
  const layers = [...new Set(rows)].filter((row) => row !== beginning && row !== end);
  const ordered = [beginning, ...layers.sort((a, b) => a.localeCompare(b, "en", { numeric: true })), end];
  const all = ordered.flatMap((row) =>
    [false, true].map((isBackward) => {
      const own = elements.flatMap((element, at) =>
        rows[at] === row && element.isBackward === isBackward ? [at] : [],
      );
      const isFew = (row === beginning || row === end) && own.length <= mostOpen;
      return { row, isBackward, elements: own, isOpen: row === open || isFew };
    }),
  );
  return Promise.all(all.filter((own) => own.elements.length > 0).map((own) => cell(own, elements, size)));
}

export async function sceneOf(
  elements: readonly Element[],
  open: string,
  size: readonly [number, number],
): Promise<Scene> {
  const cells = await cellsOf(elements, open, size);
  const widest = (isBackward: boolean): number =>
    Math.max(0, ...cells.filter((own) => own.isBackward === isBackward).map(({ layout }) => layout.width));
  const [left, right] = [widest(false), widest(true)];
  const boxes: Box[] = [];
  const frames: Frame[] = [];
  const inner: Scene["edges"][number][] = [];
  const boxOf = new Array<number | undefined>(elements.length).fill(undefined);
  let top = gap;
  for (const row of new Set(cells.map((own) => own.row))) {
    const own = cells.filter((other) => other.row === row);
    const height = Math.max(...own.map(({ layout }) => layout.height));
    for (const { isBackward, elements: members, isOpen, layout } of own) {
      const name = `${row} ${isBackward ? "backward" : "forward"}`;
      const column = isBackward ? gap + left + 3 * gap : gap;
      const x = column + ((isBackward ? right : left) - layout.width) / 2;
      const y = top + (height - layout.height) / 2;
      if (isOpen && row === open)
        frames.push({ row, cell: name, x: x - 6, y: y - 20, width: layout.width + 12, height: layout.height + 26 });
      layout.boxes.forEach((centre, at) => {
        const [width, tall] = isOpen ? size : foldSize;
        const held = isOpen ? [members[at]!] : members;
        for (const element of held) boxOf[element] = boxes.length;
        boxes.push({
          elements: held,
          cell: name,
          fold: isOpen ? undefined : row,
          x: x + centre.x - width / 2,
          y: y + centre.y - tall / 2,
          width,
          height: tall,
        });
      });
      for (const points of layout.edges)
        inner.push({ isFar: false, points: points.map((point) => ({ x: x + point.x, y: y + point.y })) });
    }
    top += height + gap;
  }
  const width = gap + left + (right > 0 ? 3 * gap + right : 0) + gap;
  return { boxes, frames, boxOf, edges: [...inner, ...between(elements, boxes, boxOf)], width, height: top };
}

/** Edges from cell to cell within a column. What is kept for gradients is none: it would be most of them. */
function between(
  elements: readonly Element[],
  boxes: readonly Box[],
  boxOf: readonly (number | undefined)[],
): Scene["edges"] {
  const rows = rowsOf(elements);
  const found = new Map<string, Scene["edges"][number]>();
  elements.forEach(({ inputs, isBackward }, at) => {
    for (const input of inputs) {
      const [from, to] = [boxOf[input]!, boxOf[at]!];
      if (from === to || rows[input] === rows[at] || elements[input]!.isBackward !== isBackward) continue;
      const [a, b] = [boxes[from]!, boxes[to]!];
      const isDown = b.y > a.y;
      const start = { x: a.x + a.width / 2, y: isDown ? a.y + a.height : a.y };
      const stop = { x: b.x + b.width / 2, y: isDown ? b.y : b.y + b.height };
      found.set(`${from} ${to}`, { points: [start, stop], isFar: Math.abs(stop.y - start.y) > 3 * gap });
    }
  });
  return [...found.values()];
}
