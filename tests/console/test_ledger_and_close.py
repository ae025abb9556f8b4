"""`consign ledger` and `consign close`, as a person types them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from console.cli.main import app
from infra.settings import Settings
from infra.store import schema
from infra.store.ledger import post
from infra.wiring import Desk, seated
from models import postings
from models.tables import Lender

if TYPE_CHECKING:
    from pathlib import Path

    Type = Callable[..., Any]

NOW = datetime(2026, 5, 4, 1, 15, tzinfo=UTC)
APRIL = ("--lender", "bank-a", "--period", "2026-04")


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A desk with one lender, and one recovery of 12.50 in April's books."""
    desk = Desk(Settings(home=tmp_path / "home", engine="direct", durable=False), clock=lambda: NOW, actor="chen.yu")
    schema.ensure(desk.database)
    with desk.database.session() as session:
        session.add(Lender(lender="bank-a", name="Bank A", created_at=NOW))
    row = postings.event("line_accepted", "line:1", "bank-a", "alpha", date(2026, 4, 3), "CNY", 7)
    with seated(desk), desk.database.write() as connection:
        post(connection, postings.line_accepted(row, pd.Series([1_250]), pd.Series([0])), NOW)
    yield desk
    desk.database.close()


@pytest.fixture
def typed(desk: Desk) -> Type:
    """Types a command; it must end with `code`. What it says on stdout, as JSON unless it is a table."""

    def run(*words: str, code: int = 0, actor: str = "chen.yu", json_: bool = True) -> Any:
        other = Desk(desk.settings, clock=desk.clock, actor=actor)
        other.__dict__["database"] = desk.database
        with seated(other):
            result: Result = CliRunner().invoke(app, [*words, *(["--json"] if json_ else [])])
        assert result.exit_code == code, result.output
        return json.loads(result.stdout) if json_ and result.stdout else result.output

    return run


def test_the_balances_can_be_asked_for_in_every_way(typed: Type) -> None:
    by_code = {row["code"]: row["balance_minor"] for row in typed("ledger", "trial-balance")["items"]}
    assert by_code == {"1100": -1_250, "1200": 1_250}
    assert typed("recon", "trial-balance")["count"] == 2
    assert typed("ledger", "trial-balance", "--as-of", "2026-04-02")["count"] == 0
    (opening,) = {row["opening_minor"] for row in typed("ledger", "trial-balance", "--period", "2026-05")["items"]
                  if row["code"] == "1200"}  # fmt: skip
    assert opening == 1_250
    (entry,) = typed("ledger", "entries", "--ledger", "1200", "--period", "2026-04")["items"]
    assert (entry["debit_minor"], entry["credit_minor"]) == (1_250, 0)
    lines = typed("ledger", "entry", entry["entry_key"])["lines"]
    assert sorted(line["amount_minor"] for line in lines) == [-1_250, 1_250]
    assert "12.50 CNY" in typed("ledger", "trial-balance", json_=False)
    typed("ledger", "trial-balance", "--period", "April", code=2, json_=False)
    typed("ledger", "trial-balance", "--period", "2026-04", "--as-of", "2026-04-02", code=2, json_=False)
    typed("ledger", "agency", "nobody", code=2, json_=False)


def test_the_chart_is_shown_and_an_own_one_checked(typed: Type, desk: Desk) -> None:
    assert typed("ledger", "chart")["count"] == len(typed("ledger", "chart", "default")["items"])
    own = desk.folder("charts") / "bank-a.toml"
    own.write_text('name = "bank-a"\ntitle = "ours"\n', encoding="utf-8")
    assert "no account for" in typed("ledger", "chart", "bank-a", code=4, json_=False)


def test_the_books_are_written_to_a_file_once(typed: Type, tmp_path: Path) -> None:
    out = str(tmp_path / "books.journal")
    done = typed("ledger", "export", out, "--lender", "bank-a")
    assert (done["format"], done["lines"], done["since"]) == ("hledger", 2, "2026-04")
    typed("ledger", "export", out, "--lender", "bank-a", code=2, json_=False)


def test_a_month_is_looked_through_accepted_closed_and_opened_by_two(typed: Type) -> None:
    found = {row["finding"]: row for row in typed("close", "check", *APRIL, code=3)["items"]}
    assert [name for name, row in found.items() if row["stops"]] == ["bank_gap"]
    typed("close", "run", *APRIL, code=3, json_=False)
    typed("close", "accept", "bank_gap", *APRIL, "--why", "the account is opened in May")
    typed("close", "check", *APRIL)
    typed("close", "run", *APRIL, "--dry-run")
    assert typed("close", "show")["closings"] == []
    done = typed("close", "run", *APRIL)
    assert (done["new"], done["entries"], done["closed_by"]) == (True, 1, "chen.yu")
    assert typed("close", "run", *APRIL)["new"] is False
    assert done["sha256"] in typed("close", "show", "--lender", "bank-a", json_=False)
    assert "bank_gap" in typed("close", "show", "--period", "2026-04", json_=False)
    assert all(row["holds"] for row in typed("ledger", "verify")["items"])

    asked = typed("close", "reopen", *APRIL, "--why", "a statement was corrected")
    typed("close", "approve", str(asked["reopening_id"]), code=6, json_=False)
    assert typed("close", "approve", str(asked["reopening_id"]), actor="li.wei")["state"] == "open"
    typed("close", "withdraw", str(asked["reopening_id"]), code=6, json_=False)
    assert "li.wei" in typed("close", "show", json_=False)
    assert typed("close", "run", *APRIL)["new"] is True


def test_a_request_to_open_a_month_can_be_withdrawn(typed: Type) -> None:
    typed("close", "accept", "bank_gap", *APRIL, "--why", "the account is opened in May")
    typed("close", "run", *APRIL)
    number = str(typed("close", "reopen", *APRIL, "--why", "a statement was corrected")["reopening_id"])
    typed("close", "withdraw", number)
    typed("close", "approve", number, code=6, json_=False, actor="li.wei")


def test_who_has_not_the_role_finance_closes_nothing(typed: Type, desk: Desk) -> None:
    from infra import roles

    roles.first_administrator(desk)
    for words in (
        ("close", "accept", "bank_gap", *APRIL, "--why", "the account is opened in May"),
        ("close", "run", *APRIL),
        ("close", "reopen", *APRIL, "--why", "a statement was corrected"),
    ):
        assert "finance" in typed(*words, code=6, json_=False)
