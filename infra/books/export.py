"""Writing the books to a file: whole or not at all, readable by its owner alone."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Final

from infra.books import tables
from infra.books.plaintext import Beancount, Hledger
from infra.books.rows import Books
from keys.files import replacing
from models.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from infra.wiring import Desk

TEXTS: Final[Mapping[str, Callable[[Books, IO[str]], int]]] = {
    "beancount": lambda books, out: Beancount(books).write(out),
    "csv": tables.csv,
    "hledger": lambda books, out: Hledger(books).write(out),
}
FORMATS: Final = (*TEXTS, "xlsx")
ENDINGS: Final = {".beancount": "beancount", ".csv": "csv", ".journal": "hledger", ".hledger": "hledger",
                  ".xlsx": "xlsx"}  # fmt: skip


@dataclass(frozen=True)
class Exported:
    """Books that were written."""

    lender: str
    format: str
    since: str
    until: str
    lines: int
    accounts: int
    file: str
    sha256: str


def format_of(path: Path) -> str:
    """What a file of this name is written as. Raises UsageError where its ending does not say."""
    if path.suffix.lower() not in ENDINGS:
        raise UsageError(
            f"{path.name} does not say which format is meant",
            fix=f"end it in {', '.join(ENDINGS)}, or say --format",
        )
    return ENDINGS[path.suffix.lower()]


def export(
    desk: Desk,
    lender: str,
    path: Path,
    *,
    format_: str | None = None,
    since: str | None = None,
    until: str | None = None,
    by_account: bool = False,
) -> Exported:
    """The lender's books of these months (both included; all of them by default) are in the file.

    Raises UsageError for an unknown format, a file that is there already, and months without entries.
    """
    kind = format_ or format_of(path)
    if kind not in FORMATS:
        raise UsageError(f"the books cannot be written as {kind!r}", fix=f"formats are {', '.join(FORMATS)}")
    if path.exists():
        raise UsageError(f"there is a file {path.name} already", fix="name a new file")
    with desk.database.read() as connection:
        books = Books.of(connection, lender, since=since, until=until, by_account=by_account)
        with replacing(path) as unfinished:
            if kind == "xlsx":
                lines = tables.workbook(books, unfinished)
            else:
                with unfinished.open("w", encoding="utf-8", newline="") as out:
                    lines = TEXTS[kind](books, out)
            with unfinished.open("rb") as written:
                sha256 = hashlib.file_digest(written, "sha256").hexdigest()
    return Exported(lender, kind, books.since, books.until, lines, len(books.spots), str(path), sha256)
