"""`consign strategy` and `consign instalments`, as portfolio managers type them."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from sqlmodel import SQLModel
from typer.testing import CliRunner, Result

from console.cli.main import app
from infra.settings import Settings
from infra.store import bulk
from infra.wiring import Desk, seated
from models.packaged import text
from models.tables import (
    Account,
    Agency,
    AgencyContract,
    Debtor,
    Instalment,
    InstalmentPlan,
    Lender,
    Placement,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = datetime(2026, 11, 22, 1, 15, tzinfo=UTC)
OURS = """
name = "ours"
version = "1"
lenders = ["first-bank"]
[[stage]]
stage = "phone"
by = "agency"
needs = ["phone"]
[[rule]]
id = "all"
to = "phone"
[[recall]]
id = "nothing-paid"
reason = "performance"
no_payment_days = 60
"""


class Shell:
    """Types commands at a desk."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    def __call__(self, *words: str, by: str = "chen.yu", code: int = 0) -> Result:
        self.desk.actor = by
        result = CliRunner().invoke(app, list(words))
        assert result.exit_code == code, result.output
        return result

    def json(self, *words: str, by: str = "chen.yu", code: int = 0) -> Any:
        return json.loads(self(*words, "--json", by=by, code=code).stdout)


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    """A lender with twenty accounts in house and one that an agency has had for a long time, with a proposed plan."""
    desk = Desk(Settings(home=tmp_path / "home", engine="direct"), clock=lambda: NOW, actor="chen.yu")
    SQLModel.metadata.create_all(desk.database.engine)
    ids = np.arange(1, 22)
    with desk.database.session() as session:
        session.add(Lender(lender="first-bank", name="First Bank", created_at=NOW))
        session.add_all(
            Debtor(debtor_id=int(n), lender="first-bank", identity_index=f"{n:064x}", created_at=NOW) for n in ids
        )
        for code, channels in (("harbour", "phone"), ("letters", "letter")):
            session.add(Agency(agency=code, name=code, state="live", drop="{}", channels=channels, created_at=NOW))
            session.add(
                AgencyContract(
                    agency=code, lender="first-bank", effective_from=date(2026, 1, 1), terms="", sha256="",
                    share=0.5, created_by="legal", created_at=NOW,
                )
            )  # fmt: skip
        session.add(
            Placement(
                placement_id=1, plan_id=1, lender="first-bank", agency="harbour", account_id=21, debtor_id=21, round=1,
                stage="phone", segment="all", currency="CNY", balance_minor=900_000, dpd=120, bucket="M4",
                placed_on=date(2026, 6, 1), due_back_on=date(2027, 6, 1), state="acknowledged",
            )
        )  # fmt: skip
        session.add(
            InstalmentPlan(
                instalment_plan_id=1, agency="harbour", lender="first-bank", plan_ref="P-1", placement_id=1,
                currency="CNY", total_minor=900_000, instalments=2, first_due_on=date(2026, 12, 1),
                last_due_on=date(2026, 12, 31), file_id=1, proposed_at=NOW,
            )
        )  # fmt: skip
        for number, day in ((1, date(2026, 12, 1)), (2, date(2026, 12, 31))):
            session.add(Instalment(instalment_plan_id=1, number=number, due_on=day, amount_minor=450_000))
    with desk.database.write() as connection:
        bulk.append(connection, Account, pd.DataFrame({
            "account_id": ids, "lender": "first-bank", "ref_index": [f"{n:064x}" for n in ids], "debtor_id": ids,
            "portfolio_id": 1, "product": "card", "currency": "CNY", "balance_minor": 900_000, "dpd": 120,
            "bucket": "M4", "as_of": pd.Timestamp("2026-11-20"), "rounds": np.where(ids == 21, 1, 0),
        }))  # fmt: skip
    with seated(desk):
        yield Shell(desk)
    desk.database.close()


@pytest.fixture
def ours(tmp_path: Path) -> str:
    """A strategy of one's own, in a file."""
    path = tmp_path / "ours.toml"
    path.write_text(OURS, encoding="utf-8")
    return str(path)


def test_shipped_strategies_are_listed_and_shown_with_every_rule(shell: Shell) -> None:
    rows = shell.json("strategy", "list")["items"]
    assert [(row["name"], row["state"], row["origin"]) for row in rows] == [
        ("cn-soft-first", "in_force", "shipped"), ("reminders-then-phone", "in_force", "shipped"),
    ]  # fmt: skip
    shown = shell.json("strategy", "show", "cn-soft-first")
    assert [stage["stage"] for stage in shown["stages"]] == ["reminder", "phone", "field", "legal"]
    assert shown["rules"][0]["rule"] == "barely-late"
    assert "without-payment" in shell("strategy", "show", "cn-soft-first").output


def test_check_says_who_may_work_which_stage_and_ends_with_3_where_nobody_may(shell: Shell) -> None:
    told = shell.json("strategy", "check", "cn-soft-first", "--lender", "first-bank", code=3)
    assert told["nobody"] == ["field", "legal"]
    phone = {row["agency"]: row["why"] for row in told["mandates"] if row["stage"] == "phone"}
    assert phone == {"harbour": "", "letters": "its mandate does not cover stage phone"}
    shell("strategy", "check", "reminders-then-phone", "--lender", "first-bank")


def test_an_own_strategy_counts_when_a_second_person_approved_it(shell: Shell, ours: str) -> None:
    assert shell.json("strategy", "propose", ours, "--dry-run")["name"] == "ours"
    shell("strategy", "propose", ours)
    shell("strategy", "show", "ours", code=6)
    shell("strategy", "approve", "ours@1", by="chen.yu", code=6)
    shell("strategy", "approve", "ours@1", by="li.wei")
    again = shell("strategy", "propose", ours, code=2)
    assert "version 1 of ours is in_force already" in again.output
    versions = shell.json("strategy", "history", "ours")["items"]
    assert [(row["state"], row["proposed_by"], row["approved_by"]) for row in versions] == [
        ("in_force", "chen.yu", "li.wei")
    ]
    told = shell.json("strategy", "run", "--lender", "first-bank", "--dry-run")
    assert (told["strategy"], told["movement"][0]["to_stage"]) == ("ours", "phone")
    shell("strategy", "withdraw", "ours@1", "--reason", "tried enough", by="li.wei")
    shell("strategy", "show", "ours", code=6)


def test_a_difference_names_rules_and_counts_accounts_that_go_elsewhere(shell: Shell, ours: str) -> None:
    told = shell.json("strategy", "diff", "cn-soft-first", ours, "--lender", "first-bank")
    assert {
        "part": "recall",
        "id": "nothing-paid",
        "before": "",
        "after": "1. no payment in 60 days → performance",
    } in (told["rules"])
    assert told["accounts"] == [
        {"before": "reminder", "after": "phone", "accounts": 20, "balance_minor": 20 * 900_000}
    ]  # fmt: skip


def test_a_run_is_proposed_looked_at_and_accepted_by_another_person(shell: Shell) -> None:
    report = shell("strategy", "run", "--lender", "first-bank")
    assert "second person" in report.output
    row = shell.json("strategy", "runs")["items"][0]
    assert (row["state"], row["moves"], row["accounts"]) == ("proposed", 20, 21)
    told = shell.json("strategy", "moves", "1")
    assert told["movement"] == [{
        "from_stage": "new", "to_stage": "reminder", "rule": "telephone", "why": "softer_first", "currency": "CNY",
        "accounts": 20, "balance_minor": 20 * 900_000,
    }]  # fmt: skip
    assert told["left"] == {"placed": 1}
    listed = shell.json("strategy", "moves", "1", "--stage", "reminder", "--limit", "3")["items"]
    assert [line["account_id"] for line in listed] == [1, 2, 3]
    shell("strategy", "accept", "1", by="chen.yu", code=6)
    shell("strategy", "accept", "1", "--content", "0000", by="li.wei", code=2)
    shell("strategy", "accept", "1", "--content", row["content_sha256"][:8], by="li.wei")
    shell("strategy", "refuse", "1", "--because", "too late", by="li.wei", code=6)
    stages = shell.json("strategy", "stages")["items"]
    assert [(row["stage"], row["accounts"], row["oldest"]) for row in stages] == [("reminder", 20, "2026-11-22")]
    moves = shell.json("strategy", "stages", "--account", "7")["items"]
    assert [(row["from_stage"], row["to_stage"], row["decided_by"]) for row in moves] == [("new", "reminder", "li.wei")]


def test_proposed_recalls_are_shown_with_what_comes_next_and_can_be_refused(shell: Shell) -> None:
    shell("strategy", "run", "--lender", "first-bank")
    line = shell.json("strategy", "recalls", "1")["items"][0]
    assert (line["placement_id"], line["rule"], line["level"], line["next_level"], line["next_stage"]) == (
        1, "not-worked", "primary", "secondary", "field",
    )  # fmt: skip
    shell("strategy", "accept-recalls", "1", by="chen.yu", code=6)
    shell("strategy", "refuse-recalls", "1", "--because", "they are about to pay", by="li.wei")
    row = shell.json("strategy", "recalls")["items"][0]
    assert (row["state"], row["ended_because"]) == ("refused", "they are about to pay")


def test_a_proposed_plan_is_shown_with_its_verdict_and_what_to_do(shell: Shell) -> None:
    row = shell.json("instalments", "judge", "--lender", "first-bank")["items"][0]
    assert (row["verdict"], row["codes"], row["ability"], row["willingness"]) == ("within", "", "medium", "low")
    shown = shell.json("instalments", "show", "1")
    assert [each["amount_minor"] for each in shown["instalments"]] == [450_000, 450_000]
    assert shown["limits"] == "cn-default@1"
    listed = shell.json("instalments", "list", "--state", "proposed")["items"]
    assert [each["plan_ref"] for each in listed] == ["P-1"]
    shell("instalments", "show", "9", code=2)


def test_limits_are_shown_and_a_version_of_one_s_own_is_approved_by_a_second_person(
    shell: Shell, tmp_path: Path
) -> None:
    shown = shell.json("instalments", "limits", "show", "cn-default")
    assert [tier["approved_by"] for tier in shown["tiers"]][:2] == [1, 2]
    own = text("models.instalments", "shipped", "cn-default")
    own = own.replace('name = "cn-default"', 'name = "strict"\nlenders = ["first-bank"]')
    own = own.replace("within = { max_months = 12", "within = { max_months = 1")
    drafts = shell.desk.settings.home / "instalments"
    drafts.mkdir(parents=True)
    (drafts / "strict.toml").write_text(own, encoding="utf-8")
    (drafts / "broken.toml").write_text("name = ", encoding="utf-8")
    listed = shell.json("instalments", "limits", "list")["items"]
    assert [(row["name"], row["state"]) for row in listed] == [
        ("broken", "invalid"), ("cn-default", "in_force"), ("strict", "draft"),
    ]  # fmt: skip
    shell("instalments", "limits", "propose", "strict")
    shell("instalments", "limits", "approve", "strict@1", by="li.wei")
    row = shell.json("instalments", "judge", "--lender", "first-bank")["items"][0]
    assert (row["verdict"], row["codes"]) == ("beyond", "too_long")
    twice = tmp_path / "twice.toml"
    twice.write_text(own.replace('name = "strict"', 'name = "twice"'), encoding="utf-8")
    assert "strict are in force for first-bank" in shell("instalments", "limits", "propose", str(twice), code=4).output
    shell("instalments", "limits", "withdraw", "strict@1", "--reason", "too strict", by="li.wei")
    assert shell.json("instalments", "limits", "history", "strict")["items"][0]["state"] == "withdrawn"
