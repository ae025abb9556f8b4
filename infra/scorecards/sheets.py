"""What a scorecard says, as sections of cells: the PDF prints their texts, the workbook keeps their numbers."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from infra.scorecards.language import Language, language
from infra.scorecards.pages import COUNTS, DAYS, PARTS, PER_1000, RATIOS, Book, Card, Figure, Sayer
from models.money import exponent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infra.store.scores import Run

WHOLE, TENTH, HUNDREDTH, PERCENT, PERMYRIAD = "#,##0", "#,##0.0", "#,##0.00", "0.0%", "0.00%"
"""Forms of numbers, as a workbook knows them."""
HOW = ("expected", "shrinkage", "rank", "ends", "apart")


@dataclass(frozen=True)
class Cell:
    """A text; with the number that it says, and its form, where it is one."""

    text: str
    number: float | Decimal | None = None
    form: str = ""


@dataclass(frozen=True)
class Section:
    """name: of the workbook's sheet; header: empty where the first column names the rows; widths: shares of a page."""

    name: str
    title: str
    note: str
    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    widths: Sequence[float]
    right: int = 1
    """from which column on cells are figures"""


def card_sections(run: Run, agency: str, code: str) -> list[Section]:
    """One agency's scorecard; of the others it holds neither name nor code, and a range only where there are enough."""
    told = _Teller(run, code)
    card = next(one for one in told.book.cards if one.code == agency)
    return [
        told.facts(card), told.money(card), told.components(card), told.curve(card), told.segments(card),
        told.apart([card], named=False), told.questions(card), told.how(),
    ]  # fmt: skip


def overview_sections(run: Run, code: str) -> list[Section]:
    """The lender's view of all agencies."""
    told = _Teller(run, code)
    return [
        told.run_facts(),
        told.agencies(),
        told.all_questions(),
        told.apart(told.book.cards, named=True),
        told.how(),
    ]


class _Teller:
    """Says the sections of one run in one language."""

    def __init__(self, run: Run, code: str) -> None:
        self.run, self.book, self.t = run, Book(run), language(code)
        self.say = Sayer(self.t, run.summary)

    def run_facts(self) -> Section:
        t, run = self.t, self.run
        rows = [
            (t("page.lender", lender=run.lender) if run.lender else t("page.all_lenders"),
             t("page.as_of", day=t.day(run.as_of))),
            (t("kpi.accounts"), t.number(self.book.placements)),
            ("", self._made()),
        ]  # fmt: skip
        return Section(t("sheet.summary"), "", "", (), _texts(rows), (0.3, 0.7))

    def facts(self, card: Card) -> Section:
        t, run = self.t, self.run
        rank, overall = card["expected_rank"], card["overall"]
        rows = [
            (card.name, t("page.as_of", day=t.day(run.as_of))),
            *([("", t("page.lender", lender=run.lender))] if run.lender else []),
            (t("table.gate"), f"{t(f'gate.{card.gate}')}. {self.say.gate(card)}".strip()),
            (t("kpi.against"), self.say.headline(card)),
            (t("kpi.rank"), self._rank(card) if rank.value is not None else t("kpi.rank_none")),
            (t("kpi.overall"), t("kpi.overall_none") if overall.value is None else self._overall(overall)),
            (t("kpi.accounts"), t.number(card.summary["placements"])),
            ("", self._made()),
        ]
        return Section(t("sheet.summary"), "", "", (), _texts(rows), (0.22, 0.78))

    def money(self, card: Card) -> Section:
        t, shown = self.t, ("placed", "recovered", "reversed", "commission")
        rows = [
            [Cell(t(f"section.totals_{name}")), *(_amount(t, told[f"{name}_minor"], unit) for unit, told in
             card.totals.items())] for name in shown
        ]  # fmt: skip
        widths = (0.4, *(0.6 / max(len(card.totals), 1) for _ in card.totals))
        return Section(t("section.totals"), t("section.totals"), "", (t("section.totals"), *card.totals), rows, widths)

    def components(self, card: Card) -> Section:
        t, say = self.t, self.say
        names = ("table.component", "table.value", "chart.low", "chart.high", "table.peers", "table.weight")
        rows = []
        for part in PARTS:
            one, others = card[part], self.book.peers(card, part)
            peers = say.span(part, *others) if others else "–"
            figures = [_figure(say, part, value) for value in (one.value, one.low, one.high)]
            rows.append([Cell(say.part(part)), *figures, Cell(peers), _percent(t, one.weight, 0)])
        note = t("section.components_note")
        widths = (0.4, 0.12, 0.11, 0.11, 0.16, 0.1)
        header = [t(name) for name in names]
        return Section(t("sheet.components"), t("section.components"), note, header, rows, widths)

    def curve(self, card: Card) -> Section:
        t, curves = self.t, card.curves
        header = [t(f"chart.{name}") for name in ("month", "actual", "low", "high", "expected")]
        rows = [
            [Cell(str(month), Decimal(month), WHOLE), *(_percent(t, curves[name][month - 1], 2) for name in
             ("rate", "low", "high", "expected"))] for month in range(1, len(curves["rate"]) + 1)
        ]  # fmt: skip
        return Section(t("sheet.curve"), t("chart.curve_title"), t("chart.curve_desc"), header, rows, (0.2,) * 5)

    def segments(self, card: Card) -> Section:
        t = self.t
        header = [t("table.segment"), t("table.recovery"), t("table.actual"), t("table.expected"), t("section.share")]
        rows = [
            [Cell(one["segment"]), _number(t, one["value"], 2), _percent(t, one["actual"], 2),
             _percent(t, one["expected"], 2), _percent(t, one["weight"], 0)]
            for one in self.book.segments(card.code)
        ]  # fmt: skip
        widths = (0.5, 0.13, 0.12, 0.12, 0.13)
        return Section(t("sheet.segments"), t("section.segments"), t("section.segments_note"), header, rows, widths)

    def apart(self, cards: Sequence[Card], *, named: bool) -> Section:
        t = self.t
        rows = [
            [*([Cell(card.name)] if named else []), Cell(t(f"apart.{why}", days=self.run.summary["settle_days"])),
             _number(t, one["lines"], 0), _amount(t, one["gross_minor"], unit), Cell(unit)]
            for card in cards for unit, told in card.totals.items()
            for why, one in told["apart"].items() if one["lines"]
        ]  # fmt: skip
        header = [*([t("table.agency")] if named else []), t("table.reason"), t("table.lines"), t("table.amount"),
                  t("table.currency")]  # fmt: skip
        widths = (0.26, 0.38, 0.1, 0.16, 0.1) if named else (0.54, 0.12, 0.22, 0.12)
        note = "" if rows else t("section.apart_none")
        return Section(t("sheet.apart"), t("section.apart"), note, header, rows, widths, 2 if named else 1)

    def questions(self, card: Card) -> Section:
        flags, hidden = self.book.flags(card.code), not self.book.enough_peers()
        return self._questions([(None, one) for one in flags], hidden=hidden, empty="section.flags_untested")

    def all_questions(self) -> Section:
        told = [(self.run.names[one["agency"]], one) for one in self.book.flags()]
        return self._questions(told, hidden=False, empty="section.flags_none")

    def _questions(self, flags: Sequence[tuple[str | None, Any]], *, hidden: bool, empty: str) -> Section:
        t, say = self.t, self.say
        names = ("pattern", "own", "peers", "count", "chance", "flagged")
        named = any(name for name, _ in flags)
        header = [*([t("table.agency")] if named else []), *(t(f"table.{name}") for name in names)]
        rows = [
            [*([Cell(name)] if name else []), Cell(say.pattern(one)), Cell(say.seen(one, one["observed"])),
             Cell(t("section.others_hidden") if hidden else say.seen(one, one["peers"])),
             _number(t, one["count"], 0), Cell(t.chance(one["q"])),
             Cell(t("say.flagged" if one["flagged"] else "say.not_flagged"))]
            for name, one in flags
        ]  # fmt: skip
        note = t("section.flags_note", percent=t.percent(self.run.summary["gaming"]["false_discoveries"]))
        widths = (0.2, 0.32, 0.1, 0.1, 0.08, 0.1, 0.1) if named else (0.5, 0.1, 0.1, 0.1, 0.1, 0.1)
        return Section(
            t("sheet.flags"), t("section.flags"), note if rows else f"{note} {t(empty)}", header, rows, widths,
            2 if named else 1,
        )  # fmt: skip

    def agencies(self) -> Section:
        t, say = self.t, self.say
        shown = ("recovery", "low", "high", "p_best", "p_worst", "expected_rank", "net_back", "complaints", "breaches",
                 "gate", "overall")  # fmt: skip
        header = [t("table.agency"), t("table.recovery"), t("chart.low"), t("chart.high"), t("table.p_best"),
                  t("table.p_worst"), t("table.rank"), t("table.net_back"), t("table.complaints"),
                  t("table.breaches"), t("table.gate"), t("table.overall")]  # fmt: skip
        rows = [[Cell(card.name), *(self._of(card, name, say) for name in shown)] for card in self.book.cards]
        widths = (0.15, 0.09, 0.075, 0.075, 0.075, 0.075, 0.075, 0.08, 0.08, 0.08, 0.065, 0.08)
        return Section(t("sheet.agencies"), t("section.ranking"), t("section.ranking_note"), header, rows, widths)

    def how(self) -> Section:
        t = self.t
        rows = [[Cell(t(f"how.{name}", percent=self.say.sure))] for name in HOW]
        return Section(t("sheet.how"), t("section.how"), "", (), rows, (1.0,))

    def _of(self, card: Card, name: str, say: Sayer) -> Cell:
        if name == "gate":
            return Cell(self.t(f"gate.{card.gate}"))
        if name in {"low", "high"}:
            return _figure(say, "recovery", getattr(card["recovery"], name))
        value = card[name].value
        if name in {"p_best", "p_worst"}:
            return Cell(self.t.chance(value), value, PERCENT)
        if name == "expected_rank":
            return _number(self.t, value, 1)
        return _number(self.t, value, 0) if name == "overall" else _figure(say, name, value)

    def _rank(self, card: Card) -> str:
        t, value = self.t, card["expected_rank"].value
        odds = {which: t.chance(card[f"p_{which}"].value) for which in ("best", "worst")}
        return f"{t.number(value, 1)} {t('kpi.rank_note', count=self.run.summary['ranked'], **odds)}"

    def _overall(self, overall: Figure) -> str:
        t = self.t
        low, high = t.number(overall.low), t.number(overall.high)
        return f"{t.number(overall.value)} ({t('kpi.overall_range', low=low, high=high)})"

    def _made(self) -> str:
        run, t = self.run, self.t
        digest = f"{run.inputs_sha256[:8]}…{run.inputs_sha256[-4:]}"
        return t("page.made", moment=t.moment(run.made_at), model=run.model_version, seed=run.seed, inputs=digest)


def _texts(rows: Sequence[Sequence[str]]) -> list[list[Cell]]:
    return [[Cell(text) for text in row] for row in rows]


def _number(t: Language, value: float | None, digits: int) -> Cell:
    return Cell(t.number(value, digits), value, (WHOLE, TENTH, HUNDREDTH)[digits])


def _percent(t: Language, value: float | None, digits: int) -> Cell:
    return Cell(t.percent(value, digits), value, PERMYRIAD if digits > 1 else PERCENT)


def _amount(t: Language, minor: int, currency: str) -> Cell:
    digits = exponent(currency)
    form = f"#,##0.{'0' * digits}".rstrip(".")
    return Cell(t.money(minor, currency), Decimal(minor).scaleb(-digits), form)


def _figure(say: Sayer, part: str, value: float | None) -> Cell:
    form = HUNDREDTH if part in RATIOS else WHOLE if part in DAYS | COUNTS else TENTH if part in PER_1000 else PERCENT
    return Cell(say.figure(part, value), value, form)
