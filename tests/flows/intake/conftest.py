"""A desk with a store of either kind, a keyring, two lenders, and files from the sandbox."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from sqlmodel import SQLModel

import models.tables  # noqa: F401 - the tables register themselves
from flows.lenders import add_lender
from infra.settings import Settings
from infra.wiring import Desk, seated
from keys.keyring import Keyring

NOW = datetime(2026, 7, 1, 9, tzinfo=UTC)


@pytest.fixture
def at_desk(tmp_path: Path, database_url: str) -> Iterator[Desk]:
    """The desk in use, on SQLite and on PostgreSQL; shards of 40 lines, so that a small file has several."""
    home = tmp_path / "home"
    settings = Settings(home=home, database=database_url, engine="direct", shard_rows=40)
    Keyring.create(settings.keyring_path, key_file=settings.key_file_path)
    with seated(Desk(settings, clock=lambda: NOW, actor="tester")) as at:
        SQLModel.metadata.create_all(at.database.engine)
        add_lender("nova", "Nova Consumer Finance")
        add_lender("orion", "Orion Bank")
        yield at
        at.database.close()


@pytest.fixture
def day() -> date:
    """The day of the first snapshot."""
    return date(2026, 6, 30)
