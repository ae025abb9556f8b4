"""The disclosure register: who has been told what about a debtor, under which policy and basis, and until when."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from infra import audit
from infra.indexes import accounts_of
from infra.store import bulk
from infra.store.exchange import DISCLOSURES, ERASURES, MEMBERS, TRANSMISSIONS
from models.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

    from infra.wiring import Desk


def disclosures(desk: Desk, lender: str, who: str) -> pd.DataFrame:
    """One row per file and field that told an agency about this debtor, oldest first.

    who: the lender's account number, an ID number or a telephone number; looked up by keyed index and stored nowhere.
    Columns: agency, kind, file, state, field, treatment, value_class, purpose, basis, policy, policy_version,
    disclosed_at, erase_by, erased_at (None until the agency has certified it), accounts (how many of the debtor's
    the file spoke of).  Raises UsageError where nobody is found.
    """
    with desk.database.write() as connection:
        accounts = accounts_of(connection, desk.keyring, lender, who)
        audit.record(
            connection, desk.actor, "disclosures.asked", f"lender:{lender}", {"accounts": len(accounts)}, desk.now()
        )
    if not accounts:
        message = "nobody is known by that account, ID or telephone number"
        raise UsageError(message, fix="give it exactly as the lender's file has it, with --lender")
    with desk.database.read() as connection:
        told = bulk.read(
            connection,
            select(
                DISCLOSURES.c.agency, TRANSMISSIONS.c.kind, TRANSMISSIONS.c.name.label("file"), TRANSMISSIONS.c.state,
                DISCLOSURES.c.field,
                DISCLOSURES.c.treatment, DISCLOSURES.c.value_class, DISCLOSURES.c.purpose, DISCLOSURES.c.basis,
                DISCLOSURES.c.policy, DISCLOSURES.c.policy_version, DISCLOSURES.c.disclosed_at, DISCLOSURES.c.erase_by,
                ERASURES.c.erased_at,
            )
            .select_from(MEMBERS)
            .join(DISCLOSURES, DISCLOSURES.c.transmission_id == MEMBERS.c.transmission_id)
            .join(TRANSMISSIONS, TRANSMISSIONS.c.transmission_id == MEMBERS.c.transmission_id)
            .outerjoin(ERASURES, ERASURES.c.placement_id == MEMBERS.c.placement_id)
            .where(MEMBERS.c.account_id.in_(accounts), TRANSMISSIONS.c.state != "cancelled")
            .order_by(DISCLOSURES.c.disclosed_at, DISCLOSURES.c.disclosure_id),
        )  # fmt: skip
    return told.groupby(list(told.columns), sort=False, dropna=False).size().rename("accounts").reset_index()
