/** A growing acyclic graph whose nodes can be merged: union-find over ids, with dependency sets. */
export class UnitGraph<T> {
  private readonly data: T[] = [];
  private readonly parents: number[] = [];
  private readonly dependencies: Set<number>[] = [];

  add(value: T, dependencies: readonly number[]): number {
    this.data.push(value);
    this.parents.push(this.parents.length);
    this.dependencies.push(new Set(dependencies));
    return this.data.length - 1;
  }

  find(id: number): number {
    let at = id;
    while (this.parents[at] !== at) at = this.parents[at]!;
    return at;
  }

  get(id: number): T {
    return this.data[this.find(id)]!;
  }

  ids(): number[] {
    return this.parents.flatMap((parent, id) => (parent === id ? [id] : []));
  }

  depend(id: number, on: number): void {
    const [a, b] = [this.find(id), this.find(on)];
    if (a !== b) this.dependencies[a]!.add(b);
  }

  private direct(id: number): number[] {
    const own = this.find(id);
    return [...new Set([...this.dependencies[own]!].map((d) => this.find(d)))].filter((d) => d !== own);
  }

  /** Whether `to` needs `from`, directly or through others (false for the same unit). */
  reaches(from: number, to: number): boolean {
    const target = this.find(from);
    const seen = new Set<number>();
    const visit = (id: number): boolean =>
      this.direct(id).some((d) => {
        if (d === target) return true;
        if (seen.has(d)) return false;
        seen.add(d);
        return visit(d);
      });
    return visit(to);
  }

  /** Makes one unit of two; its id is the smaller one's. */
  merge(a: number, b: number, combine: (a: T, b: T) => T): void {
    const [first, second] = [this.find(a), this.find(b)].sort((x, y) => x - y) as [number, number];
    this.data[first] = combine(this.data[first]!, this.data[second]!);
    for (const d of this.dependencies[second]!) this.dependencies[first]!.add(d);
    this.parents[second] = first;
  }

  /** All units, each after what it depends on; otherwise by id. */
  order(): number[] {
    const done: number[] = [];
    const seen = new Set<number>();
    const visit = (id: number): void => {
      if (seen.has(id)) return;
      seen.add(id);
      for (const d of this.direct(id).sort((x, y) => x - y)) visit(d);
      done.push(id);
    };
    for (const id of this.ids()) visit(id);
    return done;
  }
}
