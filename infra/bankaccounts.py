"""The register of the lenders' bank accounts: a statement of an account that is not in it is not taken."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import insert, select

from connectors.bank import profiles
from connectors.bank.reading import read
from infra import audit, roles
from infra.ownfiles import Shelf
from infra.store import bulk, exchange
from models.errors import RefusedByPolicy, UsageError
from models.tables import BankAccount

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Connection, Row

    from connectors.bank.statement import BankStatementFile
    from infra.wiring import Desk

ACCOUNTS: Final = bulk.table_of(BankAccount)
LAYOUTS: Final = Shelf(
    "bank-layouts", "bank layout", profiles.shipped_profiles, profiles.load_profile, profiles.parse_profile
)
"""Mapping profiles: those that come with Consign, and an operator's own in bank-layouts/ below home."""
_NUMBER: Final = re.compile(r"[0-9A-Za-z./:_-]{1,64}")
_CURRENCY: Final = re.compile(r"[A-Z]{3}")
_LEDGER: Final = re.compile(r"[\w.:-][\w.: -]{0,39}")


class AccountUnknown(RefusedByPolicy):
    """A statement of an account that is not in the register, or is another lender's."""


def plain(account: str) -> str:
    """The account's number as the register keeps it: without blanks."""
    return "".join(account.split())


def shown(account: str) -> str:
    """The account's number as messages show it: its end."""
    return f"the account ending {account[-4:]}"


def listed(connection: Connection, lender: str | None = None) -> list[dict[str, Any]]:
    """The accounts of the lender (None: of all), in order."""
    columns = [
        ACCOUNTS.c[name] for name in ("lender", "account", "currency", "ledger", "layout", "added_at", "added_by")
    ]
    rows = select(*columns).order_by(ACCOUNTS.c.lender, ACCOUNTS.c.account, ACCOUNTS.c.currency)
    if lender is not None:
        rows = rows.where(ACCOUNTS.c.lender == lender)
    return [dict(row) for row in connection.execute(rows).mappings()]


def found(connection: Connection, account: str, currency: str) -> Row[Any] | None:
    """The account's row, where there is one."""
    return connection.execute(
        select(ACCOUNTS).where(ACCOUNTS.c.account == plain(account), ACCOUNTS.c.currency == currency)
    ).one_or_none()


def of_layout(connection: Connection, lender: str, layout: str) -> tuple[str, str]:
    """Account and currency of the lender's one account that files of this layout are of; else empty texts."""
    rows = connection.execute(
        select(ACCOUNTS.c.account, ACCOUNTS.c.currency).where(ACCOUNTS.c.lender == lender, ACCOUNTS.c.layout == layout)
    ).all()
    return (rows[0].account, rows[0].currency) if len(rows) == 1 else ("", "")


def of_number(connection: Connection, lender: str, account: str) -> list[str]:
    """The currencies in which the account is in the register as this lender's."""
    return list(
        connection.execute(
            select(ACCOUNTS.c.currency)
            .where(ACCOUNTS.c.account == plain(account), ACCOUNTS.c.lender == lender)
            .order_by(ACCOUNTS.c.currency)
        ).scalars()
    )


def register(
    desk: Desk, account: str, currency: str, lender: str, *, ledger: str = "1010", layout: str | None = None
) -> bool:
    """The account is in the register as this lender's, in a transaction of its own; whether it was new.

    Raises UsageError where there is no such lender, and as `add`.
    """
    with desk.database.write() as connection:
        exchange.lender_timezone(connection, lender)
        return add(connection, desk, account, currency.strip().upper(), lender, ledger=ledger, layout=layout)


def add(
    connection: Connection,
    desk: Desk,
    account: str,
    currency: str,
    lender: str,
    *,
    ledger: str = "1010",
    layout: str | None = None,
    known_is_fine: bool = False,
) -> bool:
    """The account is in the register; whether it was new.

    Asks for the role finance. Raises UsageError where it is in it as something else, unless `known_is_fine`.
    """
    roles.require(connection, desk, "finance")
    account = plain(account)
    if not _NUMBER.fullmatch(account) or not _CURRENCY.fullmatch(currency) or not _LEDGER.fullmatch(ledger):
        raise UsageError(
            "an account needs its number, a currency of three capital letters, and a short ledger account",
            fix="consign recon accounts add NUMBER --lender LENDER --currency CNY",
        )
    if layout is not None:
        LAYOUTS.find(layout)
    row = found(connection, account, currency)
    if row is not None:
        if not known_is_fine and (row.lender, row.ledger, row.layout) != (lender, ledger, layout):
            raise UsageError(f"{shown(account)} is in the register in {currency} already, as something else")
        return False
    now = desk.now()
    connection.execute(
        insert(ACCOUNTS).values(
            bank_account_id=bulk.reserve(connection, "bank_account", 1), account=account, currency=currency,
            lender=lender, ledger=ledger, layout=layout, added_at=now, added_by=desk.actor,
        )
    )  # fmt: skip
    details: dict[str, str | int] = {"lender": lender, "currency": currency}
    audit.record(connection, desk.actor, "bank.account_added", f"lender:{lender}", details, now)
    return True


def require(connection: Connection, account: str, currency: str, lender: str) -> None:
    """The account is the lender's; raises AccountUnknown where the register does not say so, with what to do."""
    row = found(connection, account, currency)
    if row is None:
        raise AccountUnknown(
            f"{shown(account)} in {currency} is not in the register of {lender}'s bank accounts",
            fix=f"if it is theirs: consign recon accounts add NUMBER --lender {lender} --currency {currency}, or import"
            " the statement with --new-account",
        )
    if row.lender != lender:
        raise AccountUnknown(
            f"{shown(account)} in {currency} is {row.lender}'s, not {lender}'s", fix="import it for the lender it is of"
        )


def statements(
    desk: Desk, path: Path, lender: str, *, layout: str | None = None, account: str | None = None
) -> list[BankStatementFile]:
    """The statements of the lender's file, each with its account and currency.

    layout: the name of a table's profile, where its header does not tell. account: where the file does not say.
    Raises StatementRefused, and UsageError where nobody says which account it is.
    """
    chosen = LAYOUTS.find(layout) if layout is not None else None
    every = [LAYOUTS.find(name) for name in LAYOUTS.names()]
    return [_named(desk, one, lender, account) for one in read(path, every, chosen)]


def _named(desk: Desk, statement: BankStatementFile, lender: str, account: str | None) -> BankStatementFile:
    number = plain(account or "")
    with desk.database.read() as connection:
        currency = ""
        if not statement.account and not number:
            number, currency = of_layout(connection, lender, statement.form.partition("@")[0])
        if not statement.currency and not currency:
            known = of_number(connection, lender, number or statement.account)
            currency = known[0] if len(known) == 1 else ""
    named = statement.named(number, currency)
    if not named.account or not named.currency:
        what = "account" if not named.account else "currency"
        raise UsageError(
            f"the file does not say which {what} it is of",
            fix="give --account, or register the account with the file's --layout: consign recon accounts add",
        )
    return named
