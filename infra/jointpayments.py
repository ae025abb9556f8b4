"""Joint payments: what a debtor pays an agency for all of their accounts is split over them, and over their lenders.

The agency says what came; the split says what it remits to which lender, under a reference of that lender's own. The
remittances themselves come in each lender's files as ever, and are held against the split. A lender is told its own
shares: not the payment, not its sum, not that there are others.
"""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from infra import audit, exceptions
from infra.exceptions import Subject
from infra.indexes import INDEX_KEY
from infra.packages import account_pseudonyms, joint_ids
from infra.store import bulk, exchange, joint, trail
from infra.store import consolidation as store
from keys.pseudonyms import blind_index
from keys.reidentify import Reidentifier
from models.consolidation import split
from models.errors import Findings, UsageError
from models.money import exponent

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from sqlalchemy import Connection

    from infra.wiring import Desk
    from keys.pseudonyms import PseudonymKey

COLUMNS: Final = ("payment_ref", "account", "currency", "amount", "paid_on")
"""Of the agency's list. `account`: its pseudonym of any of the debtor's accounts, or the joint reference."""
REMITTED_WITHIN: Final = 10
"""days after which a share that has not been remitted is an exception"""
SHOWN: Final = 20
LONGEST_REF: Final = 64
REF_DIGITS: Final = 20
CURRENCY: Final = re.compile(r"[A-Z]{3}")
ADVICE: Final = ("payment_ref", "lender", "account", "agency_txn_id", "currency", "gross", "value_date")


@dataclass(frozen=True)
class Split:
    """What became of a list of joint payments."""

    payments: int
    known_before: int
    shares: int
    lenders: int
    surplus: int
    """payments of more than is owed: the rest is the debtor's, and stays with the agency until it is returned"""


def take_in(desk: Desk, agency: str, path: Path, *, dry_run: bool = False) -> tuple[Split, pd.DataFrame]:
    """The payments of the agency's list (CSV in UTF-8, COLUMNS) are split; the same list again changes nothing.

    Returns what became of it, and the advice to the agency (ADVICE): what it remits to which lender. All or none:
    raises Findings with the lines that cannot be split, never their values; UsageError where it cannot be read.
    """
    given = _read(path)
    with desk.database.write() as connection:
        trail.hold(connection)
        exchange.agency(connection, agency)
        keys = desk.keyring.pseudonym_keys(agency)
        known = store.recorded(connection, agency, given["payment_ref"])
        _same_as_before(given, known)
        fresh = given[~given["payment_ref"].isin(known["payment_ref"])].reset_index(drop=True)
        persons = _persons(connection, desk, agency, fresh)
        payments, shares = _divided(connection, desk, agency, fresh, persons)
        told = Split(
            len(payments), len(known), len(shares), int(shares["lender"].nunique()),
            int((payments["surplus_minor"] > 0).sum()),
        )  # fmt: skip
        if not dry_run and len(payments):
            store.keep(connection, payments, shares.drop(columns="key_generation"))
            audit.record(
                connection, desk.actor, "joint_payment.split", f"agency:{agency}",
                {"entries": told.payments, "share_count": told.shares, "lender_count": told.lenders}, desk.now(),
            )  # fmt: skip
        return told, _advice(keys, payments, shares)


def _read(path: Path) -> pd.DataFrame:
    """The list as a frame: COLUMNS with `amount_minor`, and `line`. Raises UsageError, Findings."""
    try:
        reader = csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline=""), strict=True)
        rows = [{name: (row.get(name) or "").strip() for name in COLUMNS} for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as broken:
        raise UsageError(f"{path} cannot be read: {type(broken).__name__}", fix="name a CSV in UTF-8") from None
    if wanting := sorted(set(COLUMNS) - set(reader.fieldnames or ())):
        raise UsageError(f"{path.name} lacks {', '.join(wanting)}", fix=f"columns: {', '.join(COLUMNS)}")
    faults = [f"line {number}: {fault}" for number, row in enumerate(rows, 1) if (fault := _fault(row))]
    refs = [row["payment_ref"] for row in rows]
    faults += [
        f"line {number}: payment_ref is in a line before"
        for number, again in enumerate(pd.Series(refs, dtype="str").duplicated(), 1) if again
    ]  # fmt: skip
    _none_of(path.name, faults)
    frame = pd.DataFrame(rows, columns=list(COLUMNS), dtype="str")
    minor = [int(Decimal(row["amount"]).scaleb(exponent(row["currency"]))) for row in rows]
    return frame.assign(
        amount_minor=np.array(minor, dtype=np.int64), paid_on=pd.to_datetime(frame["paid_on"]),
        line=np.arange(1, len(rows) + 1),
    ).drop(columns="amount")  # fmt: skip


def _fault(row: Mapping[str, str]) -> str:
    """Why the line is no joint payment; the field, never its value."""
    if not row["payment_ref"] or len(row["payment_ref"]) > LONGEST_REF or not row["payment_ref"].isascii():
        return f"payment_ref must be 1 to {LONGEST_REF} ASCII characters"
    if not CURRENCY.fullmatch(row["currency"]):
        return "currency is none of ISO 4217"
    try:
        amount = Decimal(row["amount"]).scaleb(exponent(row["currency"]))
    except InvalidOperation:
        return "amount is no number"
    if not amount.is_finite() or amount <= 0 or amount != amount.to_integral_value():
        return "amount must be above zero, with the currency's digits"
    try:
        date.fromisoformat(row["paid_on"])
    except ValueError:
        return "paid_on is no day, YYYY-MM-DD"
    return ""


def _none_of(name: str, faults: list[str]) -> None:
    if faults:
        shown = "; ".join(faults[:SHOWN])
        raise Findings(f"{name}: {len(faults)} lines cannot be split: {shown}", fix="mend them; none was split")


def _same_as_before(given: pd.DataFrame, known: pd.DataFrame) -> None:
    """A reference is one payment for ever. Raises Findings."""
    both = given.merge(known, on="payment_ref", suffixes=("", "_before"))
    other = (
        (both["amount_minor"] != both["amount_minor_before"])
        | (both["currency"] != both["currency_before"])
        | (both["paid_on"] != both["paid_on_before"])
    )
    _none_of("the list", [f"line {line}: another payment has this payment_ref" for line in both.loc[other, "line"]])


def _persons(connection: Connection, desk: Desk, agency: str, given: pd.DataFrame) -> pd.DataFrame:
    """`payment_id` (the line), `debtor_id`, `lender`, `rank`, `circle`, `split_order` of everybody whom a line is of.

    A debtor who is linked is paid for in the circle that links them, the external one before the internal; who is
    linked with nobody, by the order that their lender has stated.
    """
    ids, ok = Reidentifier(desk.keyring).accounts_of(agency, given["account"])
    named = pd.DataFrame({"payment_id": given["line"], "id": ids})[ok]
    found = pd.concat([_of_accounts(connection, agency, named), _of_joint(connection, desk, named)])
    _none_of("the list", [
        f"line {line}: account is none that the agency has"
        for line in given["line"] if line not in set(found["payment_id"])
    ])  # fmt: skip
    today = desk.today()
    linked = store.circle_of(connection, found["debtor_id"], today).drop_duplicates("debtor_id")
    joint = found.merge(linked, on="debtor_id")
    several = joint[["payment_id", "circle", "link", "split_order"]].merge(
        store.members(connection, joint[["circle", "link"]], today), on=["circle", "link"]
    )
    single = found[~found["debtor_id"].isin(linked["debtor_id"])]
    single = single.merge(store.alone(connection, set(single["lender"]), today), on="lender").assign(rank=1)
    persons = pd.concat([several, single], ignore_index=True)
    _none_of("the list", [
        f"line {line}: no order of splitting is on record for the debtor's lender"
        for line in found["payment_id"] if line not in set(persons["payment_id"])
    ])  # fmt: skip
    return persons[["payment_id", "debtor_id", "lender", "rank", "circle", "split_order"]]


def _of_accounts(connection: Connection, agency: str, named: pd.DataFrame) -> pd.DataFrame:
    """`payment_id`, `debtor_id`, `lender` of the lines that name an account which the agency has."""
    found = store.owners(connection, agency, named["id"])
    return named.merge(found, left_on="id", right_on="account_id")[["payment_id", "debtor_id", "lender"]]


def _of_joint(connection: Connection, desk: Desk, named: pd.DataFrame) -> pd.DataFrame:
    """The same of the lines that name a joint reference."""
    everybody = store.linked(connection, desk.today()).drop_duplicates(["circle", "link"])
    found = everybody.assign(id=joint_ids(everybody["link"]))
    return named.merge(found, on="id")[["payment_id", "debtor_id", "lender"]]


def _divided(
    connection: Connection, desk: Desk, agency: str, given: pd.DataFrame, persons: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows of the payments and of their shares."""
    owed = store.claims(connection, agency, persons["debtor_id"])
    of_line = given.rename(columns={"line": "payment_id"}).drop(columns="account")
    stated = persons.drop_duplicates("payment_id")[["payment_id", "circle", "split_order"]]
    claims = persons.drop(columns=["lender", "circle", "split_order"]).merge(owed, on="debtor_id")
    claims = claims.merge(of_line[["payment_id", "currency"]], on=["payment_id", "currency"])
    _none_of("the list", [
        f"line {line}: the debtor owes nothing in that currency on accounts that the agency has"
        for line in of_line["payment_id"] if line not in set(claims["payment_id"])
    ])  # fmt: skip
    _one_payment_each(claims)
    parts = split(claims, of_line[["payment_id", "amount_minor"]].merge(stated, on="payment_id"))
    got = parts.groupby("payment_id")["amount_minor"].sum()
    first = bulk.reserve(connection, "joint_payment", len(of_line)) if len(of_line) else 0
    numbers = pd.Series(np.arange(first, first + len(of_line)), index=of_line["payment_id"])
    payments = of_line.merge(stated, on="payment_id").assign(
        surplus_minor=lambda rows: rows["amount_minor"] - rows["payment_id"].map(got),
        payment_id=lambda rows: rows["payment_id"].map(numbers), agency=agency, recorded_by=desk.actor,
        recorded_at=pd.Timestamp(desk.now()),
    )  # fmt: skip
    shares = parts[parts["amount_minor"] > 0].merge(of_line[["payment_id", "paid_on"]], on="payment_id")
    shares = shares.assign(payment_id=shares["payment_id"].map(numbers), agency=agency)
    which = shares["payment_id"].astype("str") + ":" + shares["account_id"].astype("str")
    ref = "J" + blind_index(desk.keyring.secret(INDEX_KEY), which, "joint_share").str.slice(0, REF_DIGITS).str.upper()
    columns = [
        "share_ref", "payment_id", "lender", "agency", "account_id", "placement_id", "currency", "amount_minor",
        "paid_on", "key_generation",
    ]  # fmt: skip
    return payments, shares.assign(share_ref=ref)[columns]


def _one_payment_each(claims: pd.DataFrame) -> None:
    """A list holds one payment of a debtor: what is owed after the first is known only when it is split."""
    again = claims.drop_duplicates(["payment_id", "account_id"])
    twice = again[again.duplicated(["account_id"])]
    _none_of("the list", [
        f"line {line}: the debtor is in another line; give it in a list after this one"
        for line in sorted(set(twice["payment_id"]))
    ])  # fmt: skip


def _advice(keys: Mapping[str, PseudonymKey], payments: pd.DataFrame, shares: pd.DataFrame) -> pd.DataFrame:
    """What the agency remits: one line per share, as it stands in the remittance file of that lender."""
    parts = [
        part.assign(account=account_pseudonyms(keys[str(generation)], part["account_id"]).set_axis(part.index))
        for generation, part in shares.groupby("key_generation")
    ]
    named = pd.concat(parts) if parts else shares.assign(account=pd.Series(dtype="str"))
    named = named.merge(payments[["payment_id", "payment_ref"]], on="payment_id")
    gross = [
        f"{Decimal(int(minor)).scaleb(-exponent(code)):.{exponent(code)}f}"
        for minor, code in zip(named["amount_minor"], named["currency"], strict=True)
    ]
    told = named.assign(
        gross=pd.Series(gross, index=named.index, dtype="str"), agency_txn_id=named["share_ref"],
        value_date=named["paid_on"].dt.strftime("%Y-%m-%d"),
    )  # fmt: skip
    return told[list(ADVICE)].sort_values(["payment_ref", "lender", "agency_txn_id"], ignore_index=True)


def advice(desk: Desk, payment_id: int) -> tuple[str, pd.DataFrame]:
    """The agency, and the advice to it (ADVICE) for the whole list that the payment came in. Raises UsageError."""
    with desk.database.read() as connection:
        payment = joint.payment(connection, payment_id)
        payments, shares = joint.taken_in_with(connection, payment)
    agency = str(payment["agency"])
    return agency, _advice(desk.keyring.pseudonym_keys(agency), payments, shares)


def watch(connection: Connection, desk: Desk) -> int:
    """Shares that were not remitted in time, or not as split, are exceptions by agency and lender. Returns how many."""
    found = store.shares(connection)
    late = found["paid_on"] < pd.Timestamp(desk.today() - timedelta(days=REMITTED_WITHIN))
    wrong = found[(found["state"] == "differs") | ((found["state"] == "waiting") & late)]
    subjects = [
        Subject(
            f"joint_shares:{agency}:{lender}", agency=str(agency), lender=str(lender),
            detail={"share_count": len(part), "minor": int(part["amount_minor"].sum())},
        )
        for (agency, lender), part in wrong.groupby(["agency", "lender"])
    ]  # fmt: skip
    exceptions.watched(connection, desk, "joint_share_open", subjects, "every share is remitted as it was split")
    return len(wrong)
