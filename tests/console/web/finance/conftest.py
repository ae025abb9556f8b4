"""A house whose money is half reconciled: a month with every break planted, of six agencies that can be written to."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import pytest

from flows.reconcile import reconcile
from infra.sandbox import staff
from infra.sandbox.labelled import labelled
from infra.sandbox.planting import bring, open_lender
from infra.sandbox.truth import AGENCIES, AS_OF, LENDER
from infra.sandbox.world import settings_of
from infra.store import schema
from infra.wiring import Desk, seated
from keys.keyring import Keyring
from models.tables import Agency

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OPENED = datetime(2026, 9, 2, 1, tzinfo=UTC)
NOW = datetime(2026, 10, 5, 1, tzinfo=UTC)
NAMES = ("Harbour Recoveries", "恒信资产", "Lotus Credit", "Quayside", "鼎盛法务", "Meridian")


@pytest.fixture(scope="session")
def sandbox_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The house, with somebody for each role."""
    home = tmp_path_factory.mktemp("finance") / "home"
    settings = settings_of(home, engine="direct")
    settings.keyring_path.parent.mkdir(parents=True, exist_ok=True)
    Keyring.create(settings.keyring_path, key_file=settings.key_file_path)
    at = Desk(settings, clock=lambda: OPENED, actor="sandbox")
    schema.ensure(at.database)
    month = labelled(400)
    open_lender(at, month)
    with at.database.session() as session:
        for code, name in zip(AGENCIES, NAMES, strict=True):
            session.add(Agency(agency=code, name=name, state="live", drop='{"kind": "folder"}', created_at=OPENED))
    for code in AGENCIES:
        at.keyring.new_pseudonym_key(code, OPENED)
    bring(at, month)
    with seated(at):
        reconcile(LENDER, AS_OF)
    staff.hire(at, AGENCIES[0])
    at.database.close()
    return home


def _desk(sandbox: Path, home: Path) -> Desk:
    shutil.copytree(sandbox, home)
    return Desk(settings_of(home, engine="direct"), clock=lambda: NOW, actor="console")


@pytest.fixture
def desk(sandbox_home: Path, tmp_path: Path) -> Iterator[Desk]:
    """The console's desk, on a copy of the house of this test's own."""
    made = _desk(sandbox_home, tmp_path / "home")
    yield made
    made.database.close()


@dataclass
class Console:
    """A running console and its desk."""

    url: str
    desk: Desk


@pytest.fixture(scope="module")
def running(sandbox_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """A console that listens, on a copy of the house of this module's own, with a worker for its jobs."""
    from console.web.serving import served
    from flows import jobs

    desk = _desk(sandbox_home, tmp_path_factory.mktemp("running") / "home")
    with served(desk, 0) as console, jobs.beside(desk):
        yield Console(console.url, desk)
    desk.database.close()


@pytest.fixture(scope="session")
def month() -> tuple[str, str, date]:
    """The lender, a month of which there are recoveries, and the day on which it is looked at."""
    return LENDER, "2026-04", NOW.date()
