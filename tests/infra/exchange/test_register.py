"""Who was told what about a debtor: found by any of their numbers, and the question itself is on the record."""

from __future__ import annotations

import hashlib
import json
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest

from infra import register
from infra.indexes import identity_index, ref_index, telephone_indexes
from infra.register import Question
from infra.store import bulk, exchange
from keys import vault
from models.errors import UsageError
from models.tables import Account, AuditEvent, Debtor, Disclosure, DisclosureAccount, Identity, Placement

Gateway = Any  # tests/infra/exchange/conftest.py
IDENTIFIED = ("account_ref", "id_number", "phone", "phone_alt")
WHY = "a debtor's letter of this morning"
PEOPLE = pd.DataFrame(
    {
        "account_ref": ["LN-0001", "LN-0002", "LN-0003"],
        "id_number": ["11010519491231002X", "11010519491231002X", None],
        "phone": ["+86 13800138000", None, "13900139000"],
        "phone_alt": [None, "010-62556666", None],
    }
).astype("str")
"""The first two accounts are one person's; the third is known by a telephone alone."""


@pytest.fixture
def known(gateway: Gateway) -> Gateway:
    """Their accounts were told of in one file, and another file told of nobody here."""
    desk = gateway.world.desk
    key = desk.keyring.new_data_key(desk.now())
    ids = np.arange(1, 4, dtype=np.int64)
    debtors = np.array([1, 1, 3], dtype=np.int64)
    indexes = identity_index(desk.keyring, "harbour", PEOPLE, PEOPLE["account_ref"])
    with desk.database.write() as connection:
        bulk.append(connection, Debtor, pd.DataFrame({
            "debtor_id": [1, 3], "lender": "harbour", "identity_index": indexes[[0, 2]].to_numpy(),
            "created_at": desk.now(),
        }))  # fmt: skip
        bulk.append(connection, Account, pd.DataFrame({
            "account_id": ids, "lender": "harbour", "ref_index": ref_index(desk.keyring, PEOPLE["account_ref"]),
            "debtor_id": debtors, "portfolio_id": 1, "product": "card", "currency": "CNY", "dpd": 95, "bucket": "M4",
            "balance_minor": 1, "as_of": pd.Timestamp(2026, 1, 1),
        }))  # fmt: skip
        cells: dict[str, Any] = {name: vault.seal_cells(key, name, ids, PEOPLE[name]) for name in IDENTIFIED}
        bulk.append(
            connection,
            Identity,
            pd.DataFrame(
                {
                    "account_id": ids,
                    "portfolio_id": 1,
                    "data_key_id": key.key_id,
                    **cells,
                    **telephone_indexes(desk.keyring, "harbour", PEOPLE),
                }
            ),
        )
        first = gateway.transmission(connection, "placement", "delivered")
        other = gateway.transmission(connection, "placement", "delivered")
        bulk.append(connection, DisclosureAccount, pd.DataFrame({
            "transmission_id": first, "account_id": ids[:2], "placement_id": ids[:2] + 100,
        }))  # fmt: skip
        bulk.append(connection, Placement, pd.DataFrame({
            "placement_id": ids[:2] + 100, "plan_id": 1, "lender": "harbour", "agency": "quayside",
            "account_id": ids[:2], "debtor_id": 1, "round": 1, "stage": "phone", "segment": "all", "currency": "CNY",
            "balance_minor": 1, "dpd": 95, "bucket": "M4", "placed_on": pd.Timestamp(2026, 1, 1),
            "due_back_on": pd.Timestamp(2026, 4, 1), "state": "closed", "key_generation": "G",
            "transmission_id": first, "told_minor": 1,
        }))  # fmt: skip
        for transmission_id in (first, other):
            bulk.append(connection, Disclosure, pd.DataFrame({
                "transmission_id": transmission_id, "agency": "quayside", "field": ["balance", "phone"],
                "treatment": ["release", "mask"], "value_class": ["financial", "contact"], "purpose": "collection",
                "basis": "contract", "policy": "cn-default", "policy_version": "1", "rows": 2,
                "disclosed_at": desk.now(),
                "erase_by": pd.Timestamp(2026, 8, 1),
            }))  # fmt: skip
    return gateway


@pytest.mark.parametrize(
    "who",
    [
        "LN-0001",
        " LN-0002 ",
        "11010519491231002x",
        "110105 19491231 002X",
        "13800138000",
        "+86-138-0013-8000",
        "010-62556666",
    ],
)
def test_a_debtor_is_found_by_account_id_number_or_telephone(known: Gateway, who: str) -> None:
    told = register.disclosures(known.world.desk, Question("harbour", who, WHY)).told
    assert set(told["field"]) == {"balance", "phone"}
    assert set(told["agency"]) == {"quayside"}
    assert set(told["erase_by"]) == {pd.Timestamp(2026, 8, 1)}
    assert told["erased_at"].isna().all()
    assert len(set(told["file"])) == 1


def test_nobody_was_told_of_the_third(known: Gateway) -> None:
    assert register.disclosures(known.world.desk, Question("harbour", "13900139000", WHY)).told.empty


def test_the_question_is_on_the_record_and_what_was_asked_is_not(known: Gateway) -> None:
    register.disclosures(known.world.desk, Question("harbour", "13800138000", WHY))
    with pytest.raises(UsageError, match="nobody is known") as it:
        register.disclosures(known.world.desk, Question("harbour", "13700137000", WHY))
    assert "13700137000" not in str(it.value) + it.value.fix
    events = known.rows(AuditEvent, "action", "subject", "details", "actor").query("action == 'disclosures.asked'")
    details = [json.loads(text) for text in events["details"]]
    assert [(one["accounts"], one["count"]) for one in details] == [(2, 1), (0, 2)]
    assert {one["reason_sha256"] for one in details} == {hashlib.sha256(WHY.encode()).hexdigest()}
    assert not events.astype(str).map(lambda text: "1380013" in text or "1370013" in text).to_numpy().any()


def test_another_lender_s_debtor_is_nobody(known: Gateway) -> None:
    with pytest.raises(UsageError, match="nobody is known"):
        register.disclosures(known.world.desk, Question("lotus", "LN-0001", WHY))


def test_an_erased_placement_says_when(known: Gateway) -> None:
    desk = known.world.desk
    with desk.database.write() as connection:
        bulk.append(connection, exchange.ERASURES, pd.DataFrame({
            "erasure_id": [1], "placement_id": [101], "agency": "quayside",
            "requested_on": pd.Timestamp(date(2026, 1, 5)),
            "due_on": pd.Timestamp(date(2026, 2, 5)), "erased_at": desk.now(), "verified_at": desk.now(),
        }))  # fmt: skip
    told = register.disclosures(desk, Question("harbour", "LN-0001", WHY)).told
    assert told["erased_at"].notna().sum() == 2
