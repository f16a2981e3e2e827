/** Names that a file gives to other files: they stay inside of the folder that the user named. */
import { WebpeftError } from "../../ir/diagnostics.ts";

/** Parts of dots and blanks are the folder itself or its parent, on one system or another. */
const isPart = (part: string): boolean => !/^[. ]*$/.test(part);

/** Backslashes and drives are paths on Windows; a zero ends a path early. */
const isPlain = (path: string): boolean => !/[\\\0]|^[A-Za-z]:/.test(path);

/** Whether a path leads to something inside of the folder that it starts from, on every system. */
export const isInside = (path: string): boolean => isPlain(path) && path.split("/").every(isPart);

/** The path as it came. Throws `FILE-PATH` for one that leads out of the folder, as a hostile index file may name. */
export function checkPath(folder: string, path: string): string {
  if (isInside(path)) return path;
  throw outside(folder, path);
}

/** `FILE-PATH`: a name, or a link that stands for it, leads out of its folder. */
const outside = (folder: string, path: string): WebpeftError =>
  new WebpeftError("FILE-PATH", {
    message: "a file name leads out of its folder",
    where: folder,
    expected: "a relative path inside the folder",
    got: JSON.stringify(path),
  });

/**
 * Throws `FILE-PATH` when a folder on the disk has links that lead `path`, or the part of it that exists, out of the folder. The folder
 * itself may be a link.
 */
export async function checkLinks(folder: string, path: string): Promise<void> {
  const { realpath } = await import("node:fs/promises");
  const { dirname, join, relative, sep } = await import("node:path");
  const root = await realpath(folder);
  for (let inner = path; inner !== "."; inner = dirname(inner)) {
    const real = await realpath(join(folder, inner)).catch(() => undefined);
    if (real === undefined) continue;
    if (relative(root, real).split(sep)[0] === ".." || real === relative(root, real)) throw outside(folder, path);
    return;
  }
}
