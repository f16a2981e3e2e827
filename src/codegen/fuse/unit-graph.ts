/** A growing acyclic graph whose nodes can be merged: union-find over ids, with dependency sets. */
export class UnitGraph<T> {
  private readonly data: T[] = [];
  private readonly parents: number[] = [];
  private readonly dependencies: Set<number>[] = [];
  private readonly readers: Set<number>[] = [];
  /** The first age of a unit's own, and the last one of its own and of all that it depends on: what is older cannot depend on it. */
  private readonly first: number[] = [];
  private readonly last: number[] = [];
  /** The search that has been at a unit last. */
  private readonly seen: number[] = [];
  private searches = 0;
  /** Units that searches have been at: a measure of the work. */
  visits = 0;

  /** `age`: greater than that of everything that was there when what the unit holds was made. */
  add(value: T, age: number): number {
    const id = this.data.push(value) - 1;
    this.parents.push(id);
    this.dependencies.push(new Set());
    this.readers.push(new Set());
    this.first.push(age);
    this.last.push(age);
    this.seen.push(0);
    return id;
  }

  /** Something is put into a unit. */
  grow(id: number, age: number): void {
    this.renew(this.find(id), age);
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
    if (a === b) return;
    this.dependencies[a]!.add(b);
    this.readers[b]!.add(a);
    this.renew(a, this.last[b]!);
  }

  private renew(id: number, age: number): void {
    const open = [id];
    for (let at = open.pop(); at !== undefined; at = open.pop()) {
      if (this.last[at]! >= age) continue;
      this.last[at] = age;
      open.push(...this.readers[at]!);
    }
  }

  /** Whether `to` needs `from`, directly or through others (false for the same unit). Looks at the oldest first: they are the nearest to `from`. */
  reaches(from: number, to: number): boolean {
    const target = this.find(from);
    const search = ++this.searches;
    const open = [this.find(to)];
    for (let at = open.pop(); at !== undefined; at = open.pop()) {
      this.visits++;
      if (this.dependencies[at]!.has(target)) return true;
      for (const d of [...this.dependencies[at]!].sort((a, b) => b - a)) {
        if (this.seen[d] === search || this.last[d]! < this.first[target]!) continue;
        this.seen[d] = search;
        open.push(d);
      }
    }
    return false;
  }

  /** Makes one unit of two; its id is the smaller one's. */
  merge(a: number, b: number, combine: (a: T, b: T) => T): void {
    const [kept, gone] = [this.find(a), this.find(b)].sort((x, y) => x - y) as [number, number];
    this.data[kept] = combine(this.data[kept]!, this.data[gone]!);
    this.parents[gone] = kept;
    this.first[kept] = Math.min(this.first[kept]!, this.first[gone]!);
    for (const d of this.dependencies[gone]!) {
      this.readers[d]!.delete(gone);
      this.depend(kept, d);
    }
    for (const reader of this.readers[gone]!) {
      this.dependencies[reader]!.delete(gone);
      this.depend(reader, kept);
    }
    this.renew(kept, this.last[gone]!);
  }

  /** All units, each after what it depends on; otherwise by id. */
  order(): number[] {
    const done: number[] = [];
    const seen = new Set<number>();
    const visit = (id: number): void => {
      if (seen.has(id)) return;
      seen.add(id);
      for (const d of [...this.dependencies[id]!].sort((x, y) => x - y)) visit(d);
      done.push(id);
    };
    for (const id of this.ids()) visit(id);
    return done;
  }
}
