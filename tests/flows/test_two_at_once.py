"""Two workers at the same work, each a process of its own, on either store: nothing is sent or taken twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from flows.collect import collect
from flows.place import place
from infra import audit
from infra.store import bulk
from models.tables import Disclosure, InboundFile, Placement, Recall, RemittanceLine, Transmission

if TYPE_CHECKING:
    from collections.abc import Callable

    from infra.sandbox.world import World

DRIVER = Path(__file__).with_name("killed.py")
KILLED = -9


pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def store_url(database_url: str) -> str:
    """On both stores."""
    return database_url


def started(world: World, verb: str, moment: int, **arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(DRIVER), str(world.desk.settings.home.resolve()), verb, json.dumps(arguments),
         world.clock.now.isoformat(), str(moment)],
        env={**os.environ, "CONSIGN_DATABASE": world.desk.settings.database},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def twice(world: World, verb: str, **arguments: object) -> None:
    """Two processes do it at the same time, and both end well."""
    both = [started(world, verb, 0, **arguments) for _ in range(2)]
    for one in both:
        _, said = one.communicate(timeout=120)
        assert one.returncode == 0, said


def rows_of(world: World, row: Any, *columns: str) -> list[tuple[Any, ...]]:
    table = bulk.table_of(row)
    with world.desk.database.read() as connection:
        return sorted(tuple(found) for found in connection.execute(select(*(table.c[name] for name in columns))))


def sealed_files(world: World, kind: str) -> dict[str, int]:
    return {
        code: sum(f".{kind}." in path.name and path.suffix in {".age", ".pgp"} for path in agency.inbox.iterdir())
        for code, agency in world.agencies.items()
    }


def test_two_workers_at_the_same_agencies_do_everything_once(world: World, make_plan: Callable[[int], int]) -> None:
    plan_id = make_plan(40)
    twice(world, "place", plan_id=plan_id)
    assert sealed_files(world, "placement") == {"quayside": 1, "hengxin": 1}
    assert [state for (state,) in rows_of(world, Placement, "state")] == ["placed"] * 40
    fields = rows_of(world, Disclosure, "transmission_id", "field")
    assert len(fields) == len(set(fields))

    day = date(2026, 1, 5)
    world.clock.turn(day)
    for agency in world.agencies.values():
        agency.open_mail(world.clock.now)
        agency.acknowledge(day, world.clock.now)
        agency.traits = type(agency.traits)(skill=6)
        agency.work(0, day, world.clock.now)
    world.clock.turn(day, 21)
    twice(world, "collect")
    collect()  # what the one that found the other at work had left
    files = rows_of(world, InboundFile, "file_id", "state")
    assert {state for _, state in files} == {"accepted"}
    paid = sorted(ref for agency in world.agencies.values() for ref in agency._paid["agency_txn_id"])
    assert sorted(ref for (ref,) in rows_of(world, RemittanceLine, "txn_ref")) == paid
    assert sum(sealed_files(world, "receipt").values()) == len(files)

    world.clock.turn(date(2026, 4, 2))
    twice(world, "recall")
    assert len(rows_of(world, Recall, "placement_id")) == 40
    assert sealed_files(world, "recall") == {"quayside": 1, "hengxin": 1}
    lines = rows_of(world, Transmission, "lender", "agency", "kind", "sequence")
    assert len(lines) == len(set(lines))
    for line in {one[:3] for one in lines}:
        assert [one[3] for one in lines if one[:3] == line] == list(range(1, 1 + sum(o[:3] == line for o in lines)))
    with world.desk.database.read() as connection:
        assert audit.verify(connection, world.desk.keyring.audit_publics().values()).ok


def test_a_killed_worker_does_not_make_the_next_one_wait(world: World, make_plan: Callable[[int], int]) -> None:
    plan_id = make_plan(10)
    for moment in (5, 14):
        first = started(world, "place", moment, plan_id=plan_id)
        first.communicate(timeout=120)
        assert first.returncode == KILLED
    place(plan_id)  # at the same simulated moment: no lease has run out
    assert sealed_files(world, "placement") == {"quayside": 1, "hengxin": 1}
    assert [state for (state,) in rows_of(world, Placement, "state")] == ["placed"] * 10
    collect()  # sweeps first
    assert list(world.desk.folder("scratch").iterdir()) == []
