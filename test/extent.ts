/**
 * How much a run of the tests covers. What loops over everything twice (every case on a second executor, every field of every config) takes
 * a part of it in `npm test`, and all in `npm run test:all`.
 */
export const isAll = process.env.WEBPEFT_TESTS === "all";

/** Every `n`-th of a list, beginning at `from`; in `npm run test:all` the whole list. */
export const part = <T>(list: readonly T[], n: number, from = 0): T[] =>
  list.filter((_item, i) => isAll || i % n === from % n);

/** How often something is repeated: `few` times, in `npm run test:all` `many`. */
export const times = (few: number, many: number): number => (isAll ? many : few);
