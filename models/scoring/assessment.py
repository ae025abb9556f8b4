"""The whole score: what each agency did, what was to be expected, how sure that is, and what was left out.

Components stay apart (S5). `overall` is their weighted sum on a stated scale, and is withheld where a gate is shut: a
gate is never averaged away.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from models.scoring.book import Book, Standing, standing
from models.scoring.conduct import GATE, SHUT, breaches, complaints, shares
from models.scoring.figures import by_segment, net_back, recovery, speed
from models.scoring.gaming import flags
from models.scoring.inputs import Component, Inputs
from models.scoring.parameters import Parameters, standard
from models.scoring.tables import curves, summary
from models.scoring.ultimate import ultimate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date

    import pandas as pd

MODEL = "gamma-poisson"


@dataclass(frozen=True)
class Assessment:
    """The score of every agency. `curves`: as of models/scoring/curves.py; `summary`: can be written as JSON."""

    components: tuple[Component, ...]
    curves: pd.DataFrame
    summary: dict[str, Any]


def model_version(parameters: Parameters) -> str:
    """Names the model and its parameters: scores compare only within one."""
    return f"{MODEL}/{parameters.version}"


def assess(inputs: Inputs, as_of: date, seed: int, parameters: Parameters | None = None) -> Assessment:
    """The assessment; the same inputs, day, seed and parameters give the same one, in whatever order the rows come."""
    book = Book(inputs, as_of, seed, parameters or standard())
    known = standing(book)
    return Assessment(tuple(_components(book, known)), curves(book), summary(book, known, flags(book)))


def _components(book: Book, known: Standing) -> Iterator[Component]:
    """Every figure, agency by agency, in a fixed order; then those by segment."""
    mine: dict[str, list[Component]] = {agency: [] for agency in book.agencies}
    parts = (
        recovery(book, known), net_back(book, known), ultimate(book), speed(book), shares(book), complaints(book),
        breaches(book),
    )  # fmt: skip
    for part in parts:
        for component in part:
            weight = book.parameters.weights.get(component.component)
            mine[component.agency].append(replace(component, weight=weight.weight) if weight else component)
    for agency, figures in mine.items():
        yield from figures
        yield overall(agency, figures, book.parameters)
    yield from by_segment(book, known)


def overall(agency: str, figures: list[Component], parameters: Parameters) -> Component:
    """Points of 100 over the components that have a value.

    None behind a shut gate, and None where the recovery has no value or too little was expected to rank it.
    """
    if any(part.component == GATE and part.note == SHUT for part in figures):
        return Component(agency, "overall", note="gate_shut")
    if any(part.component == "recovery" and (part.value is None or part.note) for part in figures):
        return Component(agency, "overall", note="not_ranked")
    weighed = [part for part in figures if part.component in parameters.weights]
    value, low, high = (_points(weighed, end, parameters) for end in ("value", "low", "high"))
    missing = [part.component for part in weighed if part.value is None]
    return Component(agency, "overall", value, low, high, note="without " + ", ".join(missing) if missing else "")


def _points(figures: list[Component], end: str, parameters: Parameters) -> float:
    """Points with every figure at its value, or at its worse (low) or better (high) end."""
    points = total = 0.0
    for part in figures:
        if part.value is None:
            continue
        weight = parameters.weights[part.component]
        # the better end of complaints is the low one
        side = end if weight.full > weight.zero else {"low": "high", "high": "low"}.get(end, end)
        seen: float | None = getattr(part, side)
        points += weight.weight * weight.share(part.value if seen is None else seen)
        total += weight.weight
    return 100 * points / total if total else 0.0
