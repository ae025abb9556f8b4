"""The tables behind the scorecards: liquidation curves, money per agency, and what was left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from models.scoring.curves import liquidation_curves, pooled_curves
from models.scoring.inputs import number
from models.scoring.recoveries import APART, COUNTED
from models.scoring.segments import FACETS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from models.scoring.book import Book, Standing
    from models.scoring.gaming import Flag

SETTINGS = (
    "credible", "month_days", "settle_days", "acknowledge_days", "speed_days", "peers_shown", "minimum_expected",
)  # fmt: skip
"""Parameters that the scorecards mention."""


def curves(book: Book) -> pd.DataFrame:
    """Liquidation per agency, segment, vintage (month placed), currency and month on book."""
    vintage = book.placements["placed_on"].astype("datetime64[s]").to_numpy().astype("datetime64[M]")
    months, code = np.unique(vintage, return_inverse=True)
    frame = pd.DataFrame(
        {
            "agency": _category(book.agency, book.agencies),
            "segment": _category(book.segments.code, list(book.segments.labels)),
            "vintage": _category(code, [str(month) for month in months]),
            "currency": book.placements["currency"].astype("category"),
            "balance_minor": book.balance_minor,
            "age_days": book.clock.age_days,
        }
    )
    money = pd.DataFrame({"at": book.row, "month": book.month, "gross_minor": book.gross})
    return liquidation_curves(frame, money, book.parameters)


def summary(book: Book, known: Standing, flagged: Sequence[Flag]) -> dict[str, Any]:
    """What the scorecards draw besides the components: plain numbers and text, None where there is nothing."""
    return {
        "parameters": book.parameters.version,
        "as_of": book.as_of.isoformat(),
        **{name: getattr(book.parameters, name) for name in SETTINGS},
        "segments": len(book.segments.labels),
        "given_up": [FACETS[facet] for facet in book.segments.given_up],
        "debtors": int(book.placements["debtor_id"].nunique()),
        "spread": known.effect.spread,
        "weights": {name: vars(weight) for name, weight in book.parameters.weights.items()},
        "ranked": int(known.ranked.sum()),
        "agencies": {name: _agency(book, known, position) for position, name in enumerate(book.agencies)},
        "curves": _pooled(book),
        "gaming": {name: value for name, value in vars(book.parameters.gaming).items() if name != "margins"},
        "flags": [vars(one) for one in flagged],
    }


def _agency(book: Book, known: Standing, position: int) -> dict[str, Any]:
    mine = book.placements[book.agency == position]
    lines = book.lines[book.lines["agency"] == book.agencies[position]]
    return {
        "placements": len(mine),
        "debtors": int(mine["debtor_id"].nunique()),
        "weight_of_prior": float(known.effect.weight_of_prior[position]),
        "evidence": float(known.evidence[position]),
        "totals": {
            str(currency): {"placed_minor": int(placed.sum()), **_money(lines[lines["currency"] == currency])}
            for currency, placed in mine.groupby("currency")["balance_minor"]
        },
    }


def _money(lines: pd.DataFrame) -> dict[str, Any]:
    """Sums of the lines that count, and of those that do not, by why."""
    counted = lines[lines["standing"] == COUNTED]
    apart = {name: lines.loc[lines["standing"] == name, "gross_minor"] for name in APART}
    return {
        "recovered_minor": int(counted["gross_minor"].sum()),
        "commission_minor": int(counted["commission_minor"].sum()),
        "reversed_minor": int(counted["gross_minor"].clip(upper=0).sum()),
        "apart": {name: {"lines": len(gross), "gross_minor": int(gross.sum())} for name, gross in apart.items()},
    }


def _pooled(book: Book) -> dict[str, Any]:
    """Cumulative liquidation per agency over all vintages with its interval, and what was expected, month by month.

    Only placements old enough count in a month, so that the young do not pull it down. The last month, which
    is open-ended, is left out.
    """
    months, length = book.parameters.months - 1, book.parameters.month_days
    recovered = np.zeros((book.bags, len(book.agencies), months))
    placed = np.zeros_like(recovered)
    expected = np.zeros(recovered.shape[1:])
    for month in range(months):
        old = book.clock.age_days >= (month + 1) * length
        if not old.any():
            break
        placed[:, :, month] = book.by_bag(np.where(old, book.balance, 0.0))
        counts = (book.month == month) & old[book.row]
        recovered[:, :, month] = book.by_bag(book.money[counts], book.row[counts])
        if month >= book.months:
            continue
        part = np.clip(book.clock.exposed_days / length - month, 0, 1) * old
        expected[:, month] = book.by_agency(book.balance * part * book.fit.per_balance[book.segments.code, month])
    point, low, high = pooled_curves(recovered, placed, book.draws(), book.parameters.tail)
    total = placed.sum(0)
    due = np.divide(expected, total, out=np.full(total.shape, np.nan), where=total > 0).cumsum(1)
    tables = {"rate": point, "low": low, "high": high, "expected": due}
    return {
        agency: {
            name: [number(cell) for cell in table[position] if not np.isnan(cell)] for name, table in tables.items()
        }
        for position, agency in enumerate(book.agencies)
    }


def _category(code: np.ndarray[Any, np.dtype[np.int64]], names: list[str]) -> pd.Categorical[Any]:
    return pd.Categorical.from_codes(code, categories=pd.Index(names))
