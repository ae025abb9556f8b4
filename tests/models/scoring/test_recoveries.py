"""Which money counts, and for how long an agency answers."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest

from models.scoring.inputs import Inputs
from models.scoring.parameters import standard
from models.scoring.recoveries import AFTER_END, COUNTED, DIRECT, EARLY, IN_BREAK, UNPLACED, classed, clock

PLACED, DUE_BACK = "2026-01-01", "2026-06-30"


def placements(**changes: object) -> pd.DataFrame:
    row = {
        "placement_id": 7,
        "agency": "lotus",
        "placed_on": PLACED,
        "due_back_on": DUE_BACK,
        "ended_on": None,
        "end_reason": None,
    }
    frame = pd.DataFrame([row | changes])
    dates = ["placed_on", "due_back_on", "ended_on"]
    return frame.assign(**{name: pd.to_datetime(frame[name]) for name in dates}).astype({"end_reason": "str"})


def lines(*rows: tuple[str, int, str], placement: int | None = 7, agency: str = "lotus") -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["kind", "gross_minor", "value_date"]).astype({"kind": "str"})
    ids = pd.Series([placement] * len(frame), dtype="Int64")
    return frame.assign(placement_id=ids, agency=agency, value_date=pd.to_datetime(frame["value_date"]))


def standings(held: pd.DataFrame, told: pd.DataFrame, as_of: date = date(2026, 4, 1)) -> list[str]:
    exposed = clock(held, as_of, standard()).exposed_days
    return classed(told, held, exposed, standard())["standing"].tolist()


@pytest.mark.parametrize(
    ("end_reason", "ended_on", "days"),
    [
        (None, None, 91),
        ("recalled", "2026-01-31", 31),
        ("disputed", "2026-01-31", 31),
        ("paid", "2026-01-31", 91),
        ("uncollectable", "2026-01-31", 91),
        ("recalled", "2026-05-01", 91),
    ],
)
def test_an_agency_answers_until_the_lender_takes_it_back(end_reason: str, ended_on: str, days: int) -> None:
    """Giving up and being paid in full do not shorten what is expected; a recall does, once it has come."""
    held = placements(end_reason=end_reason, ended_on=ended_on)
    assert clock(held, date(2026, 4, 1), standard()).exposed_days.tolist() == [days]


def test_what_was_given_up_counts_to_the_end_of_its_term_and_no_longer() -> None:
    held = placements(end_reason="uncollectable", ended_on="2026-01-31")
    assert clock(held, date(2026, 12, 1), standard()).exposed_days.tolist() == [181]


def test_a_placement_of_tomorrow_has_no_age() -> None:
    assert clock(placements(), date(2025, 12, 1), standard()).age_days.tolist() == [0]


@pytest.mark.parametrize(
    ("kind", "value_date", "standing"),
    [
        ("recovery", "2026-01-03", COUNTED),
        ("recovery", "2026-01-02", EARLY),
        ("recovery", "2025-12-20", EARLY),
        ("direct", "2026-02-01", DIRECT),
        ("recovery", "2026-02-28", COUNTED),
        ("recovery", "2026-03-02", AFTER_END),
        ("in_break", "2026-02-01", IN_BREAK),
    ],
)
def test_money_counts_only_while_the_account_was_the_agencys_to_collect(
    kind: str, value_date: str, standing: str
) -> None:
    held = placements(end_reason="recalled", ended_on="2026-03-01")
    assert standings(held, lines((kind, 100, value_date))) == [standing]


def test_money_tied_to_no_placement_is_shown_apart() -> None:
    assert standings(placements(), lines(("recovery", 100, "2026-02-01"), placement=None)) == [UNPLACED]


def test_what_another_agency_hands_over_is_no_merit_of_the_one_that_holds_it() -> None:
    assert standings(placements(), lines(("recovery", 100, "2026-02-01"), agency="quayside")) == [UNPLACED]


def test_the_reversal_of_a_payment_that_did_not_count_does_not_count() -> None:
    told = lines(("recovery", 500, PLACED), ("reversal", -500, "2026-02-01"), ("reversal", -300, "2026-02-01"))
    assert standings(placements(), told) == [EARLY, EARLY, COUNTED]


def test_a_reversal_after_the_end_still_lowers_what_was_counted() -> None:
    held = placements(end_reason="recalled", ended_on="2026-03-01")
    assert standings(held, lines(("recovery", 500, "2026-02-01"), ("reversal", -500, "2026-03-20"))) == [COUNTED] * 2


def test_the_digest_does_not_hang_on_the_order_of_the_rows(simulate: object) -> None:
    drawn: Inputs = simulate([1, 1], 300)  # type: ignore[operator]  # the fixture's function
    turned = replace(drawn, placements=drawn.placements.iloc[::-1], lines=drawn.lines.sample(frac=1, random_state=1))
    assert turned.sha256() == drawn.sha256()


def test_the_digest_sees_every_cent(simulate: object) -> None:
    drawn: Inputs = simulate([1, 1], 300)  # type: ignore[operator]  # the fixture's function
    changed = drawn.lines.assign(gross_minor=drawn.lines["gross_minor"] + (np.arange(len(drawn.lines)) == 3))
    assert replace(drawn, lines=changed).sha256() != drawn.sha256()
