"""A hold is put on once, found by the lender's number, and lifted once."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from flows.holds import lift_hold, place_hold
from flows.intake import intake
from flows.lenders import add_lender
from infra.sandbox.debtors import portfolio, write
from infra.store import portfolios
from infra.wiring import Desk
from models.errors import UsageError


@pytest.fixture
def refs(at_desk: Desk, day: date, tmp_path: Path) -> list[str]:  # noqa: ARG001 - the import happens at this desk
    """Account numbers of what came in."""
    raw = portfolio(5, 10, "nova", day)
    intake(write(raw, tmp_path / "a.csv"), "consign", "nova", day)
    return raw["account_ref"].tolist()


def in_force(at: Desk, day: date) -> list[tuple[int, str]]:
    with at.database.read() as connection:
        found = portfolios.holds(connection, day)
    return list(zip(found["hold_id"], found["reason"], strict=True))


def test_the_same_hold_twice_is_one_and_ends_when_lifted(at_desk: Desk, refs: list[str], day: date) -> None:
    first = place_hold("nova", refs[0], "dispute")
    again = place_hold("nova", f" {refs[0]} ", "dispute")
    assert (first.changed, again.changed, again.hold_id) == (True, False, first.hold_id)
    assert in_force(at_desk, day) == [(first.hold_id, "dispute")]
    assert lift_hold(first.hold_id)
    assert not lift_hold(first.hold_id)
    assert not in_force(at_desk, day)
    assert place_hold("nova", refs[0], "dispute").hold_id != first.hold_id


def test_a_hold_may_be_of_one_account_and_for_a_time(at_desk: Desk, refs: list[str]) -> None:
    held = place_hold("nova", refs[1], "breathing_space", date(2026, 8, 31), account_only=True)
    assert held.account_id is not None
    assert in_force(at_desk, date(2026, 8, 31))
    assert not in_force(at_desk, date(2026, 9, 1))
    assert place_hold("nova", refs[1], "breathing_space", date(2026, 9, 30), account_only=True).hold_id == held.hold_id


def test_an_unknown_number_is_not_repeated_in_the_error(refs: list[str]) -> None:
    assert refs
    with pytest.raises(UsageError) as told:
        place_hold("nova", "622848999", "dispute")
    assert "622848999" not in str(told.value)
    with pytest.raises(UsageError, match="no reason for a hold"):
        place_hold("nova", refs[0], "whim")
    with pytest.raises(UsageError, match="no hold 999"):
        lift_hold(999)


@pytest.mark.usefixtures("at_desk")
def test_a_lender_is_added_once_and_never_renamed_by_accident() -> None:
    assert add_lender("vega", "Vega").added
    assert not add_lender("vega", "Vega").added
    with pytest.raises(UsageError, match="another name"):
        add_lender("vega", "Other")
    with pytest.raises(UsageError, match="code is 2 to 20"):
        add_lender("Vega!", "Vega")
    with pytest.raises(UsageError, match="no time zone"):
        add_lender("rigel", "Rigel", timezone="Mars/Olympus")
