"""The keyring: one sealed private file; several processes may write it; what is destroyed is gone; nothing shows."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_ssh_private_key

from keys.errors import KeyDestroyed, KeyringLocked, KeysError, KeyUnfit, KeyUnknown
from keys.keyring import Argon2Cost, Keyring
from keys.pseudonyms import GENERATIONS

ROOT = Path(__file__).resolve().parents[2]
PASSPHRASE = "correct horse"


def again(keyring: Keyring) -> Keyring:
    return Keyring.open(keyring.path, passphrase=PASSPHRASE)


# -- opening ---------------------------------------------------------------------------------------------------


def test_a_passphrase_opens_what_it_made(keyring: Keyring) -> None:
    made = keyring.secret("blind-index")
    assert again(keyring).secret("blind-index", create=False) == made
    assert Keyring.open(keyring.path, passphrase=lambda: PASSPHRASE).secret("blind-index") == made


def test_a_key_file_is_made_private_and_opens(tmp_path: Path) -> None:
    key_file = tmp_path / "elsewhere" / "root.key"
    made = Keyring.create(tmp_path / "keyring.json", key_file=key_file).secret("linkage")
    assert key_file.stat().st_mode & 0o777 == 0o600
    assert Keyring.open(tmp_path / "keyring.json", key_file=key_file).secret("linkage", create=False) == made


def test_two_keyrings_may_share_a_key_file(tmp_path: Path) -> None:
    for name in ("one", "two"):
        Keyring.create(tmp_path / name, key_file=tmp_path / "root.key").secret(name)
    assert Keyring.open(tmp_path / "one", key_file=tmp_path / "root.key").secret("one", create=False)


@pytest.mark.parametrize("wrong", ["Correct horse", "correct horse ", "", "x" * 1000])
def test_a_wrong_passphrase_does_not_open(keyring: Keyring, wrong: str) -> None:
    with pytest.raises(KeyringLocked) as refused:
        Keyring.open(keyring.path, passphrase=wrong)
    assert refused.value.exit_code == 4
    assert PASSPHRASE not in str(refused.value)


def test_a_wrong_key_file_does_not_open(tmp_path: Path) -> None:
    Keyring.create(tmp_path / "one", key_file=tmp_path / "one.key")
    Keyring.create(tmp_path / "two", key_file=tmp_path / "two.key")
    with pytest.raises(KeyringLocked, match="does not open with this key file"):
        Keyring.open(tmp_path / "one", key_file=tmp_path / "two.key")


def test_the_other_kind_of_root_is_named(keyring: Keyring, tmp_path: Path) -> None:
    with pytest.raises(KeyringLocked, match="opens with a passphrase"):
        Keyring.open(keyring.path, key_file=tmp_path / "root.key")


@pytest.mark.parametrize("content", [b"", b"not base64!", b"c2hvcnQ=\n"])
def test_a_file_that_is_no_key_file_is_refused(tmp_path: Path, content: bytes) -> None:
    Keyring.create(tmp_path / "keyring.json", key_file=tmp_path / "root.key")
    (tmp_path / "root.key").write_bytes(content)
    with pytest.raises(KeyringLocked, match="not a key file"):
        Keyring.open(tmp_path / "keyring.json", key_file=tmp_path / "root.key")


@pytest.mark.parametrize("both", [True, False])
def test_exactly_one_way_to_the_root_is_asked_for(tmp_path: Path, both: bool) -> None:
    roots = {"passphrase": "x", "key_file": tmp_path / "k"} if both else {}
    with pytest.raises(KeyringLocked, match="exactly one"):
        Keyring.create(tmp_path / "keyring.json", **roots)  # type: ignore[arg-type]  # that is the test


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666, 0o620])
def test_a_keyring_that_others_can_read_is_refused(keyring: Keyring, mode: int) -> None:
    keyring.path.chmod(mode)
    with pytest.raises(KeyringLocked, match=rf"mode {mode:04o}"):
        again(keyring)


def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    Keyring.create(tmp_path / "keyring.json", key_file=tmp_path / "root.key")
    (tmp_path / "root.key").chmod(0o644)
    with pytest.raises(KeyringLocked, match=r"root\.key can be read by others"):
        Keyring.open(tmp_path / "keyring.json", key_file=tmp_path / "root.key")


def test_whatever_the_umask_the_files_are_private(tmp_path: Path, cheap: Argon2Cost) -> None:
    before = os.umask(0)
    try:
        Keyring.create(tmp_path / "keyring.json", passphrase="x", cost=cheap).secret("any")
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


def test_a_keyring_is_never_made_over_another(keyring: Keyring, cheap: Argon2Cost) -> None:
    content = keyring.path.read_bytes()
    with pytest.raises(KeyringLocked, match="already"):
        Keyring.create(keyring.path, passphrase="other", cost=cheap)
    assert keyring.path.read_bytes() == content


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"null", b'{"sealed": 1}', b'{"sealed": "AAAA"}', b"\xff\xfe"])
def test_a_file_that_is_no_keyring_is_refused(keyring: Keyring, content: bytes) -> None:
    keyring.path.write_bytes(content)
    with pytest.raises(KeyringLocked):
        again(keyring)


@pytest.mark.parametrize(
    ("field", "value"),
    [("iterations", 2), ("memory_kib", 128), ("memory_kib", 2**40), ("salt", "AAAAAAAAAAAAAAAAAAAAAA==")],
)
def test_an_altered_header_is_refused(keyring: Keyring, field: str, value: object) -> None:
    written = json.loads(keyring.path.read_text())
    written["root"][field] = value
    keyring.path.write_text(json.dumps(written))
    with pytest.raises(KeyringLocked):
        again(keyring)


def test_a_newer_format_is_named(keyring: Keyring) -> None:
    keyring.path.write_text(keyring.path.read_text().replace('"version": 1', '"version": 2'))
    with pytest.raises(KeyringLocked, match=r"consign\.keyring 2"):
        again(keyring)


def test_a_missing_keyring_is_named(tmp_path: Path) -> None:
    with pytest.raises(KeyringLocked, match=r"no keyring at .*nowhere"):
        Keyring.open(tmp_path / "nowhere", passphrase="x")


def test_the_default_cost_is_what_rfc_9106_recommends(tmp_path: Path) -> None:
    Keyring.create(tmp_path / "keyring.json", passphrase="x")
    root = json.loads((tmp_path / "keyring.json").read_text())["root"]
    assert (root["kind"], root["iterations"], root["lanes"], root["memory_kib"]) == ("argon2id", 3, 4, 65_536)


# -- several writers -------------------------------------------------------------------------------------------

WRITER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from keys.keyring import Keyring
keyring = Keyring.open(Path(sys.argv[1]), passphrase="correct horse")
print("ready", flush=True)
sys.stdin.readline()
for place in range(15):
    keyring.new_pseudonym_key(f"{sys.argv[2]}-{place}", datetime(2026, 3, 1, tzinfo=UTC))
keyring.secret("shared")
"""


def test_two_processes_lose_nothing_of_each_other_s(keyring: Keyring, begun: datetime) -> None:
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(keyring.path), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            text=True,
        )
        for name in ("one", "two")
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate(timeout=60)
        assert writer.returncode == 0
    lines = keyring.inventory(begun)
    assert sorted(line["owner"] for line in lines if line["purpose"] == "pseudonym") == sorted(
        f"{name}-{place}" for name in ("one", "two") for place in range(15)
    )
    assert sum(line["purpose"] == "secret" for line in lines) == 1


def test_threads_lose_nothing_of_each_other_s(keyring: Keyring, begun: datetime) -> None:
    threads = [
        threading.Thread(target=lambda at=at: keyring.new_pseudonym_key(f"agency-{at}", begun)) for at in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(again(keyring).inventory(begun)) == 8


def test_a_reader_sees_what_another_wrote(keyring: Keyring, begun: datetime) -> None:
    reader = again(keyring)
    made = keyring.new_pseudonym_key("acme", begun)
    assert reader.pseudonym_key("acme") == made


def failing_batch(keyring: Keyring, begun: datetime) -> None:
    with keyring.batch():
        keyring.new_pseudonym_key("acme", begun)
        keyring.revoke("bolt", "1", begun)


def test_a_batch_is_written_whole_or_not_at_all(keyring: Keyring, begun: datetime) -> None:
    with keyring.batch():
        keyring.new_pseudonym_key("acme", begun)
        assert keyring.pseudonym_key("acme").generation == "G"
        with keyring.batch():
            keyring.new_data_key(begun)
        keyring.save()
    with pytest.raises(KeyUnknown):
        failing_batch(keyring, begun)
    for seen in (keyring, again(keyring)):
        assert list(seen.pseudonym_keys("acme")) == ["G"]
        assert len(seen.inventory(begun)) == 2


def test_a_full_disk_leaves_the_old_keyring_whole(
    keyring: Keyring, begun: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    keyring.new_pseudonym_key("acme", begun)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        keyring.new_pseudonym_key("acme", begun)
    monkeypatch.undo()
    assert list(keyring.pseudonym_keys("acme")) == ["G"]
    assert list(again(keyring).pseudonym_keys("acme")) == ["G"]
    assert sorted(path.name for path in keyring.path.parent.iterdir()) == ["keyring.json", "keyring.json.lock"]


# -- pseudonym keys --------------------------------------------------------------------------------------------


def test_the_newest_generation_is_for_new_placements_and_the_older_still_open(
    keyring: Keyring, begun: datetime
) -> None:
    first = keyring.new_pseudonym_key("acme", begun)
    second = keyring.new_pseudonym_key("acme", begun)
    assert (first.generation, second.generation) == ("G", "H")
    assert first.key != second.key
    assert keyring.pseudonym_key("acme") == second
    assert keyring.pseudonym_key("acme", "G") == first
    assert keyring.pseudonym_keys("acme") == {"G": first, "H": second}


def test_every_agency_has_a_key_of_its_own(keyring: Keyring, begun: datetime) -> None:
    assert keyring.new_pseudonym_key("acme", begun).key != keyring.new_pseudonym_key("bolt", begun).key


def test_a_revoked_generation_opens_nothing(keyring: Keyring, begun: datetime) -> None:
    keyring.new_pseudonym_key("acme", begun)
    keyring.new_pseudonym_key("acme", begun)
    keyring.revoke("acme", "H", begun)
    assert keyring.pseudonym_key("acme").generation == "G"
    assert keyring.new_pseudonym_key("acme", begun).generation == "J"


def test_an_agency_without_a_key_is_named(keyring: Keyring) -> None:
    with pytest.raises(KeyUnknown, match="acme") as refused:
        keyring.pseudonym_key("acme")
    assert "rotate" in refused.value.fix


def test_generations_end_with_the_letters(keyring: Keyring, begun: datetime) -> None:
    with keyring.batch():
        for _ in GENERATIONS:
            keyring.new_pseudonym_key("acme", begun)
    with pytest.raises(KeysError, match="all 16 generations"):
        keyring.new_pseudonym_key("acme", begun)


# -- data keys -------------------------------------------------------------------------------------------------


def test_a_destroyed_data_key_is_gone_from_the_file_and_from_what_was_the_file(
    keyring: Keyring, begun: datetime, tmp_path: Path
) -> None:
    key = keyring.new_data_key(begun)
    assert keyring.data_key(key.key_id) == key
    with keyring.path.open("rb") as old:
        content = old.read()
        keyring.destroy_data_key(key.key_id, begun)
        old.seek(0)
        assert old.read() != content
    for seen in (keyring, again(keyring)):
        with pytest.raises(KeyDestroyed, match=key.key_id):
            seen.data_key(key.key_id)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["keyring.json", "keyring.json.lock"]
    (line,) = keyring.inventory(begun)
    assert line["state"] == "destroyed"


def test_a_backup_under_another_name_is_not_overwritten(keyring: Keyring, begun: datetime, tmp_path: Path) -> None:
    os.link(keyring.path, tmp_path / "backup.json")
    keyring.new_data_key(begun)
    assert Keyring.open(tmp_path / "backup.json", passphrase=PASSPHRASE).inventory(begun) == []


def test_destroying_twice_changes_nothing_and_the_unknown_is_named(keyring: Keyring, begun: datetime) -> None:
    key = keyring.new_data_key(begun)
    keyring.destroy_data_key(key.key_id, begun)
    keyring.destroy_data_key(key.key_id, begun + timedelta(days=1))
    assert keyring.entries()[0].destroyed_at == begun
    for act in (keyring.data_key, keyring.destroy_data_key):
        with pytest.raises(KeyUnknown, match="dk-nowhere"):
            act("dk-nowhere")


# -- secrets, audit, SSH ---------------------------------------------------------------------------------------


def test_a_named_secret_stays_and_is_not_made_unasked(keyring: Keyring) -> None:
    with pytest.raises(KeyUnknown, match="blind-index"):
        keyring.secret("blind-index", create=False)
    made = keyring.secret("blind-index")
    assert len(made) == 32
    assert keyring.secret("blind-index") == made != keyring.secret("linkage")


def test_an_old_audit_head_still_verifies_after_a_rotation(keyring: Keyring, begun: datetime) -> None:
    signature = keyring.audit_signer().sign(b"head")
    keyring.audit_public().verify(signature, b"head")
    keyring.rotate("audit", "audit", begun)
    assert list(keyring.audit_publics()) == ["1", "2"]
    keyring.audit_public("1").verify(signature, b"head")
    assert keyring.audit_public().public_bytes_raw() == keyring.audit_public("2").public_bytes_raw()
    with pytest.raises(KeyUnknown):
        keyring.audit_public("3")


def test_an_ssh_client_key_is_openssh_s_and_stays(keyring: Keyring) -> None:
    line = keyring.ssh_client_public("acme")
    for text in (keyring.ssh_client_key("acme"), again(keyring).ssh_client_key("acme")):
        public = load_ssh_private_key(text.encode(), None).public_key()
        assert line.startswith(public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode())


# -- people ----------------------------------------------------------------------------------------------------


def everything(keyring: Keyring, begun: datetime) -> None:
    """One key of every purpose, in the keyring."""
    keyring.new_pseudonym_key("acme", begun)
    own = keyring.new_own_keys("age", begun, valid_days=30)
    keyring.trust("acme", "age", encrypt=own.public["encrypt"], verify=own.public["verify"], now=begun, valid_days=10)
    keyring.new_data_key(begun)
    keyring.secret("blind-index", now=begun)
    keyring.audit_signer(begun)
    keyring.ssh_client_key("acme", begun)


def test_the_inventory_tells_every_key_and_no_secret(keyring: Keyring, begun: datetime) -> None:
    everything(keyring, begun)
    lines = keyring.inventory(begun + timedelta(days=3))
    assert [line["purpose"] for line in lines] == [
        "pseudonym",
        "own",
        "trusted",
        "data",
        "secret",
        "audit",
        "ssh_client",
    ]
    assert [line["days_left"] for line in lines] == [None, 27, 7, None, None, None, None]
    assert {line["state"] for line in lines} == {"valid"}
    assert [line["state"] for line in keyring.inventory(begun + timedelta(days=10))][1:3] == ["valid", "expired"]
    shown = json.dumps(lines, default=str)
    for entry in keyring.entries():
        assert not [half for half in entry.secret.values() if half in shown]


def test_secrets_are_neither_in_repr_nor_in_the_file_nor_in_the_log(
    keyring: Keyring, begun: datetime, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    everything(keyring, begun)
    keyring.new_own_keys("openpgp", begun, valid_days=30)
    shown = " ".join(f"{thing!r} {thing}" for thing in (keyring, *keyring.entries(), keyring.pseudonym_key("acme")))
    shown += keyring.path.read_text() + caplog.text
    secrets = [half for entry in keyring.entries() for half in entry.secret.values()]
    assert len(secrets) == 10
    assert not [half for half in secrets if half in shown]


def test_rotation_adds_a_generation_and_says_which(keyring: Keyring, begun: datetime) -> None:
    assert keyring.rotate("pseudonym", "acme", begun)["generation"] == "G"
    assert keyring.rotate("own", "age", begun, valid_days=5)["days_left"] == 5
    assert keyring.rotate("own", "age", begun)["generation"] == "2"
    assert keyring.rotate("ssh_client", "acme", begun)["generation"] == "1"
    with pytest.raises(KeyUnfit, match="secret keys do not rotate"):
        keyring.rotate("secret", "blind-index", begun)


def test_an_instant_without_a_zone_is_refused(keyring: Keyring, begun: datetime) -> None:
    with pytest.raises(KeyUnfit, match="time zone"):
        keyring.new_pseudonym_key("acme", begun.replace(tzinfo=None))


def test_revoking_what_is_not_there_is_named(keyring: Keyring, begun: datetime) -> None:
    with pytest.raises(KeyUnknown, match="acme"):
        keyring.revoke("acme", "1", begun)
    with pytest.raises(KeyUnknown, match="our age keys"):
        keyring.revoke_own("age", "1", begun)
