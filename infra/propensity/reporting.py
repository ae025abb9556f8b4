"""A version's report in its folder, and the study of a threshold, as people ask for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from infra.propensity import jumps, pages
from infra.propensity.versions import named
from models.errors import UsageError
from models.propensity.parameters import standard

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from infra.wiring import Desk
    from models.propensity.thresholds import Study


@dataclass(frozen=True)
class Written:
    """Where a report is, and what lies there."""

    model_id: int
    folder: str
    files: tuple[str, ...]


def written(desk: Desk, model_id: int) -> Written:
    """The report of a version is in its folder, whatever became of it. Raises UsageError, NumbersAltered."""
    with desk.database.read() as connection:
        row, model = named(connection, model_id)
    folder = pages.write(desk.folder("propensity"), row, model)
    return Written(model_id, str(folder), tuple(sorted(file.name for file in folder.iterdir())))


def studied(  # noqa: PLR0913 - a study's terms
    desk: Desk,
    file: Path | None,
    *,
    value: str,
    outcome: str | None,
    at: float,
    within: float,
    checks: Sequence[str] = (),
    lender: str | None = None,
    horizon_days: int | None = None,
) -> Study:
    """The study of a file's columns, or of a lender's placements. Raises UsageError, TooFewAtThreshold."""
    if within <= 0:
        raise UsageError("a window has a width", fix="--within is how far from the threshold it reaches")
    if file is not None:
        if outcome is None:
            raise UsageError("no column of what came is named", fix="--outcome COLUMN")
        return jumps.in_table(file, value, outcome, at, within, checks)
    if lender is None:
        raise UsageError("neither a file nor a lender is named", fix="name a CSV file, or --lender LENDER")
    return jumps.in_store(desk, lender, value, at, within, horizon_days or standard().horizon_days)
