/** Values that are worked out when they are first asked for. */

/** The value of `make`, made at the first call. */
export function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}

/** A map, or a weak one. */
interface Known<K, V> {
  get(key: K): V | undefined;
  set(key: K, value: V): unknown;
}

/** A map that knows which of its entries were asked for last. */
export class Recent<K, V> {
  /** In the order in which they were set or got. */
  private readonly entries = new Map<K, V>();

  get(key: K): V | undefined {
    const value = this.entries.get(key);
    if (value !== undefined) this.set(key, value);
    return value;
  }

  set(key: K, value: V): void {
    this.entries.delete(key);
    this.entries.set(key, value);
  }

  values(): Iterable<V> {
    return this.entries.values();
  }

  /** Keeps the entries that were asked for last, at most so many; whether any was forgotten. */
  keep(most: number): boolean {
    if (this.entries.size <= most) return false;
    for (const key of this.entries.keys()) {
      this.entries.delete(key);
      if (this.entries.size === most) break;
    }
    return true;
  }
}

/** The value of a key, made when it is first asked for. */
export function remembered<K, V>(known: Known<K, V>, key: K, make: () => V): V {
  const before = known.get(key);
  if (before !== undefined) return before;
  const value = make();
  known.set(key, value);
  return value;
}
