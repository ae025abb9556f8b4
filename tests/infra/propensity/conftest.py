"""A lender whose debtors' chances are known: placements over a year, payments as the truth has it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlmodel import SQLModel

from infra.propensity import versions
from infra.settings import Settings
from infra.wiring import Desk, seated
from models.tables import Agency

NOW = datetime(2026, 5, 2, 4, tzinfo=UTC)
Payers = Callable[[Desk], None]


@pytest.fixture(scope="session")
def filled(payers: Payers, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """2,400 accounts placed over eleven months, of which some paid; 600 that nobody has."""
    home = tmp_path_factory.mktemp("filled")
    with sitting(home) as desk:
        SQLModel.metadata.create_all(desk.database.engine)
        payers(desk)
        with desk.database.session() as session:
            for code in ("lotus", "quayside"):
                session.add(Agency(agency=code, name=code.title(), drop="{}", created_at=NOW))
    return home


@pytest.fixture(scope="session")
def approved(filled: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, with a model in use, made by chen.yu and approved by li.wei."""
    home = copied(filled, tmp_path_factory.mktemp("approved"))
    with sitting(home) as desk:
        made = versions.fit(desk, "harbour", without=["months_open"])
    with sitting(home, "li.wei") as desk:
        versions.approve(desk, made.model_id)
    return home


@pytest.fixture
def desk(filled: Path, tmp_path: Path) -> Iterator[Desk]:
    """A lender's year of placements, and models that are shown."""
    with sitting(copied(filled, tmp_path)) as desk:
        yield desk


@pytest.fixture
def used(approved: Path, tmp_path: Path) -> Iterator[Desk]:
    """The same with a model in use."""
    with sitting(copied(approved, tmp_path)) as desk:
        yield desk


@contextmanager
def sitting(home: Path, actor: str = "chen.yu") -> Iterator[Desk]:
    """Somebody at the store of that home."""
    desk = Desk(Settings(home=home, engine="direct", durable=False, propensity="shown"), lambda: NOW, actor)
    with seated(desk):
        yield desk
    desk.database.close()


def copied(home: Path, to: Path) -> Path:
    """The store again, in another home."""
    for file in home.glob("consign.sqlite*"):
        shutil.copy(file, to / file.name)
    return to


@pytest.fixture
def as_(request: pytest.FixtureRequest) -> Callable[..., Desk]:
    """A function: the same desk with somebody else at it, or with another setting."""
    desk = request.getfixturevalue("used" if "used" in request.fixturenames else "desk")

    def other(actor: str = "li.wei", propensity: str = "shown") -> Desk:
        told = Desk(desk.settings.model_copy(update={"propensity": propensity}), clock=desk.clock, actor=actor)
        told.database = desk.database
        return told

    return other
