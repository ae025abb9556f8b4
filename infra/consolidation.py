"""Consolidated collection: the bases on which debtors may be linked, who is linked, and who is with two agencies.

Nothing is linked without a basis in force at both lenders: proposed by one person, approved by another of compliance,
and over on its last day or when somebody withdraws it. What hangs on a link asks for that at the moment itself; the
rows of linked debtors are made anew when a basis or a portfolio changes, before a plan, and once a day.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from infra import audit, exceptions, roles
from infra.diligence import REFERENCE
from infra.exceptions import Subject, check_text
from infra.store import consolidation as store
from infra.store import joint, portfolios, trail
from keys import linkage
from models.consolidation import CIRCLE, ORDERS, SCOPES
from models.errors import RefusedByPolicy, UsageError
from models.lives import CONSOLIDATION_BASIS, moved

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import date
    from pathlib import Path

    from sqlalchemy import Connection, Row

    from infra.store.keyset import Page
    from infra.wiring import Desk

LONGEST_BASIS: Final = 500


@dataclass(frozen=True)
class Linked:
    """What looking up the circles anew has changed."""

    circles: int
    linked: int
    """debtors who are linked now and were not"""
    unlinked: int
    divided: int = 0
    """persons whose accounts are with several agencies"""


@dataclass(frozen=True)
class Proposed:
    """A basis that waits for a second person; without a number it was only tried."""

    basis_id: int | None
    circle: str
    scope: str
    lender: str
    valid_from: date
    valid_until: date | None
    split_order: str
    state: str


def propose(  # noqa: PLR0913 - a basis's columns
    desk: Desk,
    circle: str,
    lender: str,
    *,
    scope: str,
    basis: str,
    evidence: str = "",
    document: Path | None = None,
    valid_from: date,
    valid_until: date | None = None,
    split_order: str = "oldest_first",
    split_rank: int = 1,
    dry_run: bool = False,
) -> Proposed:
    """The basis waits for a second person.

    evidence: where the document is; document: the document itself, of which the hash is kept. Raises UsageError for
    words that are none, an unknown lender, days that contradict, and terms that differ from those of the circle.
    """
    _check_words(circle, scope, basis, evidence, split_order)
    if not evidence.strip() and document is None:
        raise UsageError("a basis needs evidence", fix="--document FILE, or --evidence with where it is")
    if valid_until is not None and valid_until < valid_from:
        raise UsageError(f"{valid_until} lies before {valid_from}", fix="check --from and --until")
    told = Proposed(None, circle, scope, lender, valid_from, valid_until, split_order, "proposed")
    digest = None if document is None else _sha256(document)
    with desk.database.write() as connection:
        trail.hold(connection)
        portfolios.held_lender(connection, lender)
        _fits(store.standing(connection, circle), told)
        if dry_run:
            return told
        number = store.add(
            connection, circle=circle, scope=scope, lender=lender, basis=basis.strip(), valid_from=valid_from,
            evidence=evidence.strip() or str(document and document.name), evidence_sha256=digest,
            valid_until=valid_until, split_order=split_order, split_rank=split_rank, state="proposed",
            proposed_by=desk.actor, proposed_at=desk.now(),
        )  # fmt: skip
        _record(connection, desk, "proposed", store.basis(connection, number))
    return Proposed(number, circle, scope, lender, valid_from, valid_until, split_order, "proposed")


def approve(desk: Desk, basis_id: int, *, relink: bool = True) -> Linked:
    """The basis counts on its days, and the circle's debtors are linked.

    relink: false leaves the looking up to `consolidate`, which who has many debtors runs as a job.
    Raises RoleMissing, RefusedByPolicy for whoever proposed it and for a second basis of the lender in the circle.
    """
    with desk.database.write() as connection:
        trail.hold(connection)
        roles.require(connection, desk, "compliance")
        row = store.basis(connection, basis_id)
        if row.proposed_by == desk.actor:
            raise RefusedByPolicy(
                f"{desk.actor} proposed basis {basis_id}, and cannot approve it", fix="let a second person look at it"
            )
        others = [one for one in store.standing(connection, row.circle) if one.lender == row.lender]
        if twice := [one.basis_id for one in others if one.state == "in_force"]:
            raise RefusedByPolicy(
                f"{row.lender} has basis {twice[0]} in circle {row.circle} already", fix="withdraw that one first"
            )
        _move(connection, row, "in_force", approved_by=desk.actor, approved_at=desk.now())
        _record(connection, desk, "approved", row)
        return refresh(connection, desk) if relink else Linked(0, 0, 0)


def withdraw(desk: Desk, basis_id: int, reason: str, *, relink: bool = True) -> Linked:
    """The basis counts no more, and what it linked is linked no more. One person is enough: it can only stop things.

    relink: as in `approve`; rows that are left over link nobody, for a link counts by its bases alone.
    Raises RoleMissing (whoever proposed it may take a proposal back), UsageError for a reason that says nothing.
    """
    check_text(reason)
    with desk.database.write() as connection:
        trail.hold(connection)
        row = store.basis(connection, basis_id)
        if row.state != "proposed" or row.proposed_by != desk.actor:
            roles.require(connection, desk, "compliance")
        _move(connection, row, "withdrawn", withdrawn_by=desk.actor, withdrawn_at=desk.now(), reason=reason)
        _record(connection, desk, "withdrawn", row)
        return refresh(connection, desk) if relink else Linked(0, 0, 0)


def refresh(connection: Connection, desk: Desk, lender: str | None = None) -> Linked:
    """The linked debtors are those of the circles that count today (of a lender: of its circles alone)."""
    today = desk.today()
    counting = store.circles(connection, today)
    trail.hold(connection)
    unlinked = store.drop_circles(connection, sorted(set(counting["circle"])))
    mine = set(counting["circle"]) if lender is None else set(counting.loc[counting["lender"] == lender, "circle"])
    new = 0
    for circle, part in counting[counting["circle"].isin(mine)].groupby("circle"):
        joined, left = store.renew(connection, str(circle), _together(connection, desk, part), desk.now())
        new, unlinked = new + joined, unlinked + left
    if new or unlinked:
        details: dict[str, audit.Value] = {"new": new, "withdrawn": unlinked, "entries": len(mine)}
        audit.record(connection, desk.actor, "consolidation.linked", f"lender:{lender or 'all'}", details, desk.now())
    return Linked(len(mine), new, unlinked)


def renewed(desk: Desk, lender: str) -> None:
    """Who is linked with the lender's debtors is as of now; where nobody may be, nothing is looked up."""
    with desk.database.read() as connection:
        if not store.held(connection, lender, desk.today()):
            return
    with desk.database.write() as connection:
        refresh(connection, desk, lender)


def _together(connection: Connection, desk: Desk, part: pd.DataFrame) -> pd.DataFrame:
    """`debtor_id`, `lender`, `link` of the circle's debtors who may share a link.

    Looked at shard by shard, and twice, so that memory holds one number per debtor and the rows of those who share it.
    """
    if len(part) == 1:  # one lender: there is nobody to be linked with
        return pd.DataFrame({"debtor_id": pd.Series(dtype="int64"), "lender": "", "link": pd.Series(dtype="str")})
    heads = np.sort(np.concatenate([_heads(shard["link"]) for shard in _shards(connection, desk, part)]))
    twice = np.unique(heads[1:][heads[1:] == heads[:-1]])
    found = [shard[np.isin(_heads(shard["link"]), twice)] for shard in _shards(connection, desk, part)]
    return pd.concat(found, ignore_index=True)


def _shards(connection: Connection, desk: Desk, part: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Every debtor of the circle's lenders in the circle's domain."""
    secret = desk.keyring.secret(linkage.KEPT_AS)
    for lender, circle, scope in zip(part["lender"], part["circle"], part["scope"], strict=True):
        for debtors in store.known(connection, lender, desk.settings.shard_rows):
            link = linkage.in_circle(secret, lender, f"{scope}:{circle}", debtors["linkage"])
            yield debtors[["debtor_id"]].assign(lender=lender, link=link)


def _heads(links: pd.Series) -> np.ndarray:
    """The first 64 bits of each link."""
    return np.frombuffer(bytes.fromhex("".join(links.str.slice(0, 16))), dtype=">u8").astype(np.uint64)


def consolidate(desk: Desk) -> Linked:
    """Who is linked is looked up anew, and persons with several agencies are exceptions, one per circle."""
    with desk.database.write() as connection:
        told = refresh(connection, desk)
        divided = store.divided(connection, desk.today())
        persons = divided.drop_duplicates(["circle", "link"])["circle"].value_counts().sort_index()
        subjects = [
            Subject(f"circle:{circle}", detail={"debtors": int(count)}) for circle, count in persons.items()
        ]  # fmt: skip
        exceptions.watched(connection, desk, "linked_divided", subjects, "all accounts of a person are with one agency")
    return Linked(told.circles, told.linked, told.unlinked, int(persons.sum()))


def divided(desk: Desk) -> pd.DataFrame:
    """Persons whose accounts are with several agencies: a number each, their lenders and agencies; for the operator.

    Raises RoleMissing for who is not of compliance: the list holds several lenders' debtors side by side.
    """
    with desk.database.write() as connection:
        roles.require(connection, desk, "compliance")
        found = store.divided(connection, desk.today())
        number = found.groupby(["circle", "link"], sort=False).ngroup() + 1
        details: dict[str, audit.Value] = {"debtors": int(number.nunique())}
        audit.record(connection, desk.actor, "consolidation.divided", "circle:all", details, desk.now())
    return found.assign(person=number)[["person", "circle", "lender", "debtor_id", "agency"]]


def persons(desk: Desk, circle: str, after: str | None = None, *, divided: bool = False) -> Page:
    """Who is one person in the circle, a page at a time (infra.store.joint.persons); that somebody looked is kept.

    Raises RoleMissing for who is not of compliance: the list holds several lenders' debtors side by side.
    """
    with desk.database.write() as connection:
        roles.require(connection, desk, "compliance")
        page = joint.persons(connection, circle, desk.today(), after, divided=divided)
        details: dict[str, audit.Value] = {"entries": len(page.rows)}
        audit.record(connection, desk.actor, "consolidation.looked", f"circle:{circle}", details, desk.now())
    return page


def known_circle(desk: Desk, circle: str) -> str:
    """The circle, which counts today. Raises UsageError."""
    with desk.database.read() as connection:
        known = sorted(set(store.circles(connection, desk.today())["circle"]))
    if circle not in known:
        raise UsageError("no basis of such a circle counts today", fix=f"there are {', '.join(known) or 'none'}")
    return circle


def _check_words(circle: str, scope: str, basis: str, evidence: str, split_order: str) -> None:
    if not CIRCLE.fullmatch(circle):
        raise UsageError("a circle's name is 2 to 20 of a-z, 0-9 and -", fix="choose a short one: retail-group")
    for name, value, words in (("scope", scope, SCOPES), ("order", split_order, ORDERS)):
        if value not in words:
            raise UsageError(f"the {name} is one of {', '.join(words)}")
    if not basis.strip() or len(basis) > LONGEST_BASIS or not basis.isprintable():
        raise UsageError(
            f"a basis is said in words, {LONGEST_BASIS} characters at most",
            fix="name the article and the agreement: `PIPL art. 13(1)(1), consent of the debtor, agreement of 3 May`",
        )
    if not REFERENCE.fullmatch(evidence):
        raise UsageError("evidence is named in up to 120 ASCII characters", fix="say where the document is")


def _fits(others: Iterable[Row[Any]], told: Proposed) -> None:
    """The circle has one scope and one order of splitting, and a lender one open proposal in it."""
    for one in others:
        if (one.scope, one.split_order) != (told.scope, told.split_order):
            raise UsageError(
                f"circle {told.circle} is {one.scope} and splits by {one.split_order}",
                fix="propose the same, or another circle",
            )
        if one.lender == told.lender and one.state == "proposed":
            raise UsageError(
                f"basis {one.basis_id} of {told.lender} waits for approval already",
                fix=f"`consign consolidate approve {one.basis_id}`, or withdraw it first",
            )


def _sha256(document: Path) -> str:
    try:
        return hashlib.sha256(document.read_bytes()).hexdigest()
    except OSError as broken:
        raise UsageError(f"{document} cannot be read: {type(broken).__name__}", fix="name a file") from None


def _move(connection: Connection, row: Row[Any], there: str, **columns: object) -> None:
    state = moved(f"basis {row.basis_id}", row.state, there, CONSOLIDATION_BASIS)
    if not store.change(connection, row.basis_id, row.state, state=state, **columns):
        raise RefusedByPolicy(f"basis {row.basis_id} was changed by somebody else just now", fix="look at it again")


def _record(connection: Connection, desk: Desk, what: str, row: Row[Any]) -> None:
    details: dict[str, audit.Value] = {
        "lender": row.lender, "kind": row.scope, "sha256": row.evidence_sha256, "from": row.valid_from.isoformat(),
        "until": None if row.valid_until is None else row.valid_until.isoformat(), "rule": row.split_order,
    }  # fmt: skip
    subject = f"consolidation_basis:{row.basis_id}"
    audit.record(connection, desk.actor, f"consolidation.{what}", subject, details, desk.now())
