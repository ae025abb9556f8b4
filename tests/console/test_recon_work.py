"""Work on breaks as people type it: take one, resolve it, agree to it, take it back."""

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

    Typed = Callable[..., Any]

NOW = datetime(2026, 5, 4, 1, 15, tzinfo=UTC)
TERMS = 'currency = "CNY"\npayer_accounts = ["CN-1"]\n[[tier]]\nrate = "0.2"\n'


@pytest.fixture
def typed(tmp_path: Path) -> Iterator[Typed]:
    """Types a command as somebody, at a house with 9,000.00 on its account that nobody explains."""
    desk = Desk(Settings(home=tmp_path / "home", engine="direct"), clock=lambda: NOW, actor="ann")
    SQLModel.metadata.create_all(desk.database.engine)
    with desk.database.session() as session:
        session.add(Lender(lender="first-bank", name="First Bank", created_at=NOW))
        session.add(
            AgencyContract(
                agency="alpha", lender="first-bank", effective_from=date(2026, 1, 1), terms=TERMS, sha256="0" * 64,
                created_by="ann", created_at=NOW,
            )
        )  # fmt: skip
    entries = pd.DataFrame({
        "amount_minor": [900_000], "value_date": pd.Timestamp(2026, 4, 2), "reference": ["?"],
        "payer_account": ["CN-1"],
    }).astype({"reference": "str", "payer_account": "str"})  # fmt: skip
    file = BankAccount("L-1", "CNY").write(tmp_path / "april.xml", entries, date(2026, 4, 1), date(2026, 4, 30))

    def run(*words: str, as_: str = "ann", code: int = 0) -> Any:
        desk.actor = as_
        result: Result = CliRunner().invoke(app, [*words, "--json"])
        assert result.exit_code == code, result.output
        return json.loads(result.stdout) if result.stdout.strip() else result.stderr

    with seated(desk):
        run("recon", "import-statement", str(file), "--lender", "first-bank", "--new-account")
        run("recon", "run", "--as-of", "2026-05-04", code=3)
        yield run
    desk.database.close()


def test_a_break_is_taken_resolved_by_two_and_taken_back(typed: Typed) -> None:
    (one,) = typed("recon", "breaks")["items"]
    number = str(one["break_id"])
    assert one["due_on"] == "2026-05-09"
    assert typed("recon", "breaks", "--overdue")["items"] == []
    typed("recon", "assign", number, "--to", "li")
    typed("recon", "comment", number, "asked the bank")
    assert [row["break_id"] for row in typed("recon", "breaks", "--mine", as_="li")["items"]] == [one["break_id"]]
    assert typed("recon", "breaks", "--mine", as_="ann")["items"] == []
    away = ("recon", "write-off", "--receipt", "1", "--break", number, "--reason", "uneconomic")
    assert typed(*away, "--dry-run")["others_needed"] == 1
    assert typed("recon", "resolutions")["items"] == []
    waiting = typed(*away)
    assert (waiting["state"], waiting["amount_minor"]) == ("waiting", 900_000)
    resolution = str(waiting["resolution_id"])
    typed("recon", "approve", resolution, code=6)
    done = typed("recon", "approve", resolution, as_="ben")
    assert (done["state"], done["agreed_by"]) == ("done", ["ben"])
    assert typed("recon", "breaks")["items"] == []
    shown = typed("recon", "show", number)
    assert [note["text"] for note in shown["notes"]] == ["asked the bank"]
    assert [each["kind"] for each in shown["resolutions"]] == ["write_off"]
    back = typed("recon", "undo", resolution, "--reason", "mistake")
    assert back["others_needed"] == 1
    typed("recon", "approve", str(back["resolution_id"]), as_="ben")
    assert len(typed("recon", "breaks")["items"]) == 1
    assert typed("recon", "resolution", resolution)["state"] == "undone"


def test_what_was_proposed_is_withdrawn_or_refused_and_a_wrong_amount_is_told(typed: Typed) -> None:
    away = ("recon", "write-off", "--receipt", "1", "--reason", "uneconomic")
    first = str(typed(*away)["resolution_id"])
    typed("recon", "withdraw", first)
    second = str(typed(*away)["resolution_id"])
    assert second != first
    typed("recon", "refuse", second, "--why", "ask again", as_="ben")
    assert [row["state"] for row in typed("recon", "resolutions")["items"]] == ["refused", "withdrawn"]
    typed("recon", "match", "--line", "x", "--receipt", "1", "--reason", "rounding", code=2)
    typed("recon", "write-off", "--receipt", "1", "--reason", "because", code=2)
    assert "uneconomic" in {row["reason"] for row in typed("recon", "reasons")["items"]}
