"""Evaluate: at the end of a cycle the scores propose shares, changes of strategy and agencies to look at."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from flows import score as scoring
from flows.engine import Schedule, verb
from infra.wiring import desk
from models.errors import UsageError

if TYPE_CHECKING:
    from infra.evaluations import Told


@dataclass(frozen=True)
class EvaluationReport:
    """An evaluation, and where to read it; without a number it was only looked at."""

    evaluation_id: int | None
    kind: str
    state: str
    run_id: int
    content_sha256: str | None
    shares: int
    changes: int
    reviews: int
    fresh: bool
    """false: the scores propose what is there already"""
    folder: str | None


@verb(schedule=Schedule("30 7 3 * *"))
def evaluate(
    lender: str | None = None, as_of: date | None = None, seed: int = scoring.SEED, kind: str = "periodic"
) -> EvaluationReport:
    """Score as of a day (today unless told) and propose the next cycle; safe to run again.

    kind: periodic, or yearly: the one that regulation asks for. Raises UsageError.
    """
    from infra import evaluations

    at = desk()
    wanted = _kind(kind)
    run = scoring.show(scoring.score(lender, as_of, seed).run_id)
    number, fresh = evaluations.propose(at, run, wanted)
    told = show(number)
    return EvaluationReport(
        number, told.kind, told.state, told.run_id, told.content_sha256, len(told.content["shares"]),
        len(told.content["changes"]), len(told.content["reviews"]), fresh, str(evaluations.write(at, told)),
    )  # fmt: skip


def preview(run_id: int | None = None, lender: str | None = None, kind: str = "periodic") -> dict[str, Any]:
    """What an evaluation of a run (the newest unless one is named) would say; nothing is kept."""
    from infra import evaluations

    at = desk()
    run = scoring.show(run_id, lender)
    with at.database.read() as connection:
        return evaluations.preview(connection, at, run, _kind(kind))


def show(evaluation_id: int) -> Told:
    """An evaluation. Raises UsageError where there is none."""
    from infra import evaluations

    with desk().database.read() as connection:
        return evaluations.find(connection, evaluation_id)


def listed() -> list[dict[str, Any]]:
    """Every evaluation, the newest first, without what it says."""
    from infra.store import evaluations

    with desk().database.read() as connection:
        return [dict(row) for row in evaluations.listed(connection)]


def approve(evaluation_id: int, content: str = "") -> Told:
    """The evaluation is approved; a yearly one is evidence about its agencies. Raises as infra.evaluations.approve."""
    from infra import evaluations

    at = desk()
    told = evaluations.approve(at, evaluation_id, content)
    evaluations.write(at, told)
    return told


def reject(evaluation_id: int, because: str) -> Told:
    """The evaluation has ended: somebody said no."""
    from infra import evaluations

    return evaluations.reject(desk(), evaluation_id, because)


def pages(evaluation_id: int) -> str:
    """The folder of an evaluation's pages, written again."""
    from infra import evaluations

    return str(evaluations.write(desk(), show(evaluation_id)))


def _kind(kind: str) -> Any:
    from infra.evaluations import KINDS

    if kind not in KINDS:
        raise UsageError(f"there is no {kind!r} evaluation", fix=f"there are {', '.join(KINDS)}")
    return kind
