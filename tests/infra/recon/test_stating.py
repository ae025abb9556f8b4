from __future__ import annotations

import csv
import hashlib
import io
from typing import TYPE_CHECKING

import pytest
from python_calamine import load_workbook

from flows.statement import StatementReport, state_period
from infra.wiring import seated
from models.errors import UsageError
from models.tables import Statement, Transmission

if TYPE_CHECKING:
    from tests.infra.recon.conftest import Books


def stated(books: Books, period: str = "2026-04") -> StatementReport:
    with seated(books.desk):
        return state_period(books.lender, period)


def lines_of(books: Books, period: str = "2026-04") -> list[dict[str, str]]:
    row = books.table(Statement).set_index("period").loc[period]
    raw = (books.desk.settings.home / row["csv_path"]).read_bytes()
    assert hashlib.sha256(raw).hexdigest() == row["sha256"]
    return list(csv.DictReader(io.StringIO(raw.decode())))


def test_a_statement_holds_what_counts_with_the_commission_we_computed(stating: Books) -> None:
    stating.remit(
        "alpha",
        [
            {"gross_minor": 10_050, "agency_txn_id": "=1+1", "account_id": 2},
            {"gross_minor": 100, "account_id": 99},
            {"gross_minor": 7, "value_date": "2026-05-01"},
        ],
    )
    report = stated(stating)
    assert (report.statements, report.made, report.lines) == (1, 1, 1)
    (line,) = lines_of(stating)
    shown = {
        name: line[name] for name in ("period", "agency_txn_id", "type", "gross", "rate", "commission", "vat", "net")
    }
    assert shown == {
        "period": "2026-04", "agency_txn_id": "'=1+1", "type": "recovery", "gross": "100.50", "rate": "0.100000",
        "commission": "10.05", "vat": "0.60", "net": "89.85",
    }  # fmt: skip
    assert line["account"].isalnum()
    assert line["account"] != "2"
    rows = load_workbook(str(stating.desk.settings.home / report.files[1])).get_sheet_by_index(0).to_python()
    assert rows[1][1] == "=1+1"
    assert 100.5 in rows[1]


def test_a_statement_is_made_once_and_the_same_files_come_back(stating: Books) -> None:
    stating.remit("alpha", [{"gross_minor": 10_050}])
    first = stated(stating)
    paths = [stating.desk.settings.home / name for name in first.files]
    before = [path.read_bytes() for path in paths]
    for path in paths:
        path.unlink()
    again = stated(stating)
    assert (again.made, again.statements, again.files) == (0, 1, first.files)
    assert [path.read_bytes() for path in paths] == before
    assert len(stating.table(Statement)) == len(stating.table(Transmission)) == 1


def test_a_line_that_comes_after_its_month_was_stated_is_on_the_next(stating: Books) -> None:
    stating.remit("alpha", [{"gross_minor": 100}])
    stated(stating)
    stating.remit("alpha", [{"gross_minor": 200}])
    assert stated(stating).made == 0
    assert stated(stating, "2026-05").made == 1
    assert [(line["gross"], line["value_date"]) for line in lines_of(stating, "2026-05")] == [("2.00", "2026-04-01")]
    assert stating.lines["statement_id"].tolist() == [1, 2]


@pytest.mark.parametrize("period", ["2026-13", "2026", "2026-07", "april"])
def test_a_period_is_a_month_that_has_begun(stating: Books, period: str) -> None:
    with pytest.raises(UsageError):
        stated(stating, period)
