"""`consign portfolio` from the outside: what it prints, and how it ends."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import SQLModel
from typer.testing import CliRunner

import models.tables  # noqa: F401 - the tables register themselves
from console.cli.main import app
from infra.sandbox.debtors import portfolio, write
from infra.settings import Settings
from infra.wiring import Desk, seated
from keys.keyring import Keyring


@pytest.fixture(autouse=True)
def _desk(tmp_path: Path) -> Iterator[None]:
    """A store and a keyring of this test's own."""
    settings = Settings(home=tmp_path / "home", engine="direct")
    Keyring.create(settings.keyring_path, key_file=settings.key_file_path)
    with seated(Desk(settings, actor="tester")) as at:
        SQLModel.metadata.create_all(at.database.engine)
        yield
        at.database.close()


def consign(*words: str, code: int = 0) -> dict[str, Any]:
    result = CliRunner().invoke(app, ["portfolio", *words, "--json"])
    assert result.exit_code == code, result.output
    return json.loads(result.stdout) if result.stdout else {}


def test_a_file_is_checked_imported_listed_and_its_rejects_shown(tmp_path: Path) -> None:
    raw = portfolio(5, 50, "nova", date(2026, 6, 30))
    raw.loc[4, "balance"] = "-1"
    file = str(write(raw, tmp_path / "june.csv"))
    told = [file, "--lender", "nova", "--profile", "consign", "--as-of", "2026-06-30"]
    assert consign("lender", "add", "nova", "--name", "Nova")["added"]
    assert consign("import", *told, "--dry-run", "--threshold", "0.1")["state"] == "checked"
    refused = consign("import", *told, code=3)
    assert (refused["state"], refused["refusals"]) == ("refused", {"negative_balance": 1})
    accepted = consign("import", *told, "--threshold", "0.02")
    assert (accepted["state"], accepted["accepted"]) == ("accepted", 49)
    number = str(accepted["portfolio_id"])
    assert consign("list")["items"][0]["as_of"] == "2026-06-30"
    assert consign("show", number)["rows_accepted"] == 49
    assert [reject["line"] for reject in consign("rejects", number)["items"]] == [5]
    assert consign("lender", "list")["items"][0]["accounts_open"] == 49
    hold = consign(
        "hold", "add", "nova", "--account", raw["account_ref"][0], "--reason", "dispute", "--until", "2099-01-01"
    )
    assert consign("hold", "list")["items"][0]["until"] == "2099-01-01"
    assert consign("hold", "lift", str(hold["hold_id"]))["lifted"]
    assert consign("hold", "list")["count"] == 0


def test_what_is_wrong_with_the_call_ends_in_its_exit_code(tmp_path: Path) -> None:
    consign(
        "import", str(tmp_path / "none.csv"), "--lender", "x", "--profile", "consign", "--as-of", "2026-06-30", code=2
    )
    profile = tmp_path / "p.toml"
    profile.write_text("nmae = 1")
    (tmp_path / "a.csv").write_text("a\n1\n")
    told = [str(tmp_path / "a.csv"), "--lender", "x", "--profile", str(profile), "--as-of", "2026-06-30"]
    consign("import", *told, code=4)


def test_the_lists_that_a_profiles_author_needs_are_printed() -> None:
    assert {row["profile"] for row in consign("profiles")["items"]} >= {"consign", "lendingclub"}
    assert {row["outcome"] for row in consign("codes")["items"]} == {"refused", "warning"}
    assert consign("fields")["items"][0]["name"] == "account_ref"
