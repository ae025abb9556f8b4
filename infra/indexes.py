"""Keyed indexes: an account and a debtor can be found by their number, and nobody can read the number off the store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pandas as pd
from sqlalchemy import Connection, or_, select

from infra.store import bulk
from keys.errors import KeyDestroyed
from keys.identity import canonical_phones
from keys.pseudonyms import blind_index, canonical_identity
from keys.vault import open_cells
from models.errors import UsageError
from models.tables import Account, Debtor, Identity

if TYPE_CHECKING:
    from keys.keyring import Keyring

TELEPHONES: Final = ("phone", "phone_alt")
TELEPHONE_DIGITS: Final = 7
SCANNED_ROWS: Final = 100_000
INDEX_KEY: Final = "blind_index"
"""Under which name the keyring has the key of the indexes of account numbers and identities."""


ERASED_KEY: Final = "erased_index"
"""And the key of the marks of what was erased."""


def ref_index(keyring: Keyring, refs: pd.Series) -> pd.Series:
    """The keyed index of each account number, as accounts carry it: the number in NFKC, without surrounding space."""
    return blind_index(keyring.secret(INDEX_KEY), refs.str.normalize("NFKC").str.strip(), "account_ref")


def identity_index(keyring: Keyring, lines: pd.DataFrame, refs: pd.Series) -> pd.Series:
    """The keyed index of who each line belongs to: the ID number, else the telephone, else the account alone."""
    nothing = pd.Series(pd.NA, index=lines.index, dtype="str")
    identity = canonical_identity(lines.get("id_number", nothing), lines.get("phone", nothing))
    return blind_index(keyring.secret(INDEX_KEY), identity.fillna("account:" + refs), "identity")


def erased_marks(keyring: Keyring, indexes: pd.Series) -> pd.Series:
    """By what an index that was taken away is known again, and nothing else: a mark under a key of its own."""
    return blind_index(keyring.secret(ERASED_KEY), indexes, "erased")


def accounts_of(connection: Connection, keyring: Keyring, lender: str, who: str) -> list[int]:
    """Every account of the debtor whose account number, ID number or telephone this is; none where nobody is."""
    asked = pd.Series([who], dtype="str")
    accounts, debtors = bulk.table_of(Account), bulk.table_of(Debtor)
    nobody = pd.Series([None], dtype="str")
    as_identity = [
        str(identity_index(keyring, pd.DataFrame(columns), asked)[0])
        for columns in ({"id_number": asked, "phone": nobody}, {"id_number": nobody, "phone": asked})
    ]
    found = (
        select(accounts.c.debtor_id)
        .join(debtors, debtors.c.debtor_id == accounts.c.debtor_id)
        .where(
            accounts.c.lender == lender,
            or_(
                accounts.c.ref_index == str(ref_index(keyring, asked)[0]),
                debtors.c.identity_index.in_(as_identity),
            ),
        )
    )
    return _of_debtors(connection, lender, found) or _of_debtors(
        connection, lender, _by_telephone(connection, keyring, lender, who)
    )


def debtor_known_by(connection: Connection, keyring: Keyring, lender: str, who: str) -> int:
    """The debtor whose account number, ID number or telephone this is. Raises UsageError, which does not repeat it."""
    found = accounts_of(connection, keyring, lender, who)
    if not found:
        raise UsageError(
            "nobody is known by that account, ID or telephone number",
            fix="give it exactly as the lender's file has it; who was erased is found by nothing",
        )
    accounts = bulk.table_of(Account)
    whose = select(accounts.c.debtor_id).where(accounts.c.account_id.in_(found)).distinct()
    debtors = list(connection.execute(whose).scalars())
    if len(debtors) > 1:
        raise UsageError("several debtors have that telephone number", fix="give an account number or an ID number")
    return int(debtors[0])


def _of_debtors(connection: Connection, lender: str, debtor_ids: Any) -> list[int]:
    accounts = bulk.table_of(Account)
    return list(
        connection.execute(
            select(accounts.c.account_id)
            .where(accounts.c.lender == lender, accounts.c.debtor_id.in_(debtor_ids))
            .order_by(accounts.c.account_id)
        ).scalars()
    )


def _by_telephone(connection: Connection, keyring: Keyring, lender: str, who: str) -> list[int]:
    """Debtors with this telephone, for whom an ID number is the index: the sealed numbers are opened to find them."""
    number = canonical_phones(pd.Series([who], dtype="str"))[0]
    if pd.isna(number) or sum(character.isdigit() for character in str(number)) < TELEPHONE_DIGITS:
        return []
    accounts, identities = bulk.table_of(Account), bulk.table_of(Identity)
    sealed = (
        select(
            accounts.c.debtor_id,
            identities.c.account_id,
            identities.c.data_key_id,
            *(identities.c[column] for column in TELEPHONES),
        )
        .join(accounts, accounts.c.account_id == identities.c.account_id)
        .where(accounts.c.lender == lender, or_(*(identities.c[column].is_not(None) for column in TELEPHONES)))
    )
    found: set[int] = set()
    for rows in bulk.read_chunks(connection, sealed, SCANNED_ROWS):
        for key_id, part in rows.groupby("data_key_id"):
            try:
                key = keyring.data_key(str(key_id))
            except KeyDestroyed:  # that portfolio was erased
                continue
            for column in TELEPHONES:
                opened = open_cells(key, column, part["account_id"].to_numpy(), part[column].tolist())
                hit = (canonical_phones(opened) == number).fillna(value=False).to_numpy(dtype=bool)
                found.update(int(debtor) for debtor in part["debtor_id"][hit])
    return sorted(found)
