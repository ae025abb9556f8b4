"""One break as whoever works on it sees it: both figures, why it did not match, candidates, and what may be done.

Read only; what is done about it is done by infra/resolving.py and infra/attachments.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import pandas as pd
from sqlalchemy import select

from infra import resolving
from infra.packages import account_pseudonyms
from infra.store import breaks, considered, resolutions, worklist
from infra.store.bulk import table_of
from infra.store.contracts import contracts_of
from models.errors import ConsignError
from models.lives import RESOLUTION as LIFE
from models.reconcile.breaks import BLOCKING, DUPLICATE
from models.reconcile.sides import Checked, Nearest, checked, fit
from models.tables import BankReceipt, RemittanceLine

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from infra.store.considered import Kind
    from infra.store.worklist import Row
    from infra.wiring import Desk

CANDIDATES: Final = 5
RECEIPT: Final = table_of(BankReceipt)
LINE: Final = table_of(RemittanceLine)
TIEABLE: Final = frozenset({"no_receipt", "no_line", "amount_diff", "ambiguous", "wrong_currency", "wrong_agency"})
"""Of these codes what is open may be tied by hand, or given up."""


@dataclass(frozen=True)
class Candidate:
    """What may belong to the item: lines or receipts of the other side, perhaps with others of its own side."""

    by: str
    """reference | amount | nearest | sum | several"""
    lines: tuple[int, ...]
    receipts: tuple[int, ...]
    reference: str
    off_minor: int
    off_days: int
    fit: int
    """0 to 100, for the eye (models.reconcile.sides.fit)"""


@dataclass(frozen=True)
class Act:
    """Something that may be done now: its kind, what it is about, and how many others must agree."""

    kind: str
    amount_minor: int
    others: int


@dataclass(frozen=True)
class Case:
    """A break with everything around it."""

    row: Row
    told: dict[str, Any]
    """as infra.store.breaks.whole has it"""
    item: tuple[Kind, int] | None
    """the line or receipt whose money is open, if any is"""
    open_minor: int
    pseudonym: str | None
    checks: list[Checked]
    why: dict[str, Any] | None
    """what the rules said of the item (models.reconcile.outcome.REASONS)"""
    candidates: list[Candidate]
    acts: dict[str, Act]
    matches: list[dict[str, Any]]
    notes: list[dict[str, Any]]
    resolutions: list[dict[str, Any]]
    refunds: list[dict[str, Any]] = field(default_factory=list)
    """transfers out of our account that may have given back what is over"""

    @property
    def is_open(self) -> bool:
        """Whether anything is left to do."""
        return bool(self.told["state"] == "open")


def case(desk: Desk, break_id: int, *, summed: bool = False) -> Case:
    """The break with everything around it. summed: with sums of several candidates, which take longer.

    Raises UsageError where there is no such break.
    """
    with desk.database.read() as connection:
        row = worklist.one(connection, break_id)
        told = breaks.whole(connection, break_id)
        item = _item(told)
        explained = considered.explained(connection, *item) if item else {}
        open_minor = int(explained.get("open_minor", 0))
        found: list[Candidate] = []
        tolerance = 0
        if item and told["state"] == "open" and open_minor:
            found = candidates(connection, item, explained, summed=summed)
            tolerance = _tolerance(connection, row)
        best = found[0] if found else None
        return Case(
            row=row, told=told, item=item, open_minor=open_minor, pseudonym=_pseudonym(desk, told, row.agency),
            checks=checked(
                row.kind, has_line="line" in told, agency_known=row.agency is not None, tolerance_minor=tolerance,
                nearest=None if best is None else Nearest(
                    same_reference=best.by == "reference", off_minor=best.off_minor, off_days=best.off_days
                ),
                by_hand=bool(explained.get("by_hand")),
            ),
            why=explained.get("why"), candidates=found, acts=_acts(connection, desk, told, item, open_minor),
            matches=[one for one in explained.get("matches", []) if one["status"] == "confirmed"],
            refunds=_refunds(connection, told), **resolving.beside(connection, break_id),
        )  # fmt: skip


def candidates(
    connection: Connection, item: tuple[Kind, int], explained: dict[str, Any], *, summed: bool
) -> list[Candidate]:
    """What may belong to the item, the best first, with the reference of each."""
    kind, item_id = item
    try:
        found = considered.candidates(connection, item, CANDIDATES, summed=summed)
    except ConsignError:  # nothing of it is open
        return []
    other = "receipt" if kind == "line" else "line"
    names = _references(connection, other, {id_ for one in found for id_ in one["ids"]})
    told = []
    for one in found:
        own, others = (item_id, *one["beside"]), tuple(one["ids"])
        told.append(
            Candidate(
                by=one["by"], lines=own if kind == "line" else others, receipts=others if kind == "line" else own,
                reference=" + ".join(names.get(id_, "") or f"#{id_}" for id_ in one["ids"]),
                off_minor=one["off_minor"], off_days=one["off_days"],
                fit=fit(
                    int(explained["open_minor"]), one["likeness"], one["off_minor"], one["off_days"],
                    same_reference=one["by"] == "reference",
                ),
            )
        )  # fmt: skip
    return told


def _references(connection: Connection, kind: str, ids: set[int]) -> dict[int, str]:
    if kind == "receipt":
        asked = select(RECEIPT.c.receipt_id, RECEIPT.c.reference).where(RECEIPT.c.receipt_id.in_(ids))
        return {row.receipt_id: row.reference or "" for row in connection.execute(asked)}
    rows = connection.execute(select(LINE.c.line_id, LINE.c.txn_ref, LINE.c.batch_ref).where(LINE.c.line_id.in_(ids)))
    return {row.line_id: row.txn_ref or row.batch_ref or "" for row in rows}


def _item(told: dict[str, Any]) -> tuple[Kind, int] | None:
    """What has money open: the line where there is one, else the receipt; a receipt where the break is of both."""
    line, receipt = told.get("line"), told.get("receipt")
    if receipt is not None and (line is None or told["code"] in TIEABLE):
        return "receipt", int(receipt["receipt_id"])
    return ("line", int(line["line_id"])) if line is not None else None


def _tolerance(connection: Connection, row: Row) -> int:
    if row.agency is None:
        return 0
    agreed = contracts_of(connection, row.lender, row.agency)
    return agreed.contracts[-1].tolerance_minor if agreed.contracts else 0


def _acts(
    connection: Connection, desk: Desk, told: dict[str, Any], item: tuple[Kind, int] | None, open_minor: int
) -> dict[str, Act]:
    """What may be done now, with how many others must agree."""
    if told["state"] != "open" or _waits(connection, told["break_id"]):
        return {}
    code, amount = told["code"], abs(int(told["amount_minor"]))
    line = told.get("line")
    may: dict[str, int] = {}
    if item and open_minor and (item[0] == "receipt" or (line or {}).get("posted_at") is not None):
        may |= {"match": abs(open_minor), "write_off": abs(open_minor)}
    if item and item[0] == "receipt" and told["receipt"]["state"] == "unapplied":
        may["not_ours"] = abs(int(told["receipt"]["amount_minor"]))
    if code in BLOCKING | DUPLICATE and line is not None and line["state"] in {"in_break", "duplicate"}:
        gross = abs(int(line["gross_minor"]))
        may |= {"count": gross} if code in resolutions.COUNTABLE else {}
        may |= {} if line["cash_minor"] else {"reject": gross}
    if code in resolutions.SETTLEABLE:
        may["settle"] = amount
    if code == "overpayment" and told["account_id"] is not None:
        may["refund"] = amount
    limits = resolving.limits(desk)
    return {kind: Act(kind, minor, limits.others(kind, told["currency"], minor)) for kind, minor in may.items()}


def _waits(connection: Connection, break_id: int) -> bool:
    rows = resolutions.RESOLUTION
    waiting = select(rows.c.resolution_id).where(rows.c.break_id == break_id, rows.c.state == "waiting")
    return connection.execute(waiting.limit(1)).first() is not None


def _refunds(connection: Connection, told: dict[str, Any]) -> list[dict[str, Any]]:
    if told["code"] != "overpayment" or told["state"] != "open":
        return []
    names = ("receipt_id", "reference", "value_date", "amount_minor")
    rows = connection.execute(
        select(*(RECEIPT.c[name] for name in names))
        .where(
            RECEIPT.c.lender == told["lender"], RECEIPT.c.currency == told["currency"],
            RECEIPT.c.amount_minor == -told["amount_minor"], RECEIPT.c.state.in_(("unapplied", "not_ours")),
        )
        .order_by(RECEIPT.c.value_date.desc())
        .limit(CANDIDATES)
    )  # fmt: skip
    return [dict(row) for row in rows.mappings()]


def _pseudonym(desk: Desk, told: dict[str, Any], agency: str | None) -> str | None:
    """What the agency calls the account; None where it is about no account, or the agency has no key."""
    line = told.get("line") or {}
    account_id = told["account_id"] or line.get("account_id")
    if account_id is None or agency is None or not desk.settings.keyring_path.exists():
        return None
    try:
        key = desk.keyring.pseudonym_key(agency)
    except ConsignError:
        return None
    return str(account_pseudonyms(key, pd.Series([int(account_id)])).iloc[0])


def undoable(resolution: dict[str, Any]) -> bool:
    """Whether a resolution may be taken back."""
    return "undone" in LIFE[resolution["state"]] and resolution["kind"] not in {"unmatch", "undo"}


def item_of(connection: Connection, break_id: int) -> dict[str, int]:
    """The numbers of the line and of the receipt that are open behind a break: `line`, `receipt`, as far as there are.

    Raises UsageError where there is no such break.
    """
    told = breaks.whole(connection, break_id)
    item = _item(told)
    found: dict[str, int] = {name: int(told[name][f"{name}_id"]) for name in ("line", "receipt") if name in told}
    if item is not None and item[0] == "line":
        found.pop("receipt", None)
    return found
