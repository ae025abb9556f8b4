"""A worker that slept while another took over does no harm when it wakes; a wait for the store comes to an end."""

from __future__ import annotations

import hashlib
import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import insert, select

from flows.place import place, prepare
from infra import breaker, outbox, packing, workers
from infra.store import bulk, exchange
from infra.store.database import Database, StoreBusy
from infra.workers import Held, LeaseLost
from models.tables import Circuit, Lease, Transmission

if TYPE_CHECKING:
    from collections.abc import Callable

    from infra.sandbox.world import World

CODE = "quayside"


def first_of(world: World) -> Any:
    """The agency's first transmission."""
    table = bulk.table_of(Transmission)
    with world.desk.database.read() as connection:
        return connection.execute(select(table).where(table.c.agency == CODE)).one()


def test_who_seals_second_throws_its_own_bytes_away(
    world: World, make_plan: Callable[[int], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(make_plan(10))
    row = first_of(world)
    with world.desk.database.read() as connection:
        agency = exchange.agency(connection, CODE)
    pack = packing.pack

    def overtaken(*given: Any) -> Any:
        packed = pack(*given)
        monkeypatch.setattr(packing, "pack", pack)
        assert outbox.seal(world.desk, agency, row.transmission_id)
        return packed

    monkeypatch.setattr(packing, "pack", overtaken)
    assert not outbox.seal(world.desk, agency, row.transmission_id)
    sealed = first_of(world)
    kept = world.desk.folder("outbox") / sealed.sealed_path
    assert hashlib.sha256(kept.read_bytes()).hexdigest() == sealed.sealed_sha256
    assert list(world.desk.folder("scratch").iterdir()) == []


def test_who_lost_its_lease_does_not_take_the_others_intent_for_its_own(
    world: World, make_plan: Callable[[int], int]
) -> None:
    plan_id = make_plan(10)
    prepare(plan_id)
    row = first_of(world)
    inbox = world.agencies[CODE].inbox
    with world.desk.database.read() as connection:
        agency = exchange.agency(connection, CODE)
    outbox.seal(world.desk, agency, row.transmission_id)
    lost = Held(f"send:{CODE}", workers.new_owner())  # the other has done all and released it
    with outbox.reached(world.desk, agency) as drop:
        push = drop.push

        def slept(*given: Any, **named: Any) -> Any:
            place(plan_id)
            (taken,) = inbox.glob("*.placement.*.age")
            taken.unlink()  # the agency is fast
            drop.push = push  # type: ignore[method-assign]  # it sleeps once
            return push(*given, **named)

        drop.push = slept  # type: ignore[method-assign]  # the moment at which it falls asleep
        with pytest.raises(LeaseLost):
            outbox.deliver(world.desk, drop, row.transmission_id, lost)
    assert list(inbox.glob("*.placement.*.age")) == []
    assert first_of(world).state == "delivered"


def test_a_lease_of_a_clock_ahead_lasts_no_longer_than_a_lease(world: World) -> None:
    desk, now = world.desk, world.clock.now
    with desk.database.write() as connection:
        connection.execute(
            insert(bulk.table_of(Lease)).values(name="send:x", owner="elsewhere|1|1|a", until=now + timedelta(days=400))
        )

    def has(at: Any) -> bool:
        with desk.database.write() as connection:
            return exchange.lease(connection, "send:x", "me", at, 900.0, workers.is_dead)

    assert not has(now)
    assert not has(now + timedelta(seconds=899))
    assert has(now + timedelta(seconds=901))


def test_a_circuit_opened_by_a_clock_ahead_is_tried_all_the_same(world: World) -> None:
    now = world.clock.now
    values = {"agency": CODE, "state": "open", "failures": 3, "pauses": 1, "since": now}
    with world.desk.database.write() as connection:
        connection.execute(
            insert(bulk.table_of(Circuit)).values(retry_at=now + timedelta(days=400), reason="DropStalled", **values)
        )
    assert breaker.admitted(world.desk, CODE)
    assert not breaker.admitted(world.desk, CODE)  # one worker alone tries


def test_a_store_that_is_held_for_too_long_is_said_to_be_busy(database_url: str) -> None:
    quick = Database(database_url, wait_seconds=0.3)
    held, over = threading.Event(), threading.Event()

    def hold() -> None:
        with quick.write() as connection:
            exchange.take_turn(connection)
            held.set()
            over.wait(20)

    holder = threading.Thread(target=hold)
    holder.start()
    try:
        assert held.wait(20)
        with pytest.raises(StoreBusy, match="held by another worker") as busy, quick.write() as connection:
            exchange.take_turn(connection)
        assert busy.value.retryable
    finally:
        over.set()
        holder.join()
        quick.close()
