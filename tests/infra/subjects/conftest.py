"""A lender whose debtors ask about their data: accounts taken in from a file, placed with two agencies, booked."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import select

from flows.intake import intake
from flows.place import place
from flows.plan import draft
from infra import inbound, outbox
from infra.packages import account_pseudonyms
from infra.register import Answer, Question, disclosures
from infra.sandbox import debtors
from infra.sandbox.world import Cast, World, open_world
from infra.store import bulk, plans
from keys.reidentify import Reidentifier
from models.kinds import FILE_NAME
from models.planning.spec import PlanSpec

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

START = date(2026, 1, 5)
CAST = (Cast("quayside", "Quayside Recoveries", share=0.5), Cast("lantern", "Lantern Credit", share=0.5))
WHY = "a letter of the debtor's, received this morning"


@dataclass
class House:
    """Both sides: the lender's desk, its file as it came, and the agencies."""

    world: World
    raw: pd.DataFrame
    letters: list[str] = field(default_factory=list)

    @property
    def desk(self) -> Any:
        """The lender's."""
        return self.world.desk

    def turn(self, day: int, month: int = 1) -> None:
        """It is that day of 2026."""
        self.world.clock.turn(date(2026, month, day))

    def ask(self, who: str, **more: Any) -> Answer:
        """What the register says of whoever has this number."""
        return disclosures(self.desk, Question("harbour", who, WHY, **more))

    def rows(self, row: Any, *columns: str) -> pd.DataFrame:
        """Columns of a table."""
        table = bulk.table_of(row)
        with self.desk.database.read() as connection:
            return bulk.read(connection, select(*(table.c[name] for name in columns or table.c.keys())))

    def answer(self, *acts: str) -> None:
        """Each agency opens what came and does these things; the lender takes in what they send, and answers."""
        now, today = self.world.clock.now, self.world.clock.now.date()
        for agency in self.world.agencies.values():
            agency.open_mail(now)
            for act in acts:
                getattr(agency, act)(today, now)
            inbound.collect(self.desk, agency.code)
            outbox.send(self.desk, agency.code)

    def packages(self, agency: str) -> dict[str, pd.DataFrame]:
        """Every file that the agency was sent, opened by the agency: text cells by the file's name."""
        of = self.world.agencies[agency]
        names = sorted(path.name for path in of.inbox.iterdir() if FILE_NAME.fullmatch(path.name))
        return {name: of._opened(of.inbox / name, self.world.clock.now) for name in names}

    def known_as(self, agency: str, account_id: int) -> str:
        """The agency's name for the account."""
        key = self.desk.keyring.pseudonym_key(agency)
        return str(account_pseudonyms(key, pd.Series([account_id]))[0])

    def accounts_in(self, agency: str, pseudonyms: pd.Series) -> np.ndarray:
        """The accounts behind the agency's names."""
        ids, known = Reidentifier(self.desk.keyring).accounts_of(agency, pseudonyms)
        assert known.all()
        return ids


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """Forty accounts are with two agencies, placed and booked on the fifth of January 2026."""
    with open_world(
        tmp_path / "home", seed=11, start=START, cast=CAST, lenders={"harbour": "Harbour"}, sftp=False, engine="direct",
        delivery_attempts=1,
    ) as world:  # fmt: skip
        raw = debtors.portfolio(5, 40, "harbour", START)
        source = tmp_path / "accounts.csv"
        raw.to_csv(source, index=False)
        intake(source=str(source), profile="consign", lender="harbour", as_of=START, threshold="0")
        desk = world.desk
        plan_id = draft(PlanSpec(lender="harbour", name="january", seed=1)).plan_id
        assert plan_id is not None
        with desk.database.write() as connection:
            plans.submit(connection, plan_id, "chen.yu", desk.now())
            plans.approve(connection, plan_id, "li.wei", desk.now())
        place(plan_id)
        made = House(world, raw)
        made.answer("acknowledge")
        yield made


@pytest.fixture
def someone(house: House) -> pd.Series:
    """A debtor with one account, as the lender's file has them; with an agency."""
    return one_of(house.raw, accounts=1)


def one_of(raw: pd.DataFrame, accounts: int) -> pd.Series:
    """The first line of a person with so many accounts in the file."""
    times = raw.groupby("id_number")["account_ref"].transform("size")
    return raw[times == accounts].iloc[0]
