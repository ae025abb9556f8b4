"""The statement as a page to print: PDF, in the agency's language, the same bytes whenever it is written."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from infra.printing import Table, write_pdf
from infra.scorecards.language import MISSING, Language, language
from models import packaged
from models.money import exponent
from models.payments import demand_reference

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import date
    from pathlib import Path

    import pandas as pd

    from infra.store.statements import Account, Totals


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
    title = words("title")
    write_pdf(
        path, title, blocks, code=code, font=font,
        said_of=f"{title} {heading.lender} {heading.agency} {heading.period}",
        page=lambda page, pages: words("page", page=page, pages=pages),
    )  # fmt: skip


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


def _blocks(words: Words, heading: Heading, csv_sha256: str, totals: Totals, account: Account) -> list[Table | str]:
    head = [
        (words("lender"), heading.lender), (words("agency"), heading.agency), (words("period"), heading.period),
        (words("currency"), heading.currency), (words("number"), str(heading.number)),
        (words("made"), words.day(heading.made_on)),
        (words("file"), f"{heading.csv_name}\nSHA-256 {csv_sha256[:32]}\n{csv_sha256[32:]}"),
    ]  # fmt: skip
    blocks: list[Table | str] = [Table("", head, (0.36, 0.64), header=False, right=9), _running(words, totals)]
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


def _running(words: Words, totals: Totals) -> Table:
    """From the opening balance to the closing one."""
    shown = [(words("what"), words("amount")), *((what, words.money(minor)) for what, minor in _ends(words, totals))]
    return Table(words("account"), shown, (0.64, 0.36), total=True)


def _ends(words: Words, totals: Totals) -> list[tuple[str, int]]:
    return [
        (words("opening"), totals.opening_minor),
        (words("commission"), totals.commission_minor + totals.adjusted_commission_minor),
        (words("vat"), totals.vat_minor + totals.adjusted_vat_minor),
        (words("kept"), -totals.retained_minor),
        (words("paid"), -totals.paid_minor),
        (words("closing"), totals.closing_minor),
    ]


def _rates(words: Words, by_rate: pd.DataFrame) -> Table:
    head = [words(name) for name in ("what", "rate", "lines", "gross", "commission", "vat")]
    rows = [
        [words.of("type", row.type), words.rate(row.rate), f"{row.lines:,}",
         *(words.money(cell) for cell in (row.gross_minor, row.commission_minor, row.vat_minor))]
        for row in _each(by_rate)
    ]  # fmt: skip
    sums = [words.money(by_rate[name].sum()) for name in ("gross_minor", "commission_minor", "vat_minor")]
    last = [words("sum"), "", f"{int(by_rate['lines'].sum()):,}", *sums]
    return Table(words("rates"), [head, *rows, last], (0.26, 0.1, 0.1, 0.2, 0.18, 0.16), total=True)


def _changes(words: Words, changed: pd.DataFrame) -> Table:
    head = [words(name) for name in ("what", "lines", "commission", "vat")]
    rows = [
        [words.of("kind", row.kind), f"{row.adjustments:,}", words.money(row.commission_minor),
         words.money(row.vat_minor)]
        for row in _each(changed)
    ]  # fmt: skip
    sums = [words.money(changed[name].sum()) for name in ("commission_minor", "vat_minor")]
    return Table(words("changes"), [head, *rows, [words("sum"), "", *sums]], (0.46, 0.12, 0.22, 0.2), total=True)


def _late(words: Words, late: pd.DataFrame) -> Table:
    head = [words(name) for name in ("month", "lines", "gross", "commission", "vat")]
    rows = [
        [row.month, f"{row.lines:,}",
         *(words.money(cell) for cell in (row.gross_minor, row.commission_minor, row.vat_minor))]
        for row in _each(late)
    ]  # fmt: skip
    return Table(words("late"), [head, *rows], (0.26, 0.14, 0.22, 0.2, 0.18))


def _payments(words: Words, payments: pd.DataFrame) -> Table:
    head = [words(name) for name in ("day", "reference", "amount")]
    rows = [[words.day(row.day), row.reference, words.money(row.amount_minor)] for row in _each(payments)]
    return Table(words("payments"), [head, *rows], (0.22, 0.5, 0.28), right=2)


def _each(frame: pd.DataFrame) -> Iterator[Any]:
    """The rows of sums, a handful, by the names of their columns."""
    yield from frame.itertuples(index=False)
