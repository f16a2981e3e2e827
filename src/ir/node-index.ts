/** Finds nodes again by what was asked for: op, inputs and shared attributes. Builders ask for every node, so that lists stand for objects. */
import type { Attributes } from "./graph.ts";
import { numberOf } from "./shared.ts";
import { sameShape } from "./types.ts";

export class NodeIndex {
  /** By hash: 1 + the number of an entry, or 0; a power of two, at most half of them taken. */
  private slots = new Int32Array(256);
  private readonly hashes: number[] = [];
  private readonly ops: string[] = [];
  private readonly inputs: (readonly number[])[] = [];
  private readonly attributes: Attributes[] = [];
  private readonly ids: number[] = [];

  /** Equal for what is equal. */
  hash(inputs: readonly number[], attributes: Attributes): number {
    let hash = numberOf(attributes);
    for (let i = 0; i < inputs.length; i++) hash = (Math.imul(hash, 0x01000193) + inputs[i]!) | 0;
    return hash ^ (hash >>> 15);
  }

  find(hash: number, op: string, inputs: readonly number[], attributes: Attributes): number | undefined {
    const mask = this.slots.length - 1;
    for (let slot = hash & mask; this.slots[slot] !== 0; slot = (slot + 1) & mask) {
      const at = this.slots[slot]! - 1;
      const same = this.attributes[at] === attributes && this.ops[at] === op;
      if (same && sameShape(this.inputs[at]!, inputs)) return this.ids[at];
    }
    return undefined;
  }

  put(hash: number, op: string, inputs: readonly number[], attributes: Attributes, id: number): void {
    this.hashes.push(hash);
    this.ops.push(op);
    this.inputs.push(inputs);
    this.attributes.push(attributes);
    this.ids.push(id);
    if (2 * this.ids.length > this.slots.length) this.grow();
    else this.take(this.ids.length - 1);
  }

  private take(at: number): void {
    const mask = this.slots.length - 1;
    let slot = this.hashes[at]! & mask;
    while (this.slots[slot] !== 0) slot = (slot + 1) & mask;
    this.slots[slot] = at + 1;
  }

  private grow(): void {
    this.slots = new Int32Array(4 * this.slots.length);
    for (let at = 0; at < this.ids.length; at++) this.take(at);
  }
}
