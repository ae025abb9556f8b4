"""Books that somebody takes away at the console: a job writes the file below home, a page lists and gives it.

No debtor is in them (infra/books/rows.py). A file stays for thirty days; the same books again take its place.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from infra import audit, workedout
from infra.books.export import ENDINGS, FORMATS, export
from infra.store import portfolios
from infra.store.statements import last_day
from models.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from infra.wiring import Desk

FOLDER: Final = "books"
KEPT: Final = timedelta(days=30)
ENDING_OF: Final = {kind: ending for ending, kind in ENDINGS.items() if ending != ".hledger"}


@dataclass(frozen=True)
class Wanted:
    """Which books, and how they are written."""

    lender: str
    format: str
    """hledger, beancount, csv or xlsx"""
    since: str = ""
    """the first month; empty: from the beginning"""
    until: str = ""
    """the last month; empty: to the end"""
    by_account: bool = False
    """a line per debtor's account, by our internal number"""

    @property
    def name(self) -> str:
        """What the file is called."""
        words = [self.lender, self.since or "begin", self.until or "end"] + ["by-account"] * self.by_account
        return "-".join(words) + ENDING_OF[self.format]


def check(desk: Desk, wanted: Wanted) -> None:
    """Nothing, where such books can be asked for. Raises UsageError for a lender, format or month that there is not."""
    if wanted.format not in FORMATS:
        raise UsageError(f"the books cannot be written as {wanted.format!r}", fix=f"formats are {', '.join(FORMATS)}")
    for month in (wanted.since, wanted.until):
        if month:
            last_day(month)
    with desk.database.read() as connection:
        portfolios.known_lender(connection, wanted.lender)


def take(desk: Desk, wanted: Wanted) -> dict[str, Any]:
    """The books lie there to be taken away; what they hold. Raises what `check` does, and for months without entries.

    That they were taken is on record.
    """
    check(desk, wanted)
    sweep(desk)
    path = desk.folder(FOLDER) / wanted.name
    path.unlink(missing_ok=True)
    done = export(
        desk, wanted.lender, path, format_=wanted.format, since=wanted.since or None, until=wanted.until or None,
        by_account=wanted.by_account,
    )  # fmt: skip
    told = {name: value for name, value in asdict(done).items() if name != "file"}
    workedout.keep(desk, _noted(wanted.name), told | {"by_account": wanted.by_account})
    with desk.database.write() as connection:
        audit.record(
            connection, desk.actor, "books.exported", f"lender:{wanted.lender}",
            {"kind": done.format, "from": done.since, "to": done.until, "lines": done.lines, "sha256": done.sha256},
            desk.now(),
        )  # fmt: skip
    return {"books": wanted.name, "lines": done.lines, "accounts": done.accounts, "sha256": done.sha256}


def listed(desk: Desk) -> list[dict[str, Any]]:
    """The files that lie there, the newest first: `name`, `size`, `at`, `by`, and what `take` noted of each."""
    found = []
    for path in desk.folder(FOLDER).iterdir():
        told = workedout.find(desk, _noted(path.name))
        if told is not None and path.suffix in ENDINGS:
            found.append({"name": path.name, "size": path.stat().st_size, "at": told["at"], "by": told["by"],
                          **told["found"]})  # fmt: skip
    return sorted(found, key=lambda one: (one["at"], one["name"]), reverse=True)


def file(desk: Desk, name: str) -> Path:
    """Where the file of that name lies. Raises UsageError for one that `listed` does not have."""
    if name not in {one["name"] for one in listed(desk)}:
        raise UsageError("there are no such books", fix="ask for them again: they are kept for thirty days")
    return desk.folder(FOLDER) / name


def sweep(desk: Desk) -> None:
    """Files from longer ago are gone."""
    for path in desk.folder(FOLDER).iterdir():
        if datetime.fromtimestamp(path.stat().st_mtime, UTC) < desk.now() - KEPT:
            path.unlink(missing_ok=True)


def _noted(name: str) -> str:
    return "books-" + name.replace(".", "-")
