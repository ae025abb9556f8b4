"""A report as a page to print, in English or 中文, and its main table as CSV."""

from __future__ import annotations

import tomllib
from datetime import date, datetime
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

import pandas as pd

from infra.scorecards.language import MISSING, language
from infra.templates import environment
from models.spreadsheets import defused

if TYPE_CHECKING:
    from collections.abc import Callable

    from infra.reports.report import Cell, Point, Report

    Retold = Callable[[str, str], str]
    """(column, text) -> the text as a reader of this language has it"""

LANGUAGES = ("en", "zh")
CODED = ("measure", "risk", "against", "value_class", "state", "certificate", "verified", "to", "kind")
"""Columns whose cells are codes with a word of their own; other texts (policies' sentences) are told by `retold`."""


def as_written(_column: str, text: str) -> str:
    """The text as it is, in whatever language."""
    return text


class Words:
    """Says the report in one language."""

    def __init__(self, code: str, retold: Retold = as_written) -> None:
        self.code = code
        self.retold = retold
        self.tag = {"en": "en", "zh": "zh-Hans"}[code]
        self.told = tomllib.loads(files("infra.reports").joinpath("words", f"{code}.toml").read_text("utf-8"))
        self._days = language(code)

    def __call__(self, part: str, name: str, **blanks: object) -> str:
        """The sentence of that part and name, its blanks filled."""
        text: str = self.told[part][name]
        return text.format(**blanks)

    def about(self, section: str) -> str:
        """What a section shows; empty where its heading says it."""
        text: str = self.told["about"].get(section, "")
        return text

    def point(self, point: Point) -> str:
        """An open point."""
        return self("point", point.code, **{name: self.cell(name, value) for name, value in point.told.items()})

    def cell(self, column: str, value: Cell) -> str:
        """A cell, as people write it."""
        match value:
            case None:
                text = MISSING
            case bool():
                text = self("word", "yes" if value else "no")
            case datetime():
                text = self._days.moment(value)
            case date():
                text = self._days.day(value)
            case int():
                text = self._days.number(value)
            case str():
                known: dict[str, str] = self.told.get(column, {}) if column in CODED else {}
                text = known.get(value) or self.retold(column, value)
            case _:
                text = self("word", "comma").join(self.retold(column, one) for one in value)
        return text


@cache
def words(code: str, retold: Retold = as_written) -> Words:
    """The words of that language, read once."""
    return Words(code, retold)


def html(report: Report, code: str, retold: Retold = as_written) -> str:
    """The report as one page that needs nothing else; it prints on A4."""
    page = environment("infra.reports").get_template("report.html.j2")
    return page.render(report=report, t=words(code, retold))


def csv(report: Report) -> str:
    """The report's main table; no cell is a formula."""
    section = report.section(report.main)
    rows = [
        {
            name: "; ".join(cell) if isinstance(cell := row.get(name), (list, tuple)) else cell
            for name in section.columns
        }
        for row in section.rows
    ]
    return defused(pd.DataFrame(rows, columns=list(section.columns))).to_csv(index=False)
