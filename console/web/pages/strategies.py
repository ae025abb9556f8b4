"""Strategies: which rules are in force for whom, what another version changes, what it would do; and the stages."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Form, Response

from console.web import rulewords, standings
from console.web.frames import records, told
from console.web.pages import asked, rulebooks
from console.web.pages.rulebooks import STATES
from console.web.problems import status_of
from console.web.remembered import FIGURES
from console.web.rendering import query
from console.web.visits import Visiting, needs
from flows import strategy as verbs
from infra import strategy
from infra.store import browsing, stages
from infra.store import rulebooks as versions_kept
from infra.store import strategy as store
from infra.wiring import seated_here
from models.errors import ConsignError
from models.strategy import difference

if TYPE_CHECKING:
    from console.web.remembered import Figure
    from console.web.visits import Visit
    from models.strategy.rules import Strategy

router = APIRouter()

BOOK: Final = strategy.BOOK
PATH: Final = "/strategies"
Stood = tuple[str, int, datetime | None, int]
"""A stage, how many accounts runs put there, since when the oldest, and how many are with agencies."""
COUNTED_AT_ONCE: Final = 50_000
"""Open accounts of a lender up to which a strategy is tried out while the page is made: a second or two."""
SHOWN_VERSIONS: Final = 50

Text = Annotated[str, Form()]


# -- the rules ---------------------------------------------------------------------------------------------------------


@router.get("/strategies", dependencies=[needs("strategies.see")])
def every(visit: Visiting, lender: str = "") -> Response:
    """The strategies in force and who goes by them, what waits, and the stages of one lender's accounts."""
    return _list(visit, lender)


def _list(visit: Visit, lender: str = "", *, problem: ConsignError | None = None, text: str | None = None) -> Response:
    at = visit.desk
    with seated_here(at), at.database.read() as connection:
        lenders = browsing.lenders(connection)
        goes_by = BOOK.of_lenders(connection, lenders, at.settings.strategy)
        in_force = BOOK.all_in_force(connection)
        waiting = stages.waiting(connection, lenders)
        drafts = [row for row in BOOK.listed(connection) if row["state"] in {"draft", "invalid"}]
        versions = [told(row) for row in versions_kept.versions(connection, BOOK.sort)]
    chosen = asked.one_of(lender, lenders) if lender else next(iter(lenders), "")
    return visit.page(
        "strategy/strategies.html", in_force=in_force, goes_by=goes_by, lenders=lenders, lender=chosen,
        drawn=_drawn(visit, chosen, goes_by.get(chosen)), waiting=waiting, drafts=drafts,
        versions=versions[:SHOWN_VERSIONS], shipped=set(BOOK.shelf.shipped()), states=STATES, words=rulewords,
        refused=rulebooks.refused(text, problem) if problem is not None and text is not None else None,
        problem=problem, text=text or "", status=200 if problem is None else status_of(problem),
    )  # fmt: skip


def _drawn(visit: Visit, lender: str, one: Strategy | None) -> list[dict[str, Any]]:
    """The stages of the lender's strategy, softest first, with how many of its accounts stand in each."""

    def count() -> list[Stood]:
        with visit.desk.database.read() as connection:
            rows = stages.standing(connection, lender)
        return [(row["stage"], row["accounts"], row["oldest"], row["out"]) for row in rows]

    counted = FIGURES.count(visit.desk, ("stages", lender), count, list[Stood]).value
    there = {row[0]: dict(zip(("stage", "accounts", "oldest", "out"), row, strict=True)) for row in counted}
    known = [] if one is None else [part.stage for part in one.stages]
    works = {} if one is None else {part.stage: rulewords.worked(visit.say, part) for part in one.stages}
    nothing = {"accounts": 0, "out": 0, "oldest": None}
    return [
        {"stage": stage, "name": rulewords.stage_named(visit.say, stage), "worked": works.get(stage, ""),
         **nothing, **there.get(stage, {})}
        for stage in standings.STAGES if stage in known or stage in there
    ]  # fmt: skip


@router.post("/strategies", dependencies=[needs("strategies.change")])
def propose(visit: Visiting, file: rulebooks.Upload = None, toml: Text = "") -> Response:
    """A version is up for approval; one that cannot work is shown with the line that is wrong."""
    text = ""
    try:
        text = rulebooks.given(visit, file, toml)
        with seated_here(visit.desk):
            made = BOOK.propose_text(visit.desk, text)
    except ConsignError as problem:
        return _list(visit, problem=problem, text=text)
    return visit.go(
        f"/strategies/{made.name}{query(version=made.version)}",
        visit.say("Proposed: a second person must approve it."),
    )


@router.get("/strategies/{name}", dependencies=[needs("strategies.see")])
def one(visit: Visiting, name: str, version: str = "", against: str = "", lender: str = "") -> Response:
    """One strategy: its stages, its rules, what it does otherwise than another version."""
    return _strategy(visit, name, version, against, lender)


def _strategy(
    visit: Visit, name: str, version: str = "", against: str = "", lender: str = "", *,
    problem: ConsignError | None = None,
) -> Response:  # fmt: skip
    found = rulebooks.shown(visit, BOOK, name, version, against)
    with visit.desk.database.read() as connection:
        lenders = browsing.lenders(connection)
    changed = None
    if found.other is not None:
        changed = difference.differences(found.other, found.rules, rulewords.of(visit.say))
    return visit.page(
        "strategy/strategy.html", shown=found, one=found.rules, states=STATES, words=rulewords, lenders=lenders,
        lender=lender, against=against, changed=changed, problem=problem,
        status=200 if problem is None else status_of(problem),
    )  # fmt: skip


@router.post("/strategies/{name}/{version}/approve", dependencies=[needs("strategies.approve")])
def approve(visit: Visiting, name: str, version: str) -> Response:
    """The proposed version is in force."""
    return rulebooks.approve(visit, BOOK, name, version, PATH, _again(visit, name, version))


@router.post("/strategies/{name}/{version}/withdraw", dependencies=[needs("strategies.change")])
def withdraw(visit: Visiting, name: str, version: str, reason: Text = "") -> Response:
    """The version counts no more, or the proposal is taken back."""
    return rulebooks.withdraw(visit, BOOK, name, version, reason, PATH, _again(visit, name, version))


def _again(visit: Visit, name: str, version: str) -> rulebooks.Again:
    return lambda problem: _strategy(visit, name, version, problem=problem)


# -- what it would do --------------------------------------------------------------------------------------------------


@router.get("/strategies/{name}/preview", dependencies=[needs("strategies.see")])
def preview(visit: Visiting, name: str, version: str = "", lender: str = "", against: str = "") -> Response:
    """What the version would do with a lender's accounts today; nothing is kept."""
    found = rulebooks.shown(visit, BOOK, name, version, against)
    with visit.desk.database.read() as connection:
        lenders, names = browsing.lenders(connection), browsing.agencies(connection)
        chosen = asked.one_of(lender, lenders) if lender else next(iter(found.rules.lenders or lenders), "")
        goes_by = BOOK.of_lenders(connection, [chosen], visit.desk.settings.strategy)[chosen]
        known = FIGURES.find(visit.desk, _key(found.rules, chosen))
        few = known is not None or _few_accounts(visit, chosen)
    counted = _tried_out(visit, found.rules, chosen) if few and chosen else None
    return visit.page(
        "strategy/preview.html", shown=found, one=found.rules, lenders=lenders, lender=chosen, counted=counted,
        goes_by=goes_by, words=rulewords, states=STATES, told=rulewords.mandate(visit.say), names=names,
    )  # fmt: skip


@router.get("/strategies/{name}/preview/counted", dependencies=[needs("strategies.see")])
def counted(visit: Visiting, name: str, lender: str, version: str = "") -> Response:
    """The same of very many accounts, counted now: a part of the page, or the page."""
    found = rulebooks.shown(visit, BOOK, name, version)
    with visit.desk.database.read() as connection:
        asked.one_of(lender, browsing.lenders(connection))
        names = browsing.agencies(connection)
    figures = _tried_out(visit, found.rules, lender)
    if not visit.is_partial:
        return visit.go(f"/strategies/{name}/preview{query(version=version, lender=lender)}")
    return visit.page(
        "strategy/counted.html", shown=found, one=found.rules, lender=lender, counted=figures, words=rulewords,
        told=rulewords.mandate(visit.say), names=names,
    )  # fmt: skip


def _key(one: Strategy, lender: str) -> tuple[str, ...]:
    return ("strategy", one.sha256, lender)


def _few_accounts(visit: Visit, lender: str) -> bool:
    def count() -> int:
        with visit.desk.database.read() as connection:
            return sum(int(row["accounts"]) for row in browsing.facets(connection, lender))

    return FIGURES.count(visit.desk, ("open accounts", lender), count).value <= COUNTED_AT_ONCE


def _tried_out(visit: Visit, one: Strategy, lender: str) -> Figure[dict[str, Any]]:
    """Moves, recalls and who is left by counts, and who may work the stages, with when that was so."""

    def count() -> dict[str, Any]:
        with seated_here(visit.desk):
            found, back = verbs.tried_out(one, lender)
        return {
            "as_of": found.as_of, "accounts": found.accounts, "moves": len(found.moves.lines),
            **strategy.summary(found),
            "recalls": records(strategy.fallen(back)),
            "nobody": [part.stage for part in one.placing if not strategy.mandated(found.mandates, part.stage)],
        }  # fmt: skip

    return FIGURES.count(visit.desk, _key(one, lender), count)


# -- stages ------------------------------------------------------------------------------------------------------------


@router.get("/stages", dependencies=[needs("strategies.see")])
def accounts(visit: Visiting, lender: str = "", stage: str = "", after: str = "") -> Response:
    """The accounts that a run put into a stage."""
    with visit.desk.database.read() as connection:
        lenders = browsing.lenders(connection)
        chosen = asked.one_of(lender, lenders) if lender else next(iter(lenders), "")
        shown = asked.one_of(stage, standings.STAGES) if stage else next(iter(standings.STAGES))
        page = stages.accounts(connection, chosen, shown, after or None)
    return visit.page(
        "strategy/accounts.html", page=page, lenders=lenders, lender=chosen, stage=shown, after=after,
        stages=standings.STAGES,
    )  # fmt: skip


@router.get("/stages/accounts/{account_id}", dependencies=[needs("strategies.see")])
def account(visit: Visiting, account_id: int) -> Response:
    """Every move of one account, the newest first: which run, which rule, who approved."""
    with visit.desk.database.read() as connection:
        moved = records(store.history(connection, account_id))
        rows = [row | {"explained": _explained(visit, connection, row)} for row in moved]
    return visit.page("strategy/account.html", rows=rows, account_id=account_id, words=rulewords)


def _explained(visit: Visit, connection: Any, row: dict[str, Any]) -> str:
    """Why the account moved so, by the version that moved it; where that is gone, by the rule's name."""
    try:
        by = BOOK.version(connection, row["strategy"], row["version"])
    except ConsignError:
        return visit.say("Rule %(name)s.", name=row["rule"])
    return rulewords.explained(visit.say, by, row)
