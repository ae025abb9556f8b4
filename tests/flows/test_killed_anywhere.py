"""Killing a verb at any moment and running it again ends as if nothing had happened."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from connectors.drops.acts import TRIAL, TRIAL_FORGOTTEN_SECONDS
from flows.collect import collect
from flows.place import place
from infra import audit, outbox, probes
from infra.store import bulk
from models.tables import InboundFile, Placement, RemittanceLine, Transmission

if TYPE_CHECKING:
    from collections.abc import Callable

    from infra.sandbox.world import World

DRIVER = Path(__file__).with_name("killed.py")
KILLED = -9
EVERY = 7
"""one moment in seven here; all of them in the acceptance run"""


def run_and_die(world: World, verb: str, moment: int, **arguments: object) -> tuple[int, str]:
    """Exit code and output of the verb in a process of its own that dies at the moment given (0: never)."""
    world.desk.database.close()
    done = subprocess.run(
        [sys.executable, str(DRIVER), str(world.desk.settings.home.resolve()), verb, json.dumps(arguments),
         world.clock.now.isoformat(), str(moment)],
        capture_output=True, text=True, check=False, timeout=120,
        env={**os.environ, "CONSIGN_DATABASE": world.desk.settings.database},
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def inbox_names(world: World) -> dict[str, list[str]]:
    return {code: sorted(path.name for path in agency.inbox.iterdir()) for code, agency in world.agencies.items()}


def rows_of(world: World, row: Any, *columns: str) -> list[tuple[Any, ...]]:
    table = bulk.table_of(row)
    with world.desk.database.read() as connection:
        return sorted(tuple(found) for found in connection.execute(select(*(table.c[name] for name in columns))))


def whole(world: World) -> None:
    """No plaintext is left, nothing is half, and the audit trail holds."""
    outbox.sweep(world.desk, older_than_seconds=0)
    assert list(world.desk.folder("scratch").iterdir()) == []
    for code, agency in world.agencies.items():  # a killed trial of a server's rename is cleared by a later probe
        for left in agency.inbox.glob(f"{TRIAL}*"):
            os.utime(left, (time.time() - TRIAL_FORGOTTEN_SECONDS - 60,) * 2)
        probes.probe(world.desk, code)
    assert not [name for names in inbox_names(world).values() for name in names if name.startswith(".")]
    with world.desk.database.read() as connection:
        assert audit.verify(connection, world.desk.keyring.audit_publics().values()).ok


def moments(whole_run: bool, last: int, offset: int) -> list[int]:
    return list(range(1, last + 1)) if whole_run else list(range(1 + offset, last + 1, EVERY))


@pytest.mark.parametrize("offset", [0])
@pytest.mark.timeout(600)
def test_placing_killed_anywhere_places_once(
    world: World, make_plan: Callable[[int], int], offset: int, request: pytest.FixtureRequest
) -> None:
    first = make_plan(20)
    code, said = run_and_die(world, "place", 0, plan_id=first)
    assert code == 0, said
    last = int(said.split()[-1])
    assert last > 15
    for number, moment in enumerate(moments(request.config.getoption("markexpr") == "slow", last, offset), start=2):
        plan_id = make_plan(20)
        code, said = run_and_die(world, "place", moment, plan_id=plan_id)
        assert code in {KILLED, 0}, said
        world.clock.turn(world.clock.now.date(), 23)  # whatever lease the dead one held has run out
        place(plan_id)
        states = rows_of(world, Transmission, "kind", "state")
        assert states == [("placement", "delivered")] * len(states), moment
        assert len(states) == 2 * number
        names = inbox_names(world)
        assert {
            code: sum(name.endswith((".age", ".pgp")) for name in of) for code, of in names.items()
        } == dict.fromkeys(names, number)
        assert {state for _, state in rows_of(world, Placement, "placement_id", "state")} == {"placed"}
        assert len(rows_of(world, Placement, "placement_id")) == 20 * number
    for agency in world.agencies.values():
        agency.open_mail(world.clock.now)
    assert sum(len(agency.book) for agency in world.agencies.values()) == 20 * number
    whole(world)


@pytest.mark.timeout(600)
def test_collecting_killed_anywhere_counts_each_line_once(
    world: World, make_plan: Callable[[int], int], request: pytest.FixtureRequest
) -> None:
    place(make_plan(60))
    expected: set[str] = set()
    day = date(2026, 1, 3)
    world.clock.turn(day)
    for agency in world.agencies.values():
        agency.open_mail(world.clock.now)
        agency.acknowledge(day, world.clock.now)
        agency.traits = type(agency.traits)(skill=6)
    collect()
    month = 0

    def agencies_work() -> None:
        nonlocal month
        month += 1
        on = date(2026, 1, 3 + month)
        world.clock.turn(on)
        for agency in world.agencies.values():
            agency.open_mail(world.clock.now)
            before = set(agency._paid["agency_txn_id"])
            agency.work(month, on, world.clock.now)
            expected.update(set(agency._paid["agency_txn_id"]) - before)

    agencies_work()
    code, said = run_and_die(world, "collect", 0)
    assert code == 0, said
    last = int(said.split()[-1])
    step = max(1, last // (20 if request.config.getoption("markexpr") == "slow" else 6))
    for moment in range(2, last, step):
        agencies_work()
        code, said = run_and_die(world, "collect", moment)
        assert code in {KILLED, 0}, said
        world.clock.turn(world.clock.now.date(), 23)
        collect()
        taken = [ref for ref, kind in rows_of(world, RemittanceLine, "txn_ref", "kind") if kind == "recovery"]
        assert sorted(taken) == sorted(expected), moment
        assert {state for _, state in rows_of(world, InboundFile, "file_id", "state")} == {"accepted"}
        assert all(not [p for p in a.outbox.iterdir() if p.is_file()] for a in world.agencies.values())
    receipts = [name for kind, name in rows_of(world, Transmission, "kind", "name") if kind == "receipt"]
    assert len(receipts) == len(rows_of(world, InboundFile, "file_id"))
    whole(world)
