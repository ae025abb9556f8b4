"""A store with agencies, placements, remittances and everything else that a score is drawn from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime

import numpy as np
import pandas as pd
import pytest
from sqlmodel import SQLModel

from infra.store.bulk import append
from infra.store.database import Database
from models.tables import (
    Account,
    Activity,
    Agency,
    Breach,
    Break,
    Complaint,
    Erasure,
    ExchangeException,
    InboundFile,
    InvoiceLine,
    Placement,
    Recall,
    RemittanceLine,
    Transmission,
)

NOON = datetime(2026, 1, 1, 4, tzinfo=UTC)
AS_OF = date(2026, 7, 1)
NAMES = {"hengxin": "恒信资产", "lotus": "Lotus Credit", "northgate": "Northgate", "quayside": "Quayside <Recoveries>"}
EFFECTS = np.array([0.6, 1.0, 1.0, 1.8])
Fill = Callable[[Database, int], None]


def filled(database: Database, accounts: int) -> None:
    """Accounts of two lenders with four agencies since January; three lines count for nobody."""
    SQLModel.metadata.create_all(database.engine)
    rng = np.random.default_rng(1)
    ids = np.arange(accounts)
    codes = np.array(list(NAMES))
    held = rng.integers(0, 4, accounts)
    lender = np.where(ids % 4 == 0, "alder", "birch")
    day = rng.integers(0, 150, accounts)
    placed = (np.datetime64("2026-01-01") + day).astype("datetime64[us]")
    balance = rng.integers(50_000, 3_000_000, accounts)
    plain = {"currency": "CNY", "bucket": "M2", "dpd": 45}
    account = pd.DataFrame({
        "account_id": ids, "lender": lender, "ref_index": ids.astype(str), "debtor_id": ids // 2, "portfolio_id": 1,
        "product": rng.choice(["card", "cash"], accounts), "balance_minor": balance, "as_of": placed, **plain,
    })  # fmt: skip
    placement = pd.DataFrame({
        "placement_id": ids, "plan_id": 1, "lender": lender, "agency": codes[held], "account_id": ids,
        "debtor_id": ids // 2, "round": 1, "stage": "phone", "segment": "all", "balance_minor": balance,
        "placed_on": placed, "due_back_on": placed + np.timedelta64(180, "D"), "state": "acknowledged", **plain,
    })  # fmt: skip
    placement.loc[0, "state"] = "planned"
    paying = np.flatnonzero(rng.random(accounts) < 0.25 * EFFECTS[held])
    gross = (balance[paying] * rng.beta(1, 3, len(paying))).astype(np.int64) + 1
    lines = pd.DataFrame({
        "line_id": np.arange(len(paying)), "content_id": paying.astype(str), "file_id": 1, "line": paying,
        "lender": lender[paying], "agency": codes[held[paying]], "placement_id": paying, "account_id": paying,
        "kind": "recovery", "gross_minor": gross, "commission_minor": 0, "net_minor": gross,
        "due_commission_minor": gross // 5, "currency": "CNY",
        "value_date": placed[paying] + rng.integers(3, 31, len(paying)) * np.timedelta64(1, "D"), "state": "matched",
    })  # fmt: skip
    lines.loc[0, "state"], lines.loc[1, "kind"], lines.loc[2, "state"] = "rejected", "direct", "in_break"
    with database.write() as connection:
        append(connection, Account, account)
        append(connection, Placement, placement)
        append(connection, RemittanceLine, lines)
    _file_the_rest(database)
    _ask_back(database)


def _ask_back(database: Database) -> None:
    """Lotus confirms one recall in time, one late and one not at all; one is not due; so with erasures."""
    asked_on = date(2026, 3, 1)
    with database.session() as session:
        for number, (due, done) in enumerate(
            [(date(2026, 3, 6), date(2026, 3, 5)), (date(2026, 3, 6), date(2026, 3, 9)), (date(2026, 3, 6), None),
             (date(2026, 8, 1), None), (date(2026, 8, 1), date(2026, 7, 5))],
            start=100,
        ):  # fmt: skip
            session.add(
                Recall(
                    recall_id=number, placement_id=number, due_on=due, confirmed_on=done, reason="hold",
                    requested_by="chen.yu", agency="lotus", requested_on=asked_on,
                )
            )  # fmt: skip
        for number, (due, at) in enumerate(
            [(date(2026, 4, 1), NOON.replace(month=4)), (date(2026, 4, 1), NOON.replace(month=5)),
             (date(2026, 9, 1), None)],
            start=100,
        ):  # fmt: skip
            session.add(
                Erasure(
                    erasure_id=number,
                    placement_id=number,
                    due_on=due,
                    erased_at=at,
                    agency="lotus",
                    requested_on=asked_on,
                )
            )
        for number, (code, at) in enumerate(
            [("silent_agency", NOON), ("file_refused", NOON), ("silent_agency", NOON.replace(year=2027))]
        ):
            session.add(
                ExchangeException(
                    code=code, agency="lotus", lender="birch", subject=f"{number}", severity="normal",
                    owner="operations", opened_at=at, due_at=at,
                )
            )  # fmt: skip
        for line, number in enumerate((5, 5, 6)):
            session.add(
                Activity(
                    file_id=1, line=line, agency="lotus", placement_id=number,
                    at=NOON.replace(month=number), offset_minutes=480, channel="phone", outcome="no_answer",
                )
            )  # fmt: skip
            session.flush()


def _file_the_rest(database: Database) -> None:
    with database.session() as session:
        for number, (code, name) in enumerate(NAMES.items()):
            session.add(Agency(agency=code, name=name, drop="{}", created_at=NOON))
            session.add(
                InboundFile(
                    file_id=number,
                    agency=code,
                    lender="birch",
                    name=f"{number}",
                    state="accepted",
                    sealed_sha256=f"{number}",
                    sealed_size=1,
                    stored_path="",
                    rows=100,
                    rows_refused=number,
                    received_at=NOON,
                )
            )
            acknowledged_at = NOON.replace(day=2 + 3 * number) if number < 3 else None
            session.add(
                Transmission(
                    transmission_id=number,
                    work_key=f"{number}",
                    lender="birch",
                    agency=code,
                    kind="placement",
                    sequence=1,
                    name="",
                    prepared_on=AS_OF,
                    delivered_at=NOON,
                    acknowledged_at=acknowledged_at,
                )
            )
            session.add(
                InvoiceLine(
                    invoice_line_id=number,
                    file_id=1,
                    line=1,
                    lender="birch",
                    agency=code,
                    invoice_no="1",
                    base_minor=100,
                    commission_minor=20,
                    currency="CNY",
                    period="2026-02",
                    state="disputed" if number == 2 else "agreed",
                )
            )
        session.add(
            InboundFile(
                file_id=9,
                agency="lotus",
                lender="birch",
                name="9",
                state="refused",
                sealed_sha256="9",
                sealed_size=1,
                stored_path="",
                rows=50,
                received_at=NOON,
            )
        )
        session.add(
            Complaint(agency="lotus", complaint_ref="1", placement_id=2, received_on=date(2026, 2, 1), category="tone")
        )
        session.add(
            Complaint(agency="lotus", complaint_ref="2", placement_id=2, received_on=date(2027, 2, 1), category="tone")
        )
        for number, (state, severity, at) in enumerate(
            [("open", "low", NOON), ("upheld", "serious", NOON), ("dismissed", "serious", NOON),
             ("open", "serious", NOON.replace(year=2027))]
        ):  # fmt: skip
            session.add(
                Breach(
                    pack="cn", pack_version="1", rule_id="r", clause="c", severity=severity, counter="n",
                    evidence=str(number), agency="lotus", lender="birch", state=state, at=at, zone="UTC", run_id=1,
                    found_at=at,
                )
            )  # fmt: skip
        session.add(
            Break(
                break_id=1,
                break_key="amount_diff:1",
                code="amount_diff",
                lender="birch",
                agency="lotus",
                amount_minor=1,
                currency="CNY",
                opened_at=NOON,
            )
        )


@pytest.fixture(scope="session")
def fill() -> Fill:
    """A function: `fill(database, accounts)`."""
    return filled


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A filled store, once on SQLite and once on PostgreSQL."""
    opened = Database(database_url)
    filled(opened, 1200)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def as_of() -> date:
    """The day of the scores."""
    return AS_OF
