"""Making a model: fitted on earlier placements, calibrated on later ones, measured on later ones still."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import expit

from models.errors import Findings
from models.propensity import fairness, logistic, measures
from models.propensity.calibration import Calibration, calibrated
from models.propensity.facts import refuse, refuse_stand_ins, stand_ins
from models.propensity.model import DIGITS, Model, Part, from_json
from models.propensity.terms import Term, term

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt
    import pandas as pd

    from models.propensity.facts import Fact
    from models.propensity.parameters import Parameters

    Floats = npt.NDArray[np.float64]
    Ints = npt.NDArray[np.int64]
    Bools = npt.NDArray[np.bool_]

FITTED, CALIBRATED, MEASURED = 0, 1, 2
PARTS = ("fitted", "calibrated", "measured")


class TooLittle(Findings):
    """There are too few placements, payers or days of placement to fit, calibrate and measure a model on."""


@dataclass(frozen=True)
class Monitored:
    """An attribute that no model looks at and every model is held against: the groups' names, and each row's place.

    -1 where it is unknown.
    """

    names: tuple[str, ...]
    code: Ints


@dataclass(frozen=True)
class Sample:
    """Placements that were watched for the whole horizon, in the order of their ids.

    values: per fact one value each. day: of placement, as a number. paid: 1 where anything came within the horizon;
    money, balance: in one unit. monitored: by attribute. usual: log of the usual balance per currency.
    """

    values: Mapping[str, npt.NDArray[Any]]
    day: Ints
    debtor: Ints
    paid: Floats
    money: Floats
    balance: Floats
    monitored: Mapping[str, Monitored] = field(default_factory=dict)
    usual: Mapping[str, float] = field(default_factory=dict)

    def only(self, rows: Bools) -> Sample:
        """The same of some of the placements."""
        return Sample(
            {fact: column[rows] for fact, column in self.values.items()},
            self.day[rows], self.debtor[rows], self.paid[rows], self.money[rows], self.balance[rows],
            {name: Monitored(one.names, one.code[rows]) for name, one in self.monitored.items()}, self.usual,
        )  # fmt: skip

    @property
    def share(self) -> Floats:
        """The share of the balance that came, between 0 and 1: more than was owed is no more than all."""
        owed = np.maximum(self.balance, 1e-9)
        return np.asarray(np.clip(self.money / owed, 0.0, 1.0))


@dataclass(frozen=True)
class Made:
    """A model, and how it did on placements it had not seen: plain numbers and text."""

    model: Model
    measured: dict[str, Any]


def make(sample: Sample, facts: Sequence[Fact], horizon_days: int, seed: int, parameters: Parameters) -> Made:
    """The model of these placements; the same ones, facts, seed and parameters make the same model.

    Raises ProtectedFact for a fact that no model may look at, or that stands in for a monitored attribute; TooLittle.
    """
    refuse((fact.name for fact in facts), parameters)
    _enough(sample, parameters)
    part = split(sample.day, parameters)
    _enough_in_each(sample, part, parameters)
    fitted, later, last = (sample.only(part == which) for which in (FITTED, CALIBRATED, MEASURED))
    terms = [found for fact in facts if (found := term(fact, fitted.values[fact.name], parameters)) is not None]
    if not terms:
        raise TooLittle("all placements are alike in every fact", fix="fit again when there are others")
    codes = {one.fact: one.codes(sample.values[one.fact]) for one in terms}
    told = stand_ins(codes, {name: one.code for name, one in sample.monitored.items()}, parameters)
    refuse_stand_ins(told, parameters)
    payers = fitted.only(fitted.paid > 0)
    paying = _calibrated(_regression(terms, fitted, fitted.paid, parameters), terms, later, later.paid, parameters)
    their = later.only(later.paid > 0)
    amount = _calibrated(_regression(terms, payers, payers.share, parameters), terms, their, their.share, parameters)
    raw = Model(
        parameters.version, horizon_days, tuple(terms), paying, amount, (), dict(sample.usual),
        {one.fact: shares(one, codes[one.fact][part == FITTED]) for one in terms},
    )  # fmt: skip
    edges = np.quantile(raw.chance(later.values), np.linspace(0, 1, parameters.bands + 1)[1:-1])
    # read back, so that what was measured is what is kept, to the last digit
    model = from_json(replace(raw, band_edges=tuple(round(float(edge), DIGITS) for edge in edges)).json())
    return Made(model, _measured(model, last, seed, parameters) | {
        "parts": {name: _described(sample.only(part == which)) for which, name in enumerate(PARTS)},
        "stand_ins": [
            {"fact": fact, "attribute": attribute, "cramers_v": value} for (fact, attribute), value in told.items()
        ],
    })  # fmt: skip


def split(day: Ints, parameters: Parameters) -> Ints:
    """FITTED, CALIBRATED or MEASURED, by day: no day is in two of them. Raises TooLittle for less than three days."""
    days, code, count = np.unique(day, return_inverse=True, return_counts=True)
    if len(days) < len(PARTS):
        raise TooLittle(
            f"all placements are of {len(days)} days: a model is fitted on earlier ones and tried on later ones",
            fix="fit again when there are placements of at least three days that were watched for the whole horizon",
        )
    reached = np.cumsum(count) / count.sum()
    first = min(int(np.searchsorted(reached, parameters.fitted)) + 1, len(days) - 2)
    second = int(np.searchsorted(reached, parameters.fitted + parameters.calibrated)) + 1
    second = min(max(second, first + 1), len(days) - 1)
    return np.asarray(np.where(code < first, FITTED, np.where(code < second, CALIBRATED, MEASURED)), dtype=np.int64)


def shares(one: Term, codes: Ints) -> tuple[float, ...]:
    """The share of placements in each band of the fact, the unknown last."""
    count = np.bincount(np.where(codes < 0, len(one.bands), codes), minlength=len(one.bands) + 1)
    return tuple(round(float(part), DIGITS) for part in count / max(len(codes), 1))


def _enough(sample: Sample, parameters: Parameters) -> None:
    count, payers = len(sample.day), int(sample.paid.sum())
    others = count - payers
    if count < parameters.least_placements or min(payers, others) < parameters.least_payers:
        raise TooLittle(
            f"{count} placements were watched for the whole horizon, and {payers} of them paid;"
            f" a model needs {parameters.least_placements}, {parameters.least_payers} of each sort",
            fix="fit again later, or with a shorter horizon",
        )


def _enough_in_each(sample: Sample, part: Ints, parameters: Parameters) -> None:
    for which in (CALIBRATED, MEASURED):
        mine = sample.only(part == which)
        paid = int(mine.paid.sum())
        if len(mine.day) < parameters.least_measured or not 0 < paid < len(mine.day):
            raise TooLittle(
                f"of the placements to be {PARTS[which]} there are {len(mine.day)}, and {paid} of them paid",
                fix=f"fit again when there are {parameters.least_measured} and both sorts among them",
            )
    if not 0 < sample.only(part == FITTED).paid.sum() < (part == FITTED).sum():
        raise TooLittle("all early placements paid, or none did", fix="fit again later, or with another horizon")


def _regression(terms: Sequence[Term], sample: Sample, aim: Floats, parameters: Parameters) -> Part:
    """The regression on these placements, measured from their average; not calibrated yet."""
    width = 1 + sum(one.width for one in terms)
    design = np.empty((len(aim), width), dtype=np.float32)
    design[:, 0] = 1.0
    penalty = np.zeros((width, width))
    first = 1
    for one in terms:
        place = slice(first, first + one.width)
        design[:, place] = one.parts(sample.values[one.fact])
        penalty[place, place] = one.penalty(parameters)
        first += one.width
    found = logistic.fit(design, aim, penalty)
    mean = design[:, 1:].mean(axis=0, dtype=np.float64)
    return _from_the_average(found, mean, terms)


def _from_the_average(found: logistic.Fitted, mean: Floats, terms: Sequence[Term]) -> Part:
    """Each term's contributions moved so that the average account's are 0, and the intercept is its log-odds."""
    coefficients = found.coefficients[1:].copy()
    intercept, first = float(found.coefficients[0]), 0
    for one in terms:
        place = slice(first, first + one.width)
        height = float(mean[place] @ coefficients[place])
        coefficients[place] -= height
        intercept += height
        first += one.width
    unchanged = Calibration("platt", (0.0, 1.0), (0.0, 1.0))
    return Part(intercept, coefficients, mean, found.covariance, unchanged)


def _calibrated(part: Part, terms: Sequence[Term], later: Sample, aim: Floats, parameters: Parameters) -> Part:
    first, log_odds = 0, np.full(len(aim), part.intercept)
    for one in terms:
        log_odds += one.at(later.values[one.fact], part.coefficients[first : first + one.width])
        first += one.width
    return Part(part.intercept, part.coefficients, part.mean, part.covariance, calibrated(log_odds, aim, parameters))


def _described(sample: Sample) -> dict[str, Any]:
    return {
        "placements": len(sample.day), "payers": int(sample.paid.sum()),
        "first_day": int(sample.day.min()), "last_day": int(sample.day.max()),
    }  # fmt: skip


def _measured(model: Model, last: Sample, seed: int, parameters: Parameters) -> dict[str, Any]:
    """Everything that is told of a model, by the placements of the last part."""
    chance, share = model.chance(last.values), model.share(last.values)
    raw = np.asarray(expit(model.log_odds(last.values)))
    group = measures.groups_of(raw, parameters.deciles)
    money = measures.amounts(chance * share * last.balance, last.money, last.debtor, seed, parameters)
    return {
        "chance": measures.summary(chance, last.paid, last.debtor, seed, parameters),
        "uncalibrated": {"ece": measures.ece(raw, last.paid, group), "brier": measures.brier(raw, last.paid)},
        "fairness": [row for name, one in last.monitored.items() for row in _fair(name, one, model, last, parameters)],
        "reliability": measures.reliability(chance, last.paid, parameters).to_dict("records"),
        "money": _plain(money),
        "calibration": model.paying.calibration.method,
    }


def _fair(
    attribute: str, groups: Monitored, model: Model, last: Sample, parameters: Parameters
) -> list[dict[str, Any]]:
    """The rows of the fairness table for one attribute; chosen are the better half of the bands."""
    chance = model.chance(last.values)
    chosen = chance >= model.band_edges[-(parameters.bands // 2)]
    return _plain(fairness.table(attribute, groups.names, groups.code, chance, last.paid, chosen, parameters))


def _plain(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows as JSON has them, None where there is no figure."""
    rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return [{str(name): cell for name, cell in row.items()} for row in rows]
