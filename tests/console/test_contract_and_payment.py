"""`consign contract`, `consign payment` and `consign forecast`, as people type them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import pytest
import xlsxwriter
from sqlmodel import SQLModel, select
from typer.testing import CliRunner, Result

from console.cli.main import app
from infra.settings import Settings
from infra.wiring import Desk, seated
from models.tables import Agency, AgencyContract, AuditEvent, Lender

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Type = Callable[..., Result]

NOW = datetime(2026, 5, 4, 1, 15, tzinfo=UTC)
TERMS = 'currency = "CNY"\nvat_rate = "0.06"\n[[tier]]\ndpd_to = 90\nrate = "0.2"\n[[tier]]\nrate = "0.3"\n'
SHEET = (
    ("lender", "agency", "effective_from", "currency", "vat_rate", "payee.name", "payee.iban", "dpd_to", "rate"),
    ("first-bank", "alpha", "2026-07-01", "CNY", "0.06", "Alpha", "DE89370400440532013000", 90, "0.21"),
    ("first-bank", "alpha", "2026-07-01", "", "", "", "", "", "0.31"),
)
ALPHA = ("alpha", "--lender", "first-bank")


@pytest.fixture
def typed(tmp_path: Path) -> Iterator[Type]:
    """Types a command at a desk with a live agency under contract, as `actor`; it must end with `code`."""
    desk = Desk(Settings(home=tmp_path / "home", engine="direct"), clock=lambda: NOW, actor="chen.yu")
    SQLModel.metadata.create_all(desk.database.engine)
    with desk.database.session() as session:
        session.add(Lender(lender="first-bank", name="First Bank", created_at=NOW))
        session.add(Agency(agency="alpha", name="Alpha", drop="{}", state="live", created_at=NOW))
        session.add(
            AgencyContract(
                agency="alpha", lender="first-bank", effective_from=date(2026, 1, 1), terms=TERMS, sha256="0" * 64,
                created_by="ann", created_at=NOW,
            )
        )  # fmt: skip

    def run(*words: str, code: int = 0, actor: str = "chen.yu") -> Result:
        desk.actor = actor
        result = CliRunner().invoke(app, list(words))
        assert result.exit_code == code, result.output
        return result

    with seated(desk):
        yield run
    desk.database.close()


def said(result: Result) -> Any:
    return json.loads(result.stdout)


def test_terms_of_a_live_agency_are_in_force_when_another_has_approved_them(typed: Type) -> None:
    change = (
        "contract",
        "propose",
        *ALPHA,
        "--from",
        "2026-06-01",
        "--set",
        "tier.2.rate=0.35",
        "--why",
        "letter of May",
    )
    told = said(typed(*change, "--json"))
    assert (told["state"], told["proposal_id"]) == ("waiting", 1)
    assert said(typed(*change, "--json"))["proposal_id"] == 1  # the same again is the one that waits
    assert "cannot approve them" in typed("contract", "approve", "1", code=6).output
    typed("contract", "approve", "1", actor="wang.fang")
    listed = said(typed("contract", "list", "--json"))["items"]
    assert [(one["from"], one["until"], one["rates"], one["approved_by"]) for one in listed] == [
        ("2026-01-01", "2026-05-31", "20%, 30%", None), ("2026-06-01", None, "20%, 35%", "wang.fang"),
    ]  # fmt: skip
    assert "cannot become approved" in typed("contract", "approve", "1", code=6, actor="wang.fang").output
    assert said(typed("contract", "show", *ALPHA, "--on", "2026-05-31", "--json"))["terms"] == TERMS


def test_other_ways_to_a_contract_end_at_the_second_person_too(typed: Type, tmp_path: Path) -> None:
    terms = tmp_path / "t.toml"
    terms.write_text(TERMS)
    by_the_way = ("agency", "contract", *ALPHA, "--terms", str(terms), "--effective-from", "2026-06-01")
    assert "a second person approves" in typed(*by_the_way, code=6).output


def test_how_terms_differ_is_told_term_by_term(typed: Type) -> None:
    told = said(typed("contract", "diff", *ALPHA, "--set", "tier.1.rate=0.25", "--set", "tier.3.rate=0.4", "--json"))
    assert told["items"] == [
        {"term": "tier 1 rate", "before": "0.2", "after": "0.25"},
        {"term": "tier 3 rate", "before": None, "after": "0.4"},
    ]  # fmt: skip
    assert "there is no such tier" in typed("contract", "diff", *ALPHA, "--set", "tier.9.rate=0.4", code=4).output


def test_contracts_come_from_a_sheet_a_row_per_tier(typed: Type, tmp_path: Path) -> None:
    csv = tmp_path / "c.csv"
    csv.write_text("\n".join(",".join(str(cell) for cell in row) for row in SHEET), encoding="utf-8-sig")
    book = xlsxwriter.Workbook(str(tmp_path / "c.xlsx"))
    sheet = book.add_worksheet()
    for number, row in enumerate(SHEET):
        sheet.write_row(number, 0, row)
    book.close()
    told = [
        said(typed("contract", "import", str(path), "--why", "renewal round", "--dry-run", "--json"))["items"]
        for path in (csv, tmp_path / "c.xlsx")
    ]
    assert told[0] == told[1]
    (contract,) = told[0]
    assert (contract["agency"], contract["from"]) == ("alpha", "2026-07-01")
    assert contract["terms"].count("[[tier]]") == 2
    typed("contract", "import", str(csv), "--why", "renewal round")
    assert [one["state"] for one in said(typed("contract", "proposals", "--json"))["items"]] == ["waiting"]
    typed("contract", "withdraw", "1")
    assert [one["state"] for one in said(typed("contract", "proposals", "--json"))["items"]] == ["withdrawn"]


@pytest.mark.parametrize(
    ("terms", "why"),
    [
        ('currency = "CNY"', "has no tier"),
        ('currency = "CNY"\nbasis = "fixed"\n[[tier]]\nrate = "0.1"', "a fee per case alone"),
        ('currency = "CNY"\nbasis = "mixed"\n[[tier]]\nrate = "0.1"', "a case fee goes with"),
        (
            'currency = "CNY"\nline_floor_minor = 9\nline_cap_minor = 8\n[[tier]]\nrate = "0.1"',
            "line_floor_minor is above",
        ),
        ('currency = "CNY"\n[[tier]]\nrate = "0.1"\nsteps = [{ from_minor = 0, rate = "0.2" }]', "volumes must rise"),
        ('currency = "CNY"\n[[tier]]\nrate = "0.1"\ndpd_from = 9\ndpd_to = 8', "dpd_from is above"),
        ('currency = "CNY"\n[payee]\nname = "x"\naccount = "1"\n[[tier]]\nrate = "0.1"', "nobody knows the bank"),
        ('currency = "CNY"\n[payee]\nname = "x"\niban = "DE89370400440532013001"\n[[tier]]\nrate = "0.1"', "no IBAN"),
        ('currency = "CNY"\n[payee]\nname = "x"\naccount = "1"\ncnaps = "12"\n[[tier]]\nrate = "0.1"', "twelve digits"),
        ('currency = "CNY"\ndirect_rate = "0.1"\n[[tier]]\nrate = "0.1"', "without direct_payments"),
    ],
)
def test_terms_that_do_not_agree_with_themselves_are_refused_with_the_reason(
    typed: Type, tmp_path: Path, terms: str, why: str
) -> None:
    path = tmp_path / "t.toml"
    path.write_text(terms)
    assert why in " ".join(typed("contract", "check", str(path), code=4).output.split())


def test_a_month_without_anything_costs_nothing_under_any_terms(typed: Type) -> None:
    told = said(typed("contract", "simulate", "2026-04", "--lender", "first-bank", "--set", "vat_rate=0.09", "--json"))
    assert told["rows"] == []


def test_nothing_due_is_said_and_nothing_is_proposed(typed: Type) -> None:
    assert said(typed("payment", "due", "--lender", "first-bank", "--json"))["items"] == []
    assert said(typed("payment", "owed", "--lender", "first-bank", "--json"))["items"] == []
    proposing = ("payment", "propose", "--lender", "first-bank", "--from")
    assert "nothing is due" in typed(*proposing, "DE89370400440532013000", code=2).output
    assert "nobody knows the bank" in typed(*proposing, "6222020200012345678", code=2).output
    assert said(typed("payment", "list", "--json"))["items"] == []


def test_without_a_history_nothing_is_forecast(typed: Type) -> None:
    assert "no history to forecast from" in typed("forecast", "--lender", "first-bank", code=2).output


def test_what_was_proposed_and_approved_is_in_the_trail(typed: Type, tmp_path: Path) -> None:
    typed("contract", "propose", *ALPHA, "--from", "2026-06-01", "--set", "vat_rate=0.09", "--why", "letter of May")
    typed("contract", "approve", "1", actor="wang.fang")
    desk = Desk(Settings(home=tmp_path / "home", engine="direct"), clock=lambda: NOW, actor="x")
    with desk.database.session() as session:
        events = [(one.actor, one.action) for one in session.exec(select(AuditEvent)).all()]
    assert events == [("chen.yu", "contract.proposed"), ("wang.fang", "contract.approved")]
    desk.database.close()
