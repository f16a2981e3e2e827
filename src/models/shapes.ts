/** Sizes that follow from others. */
import { WebpeftError } from "../ir/diagnostics.ts";

/** Width of a head. Throws `MODEL-HEADS` when the heads do not share the width out; `fields` names what the config says of them. */
export function headWidth(width: number, heads: number, fields: string): number {
  if (width % heads === 0) return width / heads;
  throw new WebpeftError("MODEL-HEADS", {
    message: "the heads cannot share out the hidden width",
    where: `config.json: ${fields}`,
    expected: "a whole number of heads",
    got: `${width} / ${heads}`,
  });
}

/** How many parts of a size make a whole. Throws `MODEL-SHAPE` when they do not. */
export function wholeParts(whole: number, part: number, fields: string): number {
  if (whole % part === 0) return whole / part;
  throw new WebpeftError("MODEL-SHAPE", {
    message: "the parts do not fill the whole",
    where: `config.json: ${fields}`,
    expected: "a whole number of parts",
    got: `${whole} / ${part}`,
  });
}
