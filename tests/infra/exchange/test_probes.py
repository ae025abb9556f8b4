"""What an agency's server can do is tried out, kept, and compared with the last time."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select, update

from infra import onboarding, outbox, probes
from infra.store import exchange, trail
from models.errors import UsageError

if TYPE_CHECKING:
    from tests.infra.exchange.conftest import Gateway


def test_a_probe_is_kept_and_shown_without_asking_again(gateway: Gateway) -> None:
    agency = gateway.agency.code
    with pytest.raises(UsageError):
        probes.kept(gateway.world.desk, agency)
    found = probes.probe(gateway.world.desk, agency)
    assert found.first
    assert found.can["rename_never_replaces"]
    assert found.changed == {}
    again = probes.kept(gateway.world.desk, agency)
    assert (again.can, again.notes) == (found.can, found.notes)
    assert again.probed_at.tzinfo is not None


def test_what_a_server_can_do_no_longer_is_said(gateway: Gateway) -> None:
    agency = gateway.agency.code
    probes.probe(gateway.world.desk, agency)
    assert probes.probe(gateway.world.desk, agency).changed == {}
    with gateway.world.desk.database.write() as connection:
        before = json.loads(exchange.agency(connection, agency).probe) | {"resume": True, "free_bytes": 1}
        connection.execute(
            update(exchange.AGENCIES).where(exchange.AGENCIES.c.agency == agency).values(probe=json.dumps(before))
        )
    assert probes.probe(gateway.world.desk, agency).changed == {"resume": (True, False)}
    with gateway.world.desk.database.read() as connection:
        told = connection.execute(
            select(trail.EVENTS.c.details).where(trail.EVENTS.c.action == "agency.probed")
        ).scalars()
        assert [json.loads(one)["result"] for one in told] == ["first", "unchanged", "changed"]


def test_what_follows_from_a_server_is_said_in_words() -> None:
    able = {"rename": True, "rename_never_replaces": True, "fsync": True, "statvfs": True, "resume": True}
    assert probes.notes(able | {"case_sensitive": True, "clock_ahead_seconds": 60}) == ()
    (note,) = probes.notes(able | {"rename": False, "rename_never_replaces": False})
    assert "nothing is published" in note
    (note,) = probes.notes(able | {"clock_ahead_seconds": -28_800})
    assert "-28800 seconds" in note


def test_an_agencys_own_limits_reach_its_drop(gateway: Gateway) -> None:
    stated = json.loads(gateway.row().drop) | onboarding.limits(["max_names=50", "settle_seconds=0.5"])
    onboarding.set_drop(gateway.world.desk, gateway.agency.code, stated)
    settings = outbox.drop_settings(gateway.world.desk, gateway.row())
    assert (settings.max_names, settings.settle_seconds) == (50, 0.5)


@pytest.mark.parametrize("wrong", ["max_names", "max_names=0", "speed=3", "stall_timeout=inf", "max_names=1.5", "=1"])
def test_a_limit_that_is_none_is_refused(wrong: str) -> None:
    with pytest.raises(UsageError):
        onboarding.limits([wrong])
