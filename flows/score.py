"""Score: how well each agency recovers against what was to be expected, with scorecards to read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from flows.engine import Schedule, verb
from infra.store import scores
from infra.wiring import desk
from models.errors import UsageError

SEED = 20261122
"""The bags of debtors are drawn by it; the same seed gives the same score."""


@dataclass(frozen=True)
class ScoreReport:
    """One scoring, and where to read it."""

    run_id: int
    agencies: int
    placements: int
    fresh: bool
    """false: the same inputs had been scored before, and that run is shown"""
    scorecards_dir: str
    csv_path: str


@verb(schedule=Schedule("0 7 2 * *"))
def score(lender: str | None = None, as_of: date | None = None, seed: int = SEED) -> ScoreReport:
    """Score every agency as of a day (today unless told), and write the scorecards; safe to run again."""
    from infra.scorecards import files
    from models.scoring.assessment import assess, model_version
    from models.scoring.parameters import standard

    at = desk()
    day = as_of or at.today()
    if day > at.today():
        raise UsageError(f"{day} has not come yet", fix="score as of today or earlier")
    parameters = standard()
    version = model_version(parameters)
    with at.database.read() as connection:
        drawn = scores.inputs(connection, lender, day, parameters.acknowledge_days)
        if drawn.placements.empty:
            whose = f"of {lender} " if lender else ""
            raise UsageError(
                f"no placement {whose}had been sent by {day}", fix="place a plan first (`consign plan send`)"
            )
        digest = drawn.sha256()
        run_id = scores.find(connection, lender, day, version, seed, digest)
    fresh = run_id is None
    if run_id is None or not files.complete(at.folder("scorecards"), run_id):
        assessment = assess(drawn, day, seed, parameters)
        if run_id is None:
            with at.database.write() as connection:
                run_id = scores.keep(connection, lender, day, version, seed, digest, assessment, at.now())
        files.write_curves(at.folder("scorecards"), run_id, assessment.curves)
    return _written(run_id, fresh=fresh)


def show(run_id: int | None = None, lender: str | None = None) -> scores.Run:
    """A run with its scores, the newest unless one is named. Raises UsageError where there is none."""
    with desk().database.read() as connection:
        wanted = scores.latest(connection, lender) if run_id is None else run_id
        found = None if wanted is None else scores.load(connection, wanted)
    if found is None:
        missing = "nothing has been scored yet" if run_id is None else f"there is no score run {run_id}"
        raise UsageError(missing, fix="`consign score run` makes one")
    return found


def scorecards(run_id: int | None = None, lender: str | None = None) -> ScoreReport:
    """The pages and tables of a run, written again from the store."""
    return _written(show(run_id, lender).run_id, fresh=False)


def _written(run_id: int, *, fresh: bool) -> ScoreReport:
    from infra.scorecards import files

    run, at = show(run_id), desk()
    folder = files.write(at.folder("scorecards"), run, at.settings.statement_font)
    return ScoreReport(
        run_id=run_id,
        agencies=len(run.names),
        placements=sum(told["placements"] for told in run.summary["agencies"].values()),
        fresh=fresh,
        scorecards_dir=str(folder),
        csv_path=str(folder / files.COMPONENTS),
    )
