"""A corrected value is taken into the store, sealed where it is of an identity, and told to every agency that knows it.

An agency knows a field where the register says that its placement file told it, and it has not certified the erasure.
It is told by a `correction` under the placement's own policy: masked where the placement masked it; where the gate
made it coarser still, for the lines' sake, it is not told anew, for that would tell more. The lender's next snapshot
counts over what was corrected here: have it corrected there too.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa

from infra import audit
from infra.indexes import TELEPHONES, identity_index, linkage_pseudonyms, ref_index, telephone_indexes
from infra.packing import suffix_of
from infra.roles import require
from infra.store import bulk, consolidation, exchange, portfolios, trail
from infra.store import subjects as store
from keys.vault import seal_cells
from models.errors import RefusedByPolicy, UsageError
from models.intake import identities
from models.intake.fields import ACCOUNT_FIELDS
from models.lives import SUBJECT_REQUEST, moved
from models.subject import is_identity, onward

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Row

    from infra.wiring import Desk

DOUBTFUL: Final = {
    "id_number": identities.doubtful_id_numbers,
    "phone": identities.doubtful_phones,
    "phone_alt": identities.doubtful_phones,
    "contact_phone": identities.doubtful_phones,
    "email": identities.doubtful_emails,
}
FINDS: Final = ("id_number", "phone")
"""What a debtor is known by: the ID number, or the telephone number where there is none."""


@dataclass(frozen=True)
class Corrected:
    """What a correction changed and whom it is told."""

    request_id: int
    field: str
    accounts: int
    agencies: tuple[str, ...]
    """who was told the old value, and is to be told the new one"""
    files: int
    state: str
    coarser: tuple[str, ...]
    """agencies that were told so coarse a value that the new one would tell them more: they are told nothing anew"""
    doubtful: bool
    """the new value does not look like one of its kind: a check digit, a length"""


def correct(
    desk: Desk, request_id: int, field: str, value: str | None, *, account_ref: str | None = None, dry_run: bool = False
) -> Corrected:
    """The value counts from now on, and files that tell it wait for every agency that was told the field.

    value: as the lender's file would have it; None or empty: there is none. account_ref: of a fact, whose account,
    where the debtor has several. Raises RefusedByPolicy where another debtor is known by it, UsageError for a field
    that the request does not name and a value that cannot be one; IllegalMove, RoleMissing.
    """
    with desk.database.write() as connection:
        exchange.take_turn(connection)
        trail.hold(connection)
        row = store.request(connection, request_id)
        require(connection, desk, "compliance")
        if row.kind != "correction" or field not in row.fields.split(","):
            named = f"corrects {row.fields}" if row.kind == "correction" else f"is one for {row.kind}"
            raise UsageError(f"request {request_id} {named}", fix="open a request that names the field")
        if row.state not in {"in_progress", "waiting"}:
            moved(f"request {request_id}", row.state, "in_progress", SUBJECT_REQUEST)
        text = _read(field, value)
        portfolios.held_lender(connection, row.lender)
        accounts = _meant(connection, desk, row, field, account_ref)
        holding = store.holders(connection, accounts, field).drop_duplicates(["agency", "account_id"], keep="last")
        doubtful = _is_doubtful(field, text)
        coarser = tuple(sorted(set(holding.loc[holding["coarser"], "agency"])))
        holding = holding[~holding["coarser"]]
        agencies = tuple(sorted(set(holding["agency"])))
        if dry_run:
            files = holding.groupby(["agency", "plan_id"]).ngroups
            return Corrected(
                request_id, field, len(accounts), agencies, files, row.state, coarser=coarser, doubtful=doubtful
            )
        _take_in(connection, desk, row, field, text, accounts)
        files = _tell(connection, desk, row, field, holding)
        state = onward("in_progress", int(store.outstanding(connection, [request_id])["placements"].sum()))
        since = row.waiting_since or (desk.now() if state == "waiting" else None)
        store.change(connection, request_id, row.state, state=state, waiting_since=since)
        said: dict[str, audit.Value] = {
            "fields": field, "accounts": len(accounts), "agencies": list(agencies)[: audit.LIST_AT_MOST],
            "files": files, "state": state,
        }  # fmt: skip
        subject = f"subject_request:{request_id}"
        audit.record(connection, desk.actor, "subject_request.corrected", subject, said, desk.now())
    return Corrected(request_id, field, len(accounts), agencies, files, state, coarser=coarser, doubtful=doubtful)


def _read(field: str, value: str | None) -> str | None:
    """The value as it is kept. Raises UsageError, which does not repeat it."""
    of = ACCOUNT_FIELDS[field]
    text = unicodedata.normalize("NFKC", value or "").strip() if of.digits else (value or "").strip()
    if not text:
        return None
    if len(text) > of.max_chars or not text.isprintable():
        raise UsageError(f"that is no {field}: too long, or not printable", fix=f"{of.max_chars} characters at most")
    if of.type == "date":
        try:
            return date.fromisoformat(text).isoformat()
        except ValueError:
            raise UsageError(f"that is no {field}", fix="write the day as YYYY-MM-DD") from None
    return text


def _is_doubtful(field: str, text: str | None) -> bool:
    if text is None or field not in DOUBTFUL:
        return False
    return bool(DOUBTFUL[field](pa.array([text], type=pa.large_string()))[0])


def _meant(connection: Connection, desk: Desk, row: Row[Any], field: str, account_ref: str | None) -> list[int]:
    """The accounts that the value is of: of an identity all of the debtor's, of a fact one."""
    accounts = store.accounts_of_debtor(connection, row.debtor_id)
    if is_identity(field):
        return accounts
    if account_ref is not None:
        index = str(ref_index(desk.keyring, pd.Series([account_ref], dtype="str"))[0])
        account_id, debtor_id = portfolios.account_by_ref(connection, row.lender, index)
        if debtor_id != row.debtor_id:
            raise UsageError("that account is not the debtor's who asks", fix="name one of theirs with --account")
        return [account_id]
    if len(accounts) != 1:
        raise UsageError(f"the debtor has {len(accounts)} accounts", fix=f"name with --account whose {field} it is")
    return accounts


def _take_in(
    connection: Connection, desk: Desk, row: Row[Any], field: str, text: str | None, accounts: Sequence[int]
) -> None:
    """The store has the value, and the debtor is found by it where debtors are found by such."""
    if not is_identity(field):
        is_day = text is not None and ACCOUNT_FIELDS[field].type == "date"
        store.correct_fact(connection, accounts, field, date.fromisoformat(str(text)) if is_day else text)
        return
    rows = store.identity_keys(connection, accounts, FINDS)
    if rows.empty:
        raise RefusedByPolicy(f"the identity of request {row.request_id} is erased", fix="nothing is left to correct")
    cells: list[bytes | None] = [None] * len(rows)
    for key_id, part in rows.groupby("data_key_id"):
        ids = part["account_id"].to_numpy(dtype=np.int64)
        sealed = seal_cells(desk.keyring.data_key(str(key_id)), field, ids, pd.Series([text] * len(ids), dtype="str"))
        for place, cell in zip(part.index, sealed, strict=True):
            cells[place] = cell
    changed = rows[["account_id"]].assign(**{field: pd.Series(cells, dtype="object")})
    if field in TELEPHONES:
        told = pd.DataFrame({field: pd.Series([text] * len(rows), dtype="str")})
        changed[f"{field}_index"] = telephone_indexes(desk.keyring, row.lender, told)[f"{field}_index"].to_numpy()
    bulk.set_columns(connection, store.IDENTITIES, changed, ["account_id"])
    store.touched(connection, accounts)
    _found_by(connection, desk, row, field, text, has_id_number=bool(rows["has_id_number"].any()))


def _found_by(
    connection: Connection, desk: Desk, row: Row[Any], field: str, text: str | None, *, has_id_number: bool
) -> None:
    """The debtor's keyed index follows what they are known by."""
    if field not in FINDS or (field == "phone" and has_id_number):
        return
    if text is None:
        raise UsageError(f"the debtor is known by the {field}", fix="give the right one; it cannot be taken away")
    one = pd.Series([text], dtype="str")
    lines = pd.DataFrame({"id_number": one if field == "id_number" else pd.Series([None], dtype="str"), "phone": one})
    index = str(identity_index(desk.keyring, row.lender, lines, one)[0])
    if not store.renamed(connection, row.lender, row.debtor_id, index):
        raise RefusedByPolicy(
            f"another debtor is known by that {field}",
            fix="see which of the two records is wrong; the lender's next file brings accounts of one person together",
        )
    if field == "id_number":
        recognised = linkage_pseudonyms(desk.keyring, row.lender, lines)[0]
        consolidation.relink(connection, row.debtor_id, None if pd.isna(recognised) else str(recognised))


def _tell(connection: Connection, desk: Desk, row: Row[Any], field: str, holding: pd.DataFrame) -> int:
    """Files with the value wait for the agencies, one per plan that the accounts were placed by. Returns how many."""
    today = desk.today(exchange.lender_timezone(connection, row.lender))
    files = 0
    for (agency, plan_id), part in holding.groupby(["agency", "plan_id"], sort=True):
        number = bulk.reserve(connection, "correction_file", 1)
        suite = exchange.agency(connection, str(agency)).suite
        spec = {"plan_id": int(str(plan_id)), "fields": [field], "effective_on": today.isoformat()}
        work = exchange.Work(
            f"correction:{number}", row.lender, str(agency), "correction", today, suffix_of(suite), spec
        )
        transmission_id, _ = exchange.prepare(connection, work)
        bulk.append(
            connection, exchange.MEMBERS, part[["placement_id", "account_id"]].assign(transmission_id=transmission_id)
        )
        store.told(connection, row.request_id, field, transmission_id, part)
        files += 1
    return files
