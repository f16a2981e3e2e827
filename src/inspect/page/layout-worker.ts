/** Layered layouts, made beside the page: the page's own script, run as a worker. Equal graphs are laid out once. */
import { Graph, layout } from "@dagrejs/dagre";

export interface LayoutRequest {
  readonly sizes: readonly (readonly [width: number, height: number])[];
  readonly edges: readonly (readonly [from: number, to: number])[];
  /** Whether values flow upwards. */
  readonly isUpwards: boolean;
}

export interface Point {
  readonly x: number;
  readonly y: number;
}

/** Centres of the boxes, and the points of every edge. */
export interface Layout {
  readonly boxes: readonly Point[];
  readonly edges: readonly (readonly Point[])[];
  readonly width: number;
  readonly height: number;
}

function layOut({ sizes, edges, isUpwards }: LayoutRequest): Layout {
  const graph = new Graph();
  graph.setGraph({ rankdir: isUpwards ? "BT" : "TB", nodesep: 46, ranksep: 26, edgesep: 8, marginx: 8, marginy: 8 });
  graph.setDefaultEdgeLabel(() => ({}));
  sizes.forEach(([width, height], at) => {
    graph.setNode(String(at), { width, height });
  });
  for (const [from, to] of edges) graph.setEdge(String(from), String(to));
  layout(graph);
  const { width = 0, height = 0 } = graph.graph() as { width?: number; height?: number };
  const point = ({ x, y }: Point): Point => ({ x: Math.round(x), y: Math.round(y) });
  return {
    boxes: sizes.map((_size, at) => point(graph.node(String(at)) as unknown as Point)),
    edges: edges.map(([from, to]) => {
      const { points = [] } = graph.edge(String(from), String(to)) as { points?: Point[] };
      return points.map(point);
    }),
    ...{ width, height },
  };
}

/** In the worker: answers requests. */
export function serveLayouts(): void {
  addEventListener("message", ({ data: [id, request] }: MessageEvent<[number, LayoutRequest]>) => {
    postMessage([id, layOut(request)]);
  });
}

const made = new Map<string, Promise<Layout>>();
let worker: Worker | undefined;
let requests = 0;

function ask(request: LayoutRequest): Promise<Layout> {
  try {
    worker ??= new Worker(URL.createObjectURL(new Blob([document.getElementById("script")!.textContent])));
  } catch {
    // Where pages may not have workers the page waits.
    return Promise.resolve(layOut(request));
  }
  const own = worker;
  const id = requests++;
  return new Promise((resolve) => {
    const answer = ({ data: [of, result] }: MessageEvent<[number, Layout]>): void => {
      if (of !== id) return;
      own.removeEventListener("message", answer);
      resolve(result);
    };
    own.addEventListener("message", answer);
    own.addEventListener("error", () => resolve(layOut(request)), { once: true });
    own.postMessage([id, request]);
  });
}

export function laidOut(request: LayoutRequest): Promise<Layout> {
  const key = JSON.stringify(request);
  const known = made.get(key) ?? ask(request);
  made.set(key, known);
  return known;
}
