"""The agency's side of a rotation, with Debian's tools alone: the commands of rotate-keys.md, as they stand."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from infra import rotation
from infra.settings import Settings
from infra.store import schema
from infra.wiring import Desk
from keys.keyring import Keyring

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BLOCKS = ("announcement-age", "announcement-gpg", "install-age", "install-gpg", "next-age")
DAY = timedelta(days=1)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """A lender with a pair of each suite, made ten days ago, and the next one, which signs in a week."""
    now = datetime.now(UTC)
    desk = Desk(Settings(home=tmp_path / "home", durable=False), clock=lambda: now, actor="chen.yu")
    schema.ensure(desk.database)
    ring = Keyring.create(desk.settings.keyring_path, key_file=desk.settings.key_file_path)
    for suite in ("age", "openpgp"):
        ring.new_own_keys(suite, now - 10 * DAY)
        rotation.rotate_own(desk, suite, begins=now + 7 * DAY, older_until=now + 20 * DAY, announce=False)
    return desk


@pytest.fixture
def folder(desk: Desk) -> Iterator[Path]:
    """The agency's folder, with the lender's first keys and what it was handed over. GnuPG needs a short path."""
    made = Path(tempfile.mkdtemp(prefix="agency-"))
    for name in ("keys", "for-the-lender", "keys/gnupg"):
        (made / name).mkdir(mode=0o700)
    first = desk.keyring.public_keys("age", desk.now())
    (made / "keys" / "lender.allowed_signers").write_text(first["allowed_signers"] + "\n")
    (made / "keys" / "lender.age").write_text(first["encrypt"] + "\n")
    pgp = desk.keyring.public_keys("openpgp", desk.now())
    gpg = ["gpg", "--homedir", str(made / "keys" / "gnupg"), "--batch", "--import"]
    subprocess.run(gpg, input=pgp["encrypt"].encode(), check=True, capture_output=True)
    (made / "keys" / "lender.fingerprint").write_text(pgp["fingerprint"] + "\n")
    rotation.write_announcement(desk, "age", "2", made / "new")
    rotation.write_announcement(desk, "openpgp", "2", made / "new-gpg")
    yield made
    agent = ["gpgconf", "--homedir", str(made / "keys" / "gnupg"), "--kill", "gpg-agent"]
    subprocess.run(agent, check=False, capture_output=True)
    shutil.rmtree(made)


def test_an_agency_takes_over_the_lender_s_next_key_and_makes_its_own(
    desk: Desk, folder: Path, page: Any, needs: Callable[[str], Path], tmp_path: Path
) -> None:
    for program in ("age-keygen", "ssh-keygen", "gpg", "sha256sum"):
        needs(program)
    followed = page("rotate-keys.md", BLOCKS, folder, AGENCY="quayside", GNUPGHOME=str(folder / "keys" / "gnupg"))
    assert 'Good "consign" signature' in followed.said["announcement-age"]
    assert followed.said["announcement-age"].count(": OK") == 2
    assert "VALIDSIG" in followed.said["announcement-gpg"]
    next_key = desk.keyring.own_key("age", "2")
    assert next_key.fingerprint in followed.said["announcement-age"]

    # OpenSSH itself accepts each key in its time, and neither outside
    text = tmp_path / "text"
    text.write_text("a placement")
    moments = {"old": desk.now(), "both": desk.now() + 8 * DAY, "new": desk.now() + 21 * DAY}
    accepted = {
        (generation, name): verified(folder, text, desk, generation, at)
        for generation in ("1", "2")
        for name, at in moments.items()
    }
    assert accepted == {
        ("1", "old"): True, ("1", "both"): True, ("1", "new"): False,
        ("2", "old"): False, ("2", "both"): True, ("2", "new"): True,
    }  # fmt: skip
    theirs = folder / "for-the-lender"
    (public,) = re.findall(r"age1\w+", (theirs / "quayside.next.age").read_text())
    desk.keyring.trust(
        "quayside", "age", encrypt=public, verify=(theirs / "quayside.next.sign.pub").read_text(), now=desk.now()
    )


def verified(folder: Path, text: Path, desk: Desk, generation: str, at: datetime) -> bool:
    """Whether ssh-keygen takes that generation's signature for the lender's, then."""
    from keys.sealing import suite_named

    entry = desk.keyring.own_key("age", generation)
    assert entry.valid_from is not None
    signature = text.with_suffix(".sig")
    suite_named("age").sign(text, signature, signer=entry, now=entry.valid_from)
    allowed = folder / "keys" / "lender.allowed_signers"
    done = subprocess.run(
        ["ssh-keygen", "-Y", "verify", "-f", allowed, "-I", "consign", "-n", "consign", "-s", signature,
         "-O", f"verify-time={at:%Y%m%d%H%M%S}Z"],
        input=text.read_bytes(), capture_output=True, check=False,
    )  # fmt: skip
    return done.returncode == 0


def test_an_announcement_that_was_altered_is_not_taken(folder: Path) -> None:
    statement = folder / "new" / "announcement.txt"
    statement.write_text(statement.read_text().replace("generation: 2", "generation: 3"))
    words: list[str | Path] = ["-f", folder / "keys" / "lender.allowed_signers", "-I", "consign", "-n", "consign"]
    done = subprocess.run(
        ["ssh-keygen", "-Y", "verify", *words, "-s", folder / "new" / "announcement.txt.sig"],
        input=statement.read_bytes(), capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode != 0
