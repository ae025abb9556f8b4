"""Keyed indexes: an account and a debtor can be found by their number, and nobody can read the number off the store.

What tells who somebody is has an index per lender: the same person at two lenders has nothing in common in the store.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
from sqlalchemy import Connection, select, union

from infra.store import bulk
from keys import linkage
from keys.identity import canonical_id_numbers, canonical_identity, canonical_phones
from keys.pseudonyms import blind_index
from models.errors import UsageError
from models.intake.identities import doubtful_id_numbers
from models.tables import Account, Debtor, Identity

if TYPE_CHECKING:
    from keys.keyring import Keyring

TELEPHONES: Final = ("phone", "phone_alt")
TELEPHONE_DIGITS: Final = 7
SHORTEST_ID: Final = 7
INDEX_KEY: Final = "blind_index"
"""Under which name the keyring has the key of the indexes of account numbers and identities."""


ERASED_KEY: Final = "erased_index"
"""And the key of the marks of what was erased."""


def ref_index(keyring: Keyring, refs: pd.Series) -> pd.Series:
    """The keyed index of each account number, as accounts carry it: the number in NFKC, without surrounding space."""
    return blind_index(keyring.secret(INDEX_KEY), refs.str.normalize("NFKC").str.strip(), "account_ref")


def identity_index(keyring: Keyring, lender: str, lines: pd.DataFrame, refs: pd.Series) -> pd.Series:
    """The keyed index of who each line belongs to: the ID number, else the telephone, else the account alone."""
    nothing = pd.Series(pd.NA, index=lines.index, dtype="str")
    identity = canonical_identity(lines.get("id_number", nothing), lines.get("phone", nothing))
    return blind_index(keyring.secret(INDEX_KEY), identity.fillna("account:" + refs), f"identity@{lender}")


def linkage_pseudonyms(keyring: Keyring, lender: str, lines: pd.DataFrame) -> pd.Series:
    """By what the debtor of each line may be recognised at other lenders, where a basis allows it; missing: by nothing.

    Of ID numbers alone, and of none that looks wrong: telephones change hands, and a slip of the pen links strangers.
    """
    numbers = canonical_id_numbers(lines.get("id_number", pd.Series(pd.NA, index=lines.index, dtype="str")))
    wrong = doubtful_id_numbers(pa.array(numbers, type=pa.large_string()))
    fit = numbers.where(~wrong & (numbers.str.len() >= SHORTEST_ID).fillna(value=False).to_numpy(bool))
    return linkage.of_lender(keyring.secret(linkage.KEPT_AS), lender, fit)


def erased_marks(keyring: Keyring, indexes: pd.Series) -> pd.Series:
    """By what an index that was taken away is known again, and nothing else: a mark under a key of its own."""
    return blind_index(keyring.secret(ERASED_KEY), indexes, "erased")


def telephone_indexes(keyring: Keyring, lender: str, lines: pd.DataFrame) -> dict[str, pd.Series]:
    """By column of an identity: the keyed index of each line's telephone; missing where there is none to speak of."""
    nothing = pd.Series(pd.NA, index=lines.index, dtype="str")
    return {
        f"{name}_index": _as_number(
            blind_index(keyring.secret(INDEX_KEY), _dialled(lines.get(name, nothing)), f"telephone@{lender}")
        )
        for name in TELEPHONES
    }


def _as_number(index: pd.Series) -> pd.Series:
    """The first 64 bits as a whole number: half the size in the store, and in its index a third of the work."""
    there = index.notna()
    digits = bytes.fromhex("".join(index[there].str.slice(0, 16)))
    numbers = pd.Series(np.frombuffer(digits, dtype=">i8").astype(np.int64), index=index.index[there], dtype="Int64")
    return numbers.reindex(index.index)


def _dialled(phones: pd.Series) -> pd.Series:
    """The numbers as they are dialled; those of fewer than seven digits find nobody."""
    numbers = canonical_phones(phones)
    return numbers.where(numbers.str.count(r"\d") >= TELEPHONE_DIGITS)


def accounts_of(connection: Connection, keyring: Keyring, lender: str, who: str) -> list[int]:
    """Every account of whoever's account number, ID number or telephone this is; none where nobody is."""
    asked = pd.Series([who], dtype="str")
    accounts, debtors, identities = bulk.table_of(Account), bulk.table_of(Debtor), bulk.table_of(Identity)
    nobody = pd.Series([None], dtype="str")
    as_identity = [
        str(identity_index(keyring, lender, pd.DataFrame(columns), asked)[0])
        for columns in ({"id_number": asked, "phone": nobody}, {"id_number": nobody, "phone": asked})
    ]
    found: list[Any] = [
        select(accounts.c.debtor_id).where(
            accounts.c.lender == lender, accounts.c.ref_index == str(ref_index(keyring, asked)[0])
        ),
        select(debtors.c.debtor_id).where(debtors.c.lender == lender, debtors.c.identity_index.in_(as_identity)),
    ]
    telephone = telephone_indexes(keyring, lender, pd.DataFrame({"phone": asked}))["phone_index"][0]
    if not pd.isna(telephone):
        found += [
            select(accounts.c.debtor_id)
            .join(identities, identities.c.account_id == accounts.c.account_id)
            .where(accounts.c.lender == lender, identities.c[f"{name}_index"] == int(telephone))
            for name in TELEPHONES
        ]
    return list(
        connection.execute(
            select(accounts.c.account_id)
            .where(accounts.c.lender == lender, accounts.c.debtor_id.in_(union(*found)))
            .order_by(accounts.c.account_id)
        ).scalars()
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
