"""A lender, two agencies that share folders with it, and a placement that has left."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from infra.sandbox.world import Cast, World, open_world
from infra.store import bulk
from models.tables import Account, Disclosure, DisclosureAccount, Placement, Plan, Transmission

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

START = date(2026, 1, 5)
CAST = (Cast("quayside", "Quayside", "age"), Cast("hengxin", "恒信资产", "age"))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Three accounts of two debtors, told to one of two agencies in one file, under `cn-default`."""
    from infra import policies

    with open_world(
        tmp_path / "home", seed=3, start=START, cast=CAST,
        lenders={"harbour": "Harbour"}, sftp=False, engine="direct",
    ) as opened:  # fmt: skip
        desk = opened.desk
        with desk.database.read() as connection:
            policy = policies.find(connection, "cn-default")
        day, ids = pd.Timestamp(START), np.arange(1, 4, dtype=np.int64)
        with desk.database.session() as session:
            session.add(
                Plan(
                    plan_id=1, lender="harbour", name="January", policy=policy.name, policy_version=policy.version,
                    policy_sha256=policy.sha256, seed=1, spec="{}", summary="{}", inputs_sha256="", content_sha256="",
                    accounts=3, balance_minor=3, currency="CNY", as_of=START, term_days=180, created_by="chen.yu",
                    created_at=desk.now(),
                )
            )  # fmt: skip
            session.add(
                Transmission(
                    transmission_id=1, work_key="plan:1", lender="harbour", agency="quayside", kind="placement",
                    sequence=1, name="harbour-1.zip.age", state="delivered", prepared_on=START, rows=3,
                    sealed_at=desk.now(), package_sha256="0" * 64,
                )
            )  # fmt: skip
            for field, treatment, value_class in (
                ("account", "pseudonym", "pseudonym"), ("phone", "release", "contact"), ("name", "release", "identity"),
            ):  # fmt: skip
                session.add(
                    Disclosure(
                        transmission_id=1, agency="quayside", field=field, treatment=treatment,
                        value_class=value_class, purpose="collection", basis="contract", policy=policy.name,
                        policy_version="1", rows=3, disclosed_at=desk.now(), erase_by=date(2026, 8, 1),
                    )
                )  # fmt: skip
        generation = desk.keyring.pseudonym_key("quayside").generation
        with desk.database.write() as connection:
            bulk.append(connection, Account, pd.DataFrame({
                "account_id": ids, "lender": "harbour", "ref_index": ["a", "b", "c"], "debtor_id": [1, 1, 3],
                "portfolio_id": 1, "product": "card", "currency": "CNY", "dpd": 95, "bucket": "M4",
                "balance_minor": 1, "as_of": day,
            }))  # fmt: skip
            bulk.append(connection, Placement, pd.DataFrame({
                "placement_id": ids + 100, "plan_id": 1, "lender": "harbour", "agency": "quayside", "account_id": ids,
                "debtor_id": [1, 1, 3], "round": 1, "stage": "phone", "segment": "all", "currency": "CNY",
                "balance_minor": 1, "dpd": 95, "bucket": "M4", "placed_on": day, "due_back_on": day, "state": "placed",
                "key_generation": generation, "transmission_id": 1,
            }))  # fmt: skip
            bulk.append(connection, DisclosureAccount, pd.DataFrame({
                "transmission_id": 1, "account_id": ids, "placement_id": ids + 100,
            }))  # fmt: skip
        yield opened
