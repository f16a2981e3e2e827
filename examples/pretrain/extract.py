"""Writes the example texts from two Debian packages (see README.md for the commands that fetch them).

  kjv-train.txt      King James Bible without the held-out chapters (4.0 MB, not committed); books end with
                     <|endoftext|>
  kjv-heldout.txt    every 40th chapter of it
  austen-train.txt   Pride and Prejudice, chapters 1 to 32
  austen-heldout.txt Pride and Prejudice, chapters 58 to 61

One verse or paragraph per line, a blank line between chapters. No chapter is in two files of one text.
"""

import argparse
import re
import struct
import subprocess
import zlib
from itertools import groupby
from pathlib import Path

END_OF_TEXT = "<|endoftext|>"
HELD_OUT_EVERY = 40


def bible_chapters(program: Path, data_folder: Path) -> list[tuple[str, str]]:
    """(book, chapter text) in the order of the canon, printed by the package's own program."""
    command = [program.resolve(), "-p", ".", "-f", "gen1:1-rev22:21"]
    printed = subprocess.check_output(command, cwd=data_folder, stdin=subprocess.DEVNULL, text=True)
    verses = [re.fullmatch(r"(\d?[A-Za-z]+)(\d+):\d+ (.*)", line).groups() for line in printed.splitlines()]
    chapters = groupby(verses, key=lambda verse: verse[:2])
    return [(book, "\n".join(" ".join(text.split()) for _, _, text in group)) for (book, _), group in chapters]


def r_strings(serialized: bytes) -> list[str]:
    """The strings of one character vector in R's XDR serialization, version 3."""
    (name_length,) = struct.unpack_from(">i", serialized, 14)
    offset = 18 + name_length
    kind, count = struct.unpack_from(">ii", serialized, offset)
    if kind & 0xFF != 16:
        raise ValueError(f"expected a character vector (type 16), got type {kind & 0xFF}")
    offset += 8
    strings = []
    for _ in range(count):
        _, length = struct.unpack_from(">ii", serialized, offset)
        strings.append(serialized[offset + 8 : offset + 8 + length].decode())
        offset += 8 + length
    return strings


def novel_lines(database: Path, title: str) -> list[str]:
    """The lines of one novel out of the package's lazy-load database: chunks of (length, zlib stream)."""
    rest = database.read_bytes()
    while rest:
        stream = zlib.decompressobj()
        chunk = stream.decompress(rest[4:])
        rest = stream.unused_data
        if title.encode() in chunk[:200]:
            return r_strings(chunk)
    raise ValueError(f"{database}: no novel with the title {title}")


def novel_chapters(lines: list[str]) -> list[str]:
    """Chapter texts, one paragraph per line, without the underscores that mark emphasis and the rows of stars."""
    body = re.split(r"^Chapter \d+$", re.sub(r"_|^ *\*[ *]*$", "", "\n".join(lines), flags=re.M), flags=re.M)[1:]
    paragraphs = [[" ".join(part.split()) for part in chapter.split("\n\n")] for chapter in body]
    return ["\n".join(part for part in chapter if part) for chapter in paragraphs]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packages", type=Path, required=True, help="folder into which dpkg -x unpacked the packages")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    root = arguments.packages / "usr"

    chapters = bible_chapters(root / "bin" / "bible", root / "lib")
    held_out = [text for index, (_, text) in enumerate(chapters) if index % HELD_OUT_EVERY == HELD_OUT_EVERY - 1]
    kept = [chapter for index, chapter in enumerate(chapters) if index % HELD_OUT_EVERY != HELD_OUT_EVERY - 1]
    books = ["\n\n".join(text for _, text in group) for _, group in groupby(kept, key=lambda chapter: chapter[0])]
    novel = novel_chapters(
        novel_lines(root / "lib/R/site-library/janeaustenr/data/Rdata.rdb", "PRIDE AND PREJUDICE")
    )
    texts = {
        "kjv-train.txt": "".join(book + "\n\n" + END_OF_TEXT for book in books),
        "kjv-heldout.txt": "\n\n".join(held_out) + "\n",
        "austen-train.txt": "\n\n".join(novel[:32]) + "\n",
        "austen-heldout.txt": "\n\n".join(novel[57:61]) + "\n",
    }
    for name, text in texts.items():
        (arguments.out / name).write_text(text)
        print(f"{name}: {len(text.encode())} bytes")
    print(f"{len(chapters)} chapters of the Bible, {len(held_out)} held out; {len(novel)} chapters of the novel")


if __name__ == "__main__":
    main()
