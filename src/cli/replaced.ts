/** Files that commands write beside `--out`: what an earlier run wrote there is replaced, and other files are not. */
import { lstat, readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { WebpeftError } from "../ir/diagnostics.ts";
import { notFound, readError, systemCode } from "../runtime/files/errors.ts";

const isMissing = (error: unknown): boolean => systemCode(error) === "ENOENT";

/** Throws `FILE-OUTPUT-EXISTS` for a file with something that is not `ours`, unless it may be overwritten. */
export async function checkReplaced(
  file: string,
  {
    overwrite,
    ours,
    ...told
  }: {
    readonly overwrite: boolean;
    readonly ours: (text: string) => boolean;
    readonly message: string;
    readonly expected: string;
  },
): Promise<void> {
  const text = await readFile(file, "utf8").catch((error: unknown) => {
    if (isMissing(error)) return "";
    throw readError(error, file);
  });
  if (overwrite || text === "" || ours(text)) return;
  throw new WebpeftError("FILE-OUTPUT-EXISTS", {
    ...told,
    where: file,
    help: "choose another file, or allow overwriting",
  });
}

/** Throws `FILE-NOT-FOUND` where the folder that a file will be written into is missing. */
export async function checkFolderOf(file: string, help: string): Promise<void> {
  await lstat(dirname(file)).catch((error: unknown) => {
    throw isMissing(error) ? notFound(dirname(file), help) : error;
  });
}
