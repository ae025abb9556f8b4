"""An agency certifies itself, or is found wanting; and nothing of it touches a real figure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import select

from flows import certify, exchange as exchanging
from infra import certificates, certification
from infra.sandbox.candidate import Candidate, Manners
from infra.sandbox.world import Cast, World, open_world
from infra.store import bulk, exchange
from models import tables
from models.tables import __all__ as every_table

START = date(2026, 1, 5)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A lender and one agency that share a folder."""
    with open_world(
        tmp_path / "home", seed=3, start=START, cast=(Cast("quayside", "Quayside"),),
        lenders={"harbour": "Harbour"}, sftp=False, engine="direct", require_certificate=True,
    ) as opened:  # fmt: skip
        yield opened


def candidate(world: World, **manners: Any) -> Candidate:
    theirs = world.agencies["quayside"]
    return Candidate("quayside", theirs.suite, theirs.root, theirs.keyring, manners=Manners(**manners))


def states(world: World) -> dict[str, str]:
    _, steps = certification.status(world.desk, "quayside")
    return {
        step: state if code is None or pd.isna(code) else f"{state}:{code}"
        for step, state, code in zip(steps["step"], steps["state"], steps["code"], strict=True)
    }


def hear(world: World) -> None:
    (key, *_) = world.desk.keyring.trusted_keys("quayside", "age")
    certification.hear(world.desk, "quayside", key.fingerprint, key.public["encrypt_fingerprint"])


def go(world: World, agency: Candidate, rounds: int = 10) -> str:
    """Rounds of answering and collecting until the run has ended; the state it is in then."""
    for _ in range(rounds):
        agency.answer(world.desk.today(), world.desk.now())
        exchanging.take_in("quayside")
        run, _ = certification.status(world.desk, "quayside")
        if run.state != "open":
            break
    return str(run.state)


def test_an_agency_certifies_itself_to_the_highest_level(world: World) -> None:
    certify.start("quayside", "money")
    hear(world)
    assert go(world, candidate(world)) == "passed", states(world)
    assert set(states(world).values()) == {"done"}
