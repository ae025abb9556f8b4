"""Models of who pays, as verbs: fitted when asked for, asked about accounts and watched every morning."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

from flows.engine import Schedule, verb
from infra.propensity.versions import Version
from infra.wiring import desk


@dataclass(frozen=True)
class ForetellReport:
    """What asking the models in use did, and how many of them no longer fit."""

    switched: str
    lenders: int
    accounts: int
    bands_written: int
    bands_put_back: int
    models_warned: int


@verb
def fit_propensity(
    lender: str,
    horizon_days: int | None = None,
    as_of: date | None = None,
    seed: int | None = None,
    without: tuple[str, ...] = (),
    age_bands: Path | None = None,
    dry_run: bool = False,
) -> Version:
    """Make a model of the lender's placements, which waits for a second person; the very same again is the same one."""
    from infra.propensity import versions

    return versions.fit(
        desk(), lender, horizon_days=horizon_days, as_of=as_of, seed=versions.SEED if seed is None else seed,
        without=without, age_bands=age_bands, dry_run=dry_run,
    )  # fmt: skip


@verb(schedule=Schedule("30 5 * * *"))
def foretell(lender: str | None = None) -> ForetellReport:
    """Ask the models in use about every open account, and open an exception for one that no longer fits.

    Where models are switched off nothing is asked, and bands of ours are taken back. Safe to run again.
    """
    from infra.propensity import scoring, watching

    scored = scoring.score(desk(), lender)
    watched = watching.watch(desk())
    return ForetellReport(
        scored.switched, scored.lenders, scored.accounts, scored.bands_written, scored.bands_put_back, watched.warned
    )
