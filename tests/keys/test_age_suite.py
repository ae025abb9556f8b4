"""An agency with nothing but `age` and `ssh-keygen` opens what we seal, and seals what we open."""

from __future__ import annotations

import base64
import subprocess
from datetime import datetime
from pathlib import Path
from typing import Protocol

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from keys.errors import KeyUnfit, OpenRefused
from keys.keyring import Keyring
from keys.sealing import open_from, seal_for, sshsig

CONTENT = b"PK\x03\x04" + bytes(range(256)) * 600
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
BY_SSH_KEYGEN = """\
-----BEGIN SSH SIGNATURE-----
U1NIU0lHAAAAAQAAADMAAAALc3NoLWVkMjU1MTkAAAAgA6EHv/POEL4dcN0Y50vAmWfk1j
CbpQ1fHdyGZBJVMbgAAAAHY29uc2lnbgAAAAAAAAAGc2hhNTEyAAAAUwAAAAtzc2gtZWQy
NTUxOQAAAEB9CFYjnklEGPec/uNcZZhbBZtD6UdWQkQAklqR0UZeKlB2yRjBE4qu/neGZQ
/Djp1O8YAx/r8htQ8/eLqXePQD
-----END SSH SIGNATURE-----
"""


class Needs(Protocol):
    """Asks for a program."""

    def __call__(self, program: str) -> Path:
        """Its path."""


class Agency:
    """A party that has only the programs, and files in a folder."""

    def __init__(self, folder: Path, needs: Needs) -> None:
        """Make an age key and an SSH key, as the guide for agencies tells."""
        self.folder = folder
        self.age, self.keygen, self.ssh = needs("age"), needs("age-keygen"), needs("ssh-keygen")
        self.run(self.keygen, "-o", "key.txt")
        self.recipient = self.run(self.keygen, "-y", "key.txt").decode().strip()
        self.run(self.ssh, "-q", "-t", "ed25519", "-N", "", "-C", "acme@example.com", "-f", "id_ed25519")
        self.verify = (folder / "id_ed25519.pub").read_text()

    def run(self, *command: str | Path, stdin: bytes = b"") -> bytes:
        """What the program says; CalledProcessError if it says no."""
        return subprocess.run(command, cwd=self.folder, input=stdin, capture_output=True, check=True).stdout


@pytest.fixture(scope="module")
def agency(tmp_path_factory: pytest.TempPathFactory, needs: Needs) -> Agency:
    """Acme, without a keyring."""
    return Agency(tmp_path_factory.mktemp("agency"), needs)


@pytest.fixture
def lender(keyring: Keyring, agency: Agency, begun: datetime) -> Keyring:
    """The lender, who has exchanged keys with acme."""
    keyring.new_own_keys("age", begun)
    keyring.trust("acme", "age", encrypt=agency.recipient, verify=agency.verify, now=begun)
    return keyring


def test_the_agency_verifies_with_ssh_keygen_and_opens_with_age(
    lender: Keyring, agency: Agency, begun: datetime, tmp_path: Path
) -> None:
    (tmp_path / "plain.zip").write_bytes(CONTENT)
    sealed = agency.folder / "X.age"
    seal_for(lender, "acme", "age", tmp_path / "plain.zip", sealed, begun)
    (agency.folder / "allowed_signers").write_text(lender.public_keys("age")["allowed_signers"] + "\n")
    verify: list[str | Path] = [
        agency.ssh,
        "-Y",
        "verify",
        "-f",
        "allowed_signers",
        "-I",
        "consign",
        "-n",
        "consign",
        "-s",
        "X.age.sig",
    ]
    assert b"Good" in agency.run(*verify, stdin=sealed.read_bytes())
    assert agency.run(agency.age, "-d", "-i", "key.txt", "X.age") == CONTENT
    with pytest.raises(subprocess.CalledProcessError):
        agency.run(*verify, stdin=sealed.read_bytes() + b"x")


def test_we_open_what_the_agency_seals(lender: Keyring, agency: Agency, begun: datetime, tmp_path: Path) -> None:
    ours = lender.public_keys("age")["encrypt"]
    agency.run(agency.age, "-r", ours, "-o", "Y.age", stdin=CONTENT)
    agency.run(agency.ssh, "-q", "-Y", "sign", "-f", "id_ed25519", "-n", "consign", "Y.age")
    opened = open_from(lender, "acme", "age", agency.folder / "Y.age", tmp_path / "opened", begun)
    assert (tmp_path / "opened").read_bytes() == CONTENT
    told = agency.run(agency.ssh, "-l", "-f", "id_ed25519.pub").decode()
    assert opened.signer_fingerprint in told


def test_a_signature_for_another_purpose_is_refused(
    lender: Keyring, agency: Agency, begun: datetime, tmp_path: Path
) -> None:
    agency.run(agency.age, "-r", lender.public_keys("age")["encrypt"], "-o", "Z.age", stdin=CONTENT)
    agency.run(agency.ssh, "-q", "-Y", "sign", "-f", "id_ed25519", "-n", "git", "Z.age")
    with pytest.raises(OpenRefused) as refusal:
        open_from(lender, "acme", "age", agency.folder / "Z.age", tmp_path / "opened", begun)
    assert refusal.value.code == "bad_signature"
    assert "-n consign" in refusal.value.fix


def test_a_file_without_its_signature_is_refused(
    lender: Keyring, agency: Agency, begun: datetime, tmp_path: Path
) -> None:
    agency.run(agency.age, "-r", lender.public_keys("age")["encrypt"], "-o", "bare.age", stdin=CONTENT)
    with pytest.raises(OpenRefused, match=r"without its signature bare\.age\.sig") as refusal:
        open_from(lender, "acme", "age", agency.folder / "bare.age", tmp_path / "opened", begun)
    assert refusal.value.code == "bad_signature"


def test_a_signed_file_that_age_cannot_finish_is_tampered(
    lender: Keyring, agency: Agency, begun: datetime, tmp_path: Path
) -> None:
    whole = agency.run(agency.age, "-r", lender.public_keys("age")["encrypt"], stdin=CONTENT)
    (agency.folder / "cut.age").write_bytes(whole[:-100])
    agency.run(agency.ssh, "-q", "-Y", "sign", "-f", "id_ed25519", "-n", "consign", "cut.age")
    with pytest.raises(OpenRefused) as refusal:
        open_from(lender, "acme", "age", agency.folder / "cut.age", tmp_path / "opened", begun)
    assert refusal.value.code == "tampered"
    assert not [path for path in tmp_path.iterdir() if "keyring" not in path.name]


def test_a_signature_of_ours_is_byte_for_byte_ssh_keygen_s(agency: Agency, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"hello\n")
    private = KEY.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    (agency.folder / "fixed").write_bytes(private)
    (agency.folder / "fixed").chmod(0o600)
    theirs = agency.run(agency.ssh, "-q", "-Y", "sign", "-f", "fixed", "-n", "consign", stdin=b"hello\n")
    assert sshsig.sign(tmp_path / "file", KEY) == theirs.decode() == BY_SSH_KEYGEN


def test_the_known_signature_verifies_over_its_own_bytes_alone(tmp_path: Path) -> None:
    signature = sshsig.parse(BY_SSH_KEYGEN.encode(), name="file.sig")
    assert signature.public_blob == sshsig.blob_of(KEY.public_key())
    for content, good in ((b"hello\n", True), (b"hello", False), (b"", False)):
        (tmp_path / "file").write_bytes(content)
        assert sshsig.verified(tmp_path / "file", signature) is good


def armoured(blob: bytes) -> bytes:
    return b"-----BEGIN SSH SIGNATURE-----\n" + base64.b64encode(blob) + b"\n-----END SSH SIGNATURE-----\n"


BLOB = base64.b64decode("".join(BY_SSH_KEYGEN.splitlines()[1:-1]))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"-----BEGIN SSH SIGNATURE-----\n-----END SSH SIGNATURE-----\n",
        BY_SSH_KEYGEN.encode()[:-40],
        b"\xff" * 400,
        armoured(b"SSHSIG"),
        armoured(b"XSHSIG" + BLOB[6:]),
        armoured(BLOB[:9] + b"\x02" + BLOB[10:]),
        armoured(BLOB + b"x"),
        armoured(BLOB[:-1]),
        armoured(BLOB.replace(b"consign", b"Consign")),
        armoured(BLOB.replace(b"sha512", b"sha1\0\0")),
        armoured(BLOB.replace(b"ssh-ed25519", b"ssh-ed25518")),
        armoured(BLOB[:10] + b"\xff\xff\xff\xff" + BLOB[14:]),
        b"-----BEGIN SSH SIGNATURE-----\n" + b"A" * 100_000,
    ],
    ids=range(14),
)
def test_what_is_no_signature_is_refused(text: bytes) -> None:
    with pytest.raises(OpenRefused, match=r"X\.sig is not an Ed25519 OpenSSH signature") as refusal:
        sshsig.parse(text, name="X.sig")
    assert refusal.value.code == "bad_signature"


def test_only_ed25519_keys_are_pinned(agency: Agency, keyring: Keyring, begun: datetime) -> None:
    agency.run(agency.ssh, "-q", "-t", "rsa", "-N", "", "-f", "id_rsa")
    agency.run(agency.ssh, "-q", "-t", "ecdsa", "-N", "", "-f", "id_ecdsa")
    private = (agency.folder / "id_ed25519").read_text()
    others = [(agency.folder / name).read_text() for name in ("id_rsa.pub", "id_ecdsa.pub")]
    for verify in (*others, private):
        with pytest.raises(KeyUnfit, match="verification key is not"):
            keyring.trust("acme", "age", encrypt=agency.recipient, verify=verify, now=begun)
    secret = (agency.folder / "key.txt").read_text().splitlines()[-1]
    with pytest.raises(KeyUnfit, match="X25519") as refusal:
        keyring.trust("acme", "age", encrypt=secret, verify=agency.verify, now=begun)
    assert secret not in f"{refusal.value} {refusal.value.__cause__}"
