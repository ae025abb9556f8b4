"""A walk along every link of a house in which every text that somebody wrote is hostile."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from typing import TYPE_CHECKING, Final

import pytest
from sqlalchemy import update

from infra.store import bulk, freetexts
from models.tables import Agency, Lender
from tests.console.web import posed

if TYPE_CHECKING:
    from httpx2 import Response

    from infra.wiring import Desk
    from tests.console.web.conftest import As, Crawl

HOSTILE: Final = (
    "=1+cmd|' /C calc'!A0</title><script>alert(7)</script>\"'><img src=x onerror=alert(7)>{{7*7}}javascript:alert(7)"
)
MARK: Final = "alert(7)"
WRITTEN: Final = frozenset({
    "reason", "why", "note", "text", "detail", "resolution", "finding", "last_error", "fix", "counterparty", "source",
    "why_not", "holder", "recipient", "address", "browser", "basis", "ground", "proof", "subject", "name", "step",
    "error", "profile", "return_reason", "refusal_fix", "purpose",
})  # fmt: skip
"""Columns of free text that people, agencies, banks or browsers fill; the others of `freetexts` are numbers and names
that must fit something else."""
RULED: Final = frozenset({
    ("recall", "reason"), ("remittance_line", "why"), ("bank_receipt", "why"), ("plan", "purpose"),
    ("person", "subject"), ("exchange_exception", "subject"), ("complaint", "source"), ("subject_request", "basis"),
    ("consolidation_basis", "basis"), ("portfolio", "profile"), ("resolution", "reason"),
})  # fmt: skip
"""These are codes after all."""
WRONG: Final = re.compile(
    r"<script>alert|<img src=x|</title><script|\w+=\"\s*javascript:|\{\{49|>49javascript|\bNaT\b|"
    r"<(?:td|dd|p|li)[^>]*>\s*(?:nan|None)\s*<"
)
"""What would run, what a template would have computed, and what a page shows where it has nothing to say."""
LEAST: Final = {"second": 60, "agency": 6}
"""On more pages than this the text is shown: the walk has not missed the house."""
TABLES: Final = re.compile(r"spreadsheetml|text/csv")


@pytest.fixture
def hostile(desk: Desk) -> Desk:
    """The house in the middle of its work, with the hostile text in every place where somebody may write one."""
    posed.pose(desk)
    with desk.database.write() as connection:
        for table, columns in freetexts.searched():
            names = [one.name for one in columns if one.name in WRITTEN and (table.name, one.name) not in RULED]
            for name in names:
                told = table.c[name].like("{%") | table.c[name].like("[%")  # written by the house, and read again
                connection.execute(update(table).where(~told).values({name: HOSTILE}))
        for named in (Agency, Lender):
            connection.execute(update(bulk.table_of(named)).values(name=HOSTILE))
    return desk


def computes(answer: Response) -> bool:
    """Whether a spreadsheet would compute something of it: a formula or a link in a workbook, a cell of a CSV."""
    if "spreadsheetml" in answer.headers["content-type"]:
        with zipfile.ZipFile(io.BytesIO(answer.content)) as parts:
            sheets = [parts.read(name).decode() for name in parts.namelist() if name.startswith("xl/worksheets/")]
        return any(re.search(r"<f[ >]|<hyperlink", sheet) for sheet in sheets)
    return any(row and any(cell.startswith("=") for cell in row) for row in csv.reader(io.StringIO(answer.text)))


@pytest.mark.usefixtures("hostile")
@pytest.mark.parametrize("who", ["second", "agency"])
def test_no_page_fails_scripts_or_computes_whatever_is_written_in_the_house(browse: As, crawl: Crawl, who: str) -> None:
    browser = browse(who)
    shown = 0
    for path, answer in crawl(browser):
        assert answer.status_code in {200, 303}, (path, answer.status_code)
        kind = answer.headers.get("content-type", "")
        if kind.startswith("text/html"):
            shown += MARK in answer.text
            wrong = [answer.text[one.start() - 200 : one.end() + 40] for one in WRONG.finditer(answer.text)]
            assert not wrong, path
        elif TABLES.search(kind):
            assert not computes(answer), path
    assert shown > LEAST[who]
