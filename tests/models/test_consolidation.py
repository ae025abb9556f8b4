"""One person: who is linked, where their accounts may not go, and how what they pay is split."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.consolidation import LENDER_ORDER, OLDEST_FIRST, ORDERS, PRO_RATA, bars, shared, split

AGENCIES = ["harbour", "lantern", "quay"]


def claims(*rows: tuple[int, int, str | None, int], payment: int = 1) -> pd.DataFrame:
    """`(account, owed, day it fell due, rank of the lender)` each."""
    frame = pd.DataFrame(rows, columns=["account_id", "owed_minor", "due", "rank"])
    return frame.assign(payment_id=payment, due=pd.to_datetime(frame["due"]).astype("datetime64[us]"))


def paid(amount: int, order: str, payment: int = 1) -> pd.DataFrame:
    return pd.DataFrame({"payment_id": [payment], "amount_minor": [amount], "split_order": [order]})


def given_to(found: pd.DataFrame) -> dict[int, int]:
    return dict(zip(found["account_id"], found["amount_minor"], strict=True))


OWED = ((1, 100_00, "2026-03-01", 2), (2, 50_00, "2026-01-01", 2), (3, 30_00, "2026-02-01", 1))


@pytest.mark.parametrize(
    ("order", "amount", "expected"),
    [
        (OLDEST_FIRST, 60_00, {2: 50_00, 3: 10_00, 1: 0}),
        (LENDER_ORDER, 60_00, {3: 30_00, 2: 30_00, 1: 0}),
        (PRO_RATA, 60_00, {1: 33_33, 2: 16_67, 3: 10_00}),
        (OLDEST_FIRST, 180_00, {1: 100_00, 2: 50_00, 3: 30_00}),
        (PRO_RATA, 999_00, {1: 100_00, 2: 50_00, 3: 30_00}),
    ],
)
def test_a_payment_is_split_in_the_order_stated(order: str, amount: int, expected: dict[int, int]) -> None:
    assert given_to(split(claims(*OWED), paid(amount, order))) == expected


def test_what_fell_due_on_one_day_shares_by_what_is_owed_and_the_odd_unit_goes_to_the_largest_remainder() -> None:
    alike = claims((1, 1, "2026-01-01", 1), (2, 1, "2026-01-01", 1), (3, 1, "2026-01-01", 1))
    assert given_to(split(alike, paid(2, OLDEST_FIRST))) == {1: 1, 2: 1, 3: 0}


def test_an_account_without_a_due_day_comes_last() -> None:
    found = split(claims((1, 10, None, 1), (2, 10, "2026-01-01", 1)), paid(12, OLDEST_FIRST))
    assert given_to(found) == {2: 10, 1: 2}


def test_amounts_whose_product_is_more_than_64_bits_are_split_to_the_unit() -> None:
    big = 9 * 10**15
    found = given_to(split(claims((1, big, None, 1), (2, big - 1, None, 1)), paid(big, PRO_RATA)))
    assert sum(found.values()) == big
    assert found == {1: 4_500_000_000_000_000, 2: 4_500_000_000_000_000}


@settings(max_examples=150, deadline=None)
@given(
    owed=st.lists(st.tuples(st.integers(1, 10**9), st.integers(0, 4), st.integers(1, 3)), min_size=1, max_size=8),
    amounts=st.lists(st.integers(0, 3 * 10**9), min_size=1, max_size=4),
    order=st.sampled_from(ORDERS),
    seed=st.integers(0, 9),
)
def test_shares_sum_to_the_payment_and_nobody_gets_more_than_is_owed(
    owed: list[tuple[int, int, int]], amounts: list[int], order: str, seed: int
) -> None:
    parts = [
        claims(
            *((n, minor, f"2026-01-{day + 1:02}", rank) for n, (minor, day, rank) in enumerate(owed)), payment=number
        )
        for number in range(len(amounts))
    ]
    asked = pd.concat(parts, ignore_index=True)
    payments = pd.concat([paid(amount, order, number) for number, amount in enumerate(amounts)], ignore_index=True)
    found = split(asked, payments)
    total = sum(minor for minor, _, _ in owed)
    assert found.groupby("payment_id")["amount_minor"].sum().tolist() == [min(amount, total) for amount in amounts]
    assert (found["amount_minor"] >= 0).all()
    assert (found["amount_minor"] <= found["owed_minor"]).all()
    # the order of the rows is irrelevant
    mixed = split(asked.sample(frac=1, random_state=seed), payments.sample(frac=1, random_state=seed))
    keys = ["payment_id", "account_id"]
    pd.testing.assert_frame_equal(
        found.sort_values(keys, ignore_index=True), mixed.sort_values(keys, ignore_index=True), check_like=True
    )
    if order == OLDEST_FIRST:
        for _, payment in found.groupby("payment_id"):
            by_day = payment.groupby("due")[["owed_minor", "amount_minor"]].sum()
            whole = (by_day["amount_minor"] == by_day["owed_minor"]).tolist()
            begun = (by_day["amount_minor"] > 0).tolist()
            assert all(older or not later for older, later in zip(whole, begun[1:], strict=False))


def test_pro_rata_misses_nobodys_exact_part_by_a_unit() -> None:
    rng = np.random.default_rng(3)
    owed = rng.integers(1, 10**7, 50)
    found = split(
        claims(*((n, int(minor), None, 1) for n, minor in enumerate(owed))), paid(int(owed.sum() // 3), PRO_RATA)
    )
    exact = found["owed_minor"] / owed.sum() * (owed.sum() // 3)
    assert (found["amount_minor"] - exact).abs().max() < 1


def test_nothing_owed_is_nothing_split() -> None:
    assert split(claims().astype({"account_id": "int64"}), paid(5, PRO_RATA)).empty


# -- who is one person, and where they may not go ----------------------------------------------------------------------


def test_only_who_shares_a_link_is_linked() -> None:
    known = pd.DataFrame({"debtor_id": [4, 1, 2, 3], "lender": list("baab"), "link": ["x", "y", "x", "z"]})
    assert shared(known)["debtor_id"].tolist() == [2, 4]


def partners(*rows: tuple[int, int, str]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["debtor_id", "other_id", "other_lender"])
    return frame.assign(since=pd.Timestamp("2026-01-01"))


def whereabouts(*rows: tuple[int, str, int]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["debtor_id", "agency", "since"])
    return frame.astype({"debtor_id": "int64", "agency": "str", "since": "int64"})


def barred(found: pd.DataFrame) -> dict[int, list[str]]:
    return {debtor: sorted(found.loc[found["debtor_id"] == debtor, "agency"]) for debtor in found["debtor_id"].tolist()}


NOBODY = whereabouts()
ALL = {"lotus": AGENCIES}


def test_who_has_accounts_elsewhere_goes_to_that_agency_alone() -> None:
    found = bars(partners((1, 11, "lotus"), (2, 12, "lotus")), whereabouts((11, "quay", 5)), NOBODY, AGENCIES, ALL)
    assert barred(found) == {1: ["harbour", "lantern"]}


def test_of_two_agencies_the_one_that_got_them_last_counts() -> None:
    out = whereabouts((11, "quay", 5), (21, "lantern", 7))
    found = bars(partners((1, 11, "lotus"), (1, 21, "willow")), out, NOBODY, AGENCIES, ALL)
    assert barred(found) == {1: ["harbour", "quay"]}


def test_who_has_accounts_of_the_same_lender_out_stays_with_them() -> None:
    out = whereabouts((11, "quay", 5), (1, "lantern", 2))
    assert bars(partners((1, 11, "lotus")), out, NOBODY, AGENCIES, ALL).empty


def test_an_agency_that_failed_for_another_lender_is_barred() -> None:
    failed = whereabouts((11, "harbour", 0)).drop(columns="since")
    found = bars(partners((1, 11, "lotus")), NOBODY, failed, AGENCIES, ALL)
    assert barred(found) == {1: ["harbour"]}


def test_the_first_lender_takes_an_agency_that_the_next_can_use_unless_there_is_none() -> None:
    usable = {"lotus": ["quay"], "willow": []}
    found = bars(partners((1, 11, "lotus"), (2, 12, "willow")), NOBODY, NOBODY, AGENCIES, usable)
    assert barred(found) == {1: ["harbour", "lantern"]}


@settings(max_examples=100, deadline=None)
@given(
    placed=st.lists(
        st.tuples(st.integers(1, 4), st.booleans(), st.sampled_from(AGENCIES), st.integers(0, 99)), max_size=12
    )
)
def test_whoever_is_with_an_agency_somewhere_has_exactly_one_left(
    placed: list[tuple[int, bool, str, int]],
) -> None:
    people = partners(*((n, n + 10, "lotus") for n in range(1, 5)))
    out = whereabouts(*((n + 10 * theirs, agency, since) for n, theirs, agency, since in placed))
    found = barred(bars(people, out, NOBODY, AGENCIES, ALL))
    for person in range(1, 5):
        own = out["debtor_id"].eq(person).any()
        theirs = out[out["debtor_id"] == person + 10]
        left = set(AGENCIES) - set(found.get(person, []))
        if own or theirs.empty:
            assert left == set(AGENCIES)
        else:
            assert len(left) == 1
            newest = theirs[theirs["since"] == theirs["since"].max()]
            assert left <= set(newest["agency"])
