"""Many agencies at once: a dead server delays nobody else, is left in peace, and is served again when it is back."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from flows.collect import collect
from flows.deliver import deliver
from flows.exchange import AgenciesFailed, Tally, take_in
from infra import breaker, exceptions, inbound, onboarding
from infra.sandbox.world import Cast, World, open_world
from infra.store import exchange, trail
from models.errors import RemoteError
from models.kinds import file_name

if TYPE_CHECKING:
    from pathlib import Path

START = date(2026, 1, 5)
CONNECT_SECONDS = 60.0
HOSTED = 12
FOLDERS = 10
OTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"


@contextlib.contextmanager
def never_answering() -> Iterator[int]:
    """The port of a socket that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield server.getsockname()[1]


@contextlib.contextmanager
def dripping() -> Iterator[int]:
    """The port of a server that greets a letter at a time, and never comes to the end."""
    over = threading.Event()

    def drip(one: socket.socket) -> None:
        with one, contextlib.suppress(OSError):
            for letter in b"SSH-2.0-" + b"x" * 200:
                if over.wait(0.5):
                    return
                one.sendall(bytes([letter]))

    def serve(server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=drip, args=(server.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, args=(server,), daemon=True).start()
        yield server.getsockname()[1]
        over.set()


def refusing() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def drop_at(port: int, **more: Any) -> dict[str, Any]:
    return {"kind": "sftp", "host": "127.0.0.1", "port": port, "username": "u", "host_keys": [OTHER_KEY], **more}


def left_by(world: World, code: str, number: int = 1) -> None:
    """A file that will be refused, so that a receipt goes back: every step of a round is needed."""
    name = file_name("harbour", code, "return", "20260105", number, ".age")
    outbox = world.agencies[code].outbox
    (outbox / f"{name}.sig").write_bytes(b"no signature")
    (outbox / name).write_bytes(b"no package %d" % number)


def receipts(world: World, code: str) -> int:
    return len(list(world.agencies[code].inbox.glob("*.receipt.*.age")))


@pytest.fixture
def make_world(tmp_path: Path) -> Iterator[Callable[..., World]]:
    """A function: a world of so many agencies on an SFTP host, or on folders, closed at the end."""
    with contextlib.ExitStack() as stack:

        def make(number: int, *, sftp: bool = True, **settings: Any) -> World:
            cast = tuple(Cast(f"agency-{one:02}", f"Agency {one}", share=1 / number) for one in range(number))
            return stack.enter_context(
                open_world(
                    tmp_path / "home", seed=7, start=START, cast=cast, lenders={"harbour": "Harbour"}, sftp=sftp,
                    engine="direct", **{"connect_timeout": CONNECT_SECONDS, "stall_timeout": 5.0} | settings,
                )
            )  # fmt: skip

        yield make


def test_dead_servers_delay_nobody(make_world: Callable[..., World]) -> None:
    world = make_world(HOSTED + FOLDERS, agencies_at_once=2)
    healthy = sorted(world.agencies)
    for code in healthy[HOSTED:]:
        root = world.desk.settings.home / "agencies" / code
        onboarding.set_drop(world.desk, code, {"kind": "folder", "root": str(root)})
    for code in healthy:
        left_by(world, code)
    host = world.host.settings_for(healthy[0], "")
    tally = Tally()
    raised: list[RemoteError] = []
    with never_answering() as silent, dripping() as slow:
        dead = {
            "dead-silent-1": silent, "dead-silent-2": silent, "dead-silent-3": silent, "dead-dripping": slow,
            "dead-refusing": refusing(), "dead-stranger": host.port,
        }  # fmt: skip
        for code, port in dead.items():
            onboarding.add(world.desk, code, code, drop=drop_at(port))
        # the dead ones come first: nobody is served early by luck
        collecting = threading.Thread(target=lambda: raised.append(failure_of([*dead, *healthy], tally)))
        collecting.start()
        until = time.monotonic() + CONNECT_SECONDS
        while len(tally.done) < len(healthy) and time.monotonic() < until:
            time.sleep(0.05)
        in_the_end = set(tally.failed)
    # every one of the others is served, and the dead ones are waited for still, far from their time-out; a wrong host
    # key and a closed port say so at once
    assert sorted(tally.done) == healthy
    assert in_the_end <= {"dead-refusing", "dead-stranger"}
    collecting.join()
    assert sorted(tally.failed) == sorted(dead)
    assert isinstance(raised[0], RemoteError)
    assert all(tally.done[code]["refused"] == tally.done[code]["delivered"] == 1 for code in healthy)
    assert all(receipts(world, code) == 1 for code in healthy)


def failure_of(agencies: list[str], tally: Tally) -> RemoteError:
    with pytest.raises(RemoteError) as it:
        take_in.map(agencies, tally)
    return it.value


def circuit(world: World, code: str) -> dict[str, Any]:
    with world.desk.database.read() as connection:
        (found,) = breaker.circuits(connection, code)
    return found


def unresolved(world: World) -> list[tuple[str, str]]:
    with world.desk.database.read() as connection:
        found = exceptions.listed(connection)
    return [pair for pair in zip(found["code"], found["agency"], strict=True) if pair[0] != "file_unfit"]


@pytest.fixture
def one_dead(make_world: Callable[..., World], database_url: str) -> tuple[World, str]:
    """A world of three agencies on a host, on both stores; the first one is to die."""
    world = make_world(
        3, database=database_url, breaker_failures=2, breaker_first_pause=100.0, breaker_longest_pause=300.0
    )
    code = min(world.agencies)
    return world, code


def unplugged(world: World, code: str) -> dict[str, Any]:
    """The agency is reached at a closed port from now on, though nobody told us; returns how it was reached."""
    with world.desk.database.write() as connection:
        row = exchange.agency(connection, code)
        drop: dict[str, Any] = json.loads(row.drop)
        connection.execute(
            exchange.AGENCIES.update().where(exchange.AGENCIES.c.agency == code).values(
                drop=json.dumps(drop | {"port": refusing()})
            )
        )  # fmt: skip
    return drop


def plugged(world: World, code: str, drop: dict[str, Any]) -> None:
    with world.desk.database.write() as connection:
        connection.execute(
            exchange.AGENCIES.update().where(exchange.AGENCIES.c.agency == code).values(drop=json.dumps(drop))
        )


def later(world: World, seconds: float) -> None:
    world.clock.now += timedelta(seconds=seconds)


def test_a_server_that_does_not_answer_is_left_in_peace_and_served_when_it_is_back(
    one_dead: tuple[World, str],
) -> None:
    world, code = one_dead
    before = unplugged(world, code)
    for _ in range(2):
        with pytest.raises(AgenciesFailed):
            collect()
    assert (circuit(world, code)["state"], circuit(world, code)["reason"]) == ("open", "DropUnreachable")
    assert unresolved(world) == [("circuit_open", code)]
    waited = collect()
    assert waited.waiting == 1
    later(world, 130)  # the pause is over, give or take its quarter: one try, and a longer pause
    with pytest.raises(AgenciesFailed):
        collect()
    first = circuit(world, code)["retry_at"]
    assert first - world.clock.now >= timedelta(seconds=150)
    later(world, 130)
    assert collect().waiting == 1
    plugged(world, code, before)
    left_by(world, code)
    later(world, 130)
    assert collect().refused == 1
    assert receipts(world, code) == 1
    assert (circuit(world, code)["state"], circuit(world, code)["failures"]) == ("closed", 0)
    assert unresolved(world) == [("file_refused", code)]
    with world.desk.database.read() as connection:
        told = [action for action in trail.latest(connection, 99)["action"] if action.startswith("circuit.")]
    assert told[::-1] == ["circuit.opened", "circuit.closed"]


def test_who_names_the_agency_tries_it_anyway(one_dead: tuple[World, str]) -> None:
    world, code = one_dead
    before = unplugged(world, code)
    for _ in range(2):
        with pytest.raises(AgenciesFailed):
            collect()
    with pytest.raises(RemoteError):
        collect(code)
    left_by(world, code)
    plugged(world, code, before)
    assert collect().waiting == 1
    assert collect(code).refused == 1
    assert circuit(world, code)["state"] == "closed"
    assert deliver(code).waiting == 0


def test_another_host_key_opens_the_circuit_at_once_and_a_person_closes_it(one_dead: tuple[World, str]) -> None:
    world, code = one_dead
    with world.desk.database.read() as connection:
        drop = json.loads(exchange.agency(connection, code).drop)
    onboarding.set_drop(world.desk, code, drop | {"host_keys": [OTHER_KEY]})
    with pytest.raises(AgenciesFailed):
        collect()
    assert (circuit(world, code)["state"], circuit(world, code)["reason"]) == ("open", "HostKeyMismatch")
    assert unresolved(world) == [("connection_refused_for_good", code)]
    assert collect().waiting == 1
    assert breaker.reset(world.desk, code)
    assert not breaker.reset(world.desk, code)
    assert unresolved(world) == []
    with pytest.raises(AgenciesFailed):
        collect()
    onboarding.set_drop(world.desk, code, drop)  # whoever is told another way in is asked at once
    assert collect().waiting == 0


def test_one_worker_alone_tries_a_server_whose_pause_is_over(one_dead: tuple[World, str]) -> None:
    world, code = one_dead
    unplugged(world, code)
    for _ in range(2):
        with pytest.raises(AgenciesFailed):
            collect()
    later(world, 130)
    barrier = threading.Barrier(4)
    let_in: list[bool] = []

    def ask() -> None:
        barrier.wait()
        let_in.append(breaker.admitted(world.desk, code))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(let_in) == [False, False, False, True]
    assert circuit(world, code)["state"] == "half_open"
    later(world, 200)  # it died on the way: another may try
    assert breaker.admitted(world.desk, code)


def test_agencies_whose_server_failed_of_late_come_last(one_dead: tuple[World, str]) -> None:
    world, code = one_dead
    unplugged(world, code)
    with pytest.raises(AgenciesFailed):
        collect()
    with world.desk.database.read() as connection:
        order = breaker.healthy_first(connection, sorted(world.agencies))
    assert order == [*sorted(set(world.agencies) - {code}), code]


def test_an_error_that_says_nothing_of_the_server_opens_nothing(
    one_dead: tuple[World, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    world, code = one_dead

    def failing(*_: Any) -> Any:
        raise ZeroDivisionError

    left_by(world, code)
    monkeypatch.setattr(inbound, "_opened", failing)
    for _ in range(4):
        with pytest.raises(ZeroDivisionError):
            collect()
    assert circuit(world, code)["failures"] == 0


@pytest.mark.parametrize(("limits", "rounds"), [({"files_per_round": 2}, 3), ({"bytes_per_round": 20}, 3)])
def test_a_round_moves_no_more_than_it_may(
    make_world: Callable[..., World], limits: dict[str, int], rounds: int
) -> None:
    world = make_world(2, sftp=False)
    busy, other = sorted(world.agencies)
    root = world.desk.settings.home / "agencies" / busy
    onboarding.set_drop(world.desk, busy, {"kind": "folder", "root": str(root), **limits})
    for number in range(1, 6):
        left_by(world, busy, number)
        left_by(world, other, number)
    took = [collect(busy).refused for _ in range(rounds)]
    assert took == [2, 2, 1]
    assert collect(other).refused == 5
    assert receipts(world, other) == 5


def test_an_agency_that_bears_one_connection_is_sent_to_and_collected_from_in_turns(
    make_world: Callable[..., World],
) -> None:
    world = make_world(1, sftp=False, connections_per_agency=1)
    (code,) = world.agencies
    left_by(world, code)
    assert collect().delivered == 1
    held = exchange.LEASES
    with world.desk.database.read() as connection:
        assert connection.execute(held.select()).all() == []
