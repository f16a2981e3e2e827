/** Index expressions over the four lanes of a vector: the value in one lane, and how an address runs over them. */
import {
  type Affine,
  type Atom,
  constant,
  divide,
  element,
  hasLane,
  remainder,
  substituted,
  type Term,
} from "./affine.ts";

/** The value in one of the four lanes. */
export const atLane = (a: Affine, lane: number): Affine => replaceLane(a, element("lane", lane));

function replaceLane(a: Affine, by: Affine): Affine {
  return hasLane(a) ? substituted(a, (atom) => atomWithLane(atom, by)) : a;
}

function atomWithLane(atom: Atom, lane: Affine): Affine {
  if (atom.kind === "variable") return lane;
  const of = replaceLane(atom.of, lane);
  return atom.kind === "div" ? divide(of, atom.by) : remainder(of, atom.by);
}

/** How an address runs over the four lanes: one element, four in a row from a multiple of 4, or something else. */
export function laneForm(a: Affine): "one" | "row" | "other" {
  if (!hasLane(a)) return "one";
  const direct = a.terms.find((t) => t.atom.kind === "variable" && t.atom.lane);
  const others = a.terms.filter((t) => t !== direct);
  const isAligned = ({ factor, atom }: Term): boolean => factor % 4 === 0 || (atom.kind === "variable" && atom.aligned);
  const aligned = a.constant % 4 === 0 && others.every((t) => isAligned(t) && !t.atom.lane);
  return direct?.factor === 1 && aligned ? "row" : "other";
}

/** The address without its lane term (form "row"). */
export const withoutLane = (a: Affine): Affine => replaceLane(a, constant(0));
