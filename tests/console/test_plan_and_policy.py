"""`consign plan` and `consign policy`, as a person types them."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import update
from sqlmodel import SQLModel
from typer.testing import CliRunner, Result

from console.cli.main import app
from infra.settings import Settings
from infra.store import bulk
from infra.store.database import Database
from infra.wiring import Desk, seated
from models.tables import Account, Agency, AgencyContract, Debtor, Hold, Lender

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NOW = datetime(2026, 11, 22, 1, 15, tzinfo=UTC)
CREATE = ("plan", "create", "--lender", "first-bank", "--name", "2026-11-B", "--seed", "7")

OURS = """
    name = "ours"
    version = "1"
    jurisdiction = "CN"
    [purposes.collection]
    basis = "contract"
    verified = "text"
    erase_after_days = 5
    [[release]]
    purpose = "collection"
    stages = ["phone"]
    channels = ["phone"]
    [release.fields]
    dpd = "release"
"""


class Shell:
    """Types commands at a desk."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.runner = CliRunner()

    def __call__(self, *words: str, by: str = "chen.yu", code: int = 0) -> Result:
        self.desk.actor = by
        result = self.runner.invoke(app, list(words))
        assert result.exit_code == code, result.output
        return result

    def json(self, *words: str, by: str = "chen.yu") -> Any:
        return json.loads(self(*words, "--json", by=by).stdout)


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    """A lender with 40 accounts of 20 debtors, and two agencies: one with room for 10 accounts."""
    database = Database(f"sqlite:///{tmp_path / 'consign.sqlite'}")
    SQLModel.metadata.create_all(database.engine)
    ids = np.arange(1, 41)
    with database.session() as session:
        session.add(Lender(lender="first-bank", name="First Bank", created_at=NOW))
        session.add_all(
            Debtor(debtor_id=n, lender="first-bank", identity_index=f"{n:064x}", created_at=NOW) for n in range(1, 21)
        )
        session.add(Hold(debtor_id=3, reason="complaint", since=date(2026, 11, 1), placed_by="desk"))
        for code, name, share, capacity in (("harbour", "Harbour", 0.5, None), ("quay", "Quayside", 0.5, 10)):
            session.add(
                Agency(
                    agency=code, name=name, state="live", drop="{}", channels="phone", created_at=NOW,
                    capacity_accounts=capacity,
                )
            )  # fmt: skip
            session.add(
                AgencyContract(
                    agency=code, lender="first-bank", effective_from=date(2026, 1, 1), terms="", sha256="",
                    share=share, created_by="legal", created_at=NOW,
                )
            )  # fmt: skip
    with database.write() as connection:
        bulk.append(
            connection,
            Account,
            pd.DataFrame({
                "account_id": ids, "lender": "first-bank", "ref_index": [f"{n:064x}" for n in ids],
                "debtor_id": (ids + 1) // 2, "portfolio_id": 1, "product": "card", "currency": "CNY",
                "balance_minor": ids * 1_000_00, "dpd": 61, "bucket": "M3", "region": "310115",
                "opened_on": pd.Timestamp("2024-03-09"), "as_of": pd.Timestamp("2026-11-21"),
            }),
        )  # fmt: skip
    desk = Desk(Settings(home=tmp_path, engine="direct"), clock=lambda: NOW, actor="chen.yu")
    with seated(desk):
        yield Shell(desk)
    database.close()
    desk.database.close()


def test_a_preview_says_who_gets_what_and_why_and_keeps_nothing(shell: Shell) -> None:
    told = shell(*CREATE, "--dry-run")
    assert "cap binds" in told.stdout
    assert "overflow from Quayside" in told.stdout
    assert "What would be disclosed" in told.stdout
    assert "on hold: complaint (2)" in told.stderr
    assert shell.json("plan", "list")["count"] == 0


def test_a_plan_goes_from_draft_to_approval_by_two_people(shell: Shell) -> None:
    plan_id = str(shell.json(*CREATE)["plan_id"])
    assert shell.json("plan", "submit", plan_id)["state"] == "submitted"
    refused = shell("plan", "approve", plan_id, code=6)
    assert "made or submitted by chen.yu" in refused.stderr
    approved = shell.json("plan", "approve", plan_id, by="li.na")
    assert (approved["state"], approved["approved_by"]) == ("approved", "li.na")
    assert shell.json("plan", "send", plan_id, "--dry-run")["accounts"] == 38
    assert [each["state"] for each in shell.json("plan", "list")["items"]] == ["approved"]


def test_a_plan_whose_data_changed_is_not_sent_and_stays_expired(shell: Shell) -> None:
    plan_id = str(shell.json(*CREATE)["plan_id"])
    shell("plan", "submit", plan_id)
    shell("plan", "approve", plan_id, by="li.na")
    with shell.desk.database.write() as connection:
        connection.execute(
            update(bulk.table_of(Account)).where(bulk.table_of(Account).c.account_id == 9).values(version=2)
        )
    assert "1 accounts changed" in shell("plan", "show", plan_id).stdout
    refused = shell("plan", "send", plan_id, code=6)
    assert "expired: 1 accounts changed" in refused.stderr
    assert shell.json("plan", "show", plan_id)["state"] == "expired"


def test_a_plan_expires_when_its_release_policy_changes(
    shell: Shell, policy_in_force: Callable[[Desk, str], Any]
) -> None:
    policy_in_force(shell.desk, OURS)
    plan_id = str(shell.json(*CREATE, "--policy", "ours")["plan_id"])
    shell("plan", "submit", plan_id)
    changed = OURS.replace('"1"', '"2"').replace('dpd = "release"', 'dpd = "release"\nname = "release"')
    policy_in_force(shell.desk, changed)
    assert "release policy ours is not what it was" in shell("plan", "approve", plan_id, by="li.na", code=6).stderr
    assert shell.json("plan", "show", plan_id)["state"] == "expired"


def test_a_plan_that_is_not_approved_is_not_sent(shell: Shell) -> None:
    plan_id = str(shell.json(*CREATE)["plan_id"])
    refused = shell("plan", "send", plan_id, code=6)
    assert "is draft, not approved" in refused.stderr
    assert "plan submit" in refused.stderr


def test_a_rejected_plan_says_why(shell: Shell) -> None:
    plan_id = str(shell.json(*CREATE)["plan_id"])
    assert shell.json("plan", "reject", plan_id, "--because", "not this month")["ended_because"] == "not this month"


def test_a_plan_can_tell_of_every_account(shell: Shell) -> None:
    plan_id = str(shell.json(*CREATE)["plan_id"])
    assert shell.json("plan", "show", plan_id, "--account", "#5")["why"] == "held back: on hold: complaint"
    told = shell.json("plan", "show", plan_id, "--account", "#7")
    assert told["agency"] in {"harbour", "quay"}
    assert told["segment"] == "card/M3/5000-10000"
    assert "did not look at" in shell("plan", "show", plan_id, "--account", "#999", code=2).stderr


def test_the_held_back_are_listed(shell: Shell) -> None:
    plan_id = str(shell.json(*CREATE)["plan_id"])
    left_out = shell.json("plan", "show", plan_id, "--held-back")["left_out"]
    assert {each["account_id"]: each["reason"] for each in left_out} == {5: "hold:complaint", 6: "hold:complaint"}


def test_options_overrule_the_spec_file(shell: Shell, tmp_path: Path) -> None:
    spec = tmp_path / "spec.toml"
    spec.write_text(
        'lender = "first-bank"\nname = "from the file"\n[filter]\nmin_balance = "5000"\n[agencies.harbour]\nshare = 1\n'
    )
    drafted = shell.json("plan", "create", "--spec", str(spec), "--name", "from the option", "--max-balance", "9000")
    assert drafted["name"] == "from the option"
    assert drafted["summary"]["exclusions"] == {"below_minimum": 4, "hold:complaint": 2}
    assert [row["agency"] for row in drafted["summary"]["agencies"]] == ["harbour"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--share", "harbour"), "is not agency=number"),
        (("--cap", "quay=many"), "whole number of accounts"),
        (("--stage", "email"), "must be one of reminder, phone, field, legal"),
        (("--segment-by", "colour"), "unknown colour"),
        (("--spec", "nowhere.toml"), "nowhere.toml cannot be read"),
        (("--policy", "nobody"), "there is no policy 'nobody'"),
        (("--product", "mortgage"), "no account of first-bank meets"),
        (("--stage", "legal"), "its mandate does not cover stage legal"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused_in_a_sentence(
    shell: Shell, words: tuple[str, ...], message: str
) -> None:
    assert message in shell(*CREATE, *words, code=2).stderr


def test_shares_and_caps_can_be_typed(shell: Shell) -> None:
    drafted = shell.json(*CREATE, "--share", "harbour=0.5", "--share", "quay=0.5", "--cap", "quay=4")
    got = {row["agency"]: row["accounts"] for row in drafted["summary"]["agencies"]}
    assert got == {"harbour": 34, "quay": 4}


def test_the_policies_are_listed_and_shown(shell: Shell) -> None:
    assert {each["name"] for each in shell.json("policy", "list")["items"]} == {"cn-default", "minimal", "us-default"}
    told = shell.json("policy", "show", "cn-default")
    assert told["releases"][0]["fields"]["name"] == "mask: first 1"
    assert "GB/T 45251" in shell("policy", "show", "cn-default").stdout


def test_a_difference_names_field_and_treatment(shell: Shell) -> None:
    rows = shell.json("policy", "diff", "minimal", "cn-default")["items"]
    assert {
        "purpose": "collection", "stage": "legal", "channels": "legal", "agencies": "*", "field": "id_number",
        "before": "-", "after": "release", "change": "leaves newly",
    } in rows  # fmt: skip
    assert shell.json("policy", "diff", "minimal", "minimal")["items"] == []


def test_a_simulation_says_what_leaves_and_what_holds_the_rest_back(shell: Shell) -> None:
    told = {each["field"]: each for each in shell.json("policy", "simulate", "7", "--stage", "phone")["items"]}
    assert told["balance"] == {
        "field": "balance", "leaves": True, "treatment": "release", "shown": "7000.00",
        "rule": "release 2 of cn-default 1",
    }  # fmt: skip
    assert told["opened_on"]["shown"] == "2024-03"
    assert told["region"]["shown"] == "310100"
    assert told["id_number"]["shown"] == "****002X (specimen)"
    assert not told["address"]["leaves"]
    assert told["address"]["rule"] == "the stage works by phone"


def test_an_own_policy_may_be_tried_before_anybody_proposes_it(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "ours.toml"
    file.write_text(OURS)
    told = shell.json("policy", "simulate", "7", "--policy", str(file))["items"]
    assert [each["field"] for each in told if each["leaves"]] == ["account", "debtor", "dpd"]
    assert shell.json("policy", "show", str(file))["version"] == "1"
    assert "there is no policy 'ours'" in shell(*CREATE, "--policy", "ours", code=2).stderr


def test_an_own_policy_counts_when_a_second_person_approved_it(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "ours.toml"
    file.write_text(OURS)
    assert shell.json("policy", "propose", str(file), "--dry-run")["name"] == "ours"
    assert shell.json("policy", "history")["count"] == 0
    assert "policy approve ours@1" in shell("policy", "propose", str(file)).stderr
    assert "nobody has approved it" in shell(*CREATE, "--policy", "ours", code=6).stderr
    assert "cannot approve it" in shell("policy", "approve", "ours@1", code=6).stderr
    shell("policy", "approve", "ours@1", by="li.na")
    assert "ours" in {each["name"] for each in shell.json("policy", "list")["items"]}
    (row,) = shell.json("policy", "history", "ours")["items"]
    assert (row["state"], row["proposed_by"], row["approved_by"]) == ("in_force", "chen.yu", "li.na")
    shell("policy", "withdraw", "ours@1", "--reason", "a mistake")
    assert "withdrawn: a mistake" in shell(*CREATE, "--policy", "ours", code=6).stderr
    file.write_text(OURS.replace("ours", "minimal"))
    assert "has the name of a policy that comes with Consign" in shell("policy", "propose", str(file), code=2).stderr


def test_a_simulation_for_an_agency_says_which_policy_speaks_and_why(
    shell: Shell, policy_in_force: Callable[[Desk, str], Any]
) -> None:
    quay = OURS.replace('"ours"', '"quay-only"\nover = "cn-default"\nagencies = ["quay"]')
    policy_in_force(shell.desk, quay)
    told = shell.json("policy", "simulate", "7", "--agency", "quay")
    assert (told["policy"], told["speaks"]) == ("quay-only", "policy quay-only stands over cn-default for quay")
    told = shell.json("policy", "simulate", "7", "--agency", "harbour")
    assert (told["policy"], told["channels"]) == ("cn-default", ["phone"])
    assert "none names harbour" in told["speaks"]
    assert "no agency" in shell("policy", "simulate", "7", "--agency", "nobody", code=2).stderr.lower()
    changed = shell.json("policy", "diff", "minimal", "quay-only@1")["items"]
    assert {row["agencies"] for row in changed} == {"*, quay", "*", "quay"}


def test_a_plan_too_old_is_not_approved(shell: Shell) -> None:
    plan_id = str(shell.json(*CREATE)["plan_id"])
    shell("plan", "submit", plan_id)
    shell.desk.clock = lambda: NOW + timedelta(days=8)
    assert "it was good until" in shell("plan", "approve", plan_id, by="li.na", code=6).stderr


def test_a_draft_is_asked_what_if_and_compared_with_another(shell: Shell) -> None:
    shell("plan", "commit", "--lender", "first-bank", "--name", "2026-11-B")
    first = shell.json(*CREATE, "--allocator", "value")
    assert first["seed"] != 7
    told = shell("plan", "what-if", str(first["plan_id"]), "--set", "agencies.harbour.max_share=0.5")
    assert "Accounts that move" in told.stdout
    assert "rules cost" in told.stdout
    refused = shell("plan", "what-if", str(first["plan_id"]), code=2)
    assert "nothing is changed" in refused.stderr
    second = shell.json(*CREATE)
    assert second["seed"] == 7
    found = shell.json("plan", "diff", str(first["plan_id"]), str(second["plan_id"]))
    assert found["same"] + found["moved"] == found["accounts"]["before"] == found["accounts"]["after"]
    assert "The optimum" in shell("plan", "show", str(first["plan_id"])).stdout
