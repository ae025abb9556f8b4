"""A forecast as CSV, and as one page that needs nothing else, in English or 中文."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

import pandas as pd

from infra.scorecards.language import language
from infra.templates import environment
from models import packaged
from models.spreadsheets import defused

if TYPE_CHECKING:
    from infra.forecasts.making import Told

BAR: float = 300.0
"""The width of the widest interval on the page, in pixels."""


def csv(told: Told) -> str:
    """One row per agency, currency and month, and `all` for their sum: minor units, with the interval."""
    whole = pd.concat([told.forecast.months, told.forecast.total], ignore_index=True)
    return defused(whole.assign(as_of=told.forecast.as_of.isoformat())).to_csv(index=False)


def html(told: Told, code: str) -> str:
    """The page: the sum by month, then each agency's, as figures and bars, and how the method did before."""
    words: dict[str, str] = tomllib.loads(packaged.text("infra.forecasts", "words", code))
    figures = language(code)

    def rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
        most = float(frame["high_minor"].max()) if len(frame) else 1.0
        return [
            {
                "agency": row["agency"], "month": row["month"], "currency": row["currency"],
                **{name: figures.money(row[f"{name}_minor"], row["currency"]) for name in ("expected", "low", "high")},
                **{f"at_{name}": round(BAR * row[f"{name}_minor"] / max(most, 1.0), 1)
                   for name in ("expected", "low", "high")},
            }
            for row in frame.to_dict("records")
        ]  # fmt: skip

    return environment("infra.forecasts").get_template("forecast.html.j2").render(
        words=words, tag=figures.tag, as_of=figures.day(told.forecast.as_of), lender=told.lender or words["all"],
        credible=figures.percent(told.forecast.credible), total=rows(told.forecast.total),
        months=rows(told.forecast.months), tested=len(told.tested),
        coverage=figures.percent(told.coverage), bias=figures.percent(told.bias, 1), width=BAR,
    )  # fmt: skip
