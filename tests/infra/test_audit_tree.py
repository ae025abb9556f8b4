"""The tree over the audit events: every kind of tampering shows, and proofs hold without the store."""

from __future__ import annotations

import json
import secrets
import shutil
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from infra import audit, proving, witnesses
from infra.settings import Settings
from infra.store import schema, trail
from infra.store.database import Database
from infra.wiring import Desk
from keys.keyring import Keyring
from models import merkle
from models.errors import UsageError
from models.tables import Transmission

NOW = datetime(2026, 11, 22, 8, 30, 0, 123456, tzinfo=UTC)
HEADS = (3, 300, 700)
EVENTS = 720
Proof = dict[str, Any]


@pytest.fixture(scope="module")
def keyring(tmp_path_factory: pytest.TempPathFactory) -> Keyring:
    folder = tmp_path_factory.mktemp("keys")
    return Keyring.create(folder / "keyring.json", key_file=folder / "root.key")


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, keyring: Keyring) -> Path:
    """An SQLite store as migrations make it: 720 events, heads signed at 3, 300 and 700, that of 300 left in a file."""
    path = tmp_path_factory.mktemp("template") / "store.sqlite"
    database = Database(f"sqlite:///{path}")
    schema.ensure(database)
    filled(database, keyring)
    database.close()
    return path


@pytest.fixture(scope="module")
def postgres_template(postgres_cluster: Any, keyring: Keyring) -> Iterator[str]:
    """The same as a PostgreSQL database, by its name: others are copied from it."""
    name = f"t_{secrets.token_hex(6)}"
    with administered(postgres_cluster) as admin:
        admin.execute(f'CREATE DATABASE "{name}"')
    database = Database(postgres_cluster.url(name))
    schema.ensure(database)
    filled(database, keyring)
    database.close()
    yield name
    with administered(postgres_cluster) as admin:
        admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@contextmanager
def administered(cluster: Any) -> Iterator[psycopg.Connection]:
    with psycopg.connect(cluster.url("postgres").replace("+psycopg", ""), autocommit=True) as admin:
        yield admin


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def store(request: pytest.FixtureRequest, tmp_path: Path, template: Path) -> Iterator[Database]:
    """The same on either database, for this test alone."""
    if request.param == "sqlite":
        database = Database(f"sqlite:///{shutil.copy(template, tmp_path / 'store.sqlite')}")
        yield database
        database.close()
        return
    cluster, copy = request.getfixturevalue("postgres_cluster"), f"t_{secrets.token_hex(6)}"
    with administered(cluster) as admin:
        admin.execute(f'CREATE DATABASE "{copy}" TEMPLATE "{request.getfixturevalue("postgres_template")}"')
        database = Database(cluster.url(copy))
        yield database
        database.close()
        admin.execute(f'DROP DATABASE "{copy}" WITH (FORCE)')


@pytest.fixture
def small(tmp_path: Path, template: Path) -> Iterator[Database]:
    """The same on SQLite alone, for what does not depend on the database."""
    database = Database(f"sqlite:///{shutil.copy(template, tmp_path / 'store.sqlite')}")
    yield database
    database.close()


def filled(database: Database, keyring: Keyring) -> None:
    written = 0
    for size in HEADS:
        write(database, size - written)
        written = size
        with database.session() as session:
            audit.sign_head(session.connection(), keyring, NOW)
    write(database, EVENTS - written)
    with database.session() as session:
        head = trail.head_at(session.connection(), 300)
        assert head is not None
        session.add(
            Transmission(
                transmission_id=1, work_key="w", lender="l", agency="a", kind="placement", sequence=1, name="a-1.zip",
                prepared_on=NOW.date(), audit_head=f"300:{head.hash}",
            )
        )  # fmt: skip


def write(database: Database, events: int, actor: str = "安娜") -> None:
    with database.write() as connection:
        audit.record_many(
            connection,
            [audit.Event(actor, "file.accepted", f"file:{number}", {"rows": number}, NOW) for number in range(events)],
        )


def verified(database: Database, keyring: Keyring, **more: Any) -> audit.Verification:
    with database.read() as connection:
        return audit.verify(connection, keyring.audit_publics().values(), **more)


def proof_of(database: Database, keyring: Keyring, seq: int, head: int | None = None) -> Proof:
    with database.read() as connection:
        return proving.prove(connection, keyring.audit_publics().values(), seq, head)


def consistency_of(database: Database, keyring: Keyring, old: int, new: int | None = None) -> Proof:
    with database.read() as connection:
        return proving.prove_consistency(connection, keyring.audit_publics().values(), old, new)


def checked(proof: Proof, expected: str = "") -> proving.Checked:
    return proving.check(json.dumps(proof).encode(), expected)


def unguarded(database: Database, *statements: str) -> None:
    """Done by somebody with the database's password: the triggers step aside and come back."""
    tables = {name for name in trail.GUARDED if any(f" {name} " in f"{one} " for one in statements)}
    with database.write() as connection:
        if not database.is_sqlite:
            connection.execute(text("SET session_replication_role = replica"))
            for statement in statements:
                connection.execute(text(statement))
            connection.execute(text("SET session_replication_role = origin"))
            return
        triggers = connection.execute(
            text("SELECT name, tbl_name, sql FROM sqlite_master WHERE type = 'trigger'")
        ).fetchall()
        aside = [one for one in triggers if one.tbl_name in tables]
        for one in aside:
            connection.execute(text(f"DROP TRIGGER {one.name}"))
        for statement in statements:
            connection.execute(text(statement))
        for one in aside:
            connection.execute(text(one.sql))


def test_a_whole_trail_verifies_and_has_one_root_however_it_grew(store: Database, keyring: Keyring) -> None:
    result = verified(store, keyring)
    assert (result.ok, result.events, result.heads, result.why) == (True, EVENTS, 3, "")
    at_once = merkle.Tree()
    with store.read() as connection:
        for frame in trail.events(connection):
            at_once.extend(merkle.leaves(audit.entries(frame)))
        assert trail.kept_until(connection) == 512
        kept = trail.nodes(connection)
    assert result.root == at_once.root().hex()
    assert sorted(kept) == [(8, 0), (8, 1), (9, 0)]  # three rows for 720 events


def test_what_manifests_carry_can_be_checked_with_the_public_key_alone(small: Database, keyring: Keyring) -> None:
    with small.read() as connection:
        carried = audit.signed_head(connection)
    assert carried is not None
    assert carried.keys() == {"head", "root", "signed_at", "signature", "key"}
    seq, digest = carried["head"].split(":")
    head = audit.Head(int(seq), digest, *(carried[name] for name in ("root", "signed_at", "signature", "key")))
    assert head.holds(keyring.audit_public())
    assert not audit.Head(int(seq), digest, "0" * 64, head.signed_at, head.signature, head.key).holds(
        keyring.audit_public()
    )


TAMPERED = {
    "a row": ("UPDATE audit_event SET actor = 'eve' WHERE seq = 650", 650),
    "a time": ("UPDATE audit_event SET at = '2026-11-21 00:00:00.000000' WHERE seq = 10", 10),
    "an action": ("UPDATE audit_event SET action = 'file.refused' WHERE seq = 299", 299),
    "a subject": ("UPDATE audit_event SET subject = 'file:0' WHERE seq = 42", 42),
    "details": ("UPDATE audit_event SET details = '{}' WHERE seq = 513", 513),
    "a hash before": ("UPDATE audit_event SET previous_hash = hash WHERE seq = 7", 7),
    "a hash": ("UPDATE audit_event SET hash = previous_hash WHERE seq = 700", 700),
    "a gap": ("DELETE FROM audit_event WHERE seq = 257", 257),
    "the beginning": ("DELETE FROM audit_event WHERE seq <= 2", 1),
    "the tail": ("DELETE FROM audit_event WHERE seq > 650", 651),
    "everything": ("DELETE FROM audit_event WHERE seq > 0", 1),
    "a head's hash": ("UPDATE audit_head SET hash = root WHERE seq = 300", 300),
    "a head's root": ("UPDATE audit_head SET root = hash WHERE seq = 300", 300),
    "a head's time": ("UPDATE audit_head SET signed_at = '2026-11-21 00:00:00.000000' WHERE seq = 300", 300),
    "a head's place": ("UPDATE audit_head SET seq = 299 WHERE seq = 300", 299),
    "a signature": ("UPDATE audit_head SET signature = 'AAAA' WHERE seq = 700", 700),
    "a head's key": ("UPDATE audit_head SET key_fingerprint = 'SHA256:x' WHERE seq = 700", 700),
    "a head that left": ("DELETE FROM audit_head WHERE seq = 300", 300),
    "the last heads": ("DELETE FROM audit_head WHERE seq > 300", 1),
    "a part of the tree": ("UPDATE audit_node SET hash = '00' WHERE level = 9", 512),
    "a lost part of the tree": ("DELETE FROM audit_node WHERE level = 8 AND position = 0", 256),
    "an invented part of the tree": ("INSERT INTO audit_node (level, position, hash) VALUES (8, 2, '00')", 513),
}


@pytest.mark.parametrize("what", TAMPERED)
def test_tampering_shows(store: Database, keyring: Keyring, what: str) -> None:
    statement, seq = TAMPERED[what]
    unguarded(store, statement)
    result = verified(store, keyring)
    assert (result.ok, result.first_bad_seq) == (False, seq), result.why


def test_two_events_in_another_order_show(store: Database, keyring: Keyring) -> None:
    unguarded(
        store,
        "UPDATE audit_event SET seq = 100000 WHERE seq = 20",
        "UPDATE audit_event SET seq = 20 WHERE seq = 21",
        "UPDATE audit_event SET seq = 21 WHERE seq = 100000",
    )
    result = verified(store, keyring)
    assert (result.ok, result.first_bad_seq) == (False, 20)


def test_a_trail_written_anew_by_the_holder_of_the_store_shows(store: Database, keyring: Keyring) -> None:
    unguarded(store, "DELETE FROM audit_event WHERE seq > 0", "DELETE FROM audit_node WHERE level > 0")
    write(store, EVENTS, actor="eve")
    assert verified(store, keyring).first_bad_seq == HEADS[0]


def test_a_trail_written_and_signed_anew_with_another_key_shows(
    store: Database, keyring: Keyring, tmp_path: Path
) -> None:
    other = Keyring.create(tmp_path / "other.json", key_file=tmp_path / "other.key")
    unguarded(
        store,
        "DELETE FROM audit_event WHERE seq > 0",
        "DELETE FROM audit_node WHERE level > 0",
        "DELETE FROM audit_head WHERE seq > 0",
    )
    with store.write() as connection:
        connection.execute(text("DELETE FROM transmission"))
    write(store, EVENTS, actor="eve")
    with store.write() as connection:
        audit.sign_head(connection, other, NOW)
    assert "not ours" in verified(store, keyring).why
    assert verified(store, other).ok  # within itself: only what others hold shows a keyring that was replaced too


def test_a_replaced_key_shows_beside_what_an_agency_holds(small: Database, tmp_path: Path) -> None:
    held = tmp_path / "datapackage.json"
    with small.read() as connection:
        held.write_text(json.dumps({"consign": {"audit": audit.signed_head(connection)}}))
    other = Keyring.create(tmp_path / "other.json", key_file=tmp_path / "other.key")
    unguarded(
        small,
        "DELETE FROM audit_event WHERE seq > 0",
        "DELETE FROM audit_node WHERE level > 0",
        "DELETE FROM audit_head WHERE seq > 0",
    )
    with small.write() as connection:
        connection.execute(text("DELETE FROM transmission"))
    write(small, EVENTS, actor="eve")
    with small.write() as connection:
        audit.sign_head(connection, other, NOW)
    result = verified(small, other, against=witnesses.heads_in(held))
    assert (result.ok, result.first_bad_seq, "datapackage.json" in result.why) == (False, 700, True)


@pytest.mark.parametrize("table", trail.GUARDED)
def test_a_deleted_trigger_shows(store: Database, keyring: Keyring, table: str) -> None:
    name = f"{table}_refuses_update" if store.is_sqlite else f"{table}_append_only"
    with store.write() as connection:
        connection.execute(text(f"DROP TRIGGER {name}" + ("" if store.is_sqlite else f" ON {table}")))
    result = verified(store, keyring)
    assert (result.ok, table in result.why) == (False, True)


def test_a_trigger_that_is_off_or_does_nothing_shows(store: Database, keyring: Keyring) -> None:
    with store.write() as connection:
        if store.is_sqlite:
            connection.execute(text("DROP TRIGGER audit_event_refuses_delete"))
            connection.execute(
                text(
                    "CREATE TRIGGER audit_event_refuses_delete BEFORE DELETE ON audit_event WHEN 0 "
                    "BEGIN SELECT RAISE(ABORT, 'audit_event is append-only'); END"
                )
            )
        else:
            connection.execute(text("ALTER TABLE audit_event DISABLE TRIGGER audit_event_append_only"))
    assert "audit_event" in verified(store, keyring).why


@pytest.mark.parametrize("table", ["audit_head", "audit_node"])
def test_heads_and_tree_are_append_only_too(store: Database, table: str) -> None:
    with pytest.raises(IntegrityError, match="append-only"), store.write() as connection:
        connection.execute(text(f"DELETE FROM {table}"))


def test_a_cut_tail_that_no_head_covers_shows_beside_the_note_of_the_last_verification(
    small: Database, keyring: Keyring
) -> None:
    whole = verified(small, keyring)
    assert whole.tree is not None
    noted = audit.Verified(whole.events, whole.end, whole.tree.peaks)
    unguarded(small, "DELETE FROM audit_event WHERE seq > 710")
    assert verified(small, keyring).ok  # nobody outside has seen these ten: sign often
    result = verified(small, keyring, noted=noted)
    assert (result.ok, result.first_bad_seq) == (False, 711)


def test_a_trail_that_grew_is_verified_from_where_it_was_before(store: Database, keyring: Keyring) -> None:
    before = verified(store, keyring)
    assert before.tree is not None
    noted = audit.Verified(before.events, before.end, before.tree.peaks)
    write(store, 400)
    with store.write() as connection:
        audit.sign_head(connection, keyring, NOW)
    after = verified(store, keyring, since=noted)
    assert (after.ok, after.events, after.since) == (True, EVENTS + 400, EVENTS)
    assert after.root == verified(store, keyring).root
    unguarded(store, "UPDATE audit_event SET actor = 'eve' WHERE seq = 900")
    assert verified(store, keyring, since=noted).first_bad_seq == 900


@pytest.mark.parametrize("seq", [1, 3, 4, 256, 257, 299, 512, 513, 700])
def test_an_event_is_proved_and_the_proof_holds_without_the_store(store: Database, keyring: Keyring, seq: int) -> None:
    proof = proof_of(store, keyring, seq)
    told = checked(proof, audit.fingerprint(keyring.audit_public()))
    assert told.event is not None
    assert (told.kind, told.event["seq"], told.seq, told.key_expected) == ("inclusion", seq, 700, True)
    assert len(proof["path"]) <= 10


def test_an_event_is_proved_under_an_older_head_and_heads_are_consistent(store: Database, keyring: Keyring) -> None:
    assert checked(proof_of(store, keyring, 2, head=3)).seq == 3
    for old, new in ((3, 300), (3, 700), (300, 700), (700, 700)):
        told = checked(consistency_of(store, keyring, old, new))
        assert (told.kind, told.from_seq, told.seq) == ("consistency", old, new)


def _deeper(*path: str) -> Callable[[Proof, Any], None]:
    def put(proof: Proof, value: Any) -> None:
        for name in path[:-1]:
            proof = proof[name]
        proof[path[-1]] = value

    return put


@pytest.mark.parametrize(
    ("put", "value"),
    [
        (_deeper("event", "actor"), "eve"),
        (_deeper("event", "details"), {"rows": 1}),
        (_deeper("event", "seq"), 43),
        (_deeper("event", "seq"), True),
        (_deeper("event", "note"), "more"),
        (_deeper("event"), None),
        (_deeper("path"), []),
        (_deeper("path"), ["00"]),
        (_deeper("head", "root"), "0" * 64),
        (_deeper("head", "seq"), 701),
        (_deeper("head", "seq"), 1 << 80),
        (_deeper("head", "signed_at"), "2026-11-22T08:30:00.123457Z"),
        (_deeper("head", "signature"), "AAAA"),
        (_deeper("head", "key"), "SHA256:x"),
        (_deeper("keys"), {}),
        (_deeper("keys"), {"SHA256:x": "AAAA"}),
        (_deeper("kind"), "consistency"),
        (_deeper("format"), "another"),
    ],
)
def test_a_proof_that_was_changed_proves_nothing(small: Database, keyring: Keyring, put: Any, value: object) -> None:
    proof = proof_of(small, keyring, 42)
    put(proof, value)
    with pytest.raises(proving.ProofRefused):
        checked(proof)


@pytest.mark.parametrize("text_", [b"", b"[]", b"{", b"\xff", b"[" * 100_000, b" " * (1 << 21)])
def test_what_is_no_proof_is_refused(text_: bytes) -> None:
    with pytest.raises(proving.ProofRefused):
        proving.check(text_)


def test_a_proof_by_another_key_than_the_expected_one_is_refused(
    small: Database, keyring: Keyring, tmp_path: Path
) -> None:
    other = Keyring.create(tmp_path / "other.json", key_file=tmp_path / "other.key")
    proof = proof_of(small, keyring, 1)
    with pytest.raises(proving.ProofRefused, match="and not with"):
        checked(proof, audit.fingerprint(other.audit_public()))


def test_there_is_no_proof_of_what_no_head_covers_nor_of_a_broken_trail(small: Database, keyring: Keyring) -> None:
    with pytest.raises(UsageError, match="not among the 700"):
        proof_of(small, keyring, 701)
    with pytest.raises(UsageError, match="no signed head"):
        proof_of(small, keyring, 1, head=5)
    unguarded(small, "UPDATE audit_event SET actor = 'eve' WHERE seq = 42")
    with pytest.raises(audit.TrailBroken):
        proof_of(small, keyring, 42)
    unguarded(small, "DELETE FROM audit_event WHERE seq = 43")
    with pytest.raises(audit.TrailBroken):
        proof_of(small, keyring, 43)


def test_a_tree_that_lost_a_part_is_not_grown_upon(small: Database, keyring: Keyring) -> None:
    unguarded(small, "DELETE FROM audit_node WHERE level = 9")
    with pytest.raises(audit.TrailBroken), small.write() as connection:
        audit.sign_head(connection, keyring, NOW)


def test_heads_are_found_in_packages_proofs_and_copies_of_a_store(
    small: Database, keyring: Keyring, tmp_path: Path
) -> None:
    with small.read() as connection:
        carried = {"consign": {"audit": audit.signed_head(connection)}, "resources": []}
    package, proof, copy = tmp_path / "a-1.zip", tmp_path / "proof.json", tmp_path / "backup.sqlite"
    with zipfile.ZipFile(package, "w") as file:
        file.writestr("datapackage.json", json.dumps(carried))
    proof.write_text(json.dumps(consistency_of(small, keyring, 3)))
    small.close()
    shutil.copy(tmp_path / "store.sqlite", copy)
    found = {path.name: [head.seq for head, _ in witnesses.heads_in(path)] for path in (package, proof, copy)}
    assert {name: sorted(seqs) for name, seqs in found.items()} == {
        "a-1.zip": [700], "proof.json": [3, 700], "backup.sqlite": [3, 300, 700],
    }  # fmt: skip
    heads = [head for path in (package, proof, copy) for head in witnesses.heads_in(path)]
    assert verified(small, keyring, against=heads).witnesses == 6
    unguarded(small, "UPDATE audit_event SET actor = 'eve' WHERE seq = 5")
    assert not verified(small, keyring, against=heads).ok


@pytest.mark.parametrize("content", [b"", b"{}", b"PK\x03\x04", b"SQLite format 3\x00", b"[" * 9_999])
def test_a_file_without_a_head_is_said_so(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(UsageError, match="no signed head"):
        witnesses.heads_in(tmp_path / "x")


def test_a_note_that_is_not_ours_counts_as_none(tmp_path: Path) -> None:
    desk = Desk(Settings(home=tmp_path, engine="direct", actor="anna"), clock=lambda: NOW)
    schema.ensure(desk.database)
    Keyring.create(desk.settings.keyring_path, key_file=desk.settings.key_file_path)
    write(desk.database, 5)
    assert witnesses.noted(desk) is None
    path = witnesses.note(desk, verified(desk.database, desk.keyring))
    assert path is not None
    assert (noted := witnesses.noted(desk)) is not None
    assert noted.seq == 5
    path.write_text(path.read_text().replace('"seq": 5', '"seq": 4'))
    assert witnesses.noted(desk) is None
    desk.database.close()
