"""A person asks whom an account belongs to: masked, with a reason, within a limit, on record before it is opened."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select
from sqlmodel import SQLModel
from typer.testing import CliRunner

from console.cli.main import app
from flows.intake import intake
from flows.lenders import add_lender
from infra import reidentification
from infra.exceptions import EXCEPTIONS
from infra.reidentification import TooManyAsked, asked, masked, show
from infra.sandbox.debtors import portfolio, write
from infra.settings import Settings
from infra.store import trail
from infra.wiring import Desk, seated
from keys.errors import KeyDestroyed
from keys.keyring import Keyring
from keys.pseudonyms import pseudonyms
from models.errors import UsageError

NOW = datetime(2026, 7, 1, 9, tzinfo=UTC)
WHY = "the debtor called, 投诉 17"


@dataclass
class House:
    """A desk whose clock a test turns, with a portfolio in it."""

    desk: Desk
    refs: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    now: datetime = NOW

    def ask(self, nth: int = 0, **words: Any) -> dict[str, str | None]:
        return show(self.desk, self.refs[nth], words.pop("fields", ["name"]), WHY, lender="nova", **words)

    def events(self) -> list[Any]:
        with self.desk.database.read() as connection:
            rows = connection.execute(select(trail.EVENTS).order_by(trail.EVENTS.c.seq)).all()
        return [row for row in rows if row.action.startswith("identity.")]


@pytest.fixture
def house(tmp_path: Path, database_url: str) -> Iterator[House]:
    """Ten accounts of nova, on either store; three questions in an hour, five in a day."""
    settings = Settings(
        home=tmp_path / "home", database=database_url, engine="direct", reidentify_per_hour=3, reidentify_per_day=5
    )
    Keyring.create(settings.keyring_path, key_file=settings.key_file_path)
    made = House(Desk(settings, actor="chen.yu"))
    made.desk.clock = lambda: made.now
    with seated(made.desk) as at:
        SQLModel.metadata.create_all(at.database.engine)
        add_lender("nova", "Nova Consumer Finance")
        raw = portfolio(5, 10, "nova", date(2026, 6, 30))
        intake(write(raw, tmp_path / "june.csv"), "consign", "nova", date(2026, 6, 30))
        made.refs, made.names = raw["account_ref"].tolist(), raw["name"].tolist()
        yield made
        at.database.close()


def test_it_is_masked_unless_the_whole_is_asked_for(house: House) -> None:
    told = house.ask(fields=["name", "phone"])
    assert told["name"] == house.names[0][:1] + "**"
    assert (told["phone"] or "").startswith("****")
    assert house.ask(whole=True) == {"name": house.names[0]}
    assert [row["whole"] for row in asked(house.desk)] == [True, False]


def test_a_pseudonym_of_the_agency_s_leads_back_and_another_agency_s_does_not(house: House) -> None:
    with house.desk.database.read() as connection:
        first = connection.execute(
            select(reidentification.ACCOUNTS.c.account_id).order_by(reidentification.ACCOUNTS.c.account_id)
        ).scalars()
        account = next(iter(first))
    (text,) = pseudonyms(house.desk.keyring.new_pseudonym_key("acme", NOW), np.array([account]))
    house.desk.keyring.new_pseudonym_key("bolt", NOW)
    assert show(house.desk, text, ["name"], WHY, agency="acme", whole=True)["name"] in house.names
    with pytest.raises(UsageError, match="nobody") as refused:
        show(house.desk, text, ["name"], WHY, agency="bolt")
    assert text not in str(refused.value)
    assert [row["outcome"] for row in asked(house.desk)] == ["unknown", "shown"]


def test_beyond_the_limit_it_is_refused_with_when_it_is_possible_again_and_compliance_is_told(house: House) -> None:
    for minutes in (0, 10, 20):
        house.now = NOW + timedelta(minutes=minutes)
        house.ask()
    with pytest.raises(TooManyAsked) as refused:
        house.ask()
    assert refused.value.again_at == NOW + timedelta(hours=1)
    assert "2026-07-01T10:00:00" in refused.value.fix
    with house.desk.database.read() as connection:
        (alarm,) = connection.execute(select(EXCEPTIONS)).all()
    assert (alarm.code, alarm.owner, alarm.subject) == ("reidentification_excess", "compliance", "actor:chen.yu")
    house.now = NOW + timedelta(hours=1)
    house.ask()  # what was refused does not count
    house.desk.actor = "li.wei"
    house.ask()  # nor what others asked
    house.desk.actor = "chen.yu"
    house.now = NOW + timedelta(hours=3)
    house.ask()
    with pytest.raises(TooManyAsked) as refused:
        house.ask()
    assert refused.value.again_at == NOW + timedelta(days=1)


def test_numbers_that_are_nobody_s_count_too(house: House) -> None:
    for number in range(3):
        with pytest.raises(UsageError, match="nobody"):
            show(house.desk, f"none-{number}", ["name"], WHY, lender="nova")
    with pytest.raises(TooManyAsked):
        house.ask()


def test_of_many_questions_at_once_no_more_are_answered_than_the_limit_allows(house: House) -> None:
    def ask(nth: int) -> bool:
        try:
            house.ask(nth)
        except TooManyAsked:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(ask, range(8))) == 3
    assert sorted(row["outcome"] for row in asked(house.desk)) == ["refused"] * 5 + ["shown"] * 3


def test_it_is_on_record_with_fields_and_the_reason_s_hash_and_no_value(house: House) -> None:
    house.ask(fields=["name", "phone"], whole=True)
    (event,) = house.events()
    told = json.loads(event.details)
    assert (event.action, event.actor, told["fields"], told["result"]) == (
        "identity.shown", "chen.yu", "name,phone", "whole",
    )  # fmt: skip
    assert told["reason_sha256"] == hashlib.sha256(WHY.encode()).hexdigest()
    (row,) = asked(house.desk, "chen.yu")
    assert row["why"] == WHY
    kept = str(row) + str(tuple(event))
    assert not any(value in kept for value in (*house.names, *house.refs))


def test_an_erased_portfolio_shows_nobody_and_the_question_is_on_record(house: House) -> None:
    key_id = next(one.owner for one in house.desk.keyring.entries() if one.purpose == "data")
    house.desk.keyring.destroy_data_key(key_id, NOW)
    with pytest.raises(KeyDestroyed):
        house.ask()
    assert len(house.events()) == 1


@pytest.mark.parametrize(
    ("fields", "why", "whose"),
    [
        (["name", "salary"], WHY, {"lender": "nova"}),
        ([], WHY, {"lender": "nova"}),
        (["name"], "because", {"lender": "nova"}),
        (["name"], WHY, {}),
        (["name"], WHY, {"lender": "nova", "agency": "acme"}),
    ],
)
def test_a_question_without_fields_reason_or_whose_is_none(
    house: House, fields: list[str], why: str, whose: dict[str, Any]
) -> None:
    with pytest.raises(UsageError):
        show(house.desk, house.refs[0], fields, why, **whose)
    assert asked(house.desk) == []


@given(st.sampled_from(reidentification.FIELDS), st.text(min_size=1, max_size=40))
def test_a_mask_shows_at_most_half(field: str, text: str) -> None:
    shown = masked(field, text).strip("*")
    assert len(shown) <= max(1, len(text) // 2)
    if len(text) == 1:
        assert masked(field, text) in {"**", "****"}


def test_the_command_reads_the_number_from_stdin_and_lists_who_asked(house: House) -> None:
    words = ["identity", "show", "-", "--lender", "nova", "--fields", "name, phone", "--why", WHY, "--json"]
    result = CliRunner().invoke(app, words, input=house.refs[0] + "\n")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["name"] == house.names[0][:1] + "**"
    result = CliRunner().invoke(app, ["identity", "asked", "--json"])
    assert [one["outcome"] for one in json.loads(result.stdout)["items"]] == ["shown"]
    assert house.names[0] not in result.stdout
    for _ in range(2):
        house.ask()
    result = CliRunner().invoke(app, words, input=house.refs[0] + "\n")
    assert result.exit_code == 6
