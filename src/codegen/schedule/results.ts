/** The end of a contraction: what the unit stores, at every element of a tile whose sums are known. */
import { type Affine, element } from "../emit/affine.ts";
import { binary, type Expr, sizeLiteral, u32 } from "../kernel/kernel.ts";
import { type Contraction, domainIndexOf, type TilePlace } from "./segment.ts";

export const run = (count: number): number[] => Array.from({ length: count }, (_unused, i) => i);

/** The stored members at every element of the tile: one text per element, or a loop over them where texts should be short. */
export function emitResults(k: Contraction, place: TilePlace, sums: readonly (readonly (readonly Expr[])[])[]): void {
  const { emitter } = k.c;
  const [rows, columns] = [place.rows.length, place.columns.length];
  const lanes = k.wide ? 4 : 1;
  if (rows * columns < k.c.tuning.loopedResults) {
    for (const i of run(rows)) {
      for (const j of run(columns)) {
        const values = sums.map((tile) => tile[i]![j]!);
        emitResult(k, place, domainIndexOf(k, place, place.rows[i]!, place.columns[j]!), values);
      }
    }
    return;
  }
  const tiles = sums.map((tile, a) => {
    const name = emitter.fresh("tile", k.accumulators[a]!.root);
    emitter.push({ kind: "array", name, values: tile.flat() });
    return name;
  });
  // The ends are words: a loop of known length would be unrolled by the driver.
  const over = (family: string, count: number, make: (at: Affine) => void): void =>
    count === 1 ? make(element(family, 0)) : emitter.loop(u32(0), sizeLiteral(count), u32(1), count, make);
  over("row", rows, (i) => {
    over("column", columns, (j) => {
      const row = binary("*", emitter.address(i).expr, u32(columns));
      const at = columns === 1 ? emitter.address(i).expr : binary("+", row, emitter.address(j).expr);
      const values = tiles.map((array): Expr => ({ kind: "item", array, index: at, type: "f32", lanes }));
      emitResult(k, place, domainIndexOf(k, place, place.rowIndex(i), place.columnIndex(j)), values);
    });
  });
}

function emitResult(k: Contraction, place: TilePlace, index: readonly Affine[], values: readonly Expr[]): void {
  const { emitter, unit } = k.c;
  k.accumulators.forEach((accumulator, a) => {
    const { root } = accumulator;
    emitter.preset(root, index, emitter.bind({ expr: values[a]!, depth: emitter.depth }, root));
  });
  const { batch, row, column } = place.tile;
  emitter.padded([batch, row, column], () => {
    for (const id of unit.stored) emitter.store(id, index, emitter.value(id, index).expr);
  });
}
