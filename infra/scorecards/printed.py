"""Scorecards as pages to print and as workbooks, the same bytes whenever they are written."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from infra.printing import Block, Label, Picture, Stroke, Table, write_pdf
from infra.scorecards.language import language
from infra.scorecards.pages import Book
from infra.scorecards.sheets import Section, card_sections, overview_sections
from keys.files import replacing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from infra.scorecards.charts import Curve
    from infra.scorecards.language import Language
    from infra.store.scores import Run

BLUE, PALE, SOFT, LINE = "#1d4fd8", "#d3dcf8", "#4c5a6e", "#e1e6ed"
COLUMN = 16
FIRST_COLUMN = 48


def write_card(folder: Path, run: Run, agency: str, code: str, font: Path | None) -> tuple[Path, Path]:
    """`agency`.`code`.pdf and .xlsx are in the folder; they name no other agency."""
    sections = card_sections(run, agency, code)
    words, card = language(code), next(one for one in Book(run).cards if one.code == agency)
    curve = card.curve()
    title = f"{words('page.scorecard')} · {card.name}"
    return _both(folder / f"{agency}.{code}", title, sections, words, font, curve)


def write_overview(folder: Path, run: Run, code: str, font: Path | None) -> tuple[Path, Path]:
    """overview.`code`.pdf and .xlsx are in the folder: all agencies, for the lender."""
    words = language(code)
    return _both(folder / f"overview.{code}", words("page.overview"), overview_sections(run, code), words, font, None)


def printed_sections(run: Run, agency: str, sections: Sequence[Section], words: Language) -> Iterator[Block]:
    """One agency's sections as blocks to print, its curve among them."""
    card = next(one for one in Book(run).cards if one.code == agency)
    return _blocks(sections, words, card.curve())


def _both(
    stem: Path, title: str, sections: Sequence[Section], words: Language, font: Path | None, curve: Curve | None
) -> tuple[Path, Path]:
    pdf, xlsx = stem.with_name(f"{stem.name}.pdf"), stem.with_name(f"{stem.name}.xlsx")
    write_pdf(
        pdf, title, list(_blocks(sections, words, curve)), code=words.code, font=font, said_of=title,
        page=lambda page, pages: words("say.page_of", page=page, pages=pages),
    )  # fmt: skip
    with replacing(xlsx) as part:
        _workbook(part, title, sections)
    return pdf, xlsx


def _blocks(sections: Sequence[Section], words: Language, curve: Curve | None) -> Iterator[Block]:
    for section in sections:
        if section.note and not section.rows:
            yield section.title
        rows = [[cell.text for cell in row] for row in section.rows]
        if rows:
            shown = [list(section.header), *rows] if section.header else rows
            right = section.right if section.header else len(section.widths)
            yield Table(section.title, shown, section.widths, header=bool(section.header), right=right)
        if section.note:
            yield section.note
        if section.name == words("sheet.curve") and curve is not None:
            yield _drawn(curve, words)


def _drawn(curve: Curve, words: Language) -> Picture:
    """The curve with its band and what was expected, as the page on screen has it."""
    grid = [Stroke(((curve.left, tick.at), (curve.right, tick.at)), LINE, 0.5) for tick in curve.shares]
    shares = [Label(curve.left - 6, tick.at + 4, words.percent(tick.value, 1), "end") for tick in curve.shares]
    months = [Label(tick.at, curve.bottom + 18, words.number(tick.value), "middle") for tick in curve.months]
    return Picture(
        "",
        curve.width,
        curve.height,
        [
            *grid, *shares, *months,
            Stroke(_points(curve.band), PALE, fill=True),
            Stroke(_points(curve.expected), SOFT, 1.2, dashed=True),
            Stroke(_points(curve.line), BLUE, 1.8),
            Label(*curve.end, words("chart.actual"), colour=BLUE),
            Label(*curve.end_expected, words("chart.expected")),
            Label((curve.left + curve.right) / 2, curve.bottom + 34, words("chart.month"), "middle"),
        ],
    )  # fmt: skip


def _points(path: str) -> list[tuple[float, float]]:
    """The corners of a path of straight lines, as infra/scorecards/charts.py writes it."""
    pairs = (pair.split(",") for pair in path.strip("MZ").split(" L"))
    return [(float(x), float(y)) for x, y in pairs]


def _workbook(path: Path, title: str, sections: Sequence[Section]) -> None:
    import xlsxwriter

    # a segment's or an agency's name must never become a formula or a link
    never = dict.fromkeys(("strings_to_formulas", "strings_to_urls", "strings_to_numbers"), False)
    book = xlsxwriter.Workbook(str(path), never)
    book.set_properties({"title": title, "created": datetime(2000, 1, 1)})  # noqa: DTZ001 - fixed: same run, same bytes
    forms = sorted({cell.form for section in sections for row in section.rows for cell in row})
    styles = {form: book.add_format({"num_format": form}) for form in forms if form}
    bold, wrapped = book.add_format({"bold": True}), book.add_format({"text_wrap": True, "valign": "top"})
    for section in sections:
        sheet = book.add_worksheet(section.name)
        sheet.set_column(0, 0, FIRST_COLUMN if len(section.widths) > 1 else 3 * FIRST_COLUMN, wrapped)
        sheet.set_column(1, max(len(section.widths) - 1, 1), COLUMN if section.header else 2 * FIRST_COLUMN)
        if section.header:
            sheet.write_row(0, 0, list(section.header), bold)
            sheet.freeze_panes(1, 0)
        for row, cells in enumerate(section.rows, start=int(bool(section.header))):
            for column, cell in enumerate(cells):
                if cell.number is None:
                    sheet.write_string(row, column, cell.text)
                else:
                    sheet.write_number(row, column, cell.number, styles.get(cell.form))
        if section.note:
            sheet.write_string(len(section.rows) + int(bool(section.header)) + 1, 0, section.note)
    book.close()
