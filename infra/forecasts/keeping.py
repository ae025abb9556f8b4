"""A forecast as a job keeps it and a page shows it: codes, months and minor units, with how the method did before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from infra import workedout
from infra.forecasts.making import make

if TYPE_CHECKING:
    import pandas as pd

    from infra.wiring import Desk

MOST_MONTHS: Final = 24
COLUMNS: Final = ("agency", "currency", "month", "expected_minor", "low_minor", "high_minor", "placements")
TESTED: Final = ("agency", "currency", "month", "expected_minor", "low_minor", "high_minor", "actual_minor", "held")


def keep(desk: Desk, lender: str | None, months: int) -> dict[str, int]:
    """What is to be expected is kept under the lender (or for all of them), tried on the months before; counts.

    Raises UsageError where there is no history to go by.
    """
    told = make(desk, lender, months, test=True)
    found = {
        "as_of": told.forecast.as_of.isoformat(), "months": months, "credible": told.forecast.credible,
        "coverage": told.coverage, "bias": told.bias,
        "rows": _rows(told.forecast.months, COLUMNS), "total": _rows(told.forecast.total, COLUMNS),
        "tested": _rows(_one_month_ahead(told.tested), TESTED),
    }  # fmt: skip
    workedout.keep(desk, _name(lender), found)
    return {"agencies": told.forecast.months["agency"].nunique(), "months": months, "tested": len(told.tested)}


def kept(desk: Desk, lender: str | None) -> dict[str, Any] | None:
    """What was kept: `found` as above, `at` and `by`; None where nobody has forecast yet, or long ago.

    In `found`, `rows` and `total` are forecast.COLUMNS, one mapping each; `tested` says of each whole month before and
    each agency what was expected of it a month ahead, what came, and whether the interval held that.
    """
    return workedout.find(desk, _name(lender))


def _name(lender: str | None) -> str:
    return f"forecast-of-{lender}" if lender else "forecast"


def _one_month_ahead(tested: pd.DataFrame) -> pd.DataFrame:
    """Of every forecast that was tried, the first whole month after its day."""
    if tested.empty:
        return tested
    return tested.sort_values("month").groupby(["forecast_on", "agency", "currency"], sort=True).head(1)


def _rows(frame: pd.DataFrame, columns: tuple[str, ...]) -> list[dict[str, Any]]:
    """Plain texts, integers and truths."""
    return [
        {str(name): value.item() if hasattr(value, "item") else value for name, value in row.items()}
        for row in frame.reindex(columns=list(columns)).to_dict("records")
    ]
