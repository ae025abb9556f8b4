"""One agency's trouble is its own: the others are served, it is said who failed, and nothing is sent twice."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from importlib import resources
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select, update

from console.cli import collect as command
from console.cli.output import _json
from flows.collect import collect
from flows.deliver import deliver
from flows.exchange import AgenciesFailed
from flows.place import PlaceReport, place, prepare
from flows.recall import recall_placements
from flows.update import update as tell
from infra import onboarding, policies
from infra.sandbox.host import free_port
from infra.sandbox.paramiko_host import ParamikoHost
from infra.store import bulk, exchange
from models.errors import RefusedByPolicy, RemoteError
from models.tables import Account, Placement, Transmission

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from infra.sandbox.world import World


def stated(world: World, code: str) -> dict[str, Any]:
    """The agency's drop as its row has it."""
    with world.desk.database.read() as connection:
        drop: dict[str, Any] = json.loads(exchange.agency(connection, code).drop)
    return drop


def acknowledged(world: World, day: date = date(2026, 1, 3)) -> None:
    world.clock.turn(day)
    for agency in world.agencies.values():
        agency.open_mail(world.clock.now)
        agency.acknowledge(day, world.clock.now)
    collect()


def test_a_dead_host_stops_nobody_else(
    world: World, approved_plan: int, counts: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    alive = stated(world, "hengxin")
    onboarding.set_drop(world.desk, "hengxin", alive | {"port": free_port()})
    with pytest.raises(
        AgenciesFailed, match=r"1 of 2 agencies failed: hengxin \(DropUnreachable\); the rest is done"
    ) as it:
        place(approved_plan)
    assert (it.value.exit_code, it.value.retryable) == (5, True)
    assert it.value.report == PlaceReport(approved_plan, 2, 1, 0, 30)
    assert counts(Transmission) == {"delivered": 1, "sealed": 1}

    day = date(2026, 1, 3)
    world.clock.turn(day)
    agency = world.agencies["quayside"]
    agency.open_mail(world.clock.now)
    agency.acknowledge(day, world.clock.now)
    token = _json.set(True)
    try:
        with pytest.raises(AgenciesFailed) as failed:
            command.collect(agency=None)
    finally:
        _json.reset(token)
    told = json.loads(capsys.readouterr().out)
    assert (told["accepted"], told["lines"], failed.value.exit_code) == (1, 30, 5)
    assert counts(Placement) == {"acknowledged": 30, "planned": 30}

    with pytest.raises(RemoteError) as alone:  # asked for by name, its own error
        collect("hengxin")
    assert not isinstance(alone.value, AgenciesFailed)
    onboarding.set_drop(world.desk, "hengxin", alive)
    assert place(approved_plan).files_delivered == 1
    assert counts(Placement) == {"acknowledged": 30, "placed": 30}


def test_a_wrong_host_key_is_final(world: World, approved_plan: int) -> None:
    keys = stated(world, "quayside")["host_keys"]
    other = ParamikoHost(world.desk.settings.home / "other", ["x"])
    with other:
        onboarding.set_drop(world.desk, "quayside", stated(world, "quayside") | {"host_keys": [other.host_key_line]})
    assert keys != [other.host_key_line]
    with pytest.raises(AgenciesFailed, match="HostKeyMismatch") as it:
        place(approved_plan)
    assert (it.value.exit_code, it.value.retryable) == (5, False)


def test_a_fast_consumer_leaves_a_delivery_presumed_until_its_acknowledgement(
    world: World, approved_plan: int, counts: Any
) -> None:
    home = world.desk.settings.home / "agencies"
    code = "hengxin"
    with ParamikoHost(home, [code]) as host:
        host.authorize(code, world.desk.keyring.ssh_client_public(code, world.clock.now))
        host.faults.lose_renames = 1
        host.faults.fast_consumer = True
        onboarding.set_drop(
            world.desk, code,
            stated(world, code) | {"port": host.port, "host_keys": [host.host_key_line], "username": code},
        )  # fmt: skip
        report = place(approved_plan)
        assert (report.files_delivered, report.files_presumed) == (1, 1)
        assert counts(Transmission) == {"delivered": 1, "presumed": 1}
        assert counts(Placement) == {"placed": 60}
        assert place(approved_plan).files_delivered == 0  # never sent again by itself
        (taken,) = home.glob(f"{code}/**/*.placement.*.pgp")
        host.faults.fast_consumer = False
        taken.rename(world.agencies[code].inbox / taken.name.partition(".")[2])
        acknowledged(world)
    assert counts(Placement) == {"acknowledged": 60}
    assert {state for kind, state in told(world) if kind == "placement"} == {"acknowledged"}


def told(world: World) -> list[tuple[str, str]]:
    table = bulk.table_of(Transmission)
    with world.desk.database.read() as connection:
        return [(row.kind, row.state) for row in connection.execute(select(table.c.kind, table.c.state))]


def test_an_answer_that_comes_before_we_could_say_delivered_says_it_for_us(
    world: World, approved_plan: int, counts: Any
) -> None:
    place(approved_plan)
    sent, placements = bulk.table_of(Transmission), bulk.table_of(Placement)
    with world.desk.database.write() as connection:  # killed after the rename, before its record
        connection.execute(update(sent).values(state="sealed", delivered_at=None))
        connection.execute(update(placements).values(state="planned", told_minor=None))
    acknowledged(world)
    assert counts(Placement) == {"acknowledged": 60}
    assert {state for kind, state in told(world) if kind == "placement"} == {"acknowledged"}
    assert deliver().delivered == 0


def test_sealed_bytes_are_kept_until_they_are_answered(world: World, approved_plan: int) -> None:
    place(approved_plan)
    outbox = world.desk.folder("outbox")
    kept = sorted(path.name for path in outbox.rglob("*.placement.*"))
    assert len(kept) == 3  # two files, one signature beside
    deliver()
    assert sorted(path.name for path in outbox.rglob("*.placement.*")) == kept
    acknowledged(world)
    deliver()
    assert list(outbox.rglob("*.placement.*")) == []
    assert list(outbox.rglob("*.receipt.*"))
    world.clock.turn(date(2026, 2, 5))
    deliver()
    assert [path for path in outbox.rglob("*") if path.is_file()] == []


def test_a_changed_balance_is_told_once(world: World, approved_plan: int) -> None:
    place(approved_plan)
    acknowledged(world)
    accounts = bulk.table_of(Account)
    with world.desk.database.write() as connection:
        connection.execute(update(accounts).where(accounts.c.account_id <= 3).values(balance_minor=12_345))
    assert tell().rows == 3
    assert tell().files == 0
    for agency in world.agencies.values():
        agency.open_mail(world.clock.now)
    booked = [minor for agency in world.agencies.values() for minor in agency.book["balance_minor"]]
    assert booked.count(12_345) == 3


def test_a_file_that_may_not_leave_holds_up_its_own_kind_alone(
    world: World, make_plan: Callable[..., int], tmp_path: Path
) -> None:
    shipped = resources.files("models.policies").joinpath("minimal.toml").read_text(encoding="utf-8")
    house = tmp_path / "house.toml"
    house.write_text(shipped.replace('name = "minimal"', 'name = "house"'), encoding="utf-8")
    own = f"house@{policies.propose(world.desk, house).version}"
    policies.approve(replace(world.desk, actor="li.na"), own)
    place(make_plan(20))
    acknowledged(world)
    prepare(make_plan(20, policy="house"))
    policies.withdraw(world.desk, own, "it shows too much")
    with world.desk.database.write() as connection:
        connection.execute(
            update(bulk.table_of(Account)).where(bulk.table_of(Account).c.account_id <= 20).values(balance_minor=1)
        )
    with pytest.raises(AgenciesFailed, match="NotInForce") as it:
        tell()
    assert it.value.exit_code == 6
    assert isinstance(next(iter(it.value.failed.values())), RefusedByPolicy)
    states = told(world)
    assert states.count(("placement", "prepared")) == 2
    assert states.count(("update", "delivered")) == 2
    placement_id = 1
    with pytest.raises(AgenciesFailed):
        recall_placements(str(placement_id), "request")
    assert ("recall", "delivered") in told(world)
