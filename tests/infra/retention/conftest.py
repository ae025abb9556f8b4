"""A desk with a lender whose portfolio was taken in by the real intake, a few accounts to a data key."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pandas as pd
import pytest

from flows.intake import IntakeReport, intake
from flows.lenders import add_lender
from infra.sandbox import debtors
from infra.settings import Settings
from infra.store import schema, sweeping
from infra.store.database import Database
from infra.wiring import Desk, seated
from keys.keyring import Keyring

NOW = datetime(2026, 7, 1, 9, tzinfo=UTC)
DAY = date(2026, 6, 30)
ROWS = 60
PER_KEY = 16


class House:
    """The desk, whose clock can be turned, and what came in."""

    def __init__(self, home: Path, url: str, folder: Path) -> None:
        self.now = NOW
        self.folder = folder
        settings = Settings(
            home=home, database=url, engine="direct", shard_rows=40, identities_per_key=PER_KEY, durable=False
        )
        self.desk = Desk(settings, clock=lambda: self.now, actor="chen.yu")
        Keyring.create(settings.keyring_path, key_file=settings.key_file_path)

    def take(self, raw: pd.DataFrame, day: date = DAY, threshold: str = "0") -> IntakeReport:
        """The lender's file came in."""
        path = debtors.write(raw, self.folder / f"portfolio-{day}-{len(list(self.folder.iterdir()))}.csv")
        return intake(path, "consign", "harbour", day, threshold)


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty SQLite store of the newest schema, to be copied: migrations take longer than most of these tests."""
    path = tmp_path_factory.mktemp("migrated") / "consign.sqlite"
    database = Database(f"sqlite:///{path}", durable=False)
    schema.ensure(database)
    sweeping.cut_log(database)
    database.close()
    return path


@pytest.fixture
def house(tmp_path: Path, database_url: str, migrated: Path) -> Iterator[House]:
    """A house without accounts; on SQLite and on PostgreSQL, unless a test says `ON_SQLITE`."""
    folder = tmp_path / "files"
    folder.mkdir()
    made = House(tmp_path / "home", database_url, folder)
    if made.desk.database.is_sqlite:
        shutil.copy(migrated, made.desk.database.url.database or "")
    else:
        schema.ensure(made.desk.database)
    with seated(made.desk):
        add_lender("harbour", "Harbour")
        yield made
        made.desk.database.close()


@pytest.fixture(scope="session")
def raw() -> pd.DataFrame:
    """What the lender's file says of sixty accounts."""
    return debtors.portfolio(5, ROWS, "harbour", DAY)
