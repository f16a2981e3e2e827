/** Two graphs as one: what both have, what was changed, and what is in one of them only. */
import type { Among, Element } from "./graph-elements.ts";
import { ofOther } from "./model.ts";

/** Takes elements of equal keys in their order, each once. */
class Waiting {
  private readonly byKey = new Map<string, number[]>();

  add(key: string, at: number): void {
    const known = this.byKey.get(key);
    if (known === undefined) this.byKey.set(key, [at]);
    else known.push(at);
  }

  take(key: string): number | undefined {
    return this.byKey.get(key)?.shift();
  }
}

/** A number for what an element computes from the ports on, equal for equal ones of both graphs: kinds and places, whatever the sizes. */
function structures(graphs: readonly (readonly Element[])[]): number[][] {
  const numbers = new Map<string, number>();
  return graphs.map((elements) => {
    const own: number[] = [];
    for (const { kind, place, inputs } of elements) {
      const key = `${kind}|${place}|${inputs.map((input) => own[input]).join()}`;
      const known = numbers.get(key) ?? numbers.size;
      numbers.set(key, known);
      own.push(known);
    }
    return own;
  });
}

/** By element of B: the one of A that it is. Equal structures first, then equal kinds at equal places, in their order. */
function matched(a: readonly Element[], b: readonly Element[]): (number | undefined)[] {
  const [ofA, ofB] = structures([a, b]) as [number[], number[]];
  const found = new Array<number | undefined>(b.length).fill(undefined);
  const taken = new Set<number>();
  const round = (keyA: (at: number) => string, keyB: (at: number) => string): void => {
    const waiting = new Waiting();
    for (const at of a.keys()) if (!taken.has(at)) waiting.add(keyA(at), at);
    for (const at of b.keys()) {
      if (found[at] !== undefined) continue;
      const own = waiting.take(keyB(at));
      if (own === undefined) continue;
      found[at] = own;
      taken.add(own);
    }
  };
  const about = (own: Element): string => `${own.kind}|${own.place}`;
  round(
    (at) => String(ofA[at]),
    (at) => String(ofB[at]),
  );
  round(
    (at) => about(a[at]!),
    (at) => about(b[at]!),
  );
  return found;
}

const marks: Readonly<Record<Among, string>> = { both: "", differs: "≠ ", "only-a": "− ", "only-b": "+ " };

/** Elements of both, those of B in its order, what only A has behind what it reads. */
export function bothElements(a: readonly Element[], b: readonly Element[]): Element[] {
  const match = matched(a, b);
  const inB = new Map(match.flatMap((own, at) => (own === undefined ? [] : [[own, at] as const])));
  const order: { readonly from: "a" | "b"; readonly at: number; readonly key: number }[] = b.map((_own, at) => ({
    ...{ from: "b", at, key: at },
  }));
  const keys: number[] = [];
  a.forEach(({ inputs }, at) => {
    const own = inB.get(at);
    keys[at] = own ?? Math.max(-1, ...inputs.map((input) => keys[input]!)) + 1e-4;
    if (own === undefined) order.push({ from: "a", at, key: keys[at]! });
  });
  order.sort((x, y) => x.key - y.key);
  const placeOfB = new Map(order.flatMap(({ from, at }, place) => (from === "b" ? [[at, place] as const] : [])));
  const placeOfA = new Map(order.flatMap(({ from, at }, place) => (from === "a" ? [[at, place] as const] : [])));
  const inputsOfA = (at: number): number[] =>
    a[at]!.inputs.map((input) => placeOfA.get(input) ?? placeOfB.get(inB.get(input)!)!);
  return order.map(({ from, at }) => {
    const partner = from === "b" ? match[at] : at;
    const own = from === "b" ? b[at]! : a[at]!;
    const among: Among =
      from === "a" ? "only-a" : partner === undefined ? "only-b" : a[partner]!.does === own.does ? "both" : "differs";
    const inputs = from === "b" ? own.inputs.map((input) => placeOfB.get(input)!) : [];
    const ofPartner = partner === undefined ? [] : inputsOfA(partner);
    return {
      ...own,
      ...{ ref: partner === undefined ? ofOther(own.ref) : a[partner]!.ref, title: marks[among] + own.title, among },
      inputs: [...new Set([...inputs, ...ofPartner])],
    };
  });
}
