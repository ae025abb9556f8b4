"""Pages to print: blocks of text and tables as PDF, the same bytes whenever they are written.

Chinese is set in a font of the machine's that is put into the file as far as it is used (the setting `statement_font`,
else the first of FONTS that is there). Where there is none the file names a standard one, and its reader brings it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from keys.files import replacing
from models.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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
CELL: Final = 9
"""Of a table's letters."""
GREY: Final = 0.45
RULE: Final = 0.75


@dataclass(frozen=True)
class Table:
    """One block of the page: a heading, and rows of cells; `right`: from which column on cells are figures."""

    title: str
    rows: Sequence[Sequence[str]]
    widths: Sequence[float]
    header: bool = True
    total: bool = False
    right: int = 1


@dataclass(frozen=True)
class Stroke:
    """A line through the points (x, y from the top left); with `fill` the area that they bound."""

    points: Sequence[tuple[float, float]]
    colour: str
    width: float = 1.0
    dashed: bool = False
    fill: bool = False


@dataclass(frozen=True)
class Label:
    """Text at a point; end: which end of it stands there (start, middle, end)."""

    x: float
    y: float
    text: str
    end: str = "start"
    colour: str = "#4c5a6e"


@dataclass(frozen=True)
class Picture:
    """A drawing of that width and height, scaled to the page."""

    title: str
    width: float
    height: float
    parts: Sequence[Stroke | Label]


Block = str | Table | Picture


def write_pdf(
    path: Path,
    title: str,
    blocks: Sequence[Block],
    *,
    code: str,
    font: Path | None,
    said_of: str,
    page: Callable[[int, int], str],
) -> None:
    """The pages are at `path`, whole or not at all.

    title: the heading; said_of: the file's own title; code: en or zh; page: says which page it is, of how many.
    Raises ConfigurationError for a font unread.
    """
    face = _face(font, [title, said_of, page(1, 1), *blocks], code)
    with replacing(path) as part:
        _Sheet(part, title, page, face, said_of).draw(blocks)


class _Sheet:
    """The pages of one file. reportlab's `invariant` leaves the time and the random id out of it."""

    def __init__(self, path: Path, heading: str, page: Callable[[int, int], str], face: str, title: str) -> None:
        self.path, self.heading, self.page, self.face, self.title = path, heading, page, face, title

    def draw(self, blocks: Sequence[Block]) -> None:
        from reportlab.platypus import Paragraph, SimpleDocTemplate, Spacer

        story: list[Any] = [Paragraph(_escaped(self.heading), self._style(18, 24)), Spacer(1, 8)]
        for block in blocks:
            if isinstance(block, str):
                story += [Spacer(1, 4), Paragraph(_escaped(block), self._style(9, 13))]
                continue
            if block.title:
                above = self._style(11.5, 16, spaceBefore=14, spaceAfter=3, keepWithNext=1)
                story.append(Paragraph(_escaped(block.title), above))
            story.append(self._table(block) if isinstance(block, Table) else self._picture(block))
        document = SimpleDocTemplate(
            str(self.path), invariant=1, leftMargin=MARGIN, rightMargin=MARGIN, topMargin=MARGIN, bottomMargin=MARGIN,
            title=self.title, author="Consign",
        )  # fmt: skip
        document.build(story, canvasmaker=_numbered(self.page, self.face))

    def _picture(self, block: Picture) -> Any:
        from reportlab.graphics.shapes import Drawing, Polygon, PolyLine, String
        from reportlab.lib.colors import HexColor

        scale = WIDTH / block.width
        drawing = Drawing(WIDTH, block.height * scale)
        for part in block.parts:
            colour = HexColor(part.colour)
            if isinstance(part, Label):
                x, y = part.x * scale, (block.height - part.y) * scale
                drawing.add(
                    String(x, y, part.text, fontName=self.face, fontSize=8, fillColor=colour, textAnchor=part.end)
                )
                continue
            flat = [end for x, y in part.points for end in (x * scale, (block.height - y) * scale)]
            if part.fill:
                drawing.add(Polygon(flat, fillColor=colour, strokeColor=None))
            else:
                dashes = [4, 3] if part.dashed else None
                drawing.add(PolyLine(flat, strokeColor=colour, strokeWidth=part.width, strokeDashArray=dashes))
        return drawing

    def _style(self, size: float, leading: float, **more: Any) -> Any:
        from reportlab.lib.styles import ParagraphStyle

        # where no letter is Chinese, lines break between words
        wrap = None if self.face == LATIN else "CJK"
        return ParagraphStyle("text", fontName=self.face, fontSize=size, leading=leading, wordWrap=wrap, **more)

    def _table(self, block: Table) -> Any:
        from reportlab.lib.colors import Color
        from reportlab.platypus import Table as Grid
        from reportlab.platypus import TableStyle

        rule = Color(RULE, RULE, RULE)
        style: list[tuple[Any, ...]] = [
            ("FONT", (0, 0), (-1, -1), self.face, CELL),
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
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
        rows = [
            [self._cell(text, widths[column], to_right=column >= block.right, grey=block.header and not row)
             for column, text in enumerate(cells)]
            for row, cells in enumerate(block.rows)
        ]  # fmt: skip
        return Grid(
            rows, colWidths=widths, repeatRows=int(block.header), style=TableStyle(style),
            hAlign="LEFT",
        )  # fmt: skip

    def _cell(self, text: str, width: float, *, to_right: bool, grey: bool) -> Any:
        """The text, broken into lines where the column is narrower."""
        from reportlab.lib.colors import Color
        from reportlab.lib.enums import TA_LEFT, TA_RIGHT
        from reportlab.pdfbase.pdfmetrics import stringWidth
        from reportlab.platypus import Paragraph

        if "\n" in text or stringWidth(text, self.face, CELL) <= width - 2 * PADDING:
            return text
        colour = Color(GREY, GREY, GREY) if grey else Color(0, 0, 0)
        align = TA_RIGHT if to_right else TA_LEFT
        return Paragraph(_escaped(text), self._style(CELL, CELL + 2, alignment=align, textColor=colour))


def _numbered(page: Callable[[int, int], str], face: str) -> Any:
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
                said = page(self._pageNumber, len(self._pages))
                self.drawRightString(MARGIN + PADDING + WIDTH, MARGIN / 2, said)
                super().showPage()
            super().save()

    return Numbered


def _face(font: Path | None, blocks: Sequence[Block], code: str) -> str:
    """The name of the face that has every letter on the page."""
    said = "".join(text for block in blocks for text in _texts(block))
    return LATIN if code == "en" and _is_latin(said) else _chinese(font)


def _texts(block: Block) -> list[str]:
    if isinstance(block, str):
        return [block]
    if isinstance(block, Table):
        return [block.title, *(cell for row in block.rows for cell in row)]
    return [block.title, *(part.text for part in block.parts if isinstance(part, Label))]


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
