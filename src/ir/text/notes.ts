/** Notes: what stands in a comment behind a parameter or a statement. */
import type { IToken } from "chevrotain";
import type { SourceLocation } from "../graph.ts";
import type { GraphSyntax, ParameterSyntax, Report, StatementSyntax } from "./syntax.ts";

interface Note {
  readonly scope?: string;
  readonly location?: SourceLocation;
  readonly chunk?: string;
}

export type Notes = ReadonlyMap<ParameterSyntax | StatementSyntax, Note>;

const part = String.raw`("(?:[^"\\]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*"|[^\s":[][^\s":]*)`;
const chunk = String.raw`(?:(?:^|\s+)\[([^\]\s]+)\])?`;
const location = String.raw`${part}:(-?\d+)`;
const notePattern = new RegExp(String.raw`^(?:${part}(?:\s+${location})?|${location})?${chunk}$`);

/** The note of every value that has one: a comment belongs to the last value that ends on its line. Others are free text. */
export function readNotes({ parameters, statements }: GraphSyntax, comments: readonly IToken[], report: Report): Notes {
  const lastOnLine = new Map([...parameters, ...statements].map((value) => [value.endLine, value]));
  const notes = new Map<ParameterSyntax | StatementSyntax, Note>();
  for (const comment of comments) {
    const place = { line: comment.startLine ?? 1, column: comment.startColumn ?? 1 };
    const value = lastOnLine.get(place.line);
    if (value === undefined) continue;
    const note = readNote(comment.image.slice("//".length).trim());
    if (note !== undefined) notes.set(value, note);
    else {
      report("NOTE", place, {
        message: "a comment behind a value is its scope and its source location",
        expected: "// scope file:line [chunk], as strings where a part has blanks, quotes or colons",
        got: comment.image,
        help: "put a free comment on a line of its own",
      });
    }
  }
  return notes;
}

/** Undefined when the text is no note. */
function readNote(text: string): Note | undefined {
  const match = notePattern.exec(text);
  if (match === null) return undefined;
  const [scope, file, line, part] = [match[1], match[2] ?? match[4], match[3] ?? match[5], match[6]];
  const plain = (written: string): string => (written.startsWith('"') ? (JSON.parse(written) as string) : written);
  return {
    ...(scope === undefined ? {} : { scope: plain(scope) }),
    ...(file === undefined ? {} : { location: { file: plain(file), line: Number(line) } }),
    ...(part === undefined ? {} : { chunk: part }),
  };
}
