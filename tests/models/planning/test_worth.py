"""What accounts are worth with whom: by scoring segment, tier of the contract, and cost."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest

from models.contract import Contract
from models.planning.agencies import AgencyFacts
from models.planning.spec import PlanSpec, SpecInvalid
from models.planning.worth import UNKNOWN_SPREAD, UNSCORED_RATE, Figures, valued

TIERS = "currency = 'CNY'\n[[tier]]\ndpd_to = 90\nrate = '0.2'\n[[tier]]\nrate = '0.3'\n"
AGENCIES = tuple(AgencyFacts(name, name, "live", ("phone",), contract=True) for name in ("harbour", "lotus"))


def spec(**more: Any) -> PlanSpec:
    return PlanSpec.of({"lender": "first-bank", "name": "x", "seed": 1, "allocator": "value", **more})


def accounts(*rows: tuple[str, int, int]) -> pd.DataFrame:
    """Product, dpd and balance of each."""
    frame = pd.DataFrame(rows, columns=["product", "dpd", "balance_minor"]).astype({"product": "str"})
    return frame.assign(rounds=0)


def figures(cells: dict[tuple[str, str], tuple[float, float]], **summary: Any) -> Figures:
    """Value and expected rate by agency and segment."""
    rows = [
        {
            "agency": agency, "component": "recovery", "segment": segment, "value": value, "low": value / 1.2,
            "high": value * 1.2, "expected": rate, "weight": 0.5,
        }
        for (agency, segment), (value, rate) in cells.items()
    ]  # fmt: skip
    usual = {"agencies": {"harbour": {"totals": {"CNY": {"placed_minor": 1_000}}}}, "spread": 0.2, "credible": 0.9}
    return Figures(5, date(2026, 11, 1), "t", pd.DataFrame(rows), usual | summary)


def worth_of(frame: pd.DataFrame, told: Figures | None, asked: PlanSpec | None = None, **contracts: str) -> np.ndarray:
    """Net-back per account and agency."""
    parsed = {agency: Contract.parse(terms) for agency, terms in contracts.items()}
    found = valued(frame, asked or spec(), AGENCIES, parsed, told, "CNY", 180)
    return np.asarray(found.base[:, None] * found.worth.net[found.cell] - found.worth.cost)


def test_rate_effect_and_commission_multiply() -> None:
    told = figures({("harbour", "all"): (1.0, 0.1), ("harbour", "card"): (1.5, 0.2), ("harbour", "loan"): (0.5, 0.1)})
    net = worth_of(accounts(("card", 60, 10_000), ("loan", 200, 10_000)), told, harbour=TIERS, lotus=TIERS)
    # lotus has no score: its effect is 1
    assert net.tolist() == [
        pytest.approx([10_000 * 0.2 * 1.5 * 0.8, 10_000 * 0.2 * 0.8]),
        pytest.approx([10_000 * 0.1 * 0.5 * 0.7, 10_000 * 0.1 * 0.7]),
    ]


def test_costs_and_fees_per_case_are_taken_off() -> None:
    fee = "currency = 'CNY'\nbasis = 'fixed'\ncase_fee_minor = 300\n"
    asked = spec(agencies={"harbour": {"cost": "1.50"}, "lotus": {}})
    net = worth_of(accounts(("card", 60, 10_000)), None, asked, harbour=TIERS, lotus=fee)
    assert net.tolist() == [pytest.approx([10_000 * UNSCORED_RATE * 0.8 - 150, 10_000 * UNSCORED_RATE - 300])]


def test_a_young_book_is_brought_to_the_whole_term_by_its_curves() -> None:
    cells = {("harbour", "all"): (1.0, 0.1), ("harbour", "card"): (1.0, 0.1)}
    curve = {"harbour": {"expected": [0.05, 0.1, 0.14, 0.17, 0.19, 0.2, 0.21]}}
    net = worth_of(accounts(("card", 60, 10_000)), figures(cells, curves=curve))
    assert net[0, 0] == pytest.approx(10_000 * 0.2)


def test_who_was_never_scored_is_as_unsure_as_agencies_differ() -> None:
    found = valued(accounts(("card", 60, 1_000)), spec(), AGENCIES, {}, None, "CNY", 180)
    assert found.worth.log_sd.tolist() == [UNKNOWN_SPREAD, UNKNOWN_SPREAD]
    known = valued(
        accounts(("card", 60, 1_000)), spec(), AGENCIES, {}, figures({("harbour", "all"): (1.0, 0.1)}), "CNY", 180
    )
    assert known.worth.log_sd[0] == pytest.approx(np.log(1.2) * 2 / (2 * 1.645), rel=1e-3)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"bounds": {"change_max": 1.5}}, "between 0 and 1"),
        ({"bounds": {"relax": ["change"]}}, "must name each of"),
        ({"bounds": {"price": {"colour": "1"}}}, "unknown colour"),
        ({"agencies": {"harbour": {"min_share": 0.5, "max_share": 0.2}}}, "min_share is above max_share"),
    ],
)
def test_bounds_that_make_no_sense_are_refused_where_they_err(raw: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecInvalid, match=message):
        spec(**raw)
