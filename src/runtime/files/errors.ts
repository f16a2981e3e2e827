/** Turns what Node's file system throws into coded errors, so that a missing file or a full disk reads like any other mistake. */
import { WebpeftError } from "../../ir/diagnostics.ts";

/** The `code` of a Node system error (`ENOENT` and so on), or undefined. */
export function systemCode(error: unknown): string | undefined {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return typeof code === "string" ? code : undefined;
}

const text = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** `FILE-NOT-FOUND` or `FILE-READ`; errors that are already coded, and aborts, pass through. */
export function readError(error: unknown, file: string): unknown {
  if (error instanceof WebpeftError || isAbort(error)) return error;
  const code = systemCode(error);
  if (code === "ENOENT" || code === "ENOTDIR") return notFound(file);
  return new WebpeftError(
    "FILE-READ",
    { message: "a file can't be read", where: file, got: text(error) },
    { cause: error },
  );
}

/** `got`: what came instead of the file. */
export const notFound = (file: string, help?: string, got?: string): WebpeftError =>
  new WebpeftError("FILE-NOT-FOUND", {
    message: "there is no such file",
    where: file,
    ...(got && { got }),
    ...(help && { help }),
  });

/** A full disk, or a limit on what may be written. */
export const isDiskFull = (error: unknown): boolean => ["ENOSPC", "EFBIG", "EDQUOT"].includes(systemCode(error) ?? "");

/** `FILE-DISK-FULL` for a full disk or a file size limit, `FILE-WRITE` for other system errors; all else passes through. */
export function writeError(error: unknown, file: string): unknown {
  const code = systemCode(error);
  if (code === undefined || error instanceof WebpeftError) return error;
  const full = isDiskFull(error);
  return new WebpeftError(
    full ? "FILE-DISK-FULL" : "FILE-WRITE",
    {
      message: full ? "there is no room for the file; nothing was written" : "a file can't be written",
      where: file,
      got: text(error),
      help: full
        ? "Free space on the disk, or raise the limit on file sizes."
        : "Check the folder and its permissions.",
    },
    { cause: error },
  );
}

const isAbort = (error: unknown): boolean =>
  error instanceof Error && (error.name === "AbortError" || error.name === "TimeoutError");
