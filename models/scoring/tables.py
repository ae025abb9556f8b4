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
    from collections.abc import Iterator, Sequence

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
        "agencies": dict(_agencies(book, known)),
        "curves": _pooled(book),
        "gaming": {name: value for name, value in vars(book.parameters.gaming).items() if name != "margins"},
        "flags": [vars(one) for one in flagged],
    }


def _agencies(book: Book, known: Standing) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each agency's counts and money."""
    currency, units = pd.factorize(book.placements["currency"], sort=True)
    shape = (len(book.agencies), max(len(units), 1))
    place = book.agency * shape[1] + currency
    held = np.bincount(place, minlength=shape[0] * shape[1]).reshape(shape)
    placed = np.zeros(shape[0] * shape[1], dtype=np.int64)
    np.add.at(placed, place, book.balance_minor)
    debtor = book.placements["debtor_id"].to_numpy(dtype=np.int64)
    columns = ["agency", "currency", "standing", "gross_minor", "commission_minor"]
    lines = dict(iter(book.lines[columns].groupby(["agency", "currency"], observed=True)))
    nothing = book.lines[columns].iloc[:0]
    for position, name in enumerate(book.agencies):
        totals = {
            str(unit): {
                "placed_minor": int(placed[position * shape[1] + at]),
                **_money(lines.get((name, unit), nothing)),
            }
            for at, unit in enumerate(units)
            if held[position, at]
        }
        yield (
            name,
            {
                "placements": int(held[position].sum()),
                "debtors": len(np.unique(debtor[book.agency == position])),
                "weight_of_prior": float(known.effect.weight_of_prior[position]),
                "evidence": float(known.evidence[position]),
                "totals": totals,
            },
        )


def _money(lines: pd.DataFrame) -> dict[str, Any]:
    """Sums of the lines that count, and of those that do not, by why."""
    standing, gross = lines["standing"].to_numpy(), lines["gross_minor"].to_numpy(dtype=np.int64)
    counted = standing == COUNTED
    apart = {name: gross[standing == name] for name in APART}
    return {
        "recovered_minor": int(gross[counted].sum()),
        "commission_minor": int(lines["commission_minor"].to_numpy(dtype=np.int64)[counted].sum()),
        "reversed_minor": int(np.minimum(gross[counted], 0).sum()),
        "apart": {name: {"lines": len(sums), "gross_minor": int(sums.sum())} for name, sums in apart.items()},
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
