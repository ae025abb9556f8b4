"""The cells of a bank's or wallet's table, CSV or XLSX, as columns of text: nothing is judged here, all is bounded."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from connectors.bank.spelling import TEXT, Ints
from connectors.layouts.workbook import rows_of

if TYPE_CHECKING:
    import io
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from connectors.bank.profiles import Places, Profile

SIZE_LIMIT: Final = 1 << 30
HEAD: Final = 60
"""lines at most before the header"""
AT_ONCE: Final = 50_000
CELL_LIMIT: Final = 20_000


@dataclass(frozen=True)
class Table:
    """The file's lines below the header, as columns of text, and what stood above."""

    cells: dict[str, pa.Array]
    """per role; `text0`, `text1` … the texts; `first` the first cell; `beyond` whether there are more cells"""
    lines: Ints
    """the line of the file that each row begins on"""
    facts: dict[str, str]
    """per fact of the preamble, what was said"""


def headers(path: Path, encoding: str, delimiter: str) -> list[list[str]]:
    """The cells of the first lines, where a header may be; none where the file is not in that encoding."""
    try:
        with path.open(encoding=encoding, newline="") as source:
            head = source.read(1 << 16)
    except UnicodeError:
        return []
    return _rows_in(head.removeprefix("\ufeff").splitlines(keepends=True)[:HEAD], delimiter)


def sheet_headers(path: Path) -> list[list[str]]:
    """The same of a workbook's first sheet. Raises FileRefused."""
    found = []
    for row in rows_of(path, "", max_bytes=SIZE_LIMIT):
        found.append(list(row.texts))
        if len(found) >= HEAD:
            break
    return found


def _rows_in(lines: Sequence[str], delimiter: str) -> list[list[str]]:
    try:
        return list(csv.reader(lines, delimiter=delimiter))
    except csv.Error:
        return []


def delimited(path: Path, encoding: str, delimiter: str, quote: str) -> Iterator[tuple[int, list[str]]]:
    """The file's rows, each with the line it begins on. Raises UnicodeError and csv.Error."""
    with path.open(encoding=encoding, newline="") as source:
        start = source.read(1)
        if start != "\ufeff":
            source.seek(0)
        quoting: dict[str, Any] = {"quotechar": quote} if quote else {"quoting": csv.QUOTE_NONE}
        reader = csv.reader(_universal(source), delimiter=delimiter, **quoting)
        line = 1
        for row in reader:
            yield line, row
            line = reader.line_num + 1


def _universal(source: io.TextIOBase) -> Iterator[str]:
    """The lines, whichever of the three ends they have: an old export ends them by a carriage return alone."""
    for line in source:
        yield from line.splitlines(keepends=True) if "\r" in line[:-2] else (line,)


def sheet(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The rows of a workbook's first sheet, with their numbers. Raises FileRefused."""
    for row in rows_of(path, "", max_bytes=SIZE_LIMIT):
        yield row.number, list(row.texts)


def table_of(rows: Iterator[tuple[int, list[str]]], profile: Profile, places: Places, at: int) -> Table:
    """The table of these rows. `at`: how many stand above its first."""
    facts: dict[str, str] = {}
    summary: list[str] = []
    columns = dict(places.roles) | {f"text{number}": place for number, place in enumerate(places.texts)} | {"first": 0}
    gathered: dict[str, list[pa.Array]] = {name: [] for name in (*columns, "beyond")}
    held: list[list[str]] = []
    lines: list[int] = []
    for number, (line, row) in enumerate(rows):
        if number < at:
            _note(facts, profile, row)
            continue
        if profile.prefix:
            row = [cell.strip().removeprefix(profile.prefix) for cell in row]  # noqa: PLW2901 - the same row, bare
        if _ends(row, profile):
            summary = next((after for _, after in rows if any(after)), [])
            break
        if any(row):
            held.append(row)
            lines.append(line)
        if len(held) >= AT_ONCE:
            _gather(gathered, columns, held, places.width)
            held = []
    _gather(gathered, columns, held, places.width)
    cells = {name: pa.concat_arrays([pa.array([], TEXT), *parts]) for name, parts in gathered.items()}
    facts |= _summed(summary, profile)
    return Table(cells, np.array(lines, dtype=np.int64), facts)


def _ends(row: list[str], profile: Profile) -> bool:
    first = row[0].strip() if row else ""
    return any(first == end or (end[-1] == "*" and first.startswith(end[:-1])) for end in profile.ends if first)


def _summed(row: list[str], profile: Profile) -> dict[str, str]:
    """What the line after the table says in sum."""
    bare = [cell.strip().removeprefix(profile.prefix) for cell in row]
    return {f"sum of {name}": bare[at - 1] for name, at in profile.summary.items() if at <= len(bare)}


def _gather(gathered: dict[str, list[pa.Array]], columns: dict[str, int], rows: list[list[str]], width: int) -> None:
    gathered["beyond"].append(pa.array(["more" if len(row) > width else "" for row in rows], TEXT))
    for name, place in columns.items():
        cells = pa.array([row[place][:CELL_LIMIT] if place < len(row) else "" for row in rows], TEXT)
        gathered[name].append(pc.utf8_trim_whitespace(cells))


def _note(facts: dict[str, str], profile: Profile, row: list[str]) -> None:
    """Take in what a line above the header says: in its second cell, or behind the name in its first."""
    first = row[0].strip().strip('"') if row else ""
    for fact, names in profile.preamble.items():
        for name in names:
            if fact in facts or not first.startswith(name):
                continue
            said = row[1] if first == name and len(row) > 1 else first.removeprefix(name)
            facts[fact] = said.strip(" \t[]").lstrip("=").strip('"').lstrip("=")
