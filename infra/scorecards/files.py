"""A run's folder: pages in two languages and the tables behind them, each file whole or not there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra.scorecards.language import LANGUAGES
from infra.scorecards.pages import overview, scorecard
from infra.scorecards.printed import write_card, write_overview
from keys.files import replacing
from models.spreadsheets import defused

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from infra.store.scores import Run

COMPONENTS, CURVES = "components.csv", "curves.csv"


def folder_of(home: Path, run_id: int) -> Path:
    """Where a run's files lie below the scorecards' folder, made on first use."""
    path = home / f"run-{run_id:06d}"
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def complete(home: Path, run_id: int) -> bool:
    """Whether the run's curves, which the store does not hold, are there."""
    return (home / f"run-{run_id:06d}" / CURVES).exists()


def write_curves(home: Path, run_id: int, curves: pd.DataFrame) -> Path:
    """The liquidation curves per agency, segment, vintage and month, as CSV."""
    return _put(folder_of(home, run_id) / CURVES, defused(curves).to_csv(index=False))


def write(home: Path, run: Run, font: Path | None = None) -> Path:
    """Every page, to read, to print and as a workbook, and the components; the run's folder.

    font: for what is printed in Chinese (the setting `statement_font`).
    """
    folder = folder_of(home, run.run_id)
    _put(folder / COMPONENTS, defused(run.components).to_csv(index=False))
    for language in LANGUAGES:
        _put(folder / f"overview.{language}.html", overview(run, language))
        write_overview(folder, run, language, font)
        for agency in run.names:
            _put(folder / f"{agency}.{language}.html", scorecard(run, agency, language))
            write_card(folder, run, agency, language, font)
    return folder


def _put(path: Path, text: str) -> Path:
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8", newline="")
    return path
