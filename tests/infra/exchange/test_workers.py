"""Leases: one worker at a time, renewed while it works, ended with its process."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import timedelta
from typing import Any

import pytest

from infra import outbox, workers
from infra.store import exchange
from infra.wiring import system_clock
from infra.workers import AgencyBusy, LeaseLost, alone, is_dead, new_owner

Gateway = Any  # tests/infra/exchange/conftest.py


@pytest.fixture
def store_url(database_url: str) -> str:
    """Leases meet on both stores."""
    return database_url


def test_a_lease_keeps_others_out_until_it_is_given_back(gateway: Gateway) -> None:
    desk = gateway.world.desk
    with alone(desk, "send", "quayside"), alone(desk, "collect", "quayside"), alone(desk, "send", "hengxin"):
        busy = alone(desk, "send", "quayside")
        with pytest.raises(AgencyBusy):
            busy.__enter__()
    with alone(desk, "send", "quayside"):
        pass


def test_a_lease_lasts_as_long_as_the_work(gateway: Gateway) -> None:
    desk = gateway.world.desk
    desk.clock = system_clock
    desk.settings = desk.settings.model_copy(update={"lease_seconds": 0.6})
    with alone(desk, "send", "quayside") as held:
        time.sleep(1.5)
        with pytest.raises(AgencyBusy), alone(desk, "send", "quayside"):
            pytest.fail("two at once")
        with desk.database.write() as connection:
            held.confirm(connection)


def test_who_has_lost_its_lease_does_not_publish(gateway: Gateway) -> None:
    desk = gateway.world.desk
    with alone(desk, "send", "quayside") as held:
        gateway.world.clock.now += timedelta(seconds=desk.settings.lease_seconds + 1)
        with alone(desk, "send", "quayside"), pytest.raises(LeaseLost), desk.database.write() as connection:
            held.confirm(connection)
    with desk.database.write() as connection:  # giving back what is lost takes nothing from the other
        assert exchange.lease(connection, "send:quayside", "somebody", desk.now(), 1, is_dead)


def test_the_dead_are_known_by_their_process_and_its_beginning() -> None:
    here = new_owner()
    host, pid, began, word = here.split("|")
    assert not is_dead(here)
    assert is_dead(f"{host}|{pid}|{int(began) - 1}|{word}")  # the number is another process's now
    assert not is_dead(f"elsewhere|{pid}|{int(began) - 1}|{word}")
    assert not is_dead("nonsense")
    assert not is_dead(f"{host}|-1|{began}|{word}")
    assert is_dead(f"{host}|{2**40}|{began}|{word}")
    process = subprocess.Popen([sys.executable, "-c", ""])
    while workers._told(process.pid)[:1] != ["Z"]:
        time.sleep(0.01)
    assert is_dead(f"{host}|{process.pid}|{began}|{word}")  # ended, not buried yet
    process.wait()
    assert is_dead(f"{host}|{process.pid}|{began}|{word}")


def test_plaintext_of_the_dead_goes_at_once_and_that_of_the_living_stays(gateway: Gateway) -> None:
    desk = gateway.world.desk
    host, _, began, word = new_owner().split("|")
    dead = desk.folder("scratch") / f"{host}|{2**40}|{began}|{word}"
    foreign = desk.folder("scratch") / f"elsewhere|1|{began}|{word}"
    half = desk.folder("outbox") / "quayside"
    half.mkdir(exist_ok=True)
    half /= f".consign-{2**22 + 1}-abc.part"
    for path in (dead, foreign):
        path.mkdir()
        (path / "package.zip").write_text("plain")
    half.write_text("half")
    with outbox.scratch(desk) as living:
        assert outbox.sweep(desk) == 2
        assert (living.exists(), dead.exists(), half.exists(), foreign.exists()) == (True, False, False, True)
        long_ago = time.time() - desk.settings.abandoned_seconds
        os.utime(foreign, (long_ago, long_ago))
        assert outbox.sweep(desk) == 1
        assert living.exists()
    assert list(desk.folder("scratch").iterdir()) == []


def test_recalls_leave_first_and_receipts_last(gateway: Gateway) -> None:
    with gateway.world.desk.database.write() as connection:
        made = {kind: gateway.transmission(connection, kind, "prepared") for kind in reversed(exchange.FIRST_OUT)}
        more = gateway.transmission(connection, "recall", "sealed")
        waiting = exchange.pending(connection, "quayside")
    assert waiting == [made["recall"], more, *(made[kind] for kind in exchange.FIRST_OUT[1:])]
    assert exchange.FIRST_OUT.index("recall") < exchange.FIRST_OUT.index("placement")
