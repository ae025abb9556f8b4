"""Evaluations as pages: the proposal for the lender, and of a yearly one each agency's own page, which is evidence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from infra.printing import Table, write_pdf
from infra.scorecards.language import LANGUAGES, MISSING, Language, language
from infra.scorecards.pages import Sayer
from infra.scorecards.printed import printed_sections
from infra.scorecards.sheets import card_sections
from infra.templates import environment
from keys.files import replacing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from infra.printing import Block
    from infra.store.scores import Run

SHARES = "shares.toml"
SHOWN_OF_HASH = 12


@dataclass(frozen=True)
class Said:
    """An evaluation's number, what it says, and the hash of that, which is what an approver approves."""

    number: int
    content: Mapping[str, Any]
    sha256: str


def write(folder: Path, said: Said, run: Run, font: Path | None) -> None:
    """evaluation.`code`.html and .pdf in both languages, and the shares as a plan's spec takes them."""
    for code in LANGUAGES:
        told = Teller(said, run, code)
        page = environment("infra.scorecards").get_template("evaluation.html.j2")
        text = page.render(told=told, t=told.t, run=run, say=told.say, other=f"evaluation.{_other(code)}.html")
        with replacing(folder / f"evaluation.{code}.html") as part:
            part.write_text(text, encoding="utf-8", newline="")
        _print(folder / f"evaluation.{code}.pdf", told.title, told.blocks(), told.t, font)
    with replacing(folder / SHARES) as part:
        part.write_text(shares_toml(said), encoding="utf-8", newline="")


def shares_toml(said: Said) -> str:
    """The proposed shares as tables of a plan's spec (docs/how-to/plan-a-placement.md)."""
    lines = [f"# Shares of evaluation {said.number}, of score run {said.content['run']}. Add them to a plan's spec."]
    for one in said.content["shares"]:
        if one["proposed"] > 0:
            lines += [f"[agencies.{one['agency']}]", f"share = {one['proposed']:.4f}"]
    return "\n".join(lines) + "\n"


def write_evidence(folder: Path, said: Said, run: Run, agency: str, font: Path | None, approved_by: str) -> Path:
    """One agency's page of a yearly evaluation, PDF, in both languages; it names no other agency."""
    blocks: list[Block] = []
    for code in LANGUAGES:
        told = Teller(said, run, code)
        t = told.t
        blocks += [
            _listed(t("evaluation.yearly", name=run.names[agency]), [told.lead], ""),
            t("evaluation.approved_by", who=approved_by),
            _listed(t("evaluation.findings"), told.findings(agency), t("evaluation.findings_none")),
            *printed_sections(run, agency, card_sections(run, agency, code), t),
        ]
    path = folder / f"evaluation-{said.number:06d}-{agency}.pdf"
    words = language("en")
    title = f"{words('evaluation.title', number=said.number)} · {run.names[agency]}"
    _print(path, title, blocks, language("zh"), font)
    return path


class Teller:
    """Says an evaluation in one language."""

    def __init__(self, said: Said, run: Run, code: str) -> None:
        content = self.content = said.content
        self.run, self.t = run, language(code)
        self.say = Sayer(self.t, run.summary)
        self.title = self.t("evaluation.title", number=said.number)
        kind = self.t(f"evaluation.kind_{content['kind']}")
        self.lead = " · ".join([
            self.t("page.as_of", day=self.t.day(run.as_of)),
            self.t("page.lender", lender=run.lender) if run.lender else self.t("page.all_lenders"),
            self.t(
                "evaluation.lead", kind=kind, run=run.run_id, rules=content["rules"],
                content=said.sha256[:SHOWN_OF_HASH],
            ),
        ])  # fmt: skip

    def shares(self) -> list[tuple[str, str, str, str, str, str]]:
        """Agency, now, proposed, change in points, probability to be the best, why."""
        t = self.t
        return [
            (self._name(one["agency"]), t.percent(one["now"], 1), t.percent(one["proposed"], 1),
             f"{(one['proposed'] - one['now']) * 100:+.1f}", t.chance(one["best"]),
             t(f"evaluation.why_{one['why']}"))
            for one in self.content["shares"]
        ]  # fmt: skip

    def changes(self, agency: str | None = None) -> list[str]:
        """Each change in a sentence; of one agency without another's name."""
        found = []
        for one in self.content["changes"]:
            if agency not in {None, one["agency"]}:
                continue
            key = one["what"] + ("_own" if agency and one["what"] == "segment_elsewhere" else "")
            found.append(self.t(f"evaluation.{key}", segment=one["segment"], **self._figures(one)))
        return found

    def reviews(self) -> list[tuple[str, str]]:
        """Agency and reason."""
        return [(self._name(one["agency"]), self._reason(one)) for one in self.content["reviews"]]

    def findings(self, agency: str) -> list[str]:
        """What there is to say to one agency."""
        reasons = [self._reason(one) for one in self.content["reviews"] if one["agency"] == agency]
        return [*reasons, *self.changes(agency)]

    def evidence(self) -> list[tuple[str, str, str, str, str, str]]:
        """Agency, recovery with its interval, best, last, complaints, overall."""
        t, say = self.t, self.say
        rows = []
        for agency, told in self.content["agencies"].items():
            shown = ("p_best", "p_worst", "complaints", "overall")
            value = {name: (told.get(name) or {}).get("value") for name in shown}
            one = told.get("recovery") or {}
            span = say.span("recovery", one.get("low"), one.get("high"))
            recovered = f"{say.figure('recovery', one.get('value'))} ({span})" if span else MISSING
            rows.append((
                self._name(agency), recovered, t.chance(value["p_best"]), t.chance(value["p_worst"]),
                say.figure("complaints", value["complaints"]), t.number(value["overall"]),
            ))  # fmt: skip
        return rows

    def blocks(self) -> Iterable[Block]:
        """The whole as blocks to print."""
        t = self.t
        yield self.lead
        middle = ("evaluation.now", "evaluation.proposed", "evaluation.change", "table.p_best")
        heads = ("table.agency", *middle, "evaluation.why")
        rows = [[t(name) for name in heads], *(list(row) for row in self.shares())]
        yield Table(t("evaluation.shares"), rows, (0.22, 0.1, 0.12, 0.12, 0.1, 0.34))
        yield t("evaluation.shares_note") if len(rows) > 1 else t("evaluation.shares_none")
        yield _listed(t("evaluation.changes"), self.changes(), t("evaluation.changes_none"))
        reviews = [list(row) for row in self.reviews()] or [["", t("evaluation.reviews_none")]]
        yield Table(t("evaluation.reviews"), reviews, (0.25, 0.75), header=False, right=2)
        heads = ("table.agency", "table.recovery", "table.p_best", "table.p_worst", "table.complaints", "table.overall")
        rows = [[t(name) for name in heads], *(list(row) for row in self.evidence())]
        yield Table(t("evaluation.evidence"), rows, (0.26, 0.26, 0.12, 0.12, 0.13, 0.11))

    def _reason(self, one: Mapping[str, Any]) -> str:
        return self.t(f"evaluation.reason_{one['code']}", **self._figures(one))

    def _figures(self, one: Mapping[str, Any]) -> dict[str, object]:
        """The blanks of a sentence, filled in the language's own way."""
        t, told = self.t, one["figures"]
        what = one.get("code") or one["what"]
        filled: dict[str, object] = {"name": self._name(one["agency"])}
        for name, value in told.items():
            if name == "pattern":
                filled[name] = self.say.pattern({"pattern": value, "vintage": ""})
            elif name == "by":
                filled["other"] = self._name(value)
            elif isinstance(value, str) or value is None:
                filled[name] = value or MISSING
            elif name in {"lost", "least"} or what in {"likely_last", "data_quality", "service", "invoice_accuracy"}:
                filled[name] = t.percent(value, 1)
            else:
                filled[name] = t.number(value, 0 if name in {"months", "lived"} else 2)
        return filled

    def _name(self, agency: str) -> str:
        return self.run.names.get(agency, agency)


def _listed(title: str, sentences: Iterable[str], none: str) -> Table:
    rows = [[sentence] for sentence in sentences] or [[none]]
    return Table(title, rows, (1.0,), header=False)


def _print(path: Path, title: str, blocks: Iterable[Block], t: Language, font: Path | None) -> None:
    write_pdf(
        path, title, list(blocks), code=t.code, font=font, said_of=title,
        page=lambda page, pages: t("say.page_of", page=page, pages=pages),
    )  # fmt: skip


def _other(code: str) -> str:
    return next(other for other in LANGUAGES if other != code)
