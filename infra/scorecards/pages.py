"""The pages of a run: one for the lender over all agencies, one per agency that names no other.

An agency sees of the others where they lie on the whole, and that only where there are enough of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Any

from infra.scorecards.charts import FULL_WIDTH, Curve, Estimate, Forest, curve, forest
from infra.scorecards.language import MISSING, Language, language
from infra.templates import environment
from models.scoring.gaming import CONTACTS_HIGH, EARLY_RETURNS, PAYMENTS_HIGH, REVERSED_AFTER, UNTOUCHED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import pandas as pd

    from infra.store.scores import Run

SHOWN_SEGMENTS = 10
PARTS = (
    "recovery", "net_back", "ultimate", "paid_within", "paid_first", "ended_first", "median_days", "complaints",
    "breaches", "data_quality", "files_accepted", "service", "acknowledged_in_time", "recalls_in_time",
    "erasures_in_time", "reports_late", "invoice_accuracy", "breaks", "commission_rate", "clawback",
)  # fmt: skip
"""The lines of a scorecard, in order."""
RATIOS, DAYS, PER_1000, COUNTS = (
    {"recovery", "net_back", "paid_within"},
    {"median_days"},
    {"complaints", "breaches"},
    {"breaks", "reports_late"},
)
"""How a part is written; all others are shares."""
AROUND = (
    ":", "@", "*", "html", "body", "main", ".skip", ".bar", ".brand", ".tag", ".lang", ".page-end", "a{", "h1", "p{",
)  # fmt: skip
"""How the lines of the style begin that are about the page around, colours included."""
PATTERN_DAYS = {
    CONTACTS_HIGH: "contact_days", UNTOUCHED: "untouched_days", EARLY_RETURNS: "return_days",
    REVERSED_AFTER: "period_days",
}  # fmt: skip
"""The parameter that a pattern of gaming names."""


@dataclass(frozen=True)
class Figure:
    """One figure of an agency, as the store has it, absent parts None."""

    value: float | None = None
    low: float | None = None
    high: float | None = None
    expected: float | None = None
    actual: float | None = None
    weight: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Card:
    """What the pages say of one agency."""

    code: str
    name: str
    told: dict[str, Figure]
    summary: dict[str, Any]
    curves: dict[str, list[float]]

    def __getitem__(self, component: str) -> Figure:
        """The figure, an empty one where there is none."""
        return self.told.get(component, Figure())

    @property
    def gate(self) -> str:
        """Open, watch or shut."""
        return self["complaint_gate"].note or "open"

    @property
    def estimate(self) -> Estimate | None:
        """Its row in the chart; None where nothing was expected of it."""
        found = self["recovery"]
        if found.value is None or found.low is None or found.high is None:
            return None
        raw = None if not found.expected or found.actual is None or found.actual <= 0 else found.actual / found.expected
        return Estimate(self.name, found.value, found.low, found.high, raw, faint=bool(found.note))

    def curve(self, reach: float = 0.0) -> Curve | None:
        """Its liquidation curve, on an axis up to `reach` at least."""
        told = self.curves
        return curve(told["rate"], told["low"], told["high"], told["expected"], reach)

    @property
    def totals(self) -> dict[str, dict[str, Any]]:
        """Money per currency."""
        return self.summary["totals"]  # type: ignore[no-any-return]  # JSON, as models/scoring/assessment.py writes it


@dataclass(frozen=True)
class Book:
    """A run as the pages see it."""

    run: Run

    @cached_property
    def cards(self) -> list[Card]:
        """One per agency, by name."""
        whole = self.run.components[self.run.components["segment"] == "all"]
        told: dict[str, dict[str, Figure]] = {}
        for row in _rows(whole):
            told.setdefault(row.pop("agency"), {}).setdefault(row.pop("component"), Figure(**row))
        summary = self.run.summary
        cards = [
            Card(code, name, told.get(code, {}), summary["agencies"][code], summary["curves"][code])
            for code, name in self.run.names.items()
        ]
        return sorted(cards, key=lambda card: (card.name, card.code))

    @cached_property
    def reach(self) -> float:
        """The highest share on any curve: the lender's page draws all on one scale, an agency's page only its own."""
        return max(
            (share for card in self.cards for name in ("high", "expected") for share in card.curves[name]), default=0.0
        )

    def segments(self, agency: str) -> list[dict[str, Any]]:
        """The segments in which most was expected of the agency."""
        frame = self.run.components
        mine = frame[(frame["agency"] == agency) & (frame["component"] == "recovery")]
        top = mine[mine["segment"] != "all"].sort_values("weight", ascending=False, kind="stable").head(SHOWN_SEGMENTS)
        return [row | {"segment": segment} for row, segment in zip(_rows(top), top["segment"], strict=True)]

    def flags(self, agency: str | None = None) -> list[Mapping[str, Any]]:
        """What was looked for in one agency; of all of them, what is flagged."""
        told: list[Mapping[str, Any]] = self.run.summary["flags"]
        return [one for one in told if (one["flagged"] if agency is None else one["agency"] == agency)]

    def enough_peers(self) -> bool:
        """Whether an agency may be told a figure of all the others together."""
        return len(self.cards) > int(self.run.summary["peers_shown"])

    def forest(self) -> Forest | None:
        """Every agency."""
        return forest([one for card in self.cards if (one := card.estimate)], left=190, width=FULL_WIDTH)

    def peers(self, card: Card, component: str) -> tuple[float, float] | None:
        """The others' mean, less and plus their standard deviation: none of them can be told from it.

        None where fewer than enough have a value, and where all have the same, which would be theirs.
        """
        others = [other[component].value for other in self.cards if other.code != card.code]
        seen = [value for value in others if value is not None]
        if len(seen) < self.run.summary["peers_shown"] or min(seen) == max(seen):
            return None
        mean, spread = fmean(seen), stdev(seen)
        share = component not in RATIOS | DAYS | PER_1000 | COUNTS
        return max(mean - spread, 0.0), min(mean + spread, 1.0) if share else mean + spread

    def own_forest(self, card: Card, words: Language) -> Forest | None:
        """One agency before the others' range."""
        estimate = card.estimate
        if estimate is None:
            return None
        mine = Estimate(words("chart.you"), estimate.value, estimate.low, estimate.high, estimate.raw, estimate.faint)
        return forest([mine], self.peers(card, "recovery"), left=110)

    @property
    def placements(self) -> int:
        """Over all agencies."""
        return sum(int(card.summary["placements"]) for card in self.cards)

    @cached_property
    def totals(self) -> dict[str, dict[str, int]]:
        """Placed and recovered per currency, over all agencies."""
        sums: dict[str, dict[str, int]] = {}
        for card in self.cards:
            for currency, told in card.totals.items():
                into = sums.setdefault(currency, {})
                for name, value in told.items():
                    if name.endswith("_minor"):
                        into[name] = into.get(name, 0) + int(value)
        return sums


def overview(run: Run, code: str) -> str:
    """The lender's page, HTML, in the language of that code."""
    return _page("overview.html.j2", run, code, f"overview.{_other(code)}.html")


def scorecard(run: Run, agency: str, code: str) -> str:
    """One agency's page, HTML; of the others it holds neither name nor code."""
    card = next(card for card in Book(run).cards if card.code == agency)
    return _page("scorecard.html.j2", run, code, f"{agency}.{_other(code)}.html", card=card)


def part(run: Run, code: str, link: Callable[[str], str], agency: str | None = None) -> tuple[str, str]:
    """The head of the lender's page, or of one agency's, and what it says, to stand in another page.

    link: where an agency's page is.
    """
    told = _told(run, code, "", link=link)
    template = "overview.html.j2"
    if agency is not None:
        template = "scorecard.html.j2"
        told["card"] = next(card for card in told["book"].cards if card.code == agency)
    found = environment("infra.scorecards").get_template(template)
    return found.render(told | {"layout": "head.html.j2"}), found.render(told | {"layout": "part.html.j2"})


def style(within: str) -> str:
    """How such a part looks, for elements below that class alone; its colours are the page's to say."""
    whole = files("infra.scorecards").joinpath("templates", "style.css").read_text("utf-8")
    kept = [line for line in whole.splitlines() if line and not line.startswith(AROUND)]
    return f".{within}{{\n" + "\n".join(kept) + "\n}\n"


def _page(template: str, run: Run, code: str, other: str, **more: object) -> str:
    return environment("infra.scorecards").get_template(template).render(_told(run, code, other, **more))


def _told(run: Run, code: str, other: str, **more: object) -> dict[str, Any]:
    """What a template is filled with."""
    words = language(code)
    return {
        "book": Book(run), "run": run, "summary": run.summary, "t": words, "other": other, "parts": PARTS,
        "layout": "base.html.j2", "link": lambda agency: f"{agency}.{code}.html", "say": Sayer(words, run.summary),
    } | more  # fmt: skip


class Sayer:
    """Writes a part's figures in the language's own way."""

    def __init__(self, words: Language, summary: dict[str, Any]) -> None:
        self.words, self.summary = words, summary
        self.sure = words.percent(summary["credible"])
        self.one_sided = words.percent((1 + summary["credible"]) / 2)

    def figure(self, part: str, value: float | None) -> str:
        """A value of that part."""
        if part in RATIOS:
            return self.words.number(value, 2)
        if part in DAYS | COUNTS:
            return self.words.number(value)
        if part in PER_1000:
            return self.words.number(value, 1)
        return self.words.percent(value, 1)

    def span(self, part: str, low: float | None, high: float | None) -> str:
        """From – to; empty where there is no interval."""
        return "" if low is None or high is None else f"{self.figure(part, low)} – {self.figure(part, high)}"

    def part(self, part: str) -> str:
        """What a part is called."""
        return self.words(f"component.{part}", days=self.summary["speed_days"])

    def meaning(self, part: str, card: Card) -> str:
        """What a part means."""
        one, days = card[part], "acknowledge_days" if part == "acknowledged_in_time" else "speed_days"
        return self.words(
            f"meaning.{part}",
            limit=self.words.number(card["complaint_gate"].value, 1),
            days=self.summary[days],
            open=self.words.number(one.actual),
            months=one.note or MISSING,
            so_far=self.words.percent(one.actual, 1),
        )

    def pattern(self, flag: Mapping[str, Any]) -> str:
        """What was looked for."""
        what = self.words(f"flag.{flag['pattern']}", days=self._days(flag))
        return self.words("flag.of_vintage", what=what, month=flag["vintage"]) if flag["vintage"] else what

    def pattern_meaning(self, flag: Mapping[str, Any]) -> str:
        """What the figures of the pattern are."""
        return self.words(f"flag_meaning.{flag['pattern']}", days=self._days(flag))

    def seen(self, flag: Mapping[str, Any], value: float) -> str:
        """A figure of the pattern."""
        return self.words.number(value, 2) if flag["pattern"] == PAYMENTS_HIGH else self.words.percent(value, 1)

    def banner(self, flag: Mapping[str, Any], name: str) -> str:
        """A flag in one sentence, for the lender."""
        own, peers = (self.seen(flag, flag[whose]) for whose in ("observed", "peers"))
        return self.words("say.flag_banner", name=name, what=self.pattern(flag), own=own, peers=peers)

    def _days(self, flag: Mapping[str, Any]) -> int:
        return int(self.summary["gaming"].get(PATTERN_DAYS.get(flag["pattern"], ""), 0))

    def gate(self, card: Card) -> str:
        """What a gate that is not open means; empty of an open one."""
        if card.gate == "open":
            return ""
        actual, low = (self.words.number(part, 1) for part in (card["complaints"].actual, card["complaints"].low))
        limit = self.words.number(card["complaint_gate"].value, 1)
        return self.words(f"say.gate_{card.gate}", actual=actual, low=low, limit=limit)

    def headline(self, card: Card) -> str:
        """What the recovery says, in one sentence."""
        found = card["recovery"]
        if found.value is None or found.low is None or found.high is None:
            return self.words("say.nobody_else" if found.note == "nobody_else" else "say.headline_none", name=card.name)
        side = "above" if found.low > 1 else "below" if found.high < 1 else "even"
        value = self.words.number(found.value, 2)
        return self.words(f"say.headline_{side}", name=card.name, value=value, percent=self.one_sided)


def _rows(frame: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Components as mappings without their segment, absent numbers None."""
    plain = frame.drop(columns="segment").astype("object")
    for row in plain.where(plain.notna(), None).to_dict("records"):
        yield {str(name): value for name, value in row.items()}


def _other(code: str) -> str:
    return "zh" if code == "en" else "en"
