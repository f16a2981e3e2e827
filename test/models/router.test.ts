/** Who goes to which expert: every choice has a row of its own in a tile of its expert, whatever the router wants. */
import { describe, expect, it } from "vitest";
import { Builder } from "../../src/ir/builder.ts";
import { evaluate } from "../../src/ir/evaluate.ts";
import { type RouterSpec, type Routes, route, tilesFor } from "../../src/models/router.ts";
import { randomNumbers } from "./helpers.ts";

const spec = (experts: number, taken: number, normalised = false): RouterSpec => ({ experts, taken, normalised });

function routed(
  logits: readonly number[],
  length: number,
  router: RouterSpec,
): Record<keyof Routes, ArrayLike<number>> {
  const builder = new Builder("routes");
  const tokens = logits.length / router.experts;
  const routes = route(builder, builder.port("logits", "input", "f32", [tokens, router.experts]), length, router);
  const outputs = Object.entries(routes).map(([name, node]) => ({ name, node: node as number }));
  const made = evaluate(builder.finish(outputs), { logits });
  return Object.fromEntries(outputs.map(({ name }) => [name, made[name]!.data])) as Record<keyof Routes, Float64Array>;
}

/** The experts of every token, the likeliest first, and of equal ones the first. */
const bestOf = (logits: readonly number[], { experts, taken }: RouterSpec): number[][] =>
  Array.from({ length: logits.length / experts }, (_unused, n) => {
    const own = logits.slice(n * experts, (n + 1) * experts);
    return own
      .map((_logit, e) => e)
      .sort((a, b) => own[b]! - own[a]! || a - b)
      .slice(0, taken);
  });

const drawn = (tokens: number, experts: number, seed: number): number[] => randomNumbers(tokens * experts, seed, 2);
const cases: readonly (readonly [string, number[], number, RouterSpec])[] = [
  ["few tokens", drawn(6, 4, 1), 3, spec(4, 2)],
  ["many tokens", drawn(60, 4, 2), 15, spec(4, 3)],
  ["one token", drawn(1, 8, 3), 1, spec(8, 3)],
  ["tiles of many rows", drawn(96, 2, 4), 32, spec(2, 1)],
  ["all to one expert", Array.from({ length: 40 }, (_unused, i) => (i % 5 === 3 ? 9 : 0)), 4, spec(5, 1)],
  ["all experts", drawn(5, 3, 5), 5, spec(3, 3)],
  ["equal logits", new Array<number>(32).fill(0), 4, spec(4, 2)],
];

describe("routes", () => {
  it.each(cases)("%s", (_name, logits, length, router) => {
    const { places, owners, choices, weights, chosen } = routed(logits, length, router);
    const { rows } = tilesFor((logits.length / router.experts) * router.taken, router.experts);
    const best = bestOf(logits, router);
    expect(new Set(Array.from(places)).size).toBe(places.length);
    best.forEach((experts, n) => {
      const exponentials = logits.slice(n * router.experts, (n + 1) * router.experts).map(Math.exp);
      const sum = exponentials.reduce((a, b) => a + b);
      experts.forEach((e, j) => {
        const choice = n * router.taken + j;
        const place = places[choice]!;
        expect(owners[Math.floor(place / rows)], `token ${n}, choice ${j}`).toBe(e);
        expect(choices[place]).toBe(choice);
        expect(weights[choice]).toBeCloseTo(exponentials[e]! / sum, 12);
        expect(chosen[n * router.experts + e]).toBe(1);
      });
    });
    const empty = Array.from(choices).filter((choice) => choice === places.length);
    expect(empty.length).toBe(choices.length - places.length);
  });

  it("have weights that sum to one where the spec says so", () => {
    const { weights } = routed(drawn(4, 6, 6), 2, spec(6, 3, true));
    for (const n of [0, 1, 2, 3]) expect([0, 1, 2].reduce((sum, j) => sum + weights[n * 3 + j]!, 0)).toBeCloseTo(1, 12);
  });
});

it("tiles are enough for every way of sharing tokens out, and at most half of their rows are empty", () => {
  for (const experts of [1, 2, 5, 8])
    for (const choices of [1, 3, 8, 20, 77]) {
      const { rows, tiles } = tilesFor(choices, experts);
      // The worst way: one left over for each, and the rest in whole tiles.
      for (let alone = 0; alone < Math.min(experts, choices); alone++) {
        const counts = [choices - alone, ...new Array<number>(alone).fill(1)];
        expect(counts.reduce((sum, n) => sum + Math.ceil(n / rows), 0)).toBeLessThanOrEqual(tiles);
      }
      expect(tiles * rows).toBeLessThanOrEqual(2 * choices);
    }
});
