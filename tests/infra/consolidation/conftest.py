"""Two lenders whose debtors are known by their ID numbers, and people with and without a role."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import insert, select

from infra import consolidation
from infra.indexes import identity_index, linkage_pseudonyms
from infra.sandbox.world import Clock, settings_of
from infra.store import bulk, schema
from infra.store import consolidation as store
from infra.wiring import Desk, seated
from keys.keyring import Keyring
from models.tables import ActorRole, Debtor, Lender, LinkedDebtor

TODAY = date(2026, 3, 2)
LENDERS = ("harbour", "lotus", "willow")
ANNA, BEN, CARL = "11010519491231002X", "440524188001010014", "110105199001011234"
"""Two valid resident IDs, and one with a wrong check character."""


@dataclass
class House:
    """A store on SQLite with three lenders."""

    desk: Desk
    clock: Clock

    def as_(self, actor: str) -> Desk:
        other = Desk(self.desk.settings, clock=self.clock, actor=actor)
        other.__dict__.update(database=self.desk.database, keyring=self.desk.keyring)
        return other

    def know(self, lender: str, *numbers: str | None) -> list[int]:
        """Debtors of the lender with these ID numbers, as intake leaves them."""
        lines = pd.DataFrame({"id_number": pd.Series(numbers, dtype="str")})
        keyring = self.desk.keyring
        refs = pd.Series([f"{lender}-{n}" for n in range(len(lines))], dtype="str")
        with self.desk.database.write() as connection:
            first = bulk.reserve(connection, "debtor", len(lines))
            ids = list(range(first, first + len(lines)))
            bulk.append(connection, Debtor, pd.DataFrame({
                "debtor_id": ids, "lender": lender, "identity_index": identity_index(keyring, lender, lines, refs),
                "linkage": linkage_pseudonyms(keyring, lender, lines), "created_at": pd.Timestamp(self.desk.now()),
            }))  # fmt: skip
        return ids

    def propose(self, lender: str, circle: str = "delta", **more: Any) -> int:
        told = consolidation.propose(self.desk, circle, lender, **{**TERMS, **more})
        assert told.basis_id is not None
        return told.basis_id

    def base(self, lender: str, circle: str = "delta", **more: Any) -> int:
        number = self.propose(lender, circle, **more)
        consolidation.approve(self.as_("li.wei"), number)
        return number

    def linked(self, circle: str = "delta") -> set[int]:
        table = bulk.table_of(LinkedDebtor)
        with self.desk.database.read() as connection:
            return set(connection.execute(select(table.c.debtor_id).where(table.c.circle == circle)).scalars())

    def partners(self, lender: str, today: date = TODAY) -> dict[int, set[int]]:
        with self.desk.database.read() as connection:
            found = store.partners(connection, lender, today)
        return {
            debtor: set(found.loc[found["debtor_id"] == debtor, "other_id"]) for debtor in found["debtor_id"].tolist()
        }

    def appoint(self, **roles: str) -> None:
        """From the first administrator on roles count."""
        rows = [{"actor": "root", "role": "administrator"}]
        rows += [{"actor": actor.replace("_", "."), "role": role} for actor, role in roles.items()]
        with self.desk.database.write() as connection:
            for row in rows:
                given = insert(bulk.table_of(ActorRole)).values(granted_by="init", granted_at=self.desk.now())
                connection.execute(given.values(**row))


TERMS: dict[str, Any] = {
    "scope": "external", "basis": "PIPL art. 13(1)(1), agreement of 1 March 2026", "evidence": "register 7/2026",
    "valid_from": TODAY,
}  # fmt: skip


@pytest.fixture
def house(tmp_path: Path, store_url: str) -> Iterator[House]:
    """The lenders and a keyring; chen.yu sits at the desk."""
    clock = Clock(pd.Timestamp("2026-03-02T02:00Z").to_pydatetime())
    desk = Desk(settings_of(tmp_path / "home", database=store_url), clock=clock, actor="chen.yu")
    schema.ensure(desk.database)
    path = desk.settings.keyring_path
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    Keyring.create(path, key_file=desk.settings.key_file_path)
    with desk.database.session() as session:
        session.add_all(Lender(lender=code, name=code.title(), created_at=desk.now()) for code in LENDERS)
    with seated(desk):
        yield House(desk, clock)
    desk.database.close()


@pytest.fixture
def store_url() -> str:
    """SQLite in its home, unless a test asks for the other store."""
    return ""
