"""Host keys, client keys and sealing keys change hands: both count while they overlap, neither before nor after."""

from __future__ import annotations

import json
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import func, select, update

from connectors.drops.errors import AuthRefused, HostKeyMismatch
from infra import (
    audit,
    credentials,
    exceptions,
    expiry,
    health,
    hostkeys,
    inbound,
    onboarding,
    outbox,
    packages,
    rotation,
)
from infra.packages import account_pseudonyms
from infra.sandbox.host import SandboxHost, free_port, new_key
from infra.sandbox.world import Cast, World, open_world
from infra.store import bulk, exchange
from keys.errors import KeyUnfit, SealRefused
from models.errors import RefusedByPolicy, RemoteError, UsageError
from models.tables import AuditEvent, Disclosure, Placement, RemittanceLine, Statement, Transmission

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from infra.sandbox.agency import SandboxAgency
    from infra.wiring import Desk

START = date(2026, 1, 5)
DAY = timedelta(days=1)
CAST = (Cast("quayside", "Quayside Recoveries", share=1.0),)
PRINTS = {"encrypt": "SHA256:AAAA", "verify": "SHA256:AAAA"}


@pytest.fixture
def world(tmp_path: Path, needs: Callable[[str], Path]) -> Iterator[World]:
    """One lender, one agency of suite age, live, behind a real sshd; two people approve what is pinned."""
    needs("sshd")
    with open_world(
        tmp_path / "home", seed=7, start=START, cast=CAST, lenders={"harbour": "Harbour"}, engine="direct",
        delivery_attempts=1, two_people=True,
    ) as opened:  # fmt: skip
        yield opened


@pytest.fixture
def desk(world: World) -> Desk:
    """The lender's desk, as chen.yu."""
    world.desk.actor = "chen.yu"
    return world.desk


@pytest.fixture
def agency(world: World) -> SandboxAgency:
    return world.agencies["quayside"]


@pytest.fixture
def sshd(world: World) -> SandboxHost:
    assert isinstance(world.host, SandboxHost)
    return world.host


def by(desk: Desk, actor: str, act: Callable[..., Any], *given: Any, **named: Any) -> Any:
    """What the act returns when another person does it."""
    before, desk.actor = desk.actor, actor
    try:
        return act(desk, *given, **named)
    finally:
        desk.actor = before


_NUMBERS = iter(range(1, 10_000))


def leave(agency: SandboxAgency, world: World) -> None:
    """The agency leaves a file for us: a complaint about no account."""
    day = world.desk.today()
    frame = pd.DataFrame({
        "complaint_ref": [f"q-{next(_NUMBERS)}"], "account": None, "received_on": pd.Timestamp(day),
        "category": "conduct", "severity": "normal",
    })  # fmt: skip
    agency._send("complaint", "harbour", day, world.clock.now, frame)


def prepared(desk: Desk) -> int:
    """Something waits for the agency: a receipt's work, about a file that came."""
    number = next(_NUMBERS)
    with desk.database.write() as connection:
        file = connection.execute(select(func.max(exchange.FILES.c.file_id))).scalar_one()
        work = exchange.Work(
            f"test:{number}", "harbour", "quayside", "receipt", desk.today(), ".age", {"file_id": int(file)}
        )
        return exchange.prepare(connection, work)[0]


def came(world: World) -> tuple[int, int]:
    """Files accepted and refused in one round of collecting."""
    took = inbound.collect(world.desk, "quayside")
    return took.accepted, took.refused


def actions(desk: Desk, start: str) -> list[tuple[str, str, dict[str, Any]]]:
    """Actor, action and details of the audit events whose action begins so."""
    with desk.database.read() as connection:
        events = bulk.table_of(AuditEvent)
        rows = connection.execute(select(events).order_by(events.c.seq)).all()
        assert audit.verify(connection, desk.keyring.audit_publics().values()).ok
    return [(row.actor, row.action, json.loads(row.details)) for row in rows if row.action.startswith(start)]


def open_exceptions(desk: Desk, code: str) -> list[dict[str, Any]]:
    with desk.database.read() as connection:
        frame = exceptions.listed(connection, code=code)
    return [json.loads(detail) for detail in frame["detail"]]


# -- host keys ---------------------------------------------------------------------------------------------------------


def test_a_host_key_changes_in_mid_operation_and_no_file_is_lost_or_doubled(
    world: World, desk: Desk, agency: SandboxAgency, sshd: SandboxHost
) -> None:
    old = hostkeys.fingerprint_of(sshd.host_key_line)
    leave(agency, world)
    assert came(world) == (1, 0)

    # before the window: a key that nobody pinned gets nothing
    line = sshd.change_host_key()
    leave(agency, world)
    prepared(desk)
    for act in (lambda: inbound.collect(desk, "quayside"), lambda: outbox.send(desk, "quayside")):
        with pytest.raises(HostKeyMismatch, match="not pinned"):
            act()
    (seen,) = [one for one in hostkeys.scanned(desk, "quayside") if one["shown"]]
    assert (seen["pinned"], seen["line"]) == (None, line)
    assert len(list(agency.inbox.glob("*.receipt.*.age"))) == 0

    # the agency told us; asked for, it counts for nothing yet; the one who asked cannot approve
    new = hostkeys.fingerprint_of(line)
    assert hostkeys.add(desk, "quayside", line, others_until=world.clock.now + 7 * DAY) == "waiting"
    with pytest.raises(HostKeyMismatch):
        inbound.collect(desk, "quayside")
    with pytest.raises(RefusedByPolicy, match="cannot approve"):
        hostkeys.approve(desk, "quayside", new)
    by(desk, "li.wei", hostkeys.approve, "quayside", new)

    # within the window both are accepted, whichever the server shows
    assert came(world) == (1, 0)
    outbox.send(desk, "quayside")
    here = {one["fingerprint"]: one["state"] for one in hostkeys.listed(desk, "quayside")}
    assert here == {old: "valid", new: "valid"}

    # after it the old one is refused, and the new one goes on
    world.clock.now += 8 * DAY
    leave(agency, world)
    assert came(world) == (1, 0)
    here = {one["fingerprint"]: one["state"] for one in hostkeys.listed(desk, "quayside")}
    assert here == {old: "expired", new: "valid"}
    outbox.send(desk, "quayside")
    assert len(list(agency.inbox.glob("*.receipt.*.age"))) == 4
    assert [(who, act) for who, act, _ in actions(desk, "host_key.")] == [
        ("sandbox", "host_key.pinned"), ("chen.yu", "host_key.asked"), ("li.wei", "host_key.pinned"),
    ]  # fmt: skip


def test_after_the_window_the_old_host_key_is_refused(world: World, desk: Desk, sshd: SandboxHost) -> None:
    desk.settings.two_people = False
    (_, line) = new_key()
    hostkeys.add(desk, "quayside", line, begins=world.clock.now + DAY, others_until=world.clock.now + 3 * DAY)
    assert came(world) == (0, 0)  # the server still shows the old one
    world.clock.now += 2 * DAY
    assert came(world) == (0, 0)
    world.clock.now += DAY
    with pytest.raises(HostKeyMismatch):
        inbound.collect(desk, "quayside")
    hostkeys.add(desk, "quayside", sshd.host_key_line)  # it had ended, so it may be pinned anew
    assert came(world) == (0, 0)


def test_without_a_host_key_in_force_nothing_is_tried_and_it_is_said_which_ended(
    world: World, desk: Desk, sshd: SandboxHost
) -> None:
    fingerprint = hostkeys.fingerprint_of(sshd.host_key_line)
    with pytest.raises(RefusedByPolicy, match="nothing could be delivered"):
        hostkeys.retire(desk, "quayside", fingerprint)
    assert hostkeys.retire(desk, "quayside", fingerprint, at=world.clock.now + DAY, anyway=True) == "pinned"
    assert came(world) == (0, 0)
    world.clock.now += DAY
    with pytest.raises(hostkeys.HostKeysEnded, match=r"SHA256:.* ended at 2026-01-06"):
        inbound.collect(desk, "quayside")
    with pytest.raises(UsageError, match="no host key"):
        hostkeys.retire(desk, "quayside", "SHA256:x")


def test_a_new_host_key_comes_in_by_no_side_door(world: World, desk: Desk) -> None:
    with desk.database.read() as connection:
        stated = json.loads(exchange.agency(connection, "quayside").drop)
    onboarding.set_drop(desk, "quayside", stated | {"port": stated["port"]})
    with pytest.raises(RefusedByPolicy, match="second person"):
        onboarding.set_drop(desk, "quayside", stated | {"host_keys": [new_key()[1]]})
    assert came(world) == (0, 0)
    with pytest.raises(RefusedByPolicy, match="second person"):
        onboarding.trust(desk, "quayside", "x", "y")


def test_a_drop_that_was_set_before_keys_were_pinned_in_the_store_goes_on(
    world: World, desk: Desk, sshd: SandboxHost
) -> None:
    with desk.database.write() as connection:
        connection.execute(hostkeys.KEYS.delete())
    assert came(world) == (0, 0)
    hostkeys.add(desk, "quayside", new_key()[1])
    here = hostkeys.listed(desk, "quayside")
    assert [one["state"] for one in here] == ["waiting", "valid"]
    assert here[1]["fingerprint"] == hostkeys.fingerprint_of(sshd.host_key_line)


# -- our client keys ---------------------------------------------------------------------------------------------------


def test_a_client_key_is_renewed_without_a_moment_outside(
    world: World, desk: Desk, agency: SandboxAgency, sshd: SandboxHost
) -> None:
    leave(agency, world)
    assert came(world) == (1, 0)
    old = credentials.listed(desk, "quayside")[0]
    new = credentials.rotate(desk, "quayside")
    leave(agency, world)
    assert came(world) == (1, 0)  # the new one was refused, the old one let us in
    now = {one.generation: one for one in credentials.listed(desk, "quayside")}
    assert (now["2"].accepted, now["2"].refused is not None) == (None, True)
    with pytest.raises(AuthRefused):
        credentials.confirm(desk, "quayside")
    with pytest.raises(RefusedByPolicy, match="has been let in"):
        credentials.retire(desk, "quayside", old.generation)

    sshd.authorize("quayside", new.line)
    assert credentials.confirm(desk, "quayside").accepted is not None
    assert credentials.retire(desk, "quayside", old.generation).state == "revoked"
    sshd.forget(old.line)
    leave(agency, world)
    assert came(world) == (1, 0)
    told = [(act, details.get("fingerprint")) for _, act, details in actions(desk, "credential.")]
    assert told == [
        ("credential.accepted", old.fingerprint), ("credential.rotated", new.fingerprint),
        ("credential.accepted", new.fingerprint), ("credential.retired", old.fingerprint),
    ]  # fmt: skip


def test_a_refused_key_is_not_offered_first_at_every_connection(world: World, desk: Desk) -> None:
    came(world)
    credentials.rotate(desk, "quayside")
    with desk.database.read() as connection:
        row = exchange.agency(connection, "quayside")

    def refused() -> int:
        with outbox.reached(desk, row) as drop:
            assert drop.login is not None
            return len(drop.login.refused)

    assert [refused(), refused(), refused()] == [1, 0, 0]
    world.clock.now += timedelta(minutes=desk.settings.credential_retry_minutes)
    assert [refused(), refused()] == [1, 0]


def test_an_expired_client_key_is_offered_to_nobody(world: World, desk: Desk, sshd: SandboxHost) -> None:
    assert came(world) == (0, 0)
    world.clock.now += desk.settings.credential_days * DAY
    with pytest.raises(credentials.CredentialsEnded, match="is expired"):
        inbound.collect(desk, "quayside")
    sshd.authorize("quayside", credentials.rotate(desk, "quayside").line)
    assert came(world) == (0, 0)


# -- the agency's sealing keys -----------------------------------------------------------------------------------------


def renewed(agency: SandboxAgency, world: World) -> dict[str, str]:
    """The public halves of the agency's next pair."""
    agency.keyring.new_own_keys("age", world.clock.now, valid_from=world.clock.now + 2 * DAY)
    entry = agency.keyring.own_keys("age")[0]
    return {name: entry.public[name] for name in ("encrypt", "verify", "encrypt_fingerprint", "fingerprint")}


def test_a_second_key_of_an_agency_counts_when_two_have_compared_it(
    world: World, desk: Desk, agency: SandboxAgency
) -> None:
    new = renewed(agency, world)
    end = world.clock.now + 4 * DAY
    asked = rotation.trust(
        desk, "quayside", new["encrypt"], new["verify"], begins=world.clock.now + 2 * DAY, others_until=end
    )
    assert (asked.state, asked.encrypt, asked.verify) == ("waiting", new["encrypt_fingerprint"], new["fingerprint"])
    assert asked.request_id is not None
    said = {"encrypt": new["encrypt_fingerprint"], "verify": new["fingerprint"]}
    with pytest.raises(RefusedByPolicy, match="cannot approve"):
        rotation.approve(desk, "quayside", asked.request_id, **said)
    for wrong in ("encrypt", "verify"):
        with pytest.raises(RefusedByPolicy, match="is another"):
            by(desk, "li.wei", rotation.approve, "quayside", asked.request_id, **said | {wrong: PRINTS[wrong]})
    assert [one["state"] for one in rotation.listed(desk, "quayside")] == ["waiting", "valid"]
    done = by(desk, "li.wei", rotation.approve, "quayside", asked.request_id, **said)
    assert (done.state, done.generation) == ("pinned", "2")
    with pytest.raises(UsageError, match="no request"):
        by(desk, "li.wei", rotation.approve, "quayside", asked.request_id, **said)

    states = []
    for _ in range(5):  # the agency switches on the second day; the old one ends on the fourth
        leave(agency, world)
        assert came(world) == (1, 0)
        states.append([one["state"] for one in rotation.listed(desk, "quayside")])
        world.clock.now += DAY
    assert states == [["pending", "valid"]] * 2 + [["valid", "valid"]] * 2 + [["valid", "expired"]]
    told = [(who, act, details.get("by")) for who, act, details in actions(desk, "agency.") if who != "sandbox"]
    assert told == [("chen.yu", "agency.key_asked", None), ("li.wei", "agency.trusted", "chen.yu")]


def test_a_run_killed_between_keyring_and_store_is_finished_by_approving_again(
    world: World, desk: Desk, agency: SandboxAgency, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = renewed(agency, world)
    asked = rotation.trust(desk, "quayside", new["encrypt"], new["verify"])
    said = {"encrypt": new["encrypt_fingerprint"], "verify": new["fingerprint"]}
    with monkeypatch.context() as patched:
        patched.setattr(rotation, "_decide", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            by(desk, "li.wei", rotation.approve, "quayside", asked.request_id, **said)
    assert by(desk, "li.wei", rotation.approve, "quayside", asked.request_id, **said).generation == "2"
    assert len(desk.keyring.trusted_keys("quayside", "age")) == 2


def test_what_was_withdrawn_or_is_no_key_pins_nothing(world: World, desk: Desk, agency: SandboxAgency) -> None:
    new = renewed(agency, world)
    asked = rotation.trust(desk, "quayside", new["encrypt"], new["verify"])
    assert asked.request_id is not None
    rotation.withdraw(desk, "quayside", asked.request_id)
    assert [one["state"] for one in rotation.listed(desk, "quayside")] == ["valid"]
    with pytest.raises(KeyUnfit):
        rotation.trust(desk, "quayside", "age1rubbish", new["verify"])
    with pytest.raises(UsageError, match="before it begins"):
        rotation.trust(desk, "quayside", new["encrypt"], new["verify"], ends=world.clock.now)


def test_bytes_sealed_to_a_key_that_was_revoked_meanwhile_never_leave(
    world: World, desk: Desk, agency: SandboxAgency
) -> None:
    leave(agency, world)
    came(world)
    row = dead(desk)
    with pytest.raises(RemoteError):
        outbox.send(desk, "quayside")
    before = transmissions(desk)
    assert [one["state"] for one in before] == ["sealed"]
    rotation.revoke(desk, "quayside", "1")
    alive(desk, row)
    with pytest.raises(SealRefused, match="was revoked"):
        outbox.send(desk, "quayside")
    assert list(agency.inbox.iterdir()) == []
    public = agency.keyring.new_own_keys("age", world.clock.now).public
    desk.settings.two_people = False
    rotation.trust(desk, "quayside", public["encrypt"], public["verify"])
    assert outbox.send(desk, "quayside").delivered == 1
    (after,) = transmissions(desk)
    assert (after["name"], after["state"]) == (before[0]["name"], "delivered")
    assert after["sealed_sha256"] != before[0]["sealed_sha256"]
    agency.open_mail(world.clock.now)
    assert [details["reason"] for _, _, details in actions(desk, "transmission.unsealed")] == ["recipient_revoked"]


def dead(desk: Desk) -> dict[str, Any]:
    """The agency's server is gone; returns its drop as it was."""
    with desk.database.write() as connection:
        stated: dict[str, Any] = json.loads(exchange.agency(connection, "quayside").drop)
    alive(desk, stated | {"port": free_port()})
    return stated


def alive(desk: Desk, stated: dict[str, Any]) -> None:
    with desk.database.write() as connection:
        connection.execute(update(exchange.AGENCIES).values(drop=json.dumps(stated)))


def transmissions(desk: Desk) -> list[dict[str, Any]]:
    table = bulk.table_of(Transmission)
    with desk.database.read() as connection:
        return [dict(row._mapping) for row in connection.execute(select(table).order_by(table.c.transmission_id))]


# -- our sealing keys --------------------------------------------------------------------------------------------------


def test_our_next_key_is_announced_confirmed_and_takes_over(world: World, desk: Desk, agency: SandboxAgency) -> None:
    old = desk.keyring.own_keys("age")[0]
    made = rotation.rotate_own(desk, "age")
    assert (made.announced_to, made.begins - world.clock.now) == (("quayside",), 14 * DAY)
    assert outbox.send(desk, "quayside").delivered == 1
    assert agency.open_mail(world.clock.now) == ["key_announcement"]
    theirs = agency.keyring.trusted_keys("lender", "age")
    assert [(one.fingerprint, one.state(world.clock.now)) for one in theirs] == [
        (made.fingerprint, "pending"), (old.fingerprint, "valid"),
    ]  # fmt: skip
    assert rotation.announce_own(desk, "age", made.generation) == ()  # each is told once

    world.clock.now += 8 * DAY  # a week before it signs, silence is somebody's to look at
    assert expiry.watch(desk).opened == 1
    assert open_exceptions(desk, "key_not_installed")[0]["fingerprint"] == made.fingerprint
    confirm(agency, world, made)
    assert came(world) == (1, 0)
    assert expiry.watch(desk).resolved == 1
    assert [one["state"] for one in transmissions(desk) if one["kind"] == "key_announcement"] == ["acknowledged"]
    told = [(act, details.get("fingerprint")) for _, act, details in actions(desk, "key.")]
    assert told == [(f"key.{act}", made.fingerprint) for act in ("rotated", "announced", "installed")]

    signers = []
    for _ in range(8):
        outbox.send(desk, "quayside")
        leave(agency, world)
        assert came(world) == (1, 0)
        signers.append(json.loads(transmissions(desk)[-2]["key_ids"] or "{}").get("signer"))
        world.clock.now += DAY
    assert {old.fingerprint, made.fingerprint} <= set(signers)
    assert agency.open_mail(world.clock.now)


def confirm(agency: SandboxAgency, world: World, made: rotation.Rotated) -> None:
    """The agency reads our new fingerprints back."""
    day = world.desk.today()
    frame = pd.DataFrame({
        "whose": "lender", "use": ["sign", "encrypt"], "fingerprint": [made.fingerprint, made.encrypt_fingerprint],
        "compared_on": pd.Timestamp(day), "compared_by": "head of IT",
    })  # fmt: skip
    agency._send("fingerprint", "harbour", day, world.clock.now, frame)


def test_an_announcement_that_is_late_is_still_signed_by_the_key_before(
    world: World, desk: Desk, agency: SandboxAgency
) -> None:
    rotation.rotate_own(desk, "age", begins=world.clock.now + DAY)
    world.clock.now += 2 * DAY
    assert outbox.send(desk, "quayside").delivered == 1
    assert agency.open_mail(world.clock.now) == ["key_announcement"]  # it knew the old key alone
    assert agency.keyring.trusted_keys("lender", "age")[0].state(world.clock.now) == "valid"


def test_a_gap_in_which_nobody_signs_is_refused(world: World, desk: Desk) -> None:
    now = world.clock.now
    end = desk.keyring.own_keys("age")[0].valid_until
    assert end is not None
    for begins, older_until in ((end + DAY, None), (now + 5 * DAY, now + 4 * DAY)):
        with pytest.raises(UsageError, match="no key of ours would sign"):
            rotation.rotate_own(desk, "age", begins=begins, older_until=older_until)
    with pytest.raises(UsageError, match="in the past"):
        rotation.rotate_own(desk, "age", begins=now - DAY)
    assert len(desk.keyring.own_keys("age")) == 1


def test_what_was_sealed_and_not_delivered_before_our_key_ended_is_sealed_anew(
    world: World, desk: Desk, agency: SandboxAgency
) -> None:
    leave(agency, world)
    came(world)
    prepared(desk)
    row = dead(desk)
    with pytest.raises(RemoteError):
        outbox.send(desk, "quayside")
    made = rotation.rotate_own(
        desk, "age", begins=world.clock.now + DAY, older_until=world.clock.now + 2 * DAY, announce=False
    )
    world.clock.now += 3 * DAY
    with pytest.raises(RemoteError):
        outbox.send(desk, "quayside")
    public = desk.keyring.own_key("age", made.generation).public
    agency.keyring.trust("lender", "age", encrypt=public["encrypt"], verify=public["verify"], now=world.clock.now)
    alive(desk, row)
    assert outbox.send(desk, "quayside").delivered == 2
    agency.open_mail(world.clock.now)
    sent = transmissions(desk)
    assert [one["sequence"] for one in sent] == [1, 2]
    assert [one["previous_sha256"] for one in sent] == [None, sent[0]["sealed_sha256"]]
    with desk.database.read() as connection:
        table = bulk.table_of(Disclosure)
        per = connection.execute(select(table.c.transmission_id, table.c.field)).all()
    assert len(per) == len(set(per))


def test_after_its_end_our_key_opens_nothing_and_the_receipt_says_so(
    world: World, desk: Desk, agency: SandboxAgency
) -> None:
    desk.settings.two_people = False
    made = rotation.rotate_own(
        desk, "age", begins=world.clock.now + DAY, older_until=world.clock.now + 2 * DAY, announce=False
    )
    public = desk.keyring.own_key("age", made.generation).public
    codes = []
    for wait in (timedelta(minutes=2 * 24 * 60 + 4), timedelta(minutes=1)):
        world.clock.now += wait
        leave(agency, world)  # it knows our old key alone
        codes.append(came(world))
    assert codes == [(1, 0), (0, 1)]  # within the skew, and after it
    with desk.database.read() as connection:
        refused = connection.execute(select(exchange.FILES.c.refusal_code)).scalars().all()
    assert refused == [None, "key_expired"]
    agency.keyring.trust("lender", "age", encrypt=public["encrypt"], verify=public["verify"], now=world.clock.now)
    outbox.send(desk, "quayside")
    agency.open_mail(world.clock.now)
    leave(agency, world)
    assert came(world) == (1, 0)


# -- what ends is said in time -----------------------------------------------------------------------------------------


def test_what_ends_is_said_three_times_and_resolved_when_it_was_renewed(
    world: World, desk: Desk, sshd: SandboxHost
) -> None:
    desk.settings.two_people = False
    assert expiry.watch(desk) == expiry.Watched()
    end = world.clock.now + 40 * DAY
    (_, line) = new_key()
    hostkeys.retire(desk, "quayside", hostkeys.fingerprint_of(sshd.host_key_line), at=end, anyway=True)
    said = []
    for _ in range(41):
        did = expiry.watch(desk)
        said.append((did.opened, did.said_again))
        world.clock.now += DAY
    assert [day for day, (opened, _) in enumerate(said) if opened] == [10]
    assert [day for day, (_, again) in enumerate(said) if again] == [26, 37, 40]
    assert [one["days"] for one in open_exceptions(desk, "host_key_expiring")] == [0]
    hostkeys.add(desk, "quayside", line)
    assert expiry.watch(desk).resolved == 1
    assert open_exceptions(desk, "host_key_expiring") == []


def test_a_key_that_has_a_successor_is_no_news_until_the_other_side_is_seen_to_use_it_still(
    world: World, desk: Desk, agency: SandboxAgency
) -> None:
    desk.settings.two_people = False
    public = agency.keyring.new_own_keys("age", world.clock.now + 20 * DAY).public
    rotation.trust(
        desk, "quayside", public["encrypt"], public["verify"], ends=world.clock.now + 300 * DAY,
        others_until=world.clock.now + 10 * DAY,
    )  # fmt: skip
    assert expiry.endings(desk) == []
    older = agency.keyring.own_keys("age")[1]
    agency.keyring.revoke_own("age", "2", world.clock.now)  # so it signs with the old one
    leave(agency, world)
    came(world)
    (still,) = expiry.endings(desk)
    assert (still.code, still.why, still.fingerprint) == ("key_expiring", "still_used", older.fingerprint)
    assert still.days_left == 10


def test_the_doctor_names_what_ends_soon(world: World, desk: Desk, sshd: SandboxHost) -> None:
    said = {one.check: (one.state, one.fix) for one in health.agencies(desk)}
    assert {state for state, _ in said.values()} == {"ok"}
    hostkeys.retire(
        desk, "quayside", hostkeys.fingerprint_of(sshd.host_key_line), at=world.clock.now + 360 * DAY, anyway=True
    )
    world.clock.now += 350 * DAY
    said = {one.check: (one.state, one.fix) for one in health.agencies(desk)}
    assert said["host of quayside"][0] == said["client key at quayside"][0] == "warn"
    assert "host-key add quayside" in said["host of quayside"][1]
    assert "credential rotate quayside" in said["client key at quayside"][1]


# -- pseudonym keys ----------------------------------------------------------------------------------------------------


def test_a_statement_names_accounts_as_the_agency_knows_them(desk: Desk) -> None:
    old = desk.keyring.pseudonym_key("quayside")
    new = desk.keyring.new_pseudonym_key("quayside", desk.now())
    ids, day = np.arange(1, 4, dtype=np.int64), pd.Timestamp(START)
    with desk.database.write() as connection:
        bulk.append(connection, Placement, pd.DataFrame({  # the third was placed anew under the new key
            "placement_id": [11, 12, 13, 14], "plan_id": [1, 1, 1, 2], "lender": "harbour", "agency": "quayside",
            "account_id": [1, 2, 3, 3], "debtor_id": [1, 2, 3, 3], "round": 1, "stage": "early", "segment": "all",
            "currency": "CNY", "balance_minor": 100, "dpd": 95, "bucket": "M4", "placed_on": day, "due_back_on": day,
            "state": "closed", "key_generation": [old.generation, new.generation, old.generation, new.generation],
        }))  # fmt: skip
        bulk.append(connection, RemittanceLine, pd.DataFrame({
            "line_id": ids, "content_id": ["a", "b", "c"], "file_id": 1, "line": ids, "lender": "harbour",
            "agency": "quayside", "account_id": ids, "gross_minor": 100, "net_minor": 100, "currency": "CNY",
            "due_commission_minor": 20, "due_vat_minor": 1, "value_date": day, "statement_id": 7,
        }))  # fmt: skip
        connection.execute(bulk.table_of(Statement).insert().values(
            statement_id=7, lender="harbour", agency="quayside", period="2026-01", currency="CNY", lines=3,
            gross_minor=300, commission_minor=60, vat_minor=3, net_minor=237, csv_path="", xlsx_path="", sha256="",
            made_at=desk.now(),
        ))  # fmt: skip
        work = exchange.Work(
            "statement:7", "harbour", "quayside", "statement", desk.today(), ".age", {"statement_id": 7}
        )
        transmission_id, _ = exchange.prepare(connection, work)
    with desk.database.read() as connection:
        row, agency = exchange.transmission(connection, transmission_id), exchange.agency(connection, "quayside")
        contents = packages.contents_of(packages.Composing(connection, desk.keyring, row, agency, 100))
        named = pd.concat(list(contents.frames))["account"].tolist()
    expected = [account_pseudonyms(key, pd.Series([n])).iloc[0] for n, key in ((1, old), (2, new), (3, new))]
    assert named == expected
