"""A plan from its inputs: what is asked, who takes part, what is left out, and what the preview says."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import UsageError
from models.planning.agencies import AgencyFacts
from models.planning.content import content_sha256
from models.planning.preview import LastPlan
from models.planning.proposal import Inputs, NobodyToPlace, Proposal, propose
from models.planning.segments import segments_of
from models.planning.spec import PlanSpec, SpecInvalid
from models.release import load

TODAY = date(2026, 11, 22)
NOBODY = pd.DataFrame({
    "account_id": pd.Series(dtype="int64"), "debtor_id": pd.Series(dtype="int64"), "agency": pd.Series(dtype="str"),
    "state": pd.Series(dtype="str"), "since": pd.Series(dtype="int64"),
})  # fmt: skip
NO_HOLDS = pd.DataFrame({
    "debtor_id": pd.Series(dtype="int64"), "account_id": pd.Series(dtype="Int64"), "reason": pd.Series(dtype="str"),
})  # fmt: skip
NO_BARS = pd.DataFrame({"debtor_id": pd.Series(dtype="int64"), "agency": pd.Series(dtype="str")})


def spec(**more: Any) -> PlanSpec:
    return PlanSpec.of({"lender": "first-bank", "name": "2026-11-B", "seed": 7, **more})


def agency(code: str, **more: Any) -> AgencyFacts:
    facts = AgencyFacts(agency=code, name=code.title(), state="live", channels=("phone", "sms"), contract=True)
    return replace(facts, **more)


def accounts(rows: int, **columns: Any) -> pd.DataFrame:
    """Accounts of the first bank, one per debtor."""
    ids = np.arange(1, rows + 1)
    return pd.DataFrame({
        "account_id": ids, "debtor_id": ids, "product": "card", "currency": "CNY", "balance_minor": ids * 100_000,
        "dpd": 61, "bucket": "M3", "region": "310115", "status": "open", "rounds": 0, "version": 1,
        "as_of": pd.Timestamp("2026-11-21"),
    }).assign(**columns)  # fmt: skip


def inputs(frame: pd.DataFrame, *agencies: AgencyFacts, **more: Any) -> Inputs:
    given: dict[str, Any] = {"holds": NO_HOLDS, "out": NOBODY, "barred": NO_BARS} | more
    return Inputs(accounts=frame, agencies=agencies or (agency("harbour"), agency("lotus")), **given)


def proposed(read: Inputs, asked: PlanSpec | None = None, **more: Any) -> Proposal:
    asked = asked or spec()
    return propose(read, asked, load(asked.policy), TODAY, **more)


def excluded(proposal: Proposal) -> dict[int, str]:
    return dict(zip(proposal.exclusions["account_id"], proposal.exclusions["reason"], strict=True))


# --- exclusions: a truth table ----------------------------------------------------------------------------------------

HELD = pd.DataFrame({"debtor_id": [1], "account_id": pd.array([pd.NA], dtype="Int64"), "reason": ["dispute"]})
OUT = pd.DataFrame({"account_id": [1], "debtor_id": [1], "agency": ["lotus"], "state": ["placed"], "since": [5]})
IN_PLAN = OUT.assign(state="in_plan")


@pytest.mark.parametrize(
    ("columns", "more", "filters", "reason"),
    [
        ({}, {}, {}, None),
        ({"status": "paid"}, {}, {}, "paid"),
        ({"status": "closed"}, {}, {}, "closed"),
        ({"status": "erased"}, {"holds": HELD}, {}, "erased"),
        ({}, {"holds": HELD}, {}, "hold:dispute"),
        ({}, {"holds": HELD, "out": OUT}, {}, "hold:dispute"),
        ({}, {"out": OUT}, {}, "placed"),
        ({}, {"out": IN_PLAN}, {}, "in_plan"),
        ({"currency": "USD"}, {}, {}, "other_currency"),
        ({"balance_minor": 0}, {}, {}, "nothing_owed"),
        ({"balance_minor": -500}, {}, {}, "nothing_owed"),
        ({"balance_minor": 99_999}, {}, {"min_balance": "1000"}, "below_minimum"),
        ({"balance_minor": 100_000}, {}, {"min_balance": "1000"}, None),
    ],
)
def test_an_account_is_left_out_for_the_first_reason_that_applies(
    columns: dict[str, Any], more: dict[str, Any], filters: dict[str, Any], reason: str | None
) -> None:
    frame = pd.concat([accounts(1, **columns), accounts(3).iloc[1:]], ignore_index=True)
    proposal = proposed(inputs(frame, **more), spec(filter=filters, currency="CNY"))
    assert excluded(proposal).get(1) == reason


def test_a_hold_on_one_account_leaves_the_debtors_other_account_free() -> None:
    frame = accounts(2, debtor_id=1)
    holds = pd.DataFrame({"debtor_id": [1], "account_id": pd.array([2], dtype="Int64"), "reason": ["dispute"]})
    assert excluded(proposed(inputs(frame, holds=holds))) == {2: "hold:dispute"}


# --- the debtor is the unit -------------------------------------------------------------------------------------------


@given(st.lists(st.integers(1, 12), min_size=1, max_size=60), st.integers(0, 2**31))
def test_all_accounts_of_a_debtor_go_to_one_agency(debtors: list[int], seed: int) -> None:
    frame = accounts(len(debtors), debtor_id=debtors, product=[f"p{at % 3}" for at in range(len(debtors))])
    lines = proposed(inputs(frame), spec(seed=seed)).lines
    assert not lines[["debtor_id", "agency"]].drop_duplicates()["debtor_id"].duplicated().any()
    assert len(lines) == len(debtors)


@given(st.permutations(range(30)))
def test_the_order_of_the_accounts_changes_nothing(order: list[int]) -> None:
    frame = accounts(30, debtor_id=[1 + at % 17 for at in range(30)])
    one = proposed(inputs(frame))
    other = proposed(inputs(frame.iloc[order].reset_index(drop=True), agency("lotus"), agency("harbour")))
    pd.testing.assert_frame_equal(one.lines, other.lines)
    assert one.inputs_sha256 == other.inputs_sha256
    assert one.summary == other.summary


def test_a_new_account_follows_the_one_that_is_out() -> None:
    frame = accounts(2, debtor_id=1)
    lines = proposed(inputs(frame, out=OUT)).lines
    assert lines[["account_id", "agency", "why"]].to_numpy().tolist() == [[2, "lotus", "incumbent"]]


# --- who takes part ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({"state": "suspended"}, "it is suspended"),
        ({"state": "certified"}, "it is certified"),
        ({"contract": False}, "no contract with the lender in force"),
        ({"channels": ("sms", "letter")}, "its mandate does not cover stage phone"),
    ],
)
def test_an_agency_that_may_not_take_part_is_told_with_the_reason(facts: dict[str, Any], why: str) -> None:
    summary = proposed(inputs(accounts(4), agency("harbour"), agency("quay", **facts))).summary
    assert summary["left_out"] == {"quay": why}
    assert f"quay takes no part: {why}" in summary["warnings"]


def test_in_the_sandbox_a_certified_agency_takes_part() -> None:
    read = inputs(accounts(4), agency("quay", state="certified"))
    with pytest.raises(NobodyToPlace, match="it is certified"):
        proposed(read)
    assert set(proposed(read, states=frozenset({"live", "certified"})).lines["agency"]) == {"quay"}


def test_an_agency_to_which_the_policy_releases_nothing_takes_no_part() -> None:
    read = inputs(accounts(4), agency("harbour", channels=("online",)), agency("lotus"))
    summary = proposed(read, spec(stage="reminder", policy="us-default")).summary
    assert set(summary["left_out"]) == set()
    with pytest.raises(NobodyToPlace, match="its mandate does not cover stage legal"):
        proposed(read, spec(stage="legal"))


def test_an_agency_that_the_spec_names_and_nobody_knows_is_told() -> None:
    summary = proposed(inputs(accounts(4)), spec(agencies={"harbour": {}, "nobody": {}})).summary
    assert summary["left_out"] == {"nobody": "unknown"}


@pytest.mark.parametrize(
    ("contract", "asked", "expected"),
    [
        ((None, None), {}, {"harbour": 50, "lotus": 50}),
        ((Decimal("0.2"), Decimal("0.6")), {}, {"harbour": 25, "lotus": 75}),
        ((Decimal("0.2"), None), {}, {"harbour": 100}),
        ((Decimal("0.2"), Decimal("0.6")), {"harbour": {"share": "0.6"}, "lotus": {}}, {"harbour": 50, "lotus": 50}),
        ((Decimal("0.5"), Decimal("0.5")), {"lotus": {}}, {"lotus": 100}),
        ((None, None), {"harbour": {"max_accounts": 10}, "lotus": {}}, {"harbour": 10, "lotus": 90}),
        ((None, None), {"harbour": {"segments": ["loan/*"]}, "lotus": {}}, {"lotus": 100}),
    ],
)
def test_shares_come_from_the_spec_else_the_contract_else_are_even(
    contract: tuple[Any, Any], asked: dict[str, Any], expected: dict[str, int]
) -> None:
    read = inputs(accounts(100), agency("harbour", share=contract[0]), agency("lotus", share=contract[1]))
    assert proposed(read, spec(agencies=asked)).lines["agency"].value_counts().to_dict() == expected


def test_a_segment_may_have_shares_of_its_own() -> None:
    frame = accounts(200, product=["card", "loan"] * 100)
    own = [{"segment": "loan/*", "shares": {"lotus": 1}}]
    lines = proposed(inputs(frame), spec(segment_shares=own, segments={"by": ["product", "bucket"]})).lines
    got = lines.groupby(["segment", "agency"], observed=True).size().to_dict()
    assert got == {("card/M3", "harbour"): 50, ("card/M3", "lotus"): 50, ("loan/M3", "lotus"): 100}


@pytest.mark.parametrize(
    ("facts", "room"),
    [
        ({"capacity_accounts": 30, "held_accounts": 25}, 5),
        ({"capacity_accounts": 30, "held_accounts": 40}, 0),
        ({"capacity_minor": 1_000_000, "held_minor": 700_000}, 3),
    ],
)
def test_what_an_agency_holds_counts_against_its_capacity(facts: dict[str, Any], room: int) -> None:
    read = inputs(accounts(100, balance_minor=100_000), agency("harbour", **facts), agency("lotus"))
    assert (proposed(read).lines["agency"] == "harbour").sum() == room


# --- the preview ------------------------------------------------------------------------------------------------------


def test_the_preview_adds_up() -> None:
    read = inputs(accounts(100), agency("harbour", capacity_accounts=20), agency("lotus"), holds=HELD)
    proposal = proposed(read)
    summary = proposal.summary
    assert sum(row["accounts"] for row in summary["agencies"]) == summary["accounts"] == len(proposal.lines) == 99
    assert sum(row["balance_minor"] for row in summary["agencies"]) == summary["balance_minor"]
    assert sum(each["accounts"] for each in summary["segments"]) == 99
    assert sum(summary["exclusions"].values()) == summary["held_back"] == 1
    json.dumps(summary, allow_nan=False)


def test_the_preview_says_why_and_warns() -> None:
    read = inputs(
        accounts(100),
        agency("harbour", capacity_accounts=20),
        agency("lotus"),
        last=LastPlan(1, "last", {"harbour": 30}),
    )
    summary = proposed(read).summary
    harbour, lotus = summary["agencies"]
    assert (harbour["difference"], lotus["difference"]) == (-10, 80)
    assert harbour["why"] == ["cap binds: 30 moved to Lotus", "share 50.0%"]
    assert lotus["why"] == ["overflow from Harbour: 30", "share 50.0%"]
    assert (harbour["share_asked"], harbour["share_achieved"], harbour["capacity_used"]) == (0.5, 0.2, 1.0)
    assert "Harbour reaches 100% of its capacity" in summary["warnings"]


def test_what_would_be_disclosed_is_told_once_per_mandate() -> None:
    read = inputs(accounts(10), agency("harbour"), agency("lotus"), agency("quay", channels=("phone", "letter")))
    told = proposed(read, spec(policy="us-default")).summary["disclosed"]
    assert [each["agencies"] for each in told] == [["harbour", "lotus"], ["quay"]]
    assert told[0]["never_sent"]["contact_name"] == "15 USC 1692c(b): no communication with third parties"
    assert told[0]["generalised"]["id_number"] == "mask: last 4"
    # 180 days of term, 60 days to erase
    assert told[0]["delete_by"] == "2027-07-20"
    assert any(
        "confirm with counsel" in warning for warning in proposed(read, spec(policy="us-default")).summary["warnings"]
    )


def test_the_term_is_the_shortest_of_the_agencies_unless_it_is_stated() -> None:
    read = inputs(accounts(4), agency("harbour", term_days=90), agency("lotus"))
    assert proposed(read).term_days == 90
    assert proposed(read, spec(term_days=30)).term_days == 30


def test_accounts_in_two_currencies_need_a_choice() -> None:
    frame = accounts(4, currency=["CNY", "USD", "CNY", "CNY"])
    with pytest.raises(UsageError, match="in CNY, USD"):
        proposed(inputs(frame))
    assert excluded(proposed(inputs(frame), spec(currency="CNY"))) == {2: "other_currency"}


def test_nothing_to_place_is_said() -> None:
    with pytest.raises(NobodyToPlace, match="no account of first-bank"):
        proposed(inputs(accounts(0)))


def test_a_plan_whose_accounts_are_all_left_out_is_empty_and_says_why() -> None:
    proposal = proposed(inputs(accounts(2, status="paid")))
    assert proposal.lines.empty
    assert proposal.summary["exclusions"] == {"paid": 2}


# --- segments ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("by", "row", "name"),
    [
        ([], {}, "all"),
        (["product"], {}, "card"),
        (["region", "product"], {}, "card/31"),
        (["region"], {"region": None}, "unknown"),
        (["region"], {"region": "CA"}, "CA"),
        (["product"], {"product": "a/b"}, "a-b"),
        (["balance"], {"balance_minor": 99_999}, "<1000"),
        (["balance"], {"balance_minor": 100_000}, "1000-5000"),
        (["balance"], {"balance_minor": 10_000_000}, "100000+"),
        (["product", "bucket", "balance"], {"balance_minor": 600_000}, "card/M3/5000-10000"),
    ],
)
def test_a_segment_has_a_name_that_says_what_it_is(by: list[str], row: dict[str, Any], name: str) -> None:
    frame = accounts(2).assign(**{key: pd.Series([value] * 2) for key, value in row.items()})
    assert segments_of(frame, spec(segments={"by": by}), "CNY").tolist() == [name, name]


# --- spec and content -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"colour": "red"}, "unknown colour"),
        ({"seed": "seven"}, "seed must be a whole number"),
        ({"seed": True}, "seed must be a whole number"),
        ({"stage": "email"}, "stage must be one of reminder"),
        ({"filter": {"min_balance": 0.5}}, "decimal in quotes"),
        ({"filter": {"min_balance": "much"}}, "is not a number"),
        ({"filter": {"min_dpd": -1}}, "whole number from 0"),
        ({"agencies": {"harbour": {"share": "-1"}}}, "must not be negative"),
        ({"agencies": {"harbour": {"quota": 1}}}, "unknown quota"),
        ({"segments": {"by": ["colour"]}}, "unknown colour"),
        ({"segments": {"balance_edges": [5, 5]}}, "must rise"),
        ({"segments": {"region_digits": 7}}, "six digits|6 digits"),
        ({"lender": ""}, "must be a text"),
    ],
)
def test_a_spec_that_makes_no_sense_is_refused_where_it_errs(raw: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecInvalid, match=message):
        spec(**raw)


def test_a_spec_must_say_whose_accounts_it_is_about() -> None:
    with pytest.raises(SpecInvalid, match="does not say its lender, name, seed"):
        PlanSpec.of({})


def test_a_minimum_with_more_digits_than_the_currency_is_refused() -> None:
    frame = accounts(1, currency="JPY")
    with pytest.raises(SpecInvalid, match="more digits than JPY"):
        proposed(inputs(frame), spec(filter={"min_balance": "0.5"}))


def test_a_spec_survives_json() -> None:
    asked = spec(
        filter={"min_balance": "12.50", "products": ["card"]},
        agencies={"harbour": {"share": 0.3, "max_accounts": 9}},
        segment_shares=[{"segment": "card/*", "shares": {"harbour": "0.5"}}],
    )
    assert PlanSpec.of(json.loads(asked.json())) == asked


HEADER = {
    "lender": "a", "name": "b", "stage": "phone", "purpose": "collection", "policy": "minimal", "policy_version": "1",
    "policy_sha256": "0", "allocator": "shares", "seed": 1, "currency": "CNY", "term_days": 30,
}  # fmt: skip


@pytest.mark.parametrize(
    "column", ["account_id", "agency", "segment", "balance_minor", "dpd", "bucket", "round", "version"]
)
def test_the_content_hash_sees_every_change_of_a_line_and_no_change_of_order(column: str) -> None:
    lines = proposed(inputs(accounts(9))).lines.astype({"segment": "str"})
    whole = content_sha256(HEADER, lines)
    assert content_sha256(HEADER, lines.iloc[::-1]) == whole
    changed = lines.copy()
    changed.loc[0, column] = "another" if isinstance(changed.loc[0, column], str) else 77
    assert content_sha256(HEADER, changed) != whole
    assert content_sha256(HEADER | {"term_days": 31}, lines) != whole
