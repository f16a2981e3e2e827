/** Host data of an elaborated adapter: what buffers of the program hold. */

const equal = (a: Float32Array | Int32Array, b: Float32Array | Int32Array): boolean =>
  a.constructor === b.constructor && a.length === b.length && a.every((x, i) => x === b[i]);

export class HostTables {
  readonly data = new Map<string, Float32Array | Int32Array>();
  private readonly byName = new Map<string, { readonly port: string; readonly shape: string }[]>();

  /** The port of a table. Equal tables of one name share it, so that sites of one size read one buffer. */
  intern(name: string, data: Float32Array | Int32Array, shape: readonly number[]): string {
    const key = shape.join(",");
    const before = this.byName.get(name) ?? [];
    const found = before.find((entry) => entry.shape === key && equal(this.data.get(entry.port)!, data));
    if (found !== undefined) return found.port;
    const port = before.length === 0 ? name : `${name}.${before.length}`;
    this.byName.set(name, [...before, { port, shape: key }]);
    this.data.set(port, data);
    return port;
  }

  put(port: string, data: Float32Array | Int32Array): void {
    this.data.set(port, data);
  }
}
