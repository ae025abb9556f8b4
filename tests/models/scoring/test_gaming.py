"""Signs that a score was worked at: against the others, beyond a margin, all tests in view."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.scoring.book import Book
from models.scoring.gaming import (
    CONTACTS_HIGH,
    DIRECT_SHARE,
    EARLY_RETURNS,
    PATTERNS,
    UNTOUCHED,
    Flag,
    benjamini_hochberg,
    flags,
)
from models.scoring.inputs import Inputs
from models.scoring.parameters import standard

Simulate = Callable[..., Inputs]
QUICK = replace(standard(), replicates=2, bags=32)


@pytest.fixture(scope="module")
def drawn(simulate: Simulate) -> Inputs:
    """Four agencies alike, each account contacted in its first week."""
    plain = simulate([1, 1, 1, 1], 4000)
    contacts = pd.DataFrame({
        "placement_id": plain.placements["placement_id"],
        "first_contact_on": plain.placements["placed_on"] + pd.Timedelta(days=4),
    })  # fmt: skip
    return replace(plain, contacts=contacts)


def told(drawn: Inputs, as_of: date) -> dict[tuple[str, str], Flag]:
    return {(one.agency, one.pattern): one for one in flags(Book(drawn, as_of, 7, QUICK))}


def flagged(drawn: Inputs, as_of: date) -> set[tuple[str, str]]:
    return {which for which, one in told(drawn, as_of).items() if one.flagged}


def test_benjamini_and_hochberg_s_own_example() -> None:
    """Fifteen comparisons of 1995: four are discoveries at 0.05."""
    p = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528,
         0.7590, 1.0]  # fmt: skip
    assert (benjamini_hochberg(np.array(p)) <= 0.05).sum() == 4
    assert benjamini_hochberg(np.array(p))[3] == pytest.approx(0.0095 * 15 / 4)


@settings(max_examples=40)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_a_rate_of_false_discoveries_is_no_smaller_than_its_p_and_in_the_same_order(p: list[float]) -> None:
    values = np.array(p)
    q = benjamini_hochberg(values)
    assert (q >= values * (1 - 1e-12)).all()
    assert (q <= 1).all()
    assert (np.diff(q[np.argsort(values, kind="stable")]) >= -1e-12).all()


def test_honest_agencies_are_not_flagged(drawn: Inputs, as_of: date) -> None:
    found = told(drawn, as_of)
    assert {pattern for _, pattern in found} >= {CONTACTS_HIGH, UNTOUCHED, DIRECT_SHARE, EARLY_RETURNS}
    assert not [one for one in found.values() if one.flagged]


def test_accounts_left_alone_are_seen(drawn: Inputs, as_of: date) -> None:
    mine = drawn.placements["agency"].to_numpy() == "ag1"
    left = mine & (drawn.placements["placement_id"].to_numpy() % 4 == 0)
    found = told(replace(drawn, contacts=drawn.contacts[~left]), as_of)
    one = found["ag1", UNTOUCHED]
    assert one.flagged
    assert one.observed == pytest.approx(0.25, abs=0.05)
    assert one.peers == pytest.approx(0.0, abs=0.01)
    assert [which for which, other in found.items() if other.flagged] == [("ag1", UNTOUCHED)]


def test_contacting_the_promising_alone_is_seen(drawn: Inputs, as_of: date) -> None:
    old = (drawn.placements["agency"] == "ag2") & (drawn.placements["dpd"] > 50)
    late = drawn.contacts["first_contact_on"] + pd.Timedelta(days=18)
    contacts = drawn.contacts.assign(first_contact_on=late.where(old, drawn.contacts["first_contact_on"]))
    assert flagged(replace(drawn, contacts=contacts), as_of) == {("ag2", CONTACTS_HIGH)}


def test_a_month_s_accounts_given_up_at_once_are_seen_with_the_month(drawn: Inputs, as_of: date) -> None:
    placed = drawn.placements["placed_on"]
    gone = (drawn.placements["agency"] == "ag3") & (placed.dt.month == 3) & (drawn.placements["dpd"] > 50)
    placements = drawn.placements.assign(
        ended_on=drawn.placements["ended_on"].mask(gone, placed + pd.Timedelta(days=12)),
        end_reason=drawn.placements["end_reason"].mask(gone, "uncollectable"),
    )
    found = told(replace(drawn, placements=placements), as_of)
    assert found["ag3", EARLY_RETURNS].flagged
    assert found["ag3", EARLY_RETURNS].vintage == "2026-03"


def test_debtors_who_pay_the_lender_are_compared_with_the_others(drawn: Inputs, as_of: date) -> None:
    lines = drawn.lines
    direct = (lines["agency"] == "ag0") & (lines["placement_id"] % 3 == 0)
    assert flagged(replace(drawn, lines=lines.assign(kind=lines["kind"].mask(direct, "direct"))), as_of) == {
        ("ag0", DIRECT_SHARE)
    }


def test_reversals_early_in_a_month_are_compared_with_the_others(drawn: Inputs, as_of: date) -> None:
    lines = drawn.lines[drawn.lines["placement_id"] % 4 == 0].drop_duplicates("placement_id")
    back = lines.assign(kind="reversal", gross_minor=-lines["gross_minor"])
    month = back["value_date"].to_numpy().astype("datetime64[M]") + 1
    day = np.where(back["agency"] == "ag1", 2, 1 + back["placement_id"].to_numpy(dtype=np.int64) % 28)
    back = back.assign(value_date=(month.astype("datetime64[D]") + day - 1).astype("datetime64[us]"))
    back = back[back["value_date"] <= pd.Timestamp(as_of)]
    both = pd.concat([drawn.lines, back.astype(drawn.lines.dtypes)], ignore_index=True)
    assert flagged(replace(drawn, lines=both), as_of) == {("ag1", "reversed_after")}


def test_without_reports_contacts_are_not_looked_for(simulate: Simulate, as_of: date) -> None:
    patterns = {pattern for _, pattern in told(simulate([1, 1, 1], 3000), as_of)}
    assert not patterns & {CONTACTS_HIGH, UNTOUCHED}
    assert patterns <= set(PATTERNS)


def test_few_accounts_are_not_looked_at(simulate: Simulate, as_of: date) -> None:
    assert told(simulate([1, 1], 60), as_of) == {}


def test_renaming_agencies_renames_the_flags(drawn: Inputs, as_of: date) -> None:
    names = {"ag0": "zeta", "ag1": "alpha", "ag2": "mu", "ag3": "beta"}
    turned = replace(
        drawn,
        placements=drawn.placements.assign(agency=drawn.placements["agency"].map(names).astype("str")),
        lines=drawn.lines.assign(agency=drawn.lines["agency"].map(names).astype("str")),
        conduct=drawn.conduct.rename(index=names),
    )
    before, after = told(drawn, as_of), told(turned, as_of)
    assert {(names[agency], pattern) for agency, pattern in before} == set(after)
    for (agency, pattern), one in before.items():
        assert after[names[agency], pattern].p == pytest.approx(one.p, rel=1e-5, abs=1e-12)
