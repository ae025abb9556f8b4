"""Requests of debtors about their data, from the letter to the answer: opened, verified, worked on, ended by a person.

Whoever asks is found by keyed index and kept as a number. A restriction puts the debtor on hold at once, an erasure
when it was verified who asks; agencies are told by `attend` (flows/subjects.py), and what they owe is read from the
store each time, so that nothing here can lag behind their answers.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from infra import audit, clocks, exceptions, rulepacks, shredding
from infra.evidence import files
from infra.exceptions import check_text
from infra.indexes import debtor_known_by
from infra.register import Question
from infra.reidentification import opened_for_subject
from infra.roles import require
from infra.store import conduct, exchange, portfolios, propensity, trail
from infra.store import subjects as store
from models.calendar import Span, due_on
from models.errors import RefusedByPolicy, UsageError
from models.kinds import CORRECTABLE
from models.lives import SUBJECT_REQUEST, moved
from models.subject import BASES, GROUNDS, HOLD, KINDS, onward

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    import pandas as pd
    from sqlalchemy import Connection, Row

    from infra.store.conduct import Audited
    from infra.wiring import Desk

REF_AT_MOST: Final = 80
FACTS: Final = (
    "account_id", "product", "currency", "original_minor", "principal_minor", "interest_minor", "fees_minor",
    "balance_minor", "dpd", "bucket", "region", "opened_on", "due_on", "last_paid_on", "score_band", "as_of", "status",
    "rounds",
)  # fmt: skip
"""What of an account is in clear columns, for the answer to an access request."""


@dataclass(frozen=True)
class Opened:
    """A request as it stands after opening."""

    request_id: int | None
    """None: nothing was opened (--dry-run)"""
    kind: str
    state: str
    due_on: date
    within: str
    clause: str
    accounts: int
    agencies: int
    """how many have, or had, an account of the debtor's"""
    on_hold: bool
    known_before: bool


@dataclass(frozen=True)
class Ended:
    """How a request ended."""

    request_id: int
    kind: str
    state: str
    outcome: str
    basis: str | None
    forgotten: bool = False
    """the debtor's identity is destroyed here"""
    answer_sha256: str | None = None


def open_request(  # noqa: PLR0913 - what a letter says
    desk: Desk,
    lender: str,
    who: str,
    kind: str,
    *,
    ground: str = "asked",
    fields: Sequence[str] = (),
    received_on: date | None = None,
    ref: str = "",
    dry_run: bool = False,
) -> Opened:
    """The request is in the register and its clock runs; the same request again, while it lasts, is one.

    who: as `infra.register.Question` has it. A restriction puts the debtor on hold in the same transaction.
    Raises UsageError for an unknown kind, ground, field or lender, a day to come, and where nobody is found.
    """
    _check(kind, ground, fields, ref)
    named = ",".join(sorted(set(fields)))
    with desk.database.write() as connection:
        of = _lender(connection, lender)
        today = desk.today(of.timezone)
        received = received_on or today
        if received > today:
            raise UsageError("that day has not come", fix="--received is the day on which the request came")
        debtor_id = debtor_known_by(connection, desk.keyring, lender, who)
        due, within, clause = deadline(desk, of, received)
        accounts, agencies = store.reach(connection, debtor_id)
        trail.hold(connection)
        row = store.ongoing(connection, lender, debtor_id, kind, named)
        known = row is not None
        if row is None and not dry_run:
            request_id = store.add(
                connection, lender=lender, debtor_id=debtor_id, kind=kind,
                ground=ground if kind == "restriction" else "", fields=named, ref=ref.strip(), state="received",
                received_on=received, due_on=due, within=within, clause=clause, opened_by=desk.actor,
                opened_at=desk.now(),
                hold_id=_held(connection, desk, debtor_id, today) if kind == "restriction" else None,
            )  # fmt: skip
            said: dict[str, audit.Value] = {
                "kind": kind, "lender": lender, "due": due.isoformat(), "accounts": accounts, "basis": ground,
                "fields": named or None,
            }  # fmt: skip
            _record(connection, desk, "opened", request_id, said)
            row = store.request(connection, request_id)
    return Opened(
        request_id=row.request_id if row else None, kind=kind, state=row.state if row else "received",
        due_on=row.due_on if row else due, within=within, clause=clause, accounts=accounts, agencies=agencies,
        on_hold=kind == "restriction" and row is not None, known_before=known,
    )  # fmt: skip


def deadline(desk: Desk, of: Audited, received: date) -> tuple[date, str, str]:
    """By when a request of that day is answered, by which clock, and where that is written; the soonest counts."""
    found = []
    for pack in rulepacks.of(of):
        told = pack.subject_requests
        within = told.within or Span.parse(desk.settings.answer_subjects_within)
        calendar = clocks.calendar(desk, desk.settings.calendar, received)
        found.append((due_on(received, within, calendar), str(within), told.clause))
    return min(found)


def verify(desk: Desk, request_id: int, proof: str) -> tuple[str, str]:
    """It is proved that the debtor asks; what the kind of request wants begins. Returns its kind and state.

    proof: how, in words, without numbers of documents. An erasure puts the debtor on hold now. Raises IllegalMove,
    RoleMissing, UsageError.
    """
    check_text(proof)
    with desk.database.write() as connection:
        exchange.take_turn(connection)
        row = _to_move(connection, desk, request_id)
        moved(f"request {request_id}", row.state, "verified", SUBJECT_REQUEST)
        state = "verified" if row.kind == "correction" else moved("", "verified", "in_progress", SUBJECT_REQUEST)
        hold_id = row.hold_id
        if row.kind == "erasure":
            hold_id = _held(connection, desk, row.debtor_id, _today(connection, desk, row.lender))
        store.change(
            connection, request_id, row.state, state=state, proof=proof.strip(), verified_by=desk.actor,
            verified_at=desk.now(), hold_id=hold_id,
        )  # fmt: skip
        _record(connection, desk, "verified", request_id, {"kind": row.kind, "state": state})
    return str(row.kind), state


def follow(connection: Connection, desk: Desk, lender: str | None = None) -> int:
    """Requests wait for agencies that owe something, and are ours again when none does. Returns how many moved."""
    rows = store.worked_on(connection, lender)
    owed = store.outstanding(connection, [row.request_id for row in rows]).groupby("request_id")["placements"].sum()
    changed = 0
    for row in rows:  # people's letters, not accounts
        state = onward(row.state, int(owed.get(row.request_id, 0)))
        if state == row.state:
            continue
        moved(f"request {row.request_id}", row.state, state, SUBJECT_REQUEST)
        trail.hold(connection)
        since = row.waiting_since or (desk.now() if state == "waiting" else None)
        store.change(connection, row.request_id, row.state, state=state, waiting_since=since)
        _record(connection, desk, state, row.request_id, {"kind": row.kind, "count": int(owed.get(row.request_id, 0))})
        changed += 1
    return changed


def answer_access(desk: Desk, request_id: int) -> tuple[dict[str, Any], Ended]:
    """The evidence that answers an access request, and how it ended: what is held, and who was told what and why.

    Asked again it is made anew, and the last one counts. Raises IllegalMove, RoleMissing, TooManyAsked.
    """
    with desk.database.write() as connection:
        row = _to_move(connection, desk, request_id, kind="access")
        if row.state != "answered":
            moved(f"request {request_id}", row.state, "answered", SUBJECT_REQUEST)
        accounts = store.accounts_of_debtor(connection, row.debtor_id)
        facts = store.facts(connection, accounts, FACTS)
        foretold = propensity.of_accounts(connection, accounts)
    why = f"access request {request_id}"
    identities = opened_for_subject(desk, accounts, why)
    held = {"facts": files.rows_of(facts), "foretold": files.rows_of(foretold), "identities": identities}
    question = Question(row.lender, "", why)
    evidence, exported = files.of_accounts(desk, question, accounts, held, request_id)
    with desk.database.write() as connection:
        ended = Ended(request_id, row.kind, "answered", "whole", None, answer_sha256=exported.sha256)
        return evidence, _end(connection, desk, ended)


def answer(desk: Desk, request_id: int, *, keep: str | None = None, forget: bool = False, reason: str = "") -> Ended:
    """The request has been done and the debtor answered; agencies owe nothing for it any more.

    Of an erasure: `forget` destroys the identity here, or `keep` says by which legal basis it is stored on (BASES), on
    hold, and `reason` why in words. Raises RefusedByPolicy while agencies owe something, and while the debtor is not
    to be forgotten; IllegalMove, RoleMissing, UsageError.
    """
    with desk.database.write() as connection:
        row = _to_move(connection, desk, request_id)
        if row.kind == "access":
            raise UsageError(f"request {request_id} is one for access", fix="name with --out where the answer goes")
        _may_end(connection, row, keep=keep, forget=forget, reason=reason)
    if forget:
        shredding.erase_debtor(desk, row.debtor_id, f"erasure asked for: request {request_id}")
    with desk.database.write() as connection:
        ended = Ended(request_id, row.kind, "answered", "partly" if keep else "whole", keep, forgotten=forget)
        return _end(connection, desk, ended, reason or None)


def refuse(desk: Desk, request_id: int, basis: str, reason: str) -> Ended:
    """The request is refused by a legal reason (BASES); the hold that it put on is lifted, unless another one needs it.

    Raises UsageError for a basis that does not fit the kind, RefusedByPolicy for a correction that agencies were told
    already, IllegalMove, RoleMissing.
    """
    check_text(reason)
    with desk.database.write() as connection:
        row = _to_move(connection, desk, request_id)
        _fitting(row.kind, basis)
        if len(store.corrections(connection, request_id)):
            message = f"request {request_id} was done in part: agencies were told the corrected value"
            raise RefusedByPolicy(message, fix="correct it again, to what is right, or answer it")
        needed = store.held_by_others(connection, row)
        if row.hold_id is not None and not needed and portfolios.lift_hold(connection, row.hold_id, desk.now()):
            audit.record(connection, desk.actor, "hold.lifted", f"hold:{row.hold_id}", {}, desk.now())
        return _end(connection, desk, Ended(request_id, row.kind, "refused", "refused", basis), reason)


def prove(desk: Desk, request_id: int, why: str) -> tuple[dict[str, Any], files.Exported]:
    """Evidence of what agencies were told about who asked, and what they certified; also when the identity is gone."""
    check_text(why)
    with desk.database.read() as connection:
        row = store.request(connection, request_id)
        accounts = store.accounts_of_debtor(connection, row.debtor_id)
    return files.of_accounts(desk, Question(row.lender, "", why), accounts, None, request_id)


def standing(desk: Desk, request_id: int) -> dict[str, Any]:
    """The request whole: its row, what agencies owe, the corrections they were told, and what may end it."""
    with desk.database.read() as connection:
        row = store.request(connection, request_id)
        owed = store.outstanding(connection, [request_id])
        told = store.corrections(connection, request_id)
    return {
        **row._mapping,  # noqa: SLF001 - SQLAlchemy's public name for a row's columns
        "about": KINDS[row.kind],
        "ground": GROUNDS.get(row.ground, ""),
        "basis": BASES[row.basis].about if row.basis else None,
        "agencies_owe": files.rows_of(owed.drop(columns="request_id")),
        "corrections": files.rows_of(told),
    }


def late(connection: Connection, desk: Desk) -> list[exceptions.Subject]:
    """The requests whose day is over where the lender is, as subjects of exceptions."""
    return [
        exceptions.Subject(
            f"subject_request:{row.request_id}", None, row.lender, None,
            {"kind": row.kind, "state": row.state, "due": row.due_on.isoformat()},
        )
        for lender, zone in exchange.lenders(connection)
        for row in store.overdue(connection, lender, desk.today(zone))
    ]  # fmt: skip


# -- how it is done ----------------------------------------------------------------------------------------------------


def _check(kind: str, ground: str, fields: Sequence[str], ref: str) -> None:
    if kind not in KINDS:
        raise UsageError(f"{kind!r} is no kind of request", fix=f"one of {', '.join(KINDS)}")
    if ground not in GROUNDS:
        raise UsageError(f"{ground!r} is no ground", fix=f"one of {', '.join(GROUNDS)}")
    if kind != "correction" and fields:
        raise UsageError(f"a request for {kind} names no fields", fix="leave --field out")
    if kind == "correction" and (not fields or set(fields) - set(CORRECTABLE)):
        raise UsageError("a correction names what is wrong", fix=f"--field, one of {', '.join(CORRECTABLE)}")
    if ref:
        check_text(ref)
        if len(ref) > REF_AT_MOST:
            raise UsageError("the reference is too long", fix=f"{REF_AT_MOST} characters at most")


def _lender(connection: Connection, code: str) -> Audited:
    found = next((one for one in conduct.lenders(connection) if one.lender == code), None)
    if found is None:
        raise UsageError(f"there is no lender {code!r}", fix="`consign portfolio lender list` shows them")
    return found


def _today(connection: Connection, desk: Desk, lender: str) -> date:
    return desk.today(exchange.lender_timezone(connection, lender))


def _held(connection: Connection, desk: Desk, debtor_id: int, today: date) -> int | None:
    """The debtor is on hold from today: no plan takes them, and the next recall takes back what is out.

    Returns the hold that was put on for it; None where the debtor was on such a hold already.
    """
    hold_id, changed = portfolios.add_hold(connection, debtor_id, None, HOLD, today, None, desk.actor)
    if changed:
        details: dict[str, audit.Value] = {"hold_id": hold_id, "reason": HOLD}
        audit.record(connection, desk.actor, "hold.placed", f"debtor:{debtor_id}", details, desk.now())
    return hold_id if changed else None


def _to_move(connection: Connection, desk: Desk, request_id: int, kind: str | None = None) -> Row[Any]:
    """The request's row, as it stays until the transaction ends; whoever acts may. Anybody may open a request."""
    trail.hold(connection)
    row = store.request(connection, request_id)
    require(connection, desk, "compliance")
    if kind is not None and row.kind != kind:
        raise UsageError(f"request {request_id} is one for {row.kind}", fix="leave --out away")
    return row


def _may_end(connection: Connection, row: Row[Any], *, keep: str | None, forget: bool, reason: str) -> None:
    """Raises what stands against answering the request now."""
    moved(f"request {row.request_id}", row.state, "answered", SUBJECT_REQUEST)
    if row.kind != "erasure" and (keep or forget):
        raise UsageError(f"a request for {row.kind} forgets nobody", fix="leave --forget and --keep away")
    if row.kind == "erasure":
        if forget == (keep is not None):
            raise UsageError("is the identity destroyed here, or kept?", fix="--forget, or --keep BASIS --reason WHY")
        if keep is not None:
            _fitting(row.kind, keep)
            check_text(reason)
    owed = store.outstanding(connection, [row.request_id])
    if len(owed):
        raise RefusedByPolicy(
            f"request {row.request_id} waits for {_owing(owed)}",
            fix="`consign subject show` says for what; ask the agencies, then `consign subject run`",
        )


def _owing(owed: pd.DataFrame) -> str:
    told = [f"{row['agency']} ({row['owes']}: {row['placements']})" for row in owed.to_dict("records")]
    return ", ".join(told)


def _fitting(kind: str, basis: str) -> None:
    fit = [name for name, one in BASES.items() if kind in one.kinds]
    if basis not in fit:
        raise UsageError(f"{basis!r} is no legal reason against a request for {kind}", fix=f"one of {', '.join(fit)}")


def _end(connection: Connection, desk: Desk, ended: Ended, reason: str | None = None) -> Ended:
    """The request has ended so, in the store and on record; an exception about it is over."""
    trail.hold(connection)
    number = ended.request_id
    row = store.request(connection, number)
    if row.state != ended.state:
        moved(f"request {number}", row.state, ended.state, SUBJECT_REQUEST)
    store.change(
        connection, number, row.state, state=ended.state, outcome=ended.outcome, basis=ended.basis, reason=reason,
        answer_sha256=ended.answer_sha256, ended_by=desk.actor, ended_at=desk.now(),
    )  # fmt: skip
    exceptions.ended(connection, desk, "subject_request_overdue", f"subject_request:{number}", "it was answered")
    said: dict[str, audit.Value] = {
        "kind": row.kind, "outcome": ended.outcome, "basis": ended.basis, "sha256": ended.answer_sha256,
        "reason_sha256": hashlib.sha256(reason.encode()).hexdigest() if reason else None,
    }  # fmt: skip
    _record(connection, desk, ended.state, number, said)
    return ended


def _record(connection: Connection, desk: Desk, act: str, request_id: int, details: dict[str, audit.Value]) -> None:
    audit.record(connection, desk.actor, f"subject_request.{act}", f"subject_request:{request_id}", details, desk.now())
