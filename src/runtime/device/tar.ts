/** The little of the tar format (POSIX ustar) that reading one regular file takes. */

const block = 512;

/** The contents of the entry of that name, or undefined when the archive has none. Throws on an archive that ends early. */
export function readTarEntry(archive: Uint8Array, name: string): Uint8Array | undefined {
  for (let at = 0; at + block <= archive.length; ) {
    const header = archive.subarray(at, at + block);
    const entry = text(header.subarray(0, 100));
    if (entry === "") return undefined;
    const size = Number.parseInt(text(header.subarray(124, 136)), 8);
    const begin = at + block;
    if (!(begin + size <= archive.length)) throw new Error(`the archive ends inside of ${entry}`);
    if (entry === name || entry === `./${name}`) return archive.subarray(begin, begin + size);
    at = begin + Math.ceil(size / block) * block;
  }
  return undefined;
}

/** A field up to its first NUL, without the spaces around numbers. */
function text(field: Uint8Array): string {
  const end = field.indexOf(0);
  return new TextDecoder().decode(end < 0 ? field : field.subarray(0, end)).trim();
}
