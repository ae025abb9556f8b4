"""The statement as a page to print: PDF, in the agency's language, the same bytes whenever it is written.

Chinese is set in a font of the machine's that is put into the file as far as it is used (the setting `statement_font`,
else the first of FONTS that is there). Where there is none the file names a standard one, and its reader brings it.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from infra.scorecards.language import MISSING, Language, language
from keys.files import replacing
from models import packaged
from models.errors import ConfigurationError
from models.money import exponent
from models.payments import demand_reference

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import date

    import pandas as pd

    from infra.store.statements import Account, Totals

FONTS: Final = (
    "/usr/share/fonts/truetype/wqy/wqy-microhei.ttc",
    "/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc",
    "/usr/share/fonts/truetype/arphic/uming.ttc",
    "/System/Library/Fonts/STHeiti Medium.ttc",
    "/System/Library/Fonts/Supplemental/Songti.ttc",
)
"""TrueType outlines with Chinese and Latin: Debian's fonts-wqy-microhei and its like, and macOS."""
PROBE: Final = "Az09,.%海账€"
LATIN: Final = "Helvetica"
STANDARD: Final = "STSong-Light"
MARGIN: Final = 50
PADDING: Final = 6
WIDTH: Final = 595 - 2 * (MARGIN + PADDING)
"""Of A4, in points, what a line of text may take."""
GREY: Final = 0.45
RULE: Final = 0.75


@dataclass(frozen=True)
class Heading:
    """What stands above the figures."""

    lender: str
    agency: str
    period: str
    currency: str
    number: int
    made_on: date
    csv_name: str


class Words:
    """Says the statement in one language."""

    def __init__(self, code: str, currency: str) -> None:
        self._told: Mapping[str, Any] = tomllib.loads(packaged.text("infra.statements", "words", code))
        self._figures: Language = language(code)
        self.currency = currency

    def __call__(self, key: str, **told: object) -> str:
        """The sentence of that key with its blanks filled."""
        return str(self._told[key]).format(**told)

    def of(self, table: str, key: str) -> str:
        """A word of one of the lists."""
        return str(self._told[table][key])

    def money(self, minor: Any) -> str:
        """38,204,110.20, exactly."""
        return self._figures.money(int(minor), self.currency)

    def day(self, day: Any) -> str:
        """22 Nov 2026."""
        return self._figures.day(day)

    def rate(self, rate: Any) -> str:
        """18.5%, with as many digits as it has; a dash where there is none."""
        if rate is None or rate != rate:  # noqa: PLR0124 - pandas' missing number is not itself
            return MISSING
        return f"{(rate * 100).normalize():f}%"


def write_page(
    path: Path, heading: Heading, totals: Totals, account: Account, code: str, csv_sha256: str, font: Path | None
) -> None:
    """The statement is at `path`, whole or not at all. code: en or zh. Raises ConfigurationError for a font unread."""
    words = Words(code, heading.currency)
    blocks = _blocks(words, heading, csv_sha256, totals, account)
    face = _face(font, blocks, code)
    with replacing(path) as part:
        _Sheet(part, words, face, f"{words('title')} {heading.lender} {heading.agency} {heading.period}").draw(blocks)


def sheet(heading: Heading, totals: Totals, account: Account, code: str) -> list[list[object]]:
    """The same figures as rows of a workbook: texts, and amounts as Decimals."""
    words = Words(code, heading.currency)

    def amounts(*minor: Any) -> list[object]:
        return [Decimal(int(one)).scaleb(-exponent(heading.currency)) for one in minor]

    rows: list[list[object]] = [
        [words("lender"), heading.lender], [words("agency"), heading.agency], [words("period"), heading.period],
        [words("currency"), heading.currency], [words("number"), str(heading.number)], [],
        *([what, *amounts(minor)] for what, minor in _ends(words, totals)), [],
        [words(name) for name in ("what", "rate", "lines", "gross", "commission", "vat")],
    ]  # fmt: skip
    for row in _each(account.by_rate):
        figures = amounts(row.gross_minor, row.commission_minor, row.vat_minor)
        rows.append([words.of("type", row.type), words.rate(row.rate), Decimal(row.lines), *figures])
    for row in _each(account.adjustments):
        figures = amounts(0, row.commission_minor, row.vat_minor)
        rows.append([words.of("kind", row.kind), "", Decimal(row.adjustments), *figures])
    paid = _each(account.payments)
    return rows + [[words("payments"), row.reference, words.day(row.day), *amounts(row.amount_minor)] for row in paid]


@dataclass(frozen=True)
class _Table:
    """One block of the page: a heading, and rows of cells; `right`: from which column on cells are figures."""

    title: str
    rows: Sequence[Sequence[str]]
    widths: Sequence[float]
    header: bool = True
    total: bool = False
    right: int = 1


def _blocks(words: Words, heading: Heading, csv_sha256: str, totals: Totals, account: Account) -> list[_Table | str]:
    head = [
        (words("lender"), heading.lender), (words("agency"), heading.agency), (words("period"), heading.period),
        (words("currency"), heading.currency), (words("number"), str(heading.number)),
        (words("made"), words.day(heading.made_on)),
        (words("file"), f"{heading.csv_name}\nSHA-256 {csv_sha256[:32]}\n{csv_sha256[32:]}"),
    ]  # fmt: skip
    blocks: list[_Table | str] = [_Table("", head, (0.36, 0.64), header=False, right=9), _running(words, totals)]
    ends = "to_you" if totals.closing_minor > 0 else "to_us" if totals.closing_minor < 0 else "even"
    blocks += [words(ends, reference=demand_reference(heading.number)), _rates(words, account.by_rate)]
    if len(account.adjustments):
        blocks.append(_changes(words, account.adjustments))
        if own := int(account.adjustments["own_vat_minor"].sum()):
            blocks.append(words("own_vat", amount=words.money(own), currency=heading.currency))
    if len(account.late):
        blocks.append(_late(words, account.late))
    if len(account.payments):
        blocks.append(_payments(words, account.payments))
    return [*blocks, words("note")]


def _running(words: Words, totals: Totals) -> _Table:
    """From the opening balance to the closing one."""
    shown = [(words("what"), words("amount")), *((what, words.money(minor)) for what, minor in _ends(words, totals))]
    return _Table(words("account"), shown, (0.64, 0.36), total=True)


def _ends(words: Words, totals: Totals) -> list[tuple[str, int]]:
    return [
        (words("opening"), totals.opening_minor),
        (words("commission"), totals.commission_minor + totals.adjusted_commission_minor),
        (words("vat"), totals.vat_minor + totals.adjusted_vat_minor),
        (words("kept"), -totals.retained_minor),
        (words("paid"), -totals.paid_minor),
        (words("closing"), totals.closing_minor),
    ]


def _rates(words: Words, by_rate: pd.DataFrame) -> _Table:
    head = [words(name) for name in ("what", "rate", "lines", "gross", "commission", "vat")]
    rows = [
        [words.of("type", row.type), words.rate(row.rate), f"{row.lines:,}",
         *(words.money(cell) for cell in (row.gross_minor, row.commission_minor, row.vat_minor))]
        for row in _each(by_rate)
    ]  # fmt: skip
    sums = [words.money(by_rate[name].sum()) for name in ("gross_minor", "commission_minor", "vat_minor")]
    last = [words("sum"), "", f"{int(by_rate['lines'].sum()):,}", *sums]
    return _Table(words("rates"), [head, *rows, last], (0.26, 0.1, 0.1, 0.2, 0.18, 0.16), total=True)


def _changes(words: Words, changed: pd.DataFrame) -> _Table:
    head = [words(name) for name in ("what", "lines", "commission", "vat")]
    rows = [
        [words.of("kind", row.kind), f"{row.adjustments:,}", words.money(row.commission_minor),
         words.money(row.vat_minor)]
        for row in _each(changed)
    ]  # fmt: skip
    sums = [words.money(changed[name].sum()) for name in ("commission_minor", "vat_minor")]
    return _Table(words("changes"), [head, *rows, [words("sum"), "", *sums]], (0.46, 0.12, 0.22, 0.2), total=True)


def _late(words: Words, late: pd.DataFrame) -> _Table:
    head = [words(name) for name in ("month", "lines", "gross", "commission", "vat")]
    rows = [
        [row.month, f"{row.lines:,}",
         *(words.money(cell) for cell in (row.gross_minor, row.commission_minor, row.vat_minor))]
        for row in _each(late)
    ]  # fmt: skip
    return _Table(words("late"), [head, *rows], (0.26, 0.14, 0.22, 0.2, 0.18))


def _payments(words: Words, payments: pd.DataFrame) -> _Table:
    head = [words(name) for name in ("day", "reference", "amount")]
    rows = [[words.day(row.day), row.reference, words.money(row.amount_minor)] for row in _each(payments)]
    return _Table(words("payments"), [head, *rows], (0.22, 0.5, 0.28), right=2)


class _Sheet:
    """The pages of one file. reportlab's `invariant` leaves the time and the random id out of it."""

    def __init__(self, path: Path, words: Words, face: str, title: str) -> None:
        self.path, self.words, self.face, self.title = path, words, face, title

    def draw(self, blocks: Sequence[_Table | str]) -> None:
        from reportlab.platypus import Paragraph, SimpleDocTemplate, Spacer

        story: list[Any] = [Paragraph(_escaped(self.words("title")), self._style(18, 24)), Spacer(1, 8)]
        for block in blocks:
            if isinstance(block, str):
                story += [Spacer(1, 4), Paragraph(_escaped(block), self._style(9, 13))]
                continue
            if block.title:
                story += [Spacer(1, 14), Paragraph(_escaped(block.title), self._style(11.5, 16)), Spacer(1, 3)]
            story.append(self._table(block))
        document = SimpleDocTemplate(
            str(self.path), invariant=1, leftMargin=MARGIN, rightMargin=MARGIN, topMargin=MARGIN, bottomMargin=MARGIN,
            title=self.title, author="Consign",
        )  # fmt: skip
        document.build(story, canvasmaker=_numbered(self.words, self.face))

    def _style(self, size: float, leading: float) -> Any:
        from reportlab.lib.styles import ParagraphStyle

        return ParagraphStyle("text", fontName=self.face, fontSize=size, leading=leading, wordWrap="CJK")

    def _table(self, block: _Table) -> Any:
        from reportlab.lib.colors import Color
        from reportlab.platypus import Table, TableStyle

        rule = Color(RULE, RULE, RULE)
        style: list[tuple[Any, ...]] = [
            ("FONT", (0, 0), (-1, -1), self.face, 9),
            ("ALIGN", (block.right, 0), (-1, -1), "RIGHT"),
            ("LINEBELOW", (0, 0), (-1, -1), 0.25, rule),
            ("TOPPADDING", (0, 0), (-1, -1), 2.5),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 3.5),
            ("LEFTPADDING", (0, 0), (0, -1), 0),
            ("RIGHTPADDING", (-1, 0), (-1, -1), 0),
        ]
        if block.header:
            style.append(("TEXTCOLOR", (0, 0), (-1, 0), Color(GREY, GREY, GREY)))
        if block.total:
            style.append(("LINEABOVE", (0, -1), (-1, -1), 0.75, Color(0, 0, 0)))
        widths = [WIDTH * share for share in block.widths]
        return Table(
            [list(row) for row in block.rows], colWidths=widths, repeatRows=int(block.header), style=TableStyle(style),
            hAlign="LEFT",
        )  # fmt: skip


def _numbered(words: Words, face: str) -> Any:
    """A canvas that knows, at the end, how many pages there are."""
    from reportlab.pdfgen.canvas import Canvas

    class Numbered(Canvas):  # type: ignore[misc]  # reportlab has no types
        def __init__(self, *args: Any, **more: Any) -> None:
            super().__init__(*args, **more)
            self._pages: list[dict[str, Any]] = []

        def showPage(self) -> None:  # noqa: N802 - reportlab's name
            self._pages.append(dict(self.__dict__))
            self._startPage()

        def save(self) -> None:
            for state in self._pages:
                self.__dict__.update(state)
                self.setFont(face, 8)
                said = words("page", page=self._pageNumber, pages=len(self._pages))
                self.drawRightString(MARGIN + PADDING + WIDTH, MARGIN / 2, said)
                super().showPage()
            super().save()

    return Numbered


def _face(font: Path | None, blocks: Sequence[_Table | str], code: str) -> str:
    """The name of the face that has every letter on the page."""
    said = "".join(
        block if isinstance(block, str) else block.title + "".join(cell for row in block.rows for cell in row)
        for block in blocks
    )
    return LATIN if code == "en" and _is_latin(said) else _chinese(font)


def _each(frame: pd.DataFrame) -> Iterator[Any]:
    """The rows of sums, a handful, by the names of their columns."""
    yield from frame.itertuples(index=False)


def _is_latin(text: str) -> bool:
    """Whether the standard fonts of PDF have all of it."""
    try:
        text.encode("cp1252")
    except UnicodeEncodeError:
        return False
    return True


@cache
def _chinese(font: Path | None) -> str:
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.cidfonts import UnicodeCIDFont
    from reportlab.pdfbase.ttfonts import TTFError, TTFont

    found = font or next((path for path in map(Path, FONTS) if path.is_file()), None)
    if found is None:
        pdfmetrics.registerFont(UnicodeCIDFont(STANDARD))
        return STANDARD
    fix = "set statement_font to a TrueType font with Chinese and Latin, such as Debian's fonts-wqy-microhei"
    try:
        face = TTFont("consign", str(found), subfontIndex=0)
    except (TTFError, OSError) as error:
        raise ConfigurationError(
            f"the font {found} cannot be put into a PDF: {type(error).__name__}", fix=fix
        ) from None
    if missing := [letter for letter in PROBE if ord(letter) not in face.face.charToGlyph]:
        raise ConfigurationError(f"the font {found} has no {' '.join(missing)}", fix=fix)
    pdfmetrics.registerFont(face)
    return "consign"


def _escaped(text: str) -> str:
    """As reportlab's paragraphs take it: a name is never markup."""
    from xml.sax.saxutils import escape

    return escape(text)
