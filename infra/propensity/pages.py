"""A version's report: one page that needs nothing else, in English and 中文, and the tables behind it as CSV."""

from __future__ import annotations

import json
import math
import tomllib
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from infra.scorecards.language import LANGUAGES, language
from infra.templates import environment
from keys.files import replacing
from models import packaged
from models.propensity.facts import FACTS
from models.propensity.parameters import standard
from models.propensity.terms import Curve
from models.spreadsheets import defused

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from sqlalchemy import Row

    from infra.scorecards.language import Language
    from models.propensity.model import Model, Reason

SIDE: Final = 300.0
"""Of the square in which foretold is drawn against observed, in pixels."""
HALF_WIDTH: Final = 110.0
"""Of the bar of the heaviest coefficient."""
WORDS: Final = {fact.name: fact for fact in FACTS}


def write(home: Path, row: Row[Any], model: Model) -> Path:
    """The version's folder below home: two pages and the tables, each file whole or not there."""
    folder = home / f"model-{row.model_id:06d}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for code in LANGUAGES:
        _put(folder / f"report.{code}.html", page(row, model, code))
    for name, frame in tables(row, model).items():
        _put(folder / f"{name}.csv", defused(frame).to_csv(index=False))
    return folder


def tables(row: Row[Any], model: Model) -> dict[str, pd.DataFrame]:
    """By name: reliability, money, fairness, stand_ins, coefficients."""
    measured = json.loads(row.measured)
    found = {name: pd.DataFrame(measured[name]) for name in ("reliability", "money", "fairness", "stand_ins")}
    return found | {"coefficients": coefficients(model)}


def coefficients(model: Model) -> pd.DataFrame:
    """Per fact and knot or level `fact at log_odds`, against the average account; the last of each is the unknown."""
    rows: list[dict[str, Any]] = []
    first = 0
    for term in model.terms:
        marks = _knots(term) if isinstance(term, Curve) else [*term.levels, "other"]
        own = model.paying.coefficients[first : first + term.width]
        rows += [
            {"fact": term.fact, "at": mark, "log_odds": float(value)}
            for mark, value in zip([*marks, "unknown"], own, strict=True)
        ]
        first += term.width
    return pd.DataFrame(rows, columns=["fact", "at", "log_odds"])


def _knots(curve: Curve) -> list[str]:
    """The knots as people read them: a logarithm as how many times the usual it is."""
    known = WORDS.get(curve.fact)
    logs = known is not None and known.log
    return [f"{math.exp(knot):.2f} ×" if logs else f"{knot:.4g}" for knot in curve.knots]


def page(row: Row[Any], model: Model, code: str) -> str:
    """The report, HTML, in the language of that code."""
    other = next(one for one in LANGUAGES if one != code)
    return (
        environment("infra.propensity")
        .get_template("report.html.j2")
        .render(row=row, other=f"report.{other}.html", **card(row, model, code))
    )


def card(row: Row[Any], model: Model, code: str) -> dict[str, Any]:
    """What the report and the console's page of a version say, in the language of that code: words and figures."""
    words: dict[str, str] = tomllib.loads(packaged.text("infra.propensity", "words", code))
    figures, measured = language(code), json.loads(row.measured)
    return {
        "words": words, "tag": figures.tag, "f": figures, "chance": measured["chance"],
        "parts": _parts(measured, row), "dots": _dots(measured["reliability"]), "side": SIDE,
        "reliability": measured["reliability"], "money": measured["money"], "uncalibrated": measured["uncalibrated"],
        "calibration": words[f"calibration_{measured['calibration']}"],
        "fairness": _states(measured["fairness"], words),
        "aged": any(one["attribute"] == "age_band" for one in measured["fairness"]), "terms": _terms(model, code),
        "sure": figures.percent(standard().credible), "limit": figures.number(standard().proxy_limit, 2),
        "stand_ins": [one | {"words": called(one["fact"], code)} for one in measured["stand_ins"]],
        "half": HALF_WIDTH, "better": _better(model, figures),
    }  # fmt: skip


def shown(reason: Reason, usual: str = "× usual") -> str | None:
    """A fact's value as people read it; a balance as how many times the usual one it is, in the words given."""
    if not isinstance(reason.value, float):
        return None if reason.value is None else str(reason.value)
    known = WORDS.get(reason.fact)
    logs = known is not None and known.log
    return f"{math.exp(reason.value):.2f} {usual}" if logs else f"{reason.value:.4g}"


def _parts(measured: Mapping[str, Any], row: Row[Any]) -> list[dict[str, Any]]:
    """The three parts of the placements with their first and last days."""
    names = ("fitted", "calibrated", "measured")
    return [{"name": name, **measured["parts"][name], "of": row.placements} for name in names]


def _dots(reliability: list[dict[str, Any]]) -> list[dict[str, float]]:
    """Each tenth as a point with its interval, in pixels from the upper left."""
    return [
        {
            "x": round(SIDE * one["foretold"], 1),
            **{end: round(SIDE * (1 - one[end]), 1) for end in ("observed", "low", "high")},
        }
        for one in reliability
    ]


def _states(fairness: list[dict[str, Any]], words: Mapping[str, str]) -> list[dict[str, Any]]:
    return [one | {"says": words[f"state_{one['state']}"]} for one in fairness]


def _terms(model: Model, code: str) -> list[dict[str, Any]]:
    """Every fact with its marks and what each does, and the length of its bar."""
    frame = coefficients(model)
    most = max(float(frame["log_odds"].abs().max()), 1e-9)
    frame["bar"] = (HALF_WIDTH * frame["log_odds"].abs() / most).round(1)
    return [
        {"words": called(str(fact), code), "rows": mine.to_dict("records")}
        for fact, mine in frame.groupby("fact", sort=False)
    ]


def _better(model: Model, figures: Language) -> list[str]:
    """Where each band begins, the best first."""
    return [figures.percent(edge, 1) for edge in reversed(model.band_edges)]


def called(fact: str, code: str) -> str:
    """What a fact is called in that language."""
    known = WORDS.get(fact)
    return known.words(code) if known else fact


def _put(path: Path, text: str) -> None:
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8", newline="")
