"""A lender whose debtors ask about their data: accounts taken in from a file, placed with two agencies, booked."""

from __future__ import annotations

import copy
import shutil
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import func, select

from flows.intake import intake
from flows.place import place
from flows.plan import draft
from infra import inbound, outbox
from infra.packages import account_pseudonyms
from infra.register import Answer, Question, disclosures
from infra.sandbox import debtors
from infra.sandbox.agency import SandboxAgency
from infra.sandbox.world import Cast, Clock, World, open_world
from infra.store import bulk, exchange, plans
from infra.wiring import Desk, seated
from keys.keyring import Keyring
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


@contextmanager
def built(folder: Path, **settings: Any) -> Iterator[House]:
    """Forty accounts are with two agencies, placed and booked on the fifth of January 2026."""
    with open_world(
        folder / "home", seed=11, start=START, cast=CAST, lenders={"harbour": "Harbour"}, sftp=False, engine="direct",
        delivery_attempts=1, **settings,
    ) as world:  # fmt: skip
        raw = debtors.portfolio(5, 40, "harbour", START)
        source = folder / "accounts.csv"
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


@pytest.fixture(scope="session")
def grown(tmp_path_factory: pytest.TempPathFactory) -> House:
    """The house on SQLite, built once and closed, to be copied."""
    with built(tmp_path_factory.mktemp("grown")) as made:
        return made


@pytest.fixture
def house_on_postgresql(tmp_path: Path, empty_postgres_url: str) -> Iterator[House]:
    """The house with its store on PostgreSQL."""
    with built(tmp_path, database=empty_postgres_url) as made:
        yield made


@pytest.fixture
def house(grown: House, tmp_path: Path) -> Iterator[House]:
    """That house, a test's own: its files are copied, and both sides moved in."""
    was, home = grown.world.desk.settings.home, tmp_path / "home"
    shutil.copytree(was, home)
    clock = Clock(grown.world.clock.now)
    desk = Desk(grown.world.desk.settings.model_copy(update={"home": home}), clock=clock, actor="sandbox")
    table = exchange.AGENCIES
    with desk.database.write() as connection:
        connection.execute(table.update().values(drop=func.replace(table.c.drop, str(was), str(home))))
    agencies = {
        code: _moved(agency, home / agency.root.relative_to(was)) for code, agency in grown.world.agencies.items()
    }
    world = World(desk, clock, None, agencies, START, grown.world.seed, grown.world.term_days)
    with seated(desk):
        yield House(world, grown.raw)
    desk.database.close()


def _moved(agency: SandboxAgency, root: Path) -> SandboxAgency:
    """The agency as it was, below another folder."""
    ring = Keyring.open(root / "keys" / "keyring.json", key_file=root / "keys" / "root.key")
    kept = {one.name: copy.deepcopy(getattr(agency, one.name)) for one in fields(agency) if one.name != "keyring"}
    return SandboxAgency(**{**kept, "root": root, "keyring": ring})


@pytest.fixture
def someone(house: House) -> pd.Series:
    """A debtor with one account, as the lender's file has them; with an agency."""
    return one_of(house.raw, accounts=1)


def one_of(raw: pd.DataFrame, accounts: int) -> pd.Series:
    """The first line of a person with so many accounts in the file."""
    times = raw.groupby("id_number")["account_ref"].transform("size")
    return raw[times == accounts].iloc[0]
