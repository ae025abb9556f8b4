"""`consign recon` and `consign statement`, as a person types them."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from sqlmodel import SQLModel
from typer.testing import CliRunner, Result

from console.cli.main import app
from infra.sandbox.bank import BankAccount
from infra.settings import Settings
from infra.wiring import Desk, seated
from models.tables import AgencyContract, Lender

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Type = Callable[..., Result]

NOW = datetime(2026, 5, 4, 1, 15, tzinfo=UTC)
TERMS = 'currency = "CNY"\npayer_accounts = ["CN-1"]\n[[tier]]\nrate = "0.2"\n'


@pytest.fixture
def typed(tmp_path: Path) -> Iterator[Type]:
    """Types a command at a desk with one lender and one contract; it must end with `code`."""
    desk = Desk(Settings(home=tmp_path / "home", engine="direct"), clock=lambda: NOW, actor="chen.yu")
    SQLModel.metadata.create_all(desk.database.engine)
    with desk.database.session() as session:
        session.add(Lender(lender="first-bank", name="First Bank", created_at=NOW))
        session.add(
            AgencyContract(
                agency="alpha", lender="first-bank", effective_from=date(2026, 1, 1), terms=TERMS, sha256="0" * 64,
                created_by="ann", created_at=NOW,
            )
        )  # fmt: skip

    def run(*words: str, code: int = 0) -> Result:
        result = CliRunner().invoke(app, list(words))
        assert result.exit_code == code, result.output
        return result

    with seated(desk):
        yield run
    desk.database.close()


@pytest.fixture
def april(tmp_path: Path) -> str:
    """The bank's statement: 12.50 from agency alpha, and a charge."""
    entries = pd.DataFrame({
        "amount_minor": [1_250, -30], "value_date": pd.Timestamp(2026, 4, 2), "reference": ["A-1", "charge"],
        "payer_account": ["CN-1", None],
    }).astype({"reference": "str", "payer_account": "str"})  # fmt: skip
    return str(BankAccount("L-1", "CNY").write(tmp_path / "april.xml", entries, date(2026, 4, 1), date(2026, 4, 30)))


def said(result: Result) -> Any:
    return json.loads(result.stdout)


def test_a_statement_is_taken_in_once_and_what_nobody_explains_is_a_break(typed: Type, april: str) -> None:
    shown = said(typed("recon", "import-statement", april, "--lender", "first-bank", "--dry-run", "--json"))
    assert [one["entries"] for one in shown["items"]] == [2]
    taken = ("recon", "import", april, "--lender", "first-bank", "--new-account", "--json")
    first, again = said(typed(*taken)), said(typed(*taken))
    assert (first["receipts"], first["receipts_of_agencies"], first["known"], again["known"]) == (2, 1, False, True)

    report = said(typed("recon", "run", "--json", code=3))
    assert report["breaks"] == {"no_line": 1}
    assert report["journal_balanced"]
    (found,) = said(typed("recon", "breaks", "--json"))["items"]
    assert (found["code"], found["amount_minor"], found["age"]) == ("no_line", 1_250, "0-2")
    whole = said(typed("recon", "show", str(found["break_id"]), "--json"))
    assert whole["receipt"]["reference"] == "A-1"
    assert "no_line" in typed("recon", "breaks").stdout
    assert said(typed("recon", "run", "--dry-run", "--json"))["lender"] == "all"


def test_the_trial_balance_sums_to_nothing(typed: Type, april: str) -> None:
    typed("recon", "import", april, "--lender", "first-bank", "--new-account")
    rows = said(typed("recon", "trial-balance", "--json"))["items"]
    assert {row["ledger"]: row["balance_minor"] for row in rows} == {"1010": 1_220, "1250": -1_220}
    assert {row["name"] for row in rows} == {"bank", "unapplied receipts"}


def test_what_is_missing_is_told_and_ends_with_3(typed: Type, tmp_path: Path, april: str) -> None:
    typed("recon", "import", april, "--lender", "first-bank", "--new-account")
    none = pd.DataFrame({"amount_minor": [1], "value_date": pd.Timestamp(2026, 6, 2), "reference": ["B"]})
    june = BankAccount("L-1", "CNY", 9_999).write(tmp_path / "june.xml", none, date(2026, 6, 1), date(2026, 6, 30))
    assert "missing" in typed("recon", "import-statement", str(june), "--lender", "first-bank", code=3).output


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("recon", "show", "99"), 2, "no break 99"),
        (("recon", "run", "--lender", "nobody"), 4, "nobody"),
        (("statement", "show", "99"), 2, "no statement 99"),
        (("statement", "make", "2026-13", "--lender", "first-bank"), 2, "no month"),
    ],
)
def test_what_is_not_there_is_said(typed: Type, words: tuple[str, ...], code: int, says: str) -> None:
    assert says in typed(*words, code=code).output


def test_a_month_without_lines_states_nothing(typed: Type) -> None:
    assert said(typed("statement", "make", "2026-04", "--lender", "first-bank", "--json"))["statements"] == 0
    assert said(typed("statement", "make", "2026-04", "--lender", "first-bank", "--dry-run", "--json"))["count"] == 0
    assert said(typed("statement", "list", "--json"))["items"] == []


def test_a_file_that_is_no_statement_is_refused_and_ends_with_3(typed: Type, tmp_path: Path) -> None:
    path = tmp_path / "april.xml"
    path.write_text("<Document>")
    assert "not well-formed" in typed("recon", "import-statement", str(path), "--lender", "first-bank", code=3).output


def test_accounts_are_registered_and_listed(typed: Type, april: str) -> None:
    assert "is not in the register" in typed("recon", "import", april, "--lender", "first-bank", code=6).output
    added = ("recon", "accounts", "add", "L-1", "--lender", "first-bank", "--currency", "cny", "--json")
    assert said(typed(*added)) == {"account": "…L-1", "lender": "first-bank", "currency": "CNY", "new": True}
    assert said(typed(*added))["new"] is False
    (one,) = said(typed("recon", "accounts", "--json"))["items"]
    assert (one["account"], one["lender"], one["ledger"]) == ("L-1", "first-bank", "1010")
    assert said(typed("recon", "import", april, "--lender", "first-bank", "--json"))["form"] == "camt.053"


def test_layouts_are_listed_shown_and_tried_on_a_file(typed: Type, tmp_path: Path) -> None:
    assert "cn-alipay-ledger@1" in {one["layout"] for one in said(typed("recon", "layouts", "list", "--json"))["items"]}
    assert "[columns]" in said(typed("recon", "layouts", "show", "ch-akb", "--json"))["toml"]
    table = tmp_path / "akb.csv"
    head = "Buchung;Valuta;Buchungstext;Belastung;Gutschrift;Saldo CHF;"
    table.write_text(f"{head}\n02.04.2026;02.04.2026;a;;5.00;15.00;\n01.04.2026;01.04.2026;b;2.00;;10.00;\n")
    (told,) = said(typed("recon", "layouts", "check", str(table), "--json"))["items"]
    assert (told["form"], told["opening_minor"], told["closing_minor"]) == ("ch-akb@1", 1_200, 1_500)
    table.write_text(table.read_text().replace("10.00", "10.01"))
    assert "line 3: its balance does not follow" in typed("recon", "layouts", "check", str(table), code=3).output
