"""What leaves the house is enough: the head in an agency's package, a proof, and Python's own library."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from typer.testing import CliRunner

from console.cli.main import app
from infra import audit
from infra.settings import Settings
from infra.store import schema
from infra.wiring import Desk, seated
from keys.keyring import Keyring

NOW = datetime(2026, 11, 22, 8, 30, tzinfo=UTC)
EVENTS = 1_000
runner = CliRunner()


@pytest.fixture
def handed_out(tmp_path: Path) -> Path:
    """Two proofs and the head that a manifest carried; the store and the keyring they are of are gone."""
    settings = Settings(home=tmp_path / "home", engine="direct", actor="anna")
    with seated(Desk(settings, clock=lambda: NOW)) as desk:
        schema.ensure(desk.database)
        Keyring.create(settings.keyring_path, key_file=settings.key_file_path)
        for number in range(2):
            with desk.database.write() as connection:
                audit.record_many(
                    connection,
                    [audit.Event("anna", "plan.approved", f"plan:{number}-{n}", {}, NOW) for n in range(EVENTS)],
                )
                audit.sign_head(connection, desk.keyring, NOW)
        with desk.database.read() as connection:
            (tmp_path / "manifest.json").write_text(json.dumps(audit.signed_head(connection)))
        for words in (["prove", "777", "--out"], ["consistency", str(EVENTS), "--out"]):
            assert runner.invoke(app, ["audit", *words, str(tmp_path / f"{words[0]}.json")]).exit_code == 0
    for path in sorted((tmp_path / "home").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    return tmp_path


def test_proofs_are_checked_without_store_and_keyring(
    handed_out: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONSIGN_HOME", str(tmp_path / "nothing"))
    key = json.loads((handed_out / "manifest.json").read_text())["key"]
    for name in ("prove", "consistency"):
        result = runner.invoke(app, ["audit", "check", str(handed_out / f"{name}.json"), "--key", key, "--json"])
        assert (result.exit_code, json.loads(result.stdout)["key_expected"]) == (0, True)
    assert not (tmp_path / "nothing").exists()


def test_the_proof_is_checked_with_what_the_docs_say_alone(handed_out: Path) -> None:
    proof: dict[str, Any] = json.loads((handed_out / "prove.json").read_text())
    head = proof["head"]

    def sha(*parts: bytes) -> bytes:
        return hashlib.sha256(b"".join(parts)).digest()

    event = json.dumps(proof["event"], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    found, index, last = sha(b"\x00", event.encode()), proof["event"]["seq"] - 1, head["seq"] - 1
    for other in map(bytes.fromhex, proof["path"]):  # RFC 9162, 2.1.3.2
        if index % 2 or index == last:
            found = sha(b"\x01", other, found)
            while index and index % 2 == 0:
                index, last = index >> 1, last >> 1
        else:
            found = sha(b"\x01", found, other)
        index, last = index >> 1, last >> 1
    assert (found.hex(), last) == (head["root"], 0)

    public = Ed25519PublicKey.from_public_bytes(base64.b64decode(proof["keys"][head["key"]]))
    signed = {name: head[name] for name in ("hash", "root", "seq", "signed_at")}
    text = "consign.audit.head.v2\n" + json.dumps(signed, sort_keys=True, separators=(",", ":"))
    public.verify(base64.b64decode(head["signature"]), text.encode())
    carried = json.loads((handed_out / "manifest.json").read_text())
    assert (carried["head"], carried["root"], carried["signature"]) == (
        f"{head['seq']}:{head['hash']}", head["root"], head["signature"],
    )  # fmt: skip
