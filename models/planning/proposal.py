"""A plan before it is kept: from the accounts and agencies of a lender to lines, exclusions and a preview."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from models.errors import UsageError
from models.planning.agencies import AgencyFacts, lineup, open_to, rooms_of, shares_of
from models.planning.allocation import Aims, Question
from models.planning.allocators import allocator
from models.planning.bounds import limits_of
from models.planning.content import inputs_sha256
from models.planning.exclusions import OPEN, reasons
from models.planning.preview import Drawn, LastPlan, preview
from models.planning.programme import in_process
from models.planning.segments import region_names, segments_of
from models.planning.worth import valued

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    import numpy.typing as npt

    from models.contract import Contract
    from models.planning.programme import Solver
    from models.planning.spec import PlanSpec
    from models.planning.worth import Figures, Valued
    from models.release import Policy

LINE_COLUMNS = (
    "account_id", "debtor_id", "agency", "segment", "balance_minor", "dpd", "bucket", "round", "version", "why",
    "probability",
)  # fmt: skip


class NobodyToPlace(UsageError):
    """The spec's filter leaves no account at all, or no agency."""


@dataclass(frozen=True)
class Inputs:
    """What a plan reads, as frames."""

    accounts: pd.DataFrame
    """of the lender, as the filter has them: `account_id`, `debtor_id`, `product`, `currency`, `balance_minor`, `dpd`,
    `bucket`, `region`, `status`, `rounds`, `version`, `as_of`"""
    holds: pd.DataFrame
    """in force: `debtor_id`, `account_id` (missing: all of the debtor), `reason`"""
    out: pd.DataFrame
    """with an agency, or in another plan: `account_id`, `debtor_id`, `agency`, `state` (placed | in_plan), `since` (an
    id that rises with time)"""
    barred: pd.DataFrame
    """`debtor_id`, `agency`: placed there before, and it came back unpaid"""
    agencies: tuple[AgencyFacts, ...]
    last: LastPlan | None = None
    """the lender's last plan for the same stage"""
    figures: Figures | None = None
    """the newest scores, for optimised plans"""
    contracts: Mapping[str, Contract] = field(default_factory=dict)
    """in force with the lender, for optimised plans"""


@dataclass(frozen=True)
class Proposal:
    """What a plan consists of; `summary` is JSON-able and knows no debtor."""

    lines: pd.DataFrame
    """LINE_COLUMNS, in rising account id"""
    exclusions: pd.DataFrame
    """`account_id`, `reason`"""
    summary: dict[str, Any]
    currency: str
    as_of: date
    term_days: int
    inputs_sha256: str


def propose(
    inputs: Inputs,
    spec: PlanSpec,
    policy: Policy,
    today: date,
    states: frozenset[str] = frozenset({"live"}),
    solver: Solver = in_process,
) -> Proposal:
    """The plan that the spec asks for. Raises NobodyToPlace where there is no account or no agency to share out to.

    solver: solves what an optimised plan comes to; in this process unless another one is given.
    """
    accounts = inputs.accounts
    if accounts.empty:
        raise NobodyToPlace(
            f"no account of {spec.lender} meets the plan's filter", fix="import a portfolio, or widen the filter"
        )
    currency = _currency(accounts, spec)
    if spec.filter.max_balance is not None:
        accounts = accounts[accounts["balance_minor"] <= spec.minor(spec.filter.max_balance, currency)]
    who = lineup(inputs.agencies, spec, policy, states)
    if not who.taking_part:
        told = "; ".join(f"{agency}: {why}" for agency, why in who.left_out.items()) or "there are none"
        raise NobodyToPlace(f"no agency may take part ({told})", fix="`consign agency list` shows them")
    excluded = reasons(accounts, inputs.holds, inputs.out, spec, currency)
    eligible = accounts[excluded.isna()].sort_values("account_id", ignore_index=True)
    segment = segments_of(eligible, spec, currency)
    term_days = spec.term_days or min(facts.term_days for facts in who.taking_part)
    optimised = spec.allocator != "shares"
    shares = (open_to if optimised else shares_of)(who.taking_part, spec, segment.cat.categories)
    rooms = rooms_of(who.taking_part, spec, currency)
    debtors = debtors_of(eligible, segment, inputs.out)
    worth = (
        valued(eligible, spec, who.taking_part, inputs.contracts, inputs.figures, currency, term_days)
        if optimised
        else None
    )
    aims = None
    if worth is not None:
        debtors = _with_worth(debtors, eligible, worth, spec)
        last = None if inputs.last is None else inputs.last.accounts
        aims = Aims(worth.worth, limits_of(spec, worth.worth.agencies, last, currency), solver)
    allocated = allocator(spec.allocator)(Question(spec.name, spec.seed, debtors, rooms, shares, inputs.barred, aims))
    answer = allocated.answer
    at = np.searchsorted(answer["debtor_id"].to_numpy(), eligible["debtor_id"].to_numpy())
    lines = eligible.assign(
        segment=segment,
        agency=answer["agency"].take(at).array,
        why=answer["why"].take(at).array,
        probability=answer["probability"].take(at).array,
        round=eligible["rounds"] + 1,
    )
    unplaced = lines["agency"].isna()
    exclusions = pd.concat(
        [
            pd.DataFrame({"account_id": accounts["account_id"], "reason": excluded})[excluded.notna()],
            lines.loc[unplaced, ["account_id", "why"]].rename(columns={"why": "reason"}),
        ],
        ignore_index=True,
    )
    drawn = Drawn(shares, spec, allocated, worth, eligible, segment, ~unplaced.to_numpy())
    lines = lines.loc[~unplaced, list(LINE_COLUMNS)].reset_index(drop=True)
    return Proposal(
        lines=lines,
        exclusions=exclusions,
        summary=preview(lines, exclusions, who, drawn, inputs.last, currency, today + timedelta(days=term_days)),
        currency=currency,
        as_of=(accounts["as_of"] if lines.empty else eligible["as_of"]).max().date(),
        term_days=term_days,
        inputs_sha256=inputs_sha256(accounts),
    )


def debtors_of(accounts: pd.DataFrame, segment: pd.Series, out: pd.DataFrame) -> pd.DataFrame:
    """One row per debtor: accounts, balance, the segment of the largest account, and the agency that has others.

    Where two agencies have some (that should not be), the one that got them last counts.
    """
    order, first = _by_debtor(accounts)
    ids = accounts["debtor_id"].to_numpy()[order]
    balance = accounts["balance_minor"].to_numpy()[order]
    latest = out.sort_values("since").drop_duplicates("debtor_id", keep="last").set_index("debtor_id")["agency"]
    debtor_id = pd.Series(ids[first])
    return pd.DataFrame(
        {
            "debtor_id": debtor_id,
            "segment": segment.take(order[first]).array,
            "accounts": np.diff(np.r_[first, len(ids)]),
            "balance_minor": np.add.reduceat(balance, first) if len(ids) else balance,
            "incumbent": debtor_id.map(latest).astype("str"),
        }
    )


def _by_debtor(accounts: pd.DataFrame) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The accounts' order by debtor, the largest first, and where in it each debtor begins."""
    order = np.lexsort((accounts["account_id"], -accounts["balance_minor"], accounts["debtor_id"]))
    ids = accounts["debtor_id"].to_numpy()[order]
    first = np.flatnonzero(np.r_[True, ids[1:] != ids[:-1]]) if len(ids) else np.empty(0, dtype=np.int64)
    return order.astype(np.int64), first.astype(np.int64)


def _with_worth(debtors: pd.DataFrame, accounts: pd.DataFrame, worth: Valued, spec: PlanSpec) -> pd.DataFrame:
    """The debtors with what an average agency would recover of all their accounts; region and cell of the largest."""
    order, first = _by_debtor(accounts)
    base = worth.base[order]
    return debtors.assign(
        base=np.add.reduceat(base, first) if len(first) else base,
        cell=worth.cell[order[first]],
        region=region_names(accounts["region"], spec.bounds.region_digits).take(order[first]).array,
    )


def _currency(accounts: pd.DataFrame, spec: PlanSpec) -> str:
    if spec.currency is not None:
        return spec.currency
    there = sorted(accounts.loc[accounts["status"] == OPEN, "currency"].unique()) or sorted(
        accounts["currency"].unique()
    )
    if len(there) > 1:
        raise UsageError(
            f"the accounts are in {', '.join(there)}, and a plan is in one currency",
            fix="name it: `currency` in the spec",
        )
    return str(there[0])
