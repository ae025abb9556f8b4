"""The audit trail: nothing in it can be changed, dropped, reordered or rewritten unseen."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlmodel import SQLModel

from infra import audit
from infra.store.database import Database
from keys.keyring import Keyring
from models.tables import Transmission

NOW = datetime(2026, 11, 22, 8, 30, 0, 123456, tzinfo=UTC)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A store without the triggers that refuse changes: what an attacker with the database's password has."""
    database = Database(database_url)
    SQLModel.metadata.create_all(database.engine)
    yield database
    database.close()


@pytest.fixture
def keyring(tmp_path: Path) -> Keyring:
    return Keyring.create(tmp_path / "keyring.json", key_file=tmp_path / "root.key")


@pytest.fixture
def trail(database: Database, keyring: Keyring) -> Database:
    """Ten events, the head of the seventh signed."""
    write(database, 7)
    with database.write() as connection:
        audit.sign_head(connection, keyring, NOW)
    write(database, 3)
    return database


def write(database: Database, events: int) -> None:
    with database.write() as connection:
        audit.record_many(
            connection,
            [audit.Event("anna", "file.accepted", f"file:{number}", {"rows": number}, NOW) for number in range(events)],
        )


def verified(database: Database, keyring: Keyring) -> audit.Verification:
    with database.read() as connection:
        return audit.verify(connection, keyring.audit_publics().values())


def tamper(database: Database, *statements: str) -> None:
    with database.write() as connection:
        for statement in statements:
            connection.execute(text(statement))


def test_the_chain_is_what_the_docs_say_it_is(database: Database) -> None:
    east = NOW.astimezone(timezone(timedelta(hours=8)))
    with database.write() as connection:
        first = audit.record(connection, "安娜", "plan.approved", "plan:7", {"rows": 2, "agency": "north"}, east)
        second = audit.record(connection, "bob", "plan.placed", "plan:7", {}, NOW)
    canonical = (
        '{"action":"plan.approved","actor":"安娜","at":"2026-11-22T08:30:00.123456Z",'
        '"details":{"agency":"north","rows":2},"seq":1,"subject":"plan:7"}'
    )
    assert first.hash == hashlib.sha256(f"{'0' * 64}\n{canonical}".encode()).hexdigest()
    assert (second.seq, second.previous_hash) == (2, first.hash)
    with database.read() as connection:
        assert audit.head(connection) == f"2:{second.hash}"


def test_an_untouched_trail_verifies(trail: Database, keyring: Keyring) -> None:
    assert verified(trail, keyring) == audit.Verification(ok=True, events=10, heads=1, heads_sent=0)


def test_an_empty_trail_verifies(database: Database, keyring: Keyring) -> None:
    assert verified(database, keyring).ok
    with database.write() as connection:
        assert audit.sign_head(connection, keyring, NOW) == f"0:{audit.GENESIS}"


@pytest.mark.parametrize(
    ("statement", "seq"),
    [
        ("UPDATE audit_event SET actor = 'eve' WHERE seq = 4", 4),
        ("UPDATE audit_event SET details = '{}' WHERE seq = 4", 4),
        ("UPDATE audit_event SET hash = previous_hash WHERE seq = 10", 10),
        ("DELETE FROM audit_event WHERE seq = 4", 4),
        ("DELETE FROM audit_event WHERE seq = 1", 1),
        ("DELETE FROM audit_event WHERE seq > 5", 6),
        ("DELETE FROM audit_event", 1),
    ],
)
def test_a_changed_or_missing_event_shows(trail: Database, keyring: Keyring, statement: str, seq: int) -> None:
    tamper(trail, statement)
    result = verified(trail, keyring)
    assert (result.ok, result.first_bad_seq) == (False, seq)
    assert result.why


def test_a_whole_new_chain_does_not_fit_the_signed_head(trail: Database, keyring: Keyring) -> None:
    tamper(trail, "DELETE FROM audit_event")
    write(trail, 5)
    write(trail, 5)
    result = verified(trail, keyring)
    assert (result.ok, result.first_bad_seq) == (False, 7)  # the one that was signed


def test_a_new_chain_with_a_head_of_another_key_shows(trail: Database, keyring: Keyring, tmp_path: Path) -> None:
    tamper(trail, "DELETE FROM audit_event", "DELETE FROM audit_head")
    write(trail, 10)
    other = Keyring.create(tmp_path / "other.json", key_file=tmp_path / "other.key")
    with trail.write() as connection:
        audit.sign_head(connection, other, NOW)
    result = verified(trail, keyring)
    assert (result.ok, "not ours" in result.why) == (False, True)


def test_a_head_with_another_time_shows(trail: Database, keyring: Keyring) -> None:
    tamper(trail, "UPDATE audit_head SET signed_at = '2026-11-21 00:00:00.000000'")
    assert "signature" in verified(trail, keyring).why


def test_a_new_chain_does_not_fit_what_manifests_carried_away(database: Database, keyring: Keyring) -> None:
    write(database, 5)
    with database.session() as session:
        head = audit.sign_head(session.connection(), keyring, NOW)
        session.add(
            Transmission(
                transmission_id=1, work_key="w", lender="l", agency="a", kind="placement", sequence=1, name="a-1.zip",
                prepared_on=NOW.date(), audit_head=head,
            )
        )  # fmt: skip
    assert verified(database, keyring).ok
    tamper(database, "DELETE FROM audit_event", "DELETE FROM audit_head")
    write(database, 3)
    write(database, 3)
    result = verified(database, keyring)
    assert (result.ok, result.first_bad_seq) == (False, 5)  # the one that left
    tamper(database, "DELETE FROM audit_event WHERE seq > 3")
    assert "a-1.zip" in verified(database, keyring).why


def test_heads_signed_before_a_rotation_still_verify(trail: Database, keyring: Keyring) -> None:
    keyring.rotate("audit", "audit", NOW)
    with trail.write() as connection:
        audit.sign_head(connection, keyring, NOW + timedelta(days=1))
        audit.sign_head(connection, keyring, NOW + timedelta(days=2))  # it is signed already
    assert verified(trail, keyring) == audit.Verification(ok=True, events=10, heads=2, heads_sent=0)


def test_what_is_undone_was_never_recorded(database: Database, keyring: Keyring) -> None:
    def placed_and_broken() -> None:
        with database.write() as connection:
            audit.record(connection, "anna", "plan.placed", "plan:7", {}, NOW)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        placed_and_broken()
    assert verified(database, keyring).events == 0


def test_writers_at_once_make_one_chain(database: Database, keyring: Keyring) -> None:
    together = threading.Barrier(4)

    def writes(number: int) -> None:
        together.wait()
        for _ in range(5):
            with database.write() as connection:
                audit.record(connection, f"writer-{number}", "file.accepted", "file:1", {}, NOW)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(writes, range(4)))
    assert verified(database, keyring) == audit.Verification(ok=True, events=20, heads=0, heads_sent=0)


@pytest.mark.parametrize(
    "details",
    [
        {"phone": "13800138000"},
        {"name": "x"},
        {"debtor_name": "x"},
        {"note": "x"},
        {"reason": "张三"},
        {"reason": "x" * 201},
        {"reason": "two\nlines"},
        {"rate": 1.5},
        {"rows": {"a": 1}},
        {"codes": ["x"] * 51},
        {"codes": [["x"]]},
    ],
)
def test_a_detail_that_could_be_a_debtors_is_refused_without_being_quoted(details: dict[str, audit.Value]) -> None:
    with pytest.raises(audit.DetailNotAllowed) as refused:
        audit.detail_text(details)
    assert not any(str(value) in str(refused.value) for value in details.values() if value != "x")


def test_codes_counts_and_short_lists_are_kept_in_canonical_form() -> None:
    details: dict[str, audit.Value] = {
        "rows": 3,
        "agency": "north",
        "reasons": ["paid:2", "term:1"],
        "dry_run": False,
        "plan_id": None,
    }
    assert audit.detail_text(details) == (
        '{"agency":"north","dry_run":false,"plan_id":null,"reasons":["paid:2","term:1"],"rows":3}'
    )


@pytest.mark.parametrize("bad", ["two\nlines", "x" * 201])
def test_an_actor_or_subject_is_one_short_line(database: Database, bad: str) -> None:
    calls: list[Callable[[], audit.Event]] = [
        lambda: audit.Event(bad, "a", "s", {}, NOW),
        lambda: audit.Event("a", "a", bad, {}, NOW),
    ]
    for call in calls:
        with pytest.raises(audit.DetailNotAllowed), database.write() as connection:
            audit.record_many(connection, [call()])
