"""A lender, two agencies and their placements in a real store, and an hour-glass for what they report."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import select, update
from sqlmodel import SQLModel

from infra.sandbox.world import Clock, settings_of
from infra.store import bulk, schema
from infra.wiring import Desk, seated
from keys.keyring import Keyring
from models.tables import (
    Account,
    Activity,
    Agency,
    Breach,
    Debtor,
    InboundFile,
    Lender,
    Placement,
    Recall,
    RemittanceLine,
    Transmission,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

START = date(2026, 3, 1)
CODES = ("quayside", "lantern")


@dataclass
class Books:
    """The store as intake, placing and collecting leave it; one account per debtor unless told otherwise."""

    desk: Desk
    clock: Clock
    _files: int = 0
    _ids: int = 0

    def as_(self, actor: str) -> Desk:
        """The same desk with somebody else at it."""
        other = Desk(self.desk.settings, clock=self.desk.clock, actor=actor)
        other.__dict__["database"] = self.desk.database
        if "keyring" in self.desk.__dict__:
            other.__dict__["keyring"] = self.desk.keyring
        return other

    def with_keys(self) -> None:
        """There is a keyring, with a pseudonym key per agency."""
        path = self.desk.settings.keyring_path
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        keyring = Keyring.create(path, key_file=self.desk.settings.key_file_path)
        for code in CODES:
            keyring.new_pseudonym_key(code, self.desk.now())

    def place(
        self,
        count: int,
        agency: str = "quayside",
        placed_on: date = START,
        *,
        debtor: int | None = None,
        region: str | None = "310000",
        ended_on: date | None = None,
        accounts: list[int] | None = None,
    ) -> list[int]:
        """New placements; their ids. accounts: placed again, else new ones are made."""
        first = self._ids + 1
        self._ids += count
        ids = np.arange(first, first + count, dtype=np.int64)
        mine = np.array(accounts, dtype=np.int64) if accounts else ids
        debtors = np.full(count, debtor, dtype=np.int64) if debtor else mine
        with self.desk.database.write() as connection:
            if not accounts:
                new = debtors if debtor is None else np.empty(0, dtype=np.int64)
                bulk.append(connection, Debtor, pd.DataFrame({
                    "debtor_id": new, "lender": "harbour", "identity_index": [f"{n:032x}" for n in new],
                    "created_at": self.desk.now(),
                }))  # fmt: skip
                bulk.append(connection, Account, pd.DataFrame({
                    "account_id": ids, "lender": "harbour", "ref_index": [f"{n:032x}" for n in ids],
                    "debtor_id": debtors, "portfolio_id": 1, "product": "card", "currency": "CNY", "dpd": 95,
                    "bucket": "M4", "balance_minor": 100_00, "as_of": pd.Timestamp(placed_on), "region": region,
                }))  # fmt: skip
            bulk.append(connection, Placement, pd.DataFrame({
                "placement_id": ids, "plan_id": first, "lender": "harbour", "agency": agency, "account_id": mine,
                "debtor_id": debtors, "round": 1, "stage": "phone", "segment": "all", "currency": "CNY",
                "balance_minor": 100_00, "dpd": 95, "bucket": "M4", "placed_on": pd.Timestamp(placed_on),
                "due_back_on": pd.Timestamp(placed_on) + pd.Timedelta(days=90),
                "state": "closed" if ended_on else "acknowledged",
                "ended_on": pd.Timestamp(ended_on) if ended_on else pd.NaT,
            }))  # fmt: skip
        return [int(one) for one in ids]

    def file(self, kind: str = "activity", agency: str = "quayside", accepted_at: datetime | None = None) -> int:
        """An accepted file."""
        self._files += 1
        at = accepted_at or self.desk.now()
        with self.desk.database.session() as session:
            session.add(
                InboundFile(
                    file_id=self._files, agency=agency, lender="harbour", name=f"f{self._files}", kind=kind,
                    state="accepted", sealed_sha256=f"{self._files}", sealed_size=1, stored_path="", received_at=at,
                    accepted_at=at,
                )
            )  # fmt: skip
        return self._files

    def report(self, *rows: tuple[Any, ...], agency: str = "quayside", offset: int = 480) -> int:
        """A file of contacts: (placement, "2026-03-05 10:00" where the debtor is, outcome[, channel[, point]])."""
        file_id = self.file(agency=agency)
        told = [(*row, *("", "", "no_answer", "phone", "p1")[len(row) :]) for row in rows]
        frame = pd.DataFrame(told, columns=["placement_id", "at", "outcome", "channel", "contact_point_ref"])
        at = pd.to_datetime(frame["at"]) - pd.Timedelta(minutes=offset)
        with self.desk.database.write() as connection:
            bulk.append(connection, Activity, frame.assign(
                at=at.dt.tz_localize("UTC"), offset_minutes=offset, file_id=file_id, agency=agency,
                line=np.arange(1, len(frame) + 1),
            ))  # fmt: skip
        return file_id

    def recall(self, placement_id: int, delivered_at: datetime, reason: str = "term", agency: str = "quayside") -> None:
        """A recall that the agency has since then."""
        with self.desk.database.session() as session:
            session.add(
                Transmission(
                    transmission_id=90_000 + placement_id, work_key=f"r{placement_id}", lender="harbour",
                    agency=agency, kind="recall", sequence=placement_id, name=f"r{placement_id}", state="delivered",
                    prepared_on=delivered_at.date(), delivered_at=delivered_at,
                )
            )  # fmt: skip
            session.add(
                Recall(
                    recall_id=placement_id, placement_id=placement_id, agency=agency, reason=reason,
                    requested_on=delivered_at.date(), due_on=delivered_at.date(), requested_by="x",
                    transmission_id=90_000 + placement_id,
                )
            )  # fmt: skip

    def remit(self, placement_id: int, accepted_at: datetime) -> None:
        """A recovery of the placement, tied to it."""
        file_id = self.file("remittance", accepted_at=accepted_at)
        with self.desk.database.session() as session:
            session.add(
                RemittanceLine(
                    line_id=file_id, content_id=f"{file_id}", file_id=file_id, line=1, lender="harbour",
                    agency="quayside", placement_id=placement_id, account_id=placement_id, kind="recovery",
                    gross_minor=1, commission_minor=0, net_minor=1, currency="CNY", value_date=accepted_at.date(),
                    state="matched",
                )
            )  # fmt: skip

    def refuse(self, file_id: int) -> None:
        """The file counts no longer."""
        self.set(InboundFile, InboundFile.file_id == file_id, state="refused")

    def set(self, table: Any, where: Any, **columns: Any) -> None:
        with self.desk.database.write() as connection:
            connection.execute(update(bulk.table_of(table)).where(where).values(**columns))

    def country(self, country: str, timezone: str) -> None:
        """The lender is elsewhere, and its rules with it."""
        self.set(Lender, Lender.lender == "harbour", country=country, timezone=timezone)

    def turn(self, day: date) -> None:
        """It is noon of that day."""
        self.clock.turn(day, 12)

    def breaches(self, state: str = "open") -> dict[str, int]:
        """How many breaches there are, by rule; records left out where no test is about them."""
        table = bulk.table_of(Breach)
        with self.desk.database.read() as connection:
            found = bulk.read(connection, select(table.c.rule_id).where(table.c.state == state))
        return {str(rule): int(number) for rule, number in sorted(found["rule_id"].value_counts().items())}

    def evidence(self, rule: str) -> list[str]:
        table = bulk.table_of(Breach)
        with self.desk.database.read() as connection:
            return sorted(
                connection.execute(
                    select(table.c.evidence).where(table.c.rule_id == rule, table.c.state == "open")
                ).scalars()
            )


@pytest.fixture
def store_url() -> str:
    """Where the store is: SQLite in its home, unless a module says otherwise."""
    return ""


@pytest.fixture
def books(tmp_path: Path, store_url: str) -> Iterator[Books]:
    """Two agencies that a Chinese lender places with; it is ten days after the first placements."""
    home = tmp_path / "home"
    desk = Desk(settings_of(home, engine="direct", database=store_url), actor="sandbox")
    if desk.database.is_sqlite:
        SQLModel.metadata.create_all(desk.database.engine)  # what the migrations make, in a tenth of their time
    else:
        schema.ensure(desk.database)
    clock = Clock(datetime(2026, 3, 1, tzinfo=UTC))
    desk.clock = clock
    with desk.database.session() as session:
        session.add(Lender(lender="harbour", name="Harbour", created_at=desk.now()))
        session.add_all(
            Agency(agency=code, name=code, state="live", drop="{}", created_at=desk.now()) for code in CODES
        )
    with seated(desk):
        opened = Books(desk, clock)
        opened.turn(START + timedelta(days=10))
        yield opened
    desk.database.close()
