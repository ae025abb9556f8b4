"""Keyed indexes: an account and a debtor can be found by their number, and nobody can read the number off the store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pandas as pd
from sqlalchemy import Connection, or_, select

from infra.store import bulk
from keys.pseudonyms import blind_index, canonical_identity
from models.tables import Account, Debtor

if TYPE_CHECKING:
    from keys.keyring import Keyring

INDEX_KEY: Final = "blind_index"
"""Under which name the keyring has the key of the indexes of account numbers and identities."""


def ref_index(keyring: Keyring, refs: pd.Series) -> pd.Series:
    """The keyed index of each account number, as accounts carry it: the number in NFKC, without surrounding space."""
    return blind_index(keyring.secret(INDEX_KEY), refs.str.normalize("NFKC").str.strip(), "account_ref")


def identity_index(keyring: Keyring, lines: pd.DataFrame, refs: pd.Series) -> pd.Series:
    """The keyed index of who each line belongs to: the ID number, else the telephone, else the account alone."""
    nothing = pd.Series(pd.NA, index=lines.index, dtype="str")
    identity = canonical_identity(lines.get("id_number", nothing), lines.get("phone", nothing))
    return blind_index(keyring.secret(INDEX_KEY), identity.fillna("account:" + refs), "identity")


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
    return list(
        connection.execute(
            select(accounts.c.account_id)
            .where(accounts.c.lender == lender, accounts.c.debtor_id.in_(found))
            .order_by(accounts.c.account_id)
        ).scalars()
    )
