"""A desk and one agency that share a folder, with real keys and seals; and a sender who can get anything wrong."""

from __future__ import annotations

import hashlib
import json
import zipfile
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import func, select

from infra import inbound, outbox
from infra.inbound import Collected
from infra.packages import account_pseudonyms
from infra.sandbox.world import Cast, World, open_world
from infra.store import bulk, exchange
from keys.sealing import open_from, seal_for
from models import tables
from models.kinds import KINDS, file_name
from models.tables import Account, Debtor, InboundFile, Placement, Transmission
from models.tables import __all__ as every_table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Row

    from infra.sandbox.agency import SandboxAgency

START = date(2026, 1, 1)
ACCOUNTS = 6
BALANCE = 100_000
CHANGED_BY_REFUSING = {
    "inbound_file",
    "inbound_reject",
    "transmission",
    "audit_event",
    "audit_head",
    "id_counter",
    "disclosure",
    "exchange_exception",
    "gate_check",
}


@dataclass
class Gateway:
    """Both sides of the folder."""

    world: World
    agency: SandboxAgency
    _numbers: dict[str, int] = field(default_factory=dict)

    # -- the lender's side ---------------------------------------------------------------------------------------------

    def collect(self) -> Collected:
        """What one round of collecting did; receipts are delivered."""
        took = inbound.collect(self.world.desk, self.agency.code)
        outbox.send(self.world.desk, self.agency.code)
        return took

    def place(self, state: str = "placed", kind: str = "placement") -> pd.DataFrame:
        """Six accounts are with the agency, as `outbox` leaves them; returns account_id, placement_id, account."""
        desk = self.world.desk
        ids = np.arange(1, ACCOUNTS + 1, dtype=np.int64)
        key = desk.keyring.pseudonym_key(self.agency.code)
        with desk.database.write() as connection:
            bulk.append(connection, Debtor, pd.DataFrame({
                "debtor_id": ids, "lender": "harbour", "identity_index": [f"{n:032x}" for n in ids],
                "created_at": desk.now(),
            }))  # fmt: skip
            bulk.append(connection, Account, pd.DataFrame({
                "account_id": ids, "lender": "harbour", "ref_index": [f"{n:032x}" for n in ids], "debtor_id": ids,
                "portfolio_id": 1, "product": "card", "currency": "CNY", "dpd": 95, "bucket": "M4",
                "balance_minor": BALANCE, "as_of": pd.Timestamp(START),
            }))  # fmt: skip
            transmission_id = self.transmission(connection, kind, "delivered")
            bulk.append(connection, Placement, pd.DataFrame({
                "placement_id": ids + 100, "plan_id": 1, "lender": "harbour", "agency": self.agency.code,
                "account_id": ids, "debtor_id": ids, "round": 1, "stage": "early", "segment": "all", "currency": "CNY",
                "balance_minor": BALANCE, "dpd": 95, "bucket": "M4", "placed_on": pd.Timestamp(START),
                "due_back_on": pd.Timestamp(2026, 4, 1), "state": state, "key_generation": key.generation,
                "transmission_id": transmission_id, "told_minor": BALANCE,
            }))  # fmt: skip
        return pd.DataFrame(
            {"account_id": ids, "placement_id": ids + 100, "account": account_pseudonyms(key, pd.Series(ids))}
        )

    def transmission(self, connection: Any, kind: str, state: str, **columns: Any) -> int:
        """A transmission in that state, whatever its life says."""
        number = self._numbers["sent"] = self._numbers.get("sent", 0) + 1
        work = exchange.Work(f"test:{number}", "harbour", self.agency.code, kind, START, ".age", {})
        transmission_id, _ = exchange.prepare(connection, work)
        exchange.note(connection, transmission_id, state=state, **columns)
        return transmission_id

    def store(self) -> dict[str, int]:
        """Rows of every table but those in which a refusal is written down."""
        counted = {}
        with self.world.desk.database.read() as connection:
            for name in every_table:
                table = bulk.table_of(getattr(tables, name))
                if table.name not in CHANGED_BY_REFUSING:
                    counted[table.name] = connection.execute(select(func.count()).select_from(table)).scalar_one()
            placements = bulk.read(connection, select(Placement.__table__))  # type: ignore[attr-defined]
        return counted | {"placements as they are": int(pd.util.hash_pandas_object(placements.astype(str)).sum())}

    def rows(self, row: Any, *columns: str) -> pd.DataFrame:
        """Columns of a table."""
        table = bulk.table_of(row)
        with self.world.desk.database.read() as connection:
            return bulk.read(connection, select(*(table.c[name] for name in columns)))

    def files(self) -> pd.DataFrame:
        """What came, in order."""
        return self.rows(InboundFile, "file_id", "name", "state", "refusal_code", "finding", "rows", "rows_refused")

    def row(self) -> Row[Any]:
        """The agency's row."""
        with self.world.desk.database.read() as connection:
            return exchange.agency(connection, self.agency.code)

    def acknowledging(self, accounts: pd.DataFrame, **columns: Any) -> pd.DataFrame:
        """An acknowledgement of these accounts, as text."""
        return pd.DataFrame({
            "account": accounts["account"].to_numpy(), "status": "booked", "currency": "CNY",
            "booked_balance": "1000.00", "booked_on": "2026-01-09", "reason": "",
        }).assign(**columns)  # fmt: skip

    # -- the agency's side ---------------------------------------------------------------------------------------------

    def package(
        self,
        kind: str,
        frame: pd.DataFrame | bytes,
        *,
        sequence: int | None = None,
        manifest: dict[str, Any] | None = None,
        claims: dict[str, Any] | None = None,
        members: dict[str, bytes] | None = None,
        lender: str = "harbour",
        agency: str | None = None,
    ) -> tuple[str, Path]:
        """An honest package of that kind and its name, but for what is told otherwise.

        frame: text columns as they go into the file, or the file's bytes. manifest: of its `consign` part; claims: of
        its resource; members: of the ZIP.
        """
        sequence = self._next(kind) if sequence is None else sequence
        code = agency or self.agency.code
        name = file_name(lender, code, kind, f"{self.world.desk.today():%Y%m%d}", sequence, ".age")
        text = frame if isinstance(frame, bytes) else frame.to_csv(index=False, lineterminator="\n").encode()
        rows = frame.shape[0] if isinstance(frame, pd.DataFrame) else text.count(b"\n") - 1
        table = KINDS[kind].table
        control = KINDS[kind].control
        sums: dict[str, str] = {}
        if control is not None and isinstance(frame, pd.DataFrame) and {control, "currency"} <= set(frame.columns):
            amounts = pd.to_numeric(frame[control], errors="coerce").fillna(0)
            sums = {str(c): f"{t:.2f}" for c, t in amounts.groupby(frame["currency"]).sum().items() if c != ""}
        described = {
            "name": name.removesuffix(".zip.age"),
            "consign": {
                "kind": kind, "lender": lender, "agency": code, "sequence": sequence, "rows": rows,
                "control": {"field": control, "sums": sums}, **(manifest or {}),
            },
            "resources": [
                {
                    "name": table, "path": f"{table}.csv", "hash": f"sha256:{hashlib.sha256(text).hexdigest()}",
                    **(claims or {}),
                },
            ],
        }  # fmt: skip
        plain = self.agency.root / f".{name}.plain"
        inside = {"datapackage.json": json.dumps(described).encode(), f"{table}.csv": text} | (members or {})
        with zipfile.ZipFile(plain, "w", zipfile.ZIP_DEFLATED) as archive:
            for member, content in inside.items():
                if content:
                    # of one time: the same package again has the same bytes, whatever the second
                    archive.writestr(zipfile.ZipInfo(member, (2026, 1, 1, 0, 0, 0)), content, zipfile.ZIP_DEFLATED)
        return name, plain

    def send(self, kind: str, frame: pd.DataFrame | bytes, *, name: str | None = None, **wrong: Any) -> str:
        """It lies sealed in the folder; returns its name."""
        named, plain = self.package(kind, frame, **wrong)
        return self.seal(name or named, plain)

    def seal(self, name: str, plain: Path) -> str:
        """A package, sealed and signed, lies in the folder under the name."""
        sealed = self.agency.root / f".{name}"
        seal_for(self.agency.keyring, "lender", "age", plain, sealed, self.world.clock.now)
        sealed.with_name(f".{name}.sig").rename(self.agency.outbox / f"{name}.sig")
        sealed.rename(self.agency.outbox / name)
        return name

    def receipts(self) -> list[pd.DataFrame]:
        """Every receipt that the agency finds, opened by the agency, oldest first."""
        found = []
        for sealed in sorted(self.agency.inbox.glob("*.receipt.*.age")):
            plain = self.agency.root / ".receipt.plain"
            open_from(self.agency.keyring, "lender", "age", sealed, plain, self.world.clock.now)
            with zipfile.ZipFile(plain) as archive, archive.open("lines.csv") as lines:
                found.append(pd.read_csv(lines, dtype=str))
        return found

    def _next(self, kind: str) -> int:
        self._numbers[kind] = self._numbers.get(kind, 0) + 1
        return self._numbers[kind]


@pytest.fixture
def store_url() -> str:
    """SQLite, unless a module says otherwise."""
    return ""


@pytest.fixture
def gateway(tmp_path: Path, store_url: str) -> Iterator[Gateway]:
    """One lender and one agency of suite age, exchanging through a folder."""
    cast = (Cast("quayside", "Quayside Recoveries", share=1.0),)
    with open_world(
        tmp_path / "home", seed=7, start=START, cast=cast, lenders={"harbour": "Harbour"}, sftp=False,
        engine="direct", database=store_url, delivery_attempts=1,
    ) as world:  # fmt: skip
        world.clock.turn(date(2026, 1, 10))
        yield Gateway(world, world.agencies["quayside"])


@pytest.fixture
def transmissions(gateway: Gateway) -> Any:
    """A function: kind and state of every transmission, in order."""

    def told() -> list[tuple[str, str]]:
        frame = gateway.rows(Transmission, "transmission_id", "kind", "state").sort_values("transmission_id")
        return list(zip(frame["kind"], frame["state"], strict=True))

    return told
