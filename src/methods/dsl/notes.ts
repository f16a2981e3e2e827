/** What graphs of an adapter take from outside: host tables, numbers that are inputs of a padded program, and constants that a file must agree with. */
import { keyAt, type Site } from "../site.ts";

type HostTable = Float32Array | Int32Array;

const equal = (a: HostTable, b: HostTable): boolean =>
  a.constructor === b.constructor && a.length === b.length && a.every((x, i) => x === b[i]);

/** Filled while the sites are declared; then it is complete, and building them only reads it. */
export class Notes {
  /** What buffers of the program hold: what `shared` tensors are drawn as, by key, and index tables, by port. */
  readonly data = new Map<string, HostTable>();
  /** Numbers of this adapter that are inputs of a padded program, by port. */
  readonly settings = new Map<string, number>();
  /** Keys of the saved constants whose numbers the program is made of: a file must hold the same. */
  readonly pinned = new Set<string>();
  private readonly byName = new Map<string, { readonly port: string; readonly shape: string }[]>();
  private alike: readonly Site[] = [];
  private complete = false;

  /** Runs `work` at a site that stands for others: what is noted there holds for all of them. */
  at(alike: readonly Site[], work: () => void): void {
    this.alike = alike;
    work();
    this.alike = [];
  }

  close(): void {
    this.complete = true;
  }

  put(port: string, data: HostTable): void {
    this.data.set(port, data);
  }

  /** The port of a table. Equal tables of one name share it, so that sites of one size read one buffer. */
  table(name: string, data: HostTable, shape: readonly number[]): string {
    const key = shape.join(",");
    const before = this.byName.get(name) ?? [];
    const found = before.find((entry) => entry.shape === key && equal(this.data.get(entry.port)!, data));
    if (found !== undefined) return found.port;
    this.check(false, name);
    const port = before.length === 0 ? name : `${name}.${before.length}`;
    this.byName.set(name, [...before, { port, shape: key }]);
    this.data.set(port, data);
    return port;
  }

  /** The port of a number of a site. */
  setting(site: Site, end: string, value: number): string {
    const port = keyAt(site, end);
    this.check(this.settings.get(port) === value, port);
    for (const one of this.alike) this.settings.set(keyAt(one, end), value);
    return port;
  }

  pin(site: Site, end: string): void {
    this.check(this.pinned.has(keyAt(site, end)), end);
    for (const one of this.alike) this.pinned.add(keyAt(one, end));
  }

  private check(isNoted: boolean, what: string): void {
    if (this.complete && !isNoted) throw new Error(`${what} was not declared`);
  }
}
