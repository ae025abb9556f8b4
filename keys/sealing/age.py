"""The `age` suite: age (X25519) around the file, and an OpenSSH signature over the sealed bytes beside it.

An agency needs nothing of ours to open one:

    ssh-keygen -Y verify -f allowed_signers -I consign -n consign -s X.age.sig < X.age && age -d -i key.txt X.age

The signature is checked before a single byte is decrypted.
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Final

import pyrage
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from keys.entries import NO_SKEW, accepted_signer, opens, refuse_to_seal_unless_valid, why_not
from keys.errors import KeyUnfit, OpenRefused, SealRefused
from keys.files import replacing, system_fault, write_private
from keys.sealing import sshsig
from keys.sealing.suite import NewKeys, Opened, PublicKeys

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta
    from pathlib import Path

    from keys.entries import Entry

_HEADER_END: Final = b"\n--- "
_INTRO: Final = b"age-encryption.org/v1\n"
_NO_MATCH: Final = "No matching keys found"
_HEADER_AT_MOST: Final = 65_536
_SIGNATURE_AT_MOST: Final = 16_384


class AgeSuite:
    """age and SSHSIG, by `pyrage` and `cryptography`: no program needed."""

    name = "age"
    suffix = ".age"

    def sidecars(self, sealed: Path) -> tuple[Path, ...]:
        """Return the detached signature's path."""
        return (sealed.with_name(sealed.name + ".sig"),)

    def new_keys(self, now: datetime, valid_until: datetime) -> NewKeys:  # noqa: ARG002 - age keys carry no dates
        """Return a fresh X25519 identity and a fresh Ed25519 signing key."""
        identity = pyrage.x25519.Identity.generate()
        signer = Ed25519PrivateKey.generate()
        blob = sshsig.blob_of(signer.public_key())
        public = _public(str(identity.to_public()), blob)
        secret = {"identity": str(identity), "signer": base64.b64encode(signer.private_bytes_raw()).decode()}
        return NewKeys(public["fingerprint"], public, secret)

    def read_public(self, encrypt: str, verify: str, now: datetime) -> PublicKeys:  # noqa: ARG002 - no dates in them
        """Return the recipient and the verification key; raises KeyUnfit unless they are X25519 and Ed25519."""
        recipient = encrypt.strip()
        try:
            pyrage.x25519.Recipient.from_str(recipient)
        except pyrage.RecipientError as fault:
            raise KeyUnfit(
                "the encryption key is not an age X25519 recipient",
                fix="give the `age1…` line that age-keygen prints as the public key",
            ) from fault
        public = _public(recipient, sshsig.public_blob(verify))
        return PublicKeys(public["fingerprint"], public)

    def seal(self, plain: Path, sealed: Path, *, signer: Entry, recipients: Sequence[Entry], now: datetime) -> None:
        """Write `sealed` and its signature; the signature first, so that a sealed file is never without one."""
        for entry in (signer, *recipients):
            refuse_to_seal_unless_valid(entry, now)
        if not recipients:
            raise SealRefused(f"{sealed.name}: no recipient to seal to")
        key = _signing_key(signer)
        to = [pyrage.x25519.Recipient.from_str(entry.public["encrypt"]) for entry in recipients]
        (signature,) = self.sidecars(sealed)
        with replacing(sealed) as unfinished:
            try:
                pyrage.encrypt_file(str(plain), str(unfinished), to)
            except pyrage.EncryptError as fault:
                raise system_fault(str(fault), sealed) or OSError(f"age could not write {sealed}: {fault}") from fault
            write_private(signature, sshsig.sign(unfinished, key).encode())

    def open(
        self,
        sealed: Path,
        plain: Path,
        *,
        identities: Sequence[Entry],
        verifiers: Sequence[Entry],
        now: datetime,
        skew: timedelta = NO_SKEW,
    ) -> Opened:
        """Write `plain`, once the signature beside `sealed` is a pinned key's over these very bytes."""
        head = _head(sealed)
        signer = self._signer(sealed, verifiers, now, skew)
        usable = [entry for entry in identities if opens(entry, now, skew)]
        if not _fits(head, usable):
            raise _closed(sealed, head, [entry for entry in identities if entry not in usable], now)
        with replacing(plain) as unfinished:
            try:
                pyrage.decrypt_file(str(sealed), str(unfinished), _opening(usable))
            except (pyrage.DecryptError, OSError) as fault:
                if machine := system_fault(str(fault), plain):
                    raise machine from fault
                raise OpenRefused(
                    f"{sealed.name} is signed, but age cannot decrypt it to the end",
                    code="tampered",
                    fix="ask the sender to seal and send it again",
                ) from fault
        return Opened(signer.public["fingerprint"], signer.generation)

    def sign(self, file: Path, signature: Path, *, signer: Entry, now: datetime) -> None:
        """Write the OpenSSH signature over `file`."""
        refuse_to_seal_unless_valid(signer, now)
        write_private(signature, sshsig.sign(file, _signing_key(signer)).encode())

    def _signer(self, sealed: Path, verifiers: Sequence[Entry], now: datetime, skew: timedelta) -> Entry:
        """Return the pinned key that signed the file; raises OpenRefused for every other case."""
        (sidecar,) = self.sidecars(sealed)
        try:
            with sidecar.open("rb") as stream:
                armoured = stream.read(_SIGNATURE_AT_MOST)
        except FileNotFoundError as fault:
            raise OpenRefused(
                f"{sealed.name} came without its signature {sidecar.name}",
                code="bad_signature",
                fix="ask the sender for the .sig file",
            ) from fault
        signature = sshsig.parse(armoured, name=sidecar.name)
        pinned = [entry for entry in verifiers if sshsig.public_blob(entry.public["verify"]) == signature.public_blob]
        signer = accepted_signer(pinned, now, file=sealed.name, skew=skew)
        if not sshsig.verified(sealed, signature):
            raise OpenRefused(
                f"{sealed.name} is not what {signer} signed: it was altered or cut short on its way",
                code="bad_signature",
                fix="ask the sender to send both files again",
            )
        return signer


def _signing_key(entry: Entry) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(base64.b64decode(entry.secret["signer"]))


def _recipient_fingerprint(recipient: str) -> str:
    """Return a fingerprint in the form of an SSH key's, to be read aloud; age itself has none."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(recipient.encode()).digest()).decode().rstrip("=")


def _public(recipient: str, blob: bytes) -> dict[str, str]:
    line = sshsig.public_line(blob, sshsig.NAMESPACE)
    return {
        "encrypt": recipient,
        "encrypt_fingerprint": _recipient_fingerprint(recipient),
        "verify": line,
        "fingerprint": sshsig.fingerprint(blob),
        "allowed_signers": f'{sshsig.NAMESPACE} namespaces="{sshsig.NAMESPACE}" {line}',
    }


def _head(sealed: Path) -> bytes:
    """Return the start of the file with its whole header; raises OpenRefused if that is cut off, or not age's."""
    with sealed.open("rb") as stream:
        head = stream.read(_HEADER_AT_MOST)
    if head.startswith(_INTRO) and _HEADER_END in head and head.count(b"\n", head.index(_HEADER_END) + 1):
        return head
    if _INTRO.startswith(head[: len(_INTRO)]):
        raise OpenRefused(
            f"{sealed.name} ends after {len(head)} bytes, before age's header does",
            code="truncated",
            fix="ask the sender to send it again",
        )
    raise OpenRefused(f"{sealed.name} is not an age file", code="tampered", fix="ask the sender which suite sealed it")


def _opening(entries: Sequence[Entry]) -> list[pyrage.x25519.Identity]:
    return [pyrage.x25519.Identity.from_str(entry.secret["identity"]) for entry in entries]


def _fits(head: bytes, entries: Sequence[Entry]) -> bool:
    """Return whether one of the identities opens the header; the body is not looked at."""
    if not entries:
        return False
    try:
        pyrage.decrypt(head, _opening(entries))
    except pyrage.DecryptError as fault:
        return str(fault) != _NO_MATCH
    except OSError:
        return True
    return True


def _closed(sealed: Path, head: bytes, stale: Sequence[Entry], now: datetime) -> OpenRefused:
    """Return why none of our valid identities opens the file."""
    for entry in stale:
        if _fits(head, [entry]):
            revoked = entry.state(now) == "revoked"
            msg = f"{sealed.name} is sealed to a key of ours that does not count: {why_not(entry, now)}"
            fix = "send the sender our present public key and ask for the file again"
            return OpenRefused(msg, code="key_revoked" if revoked else "key_expired", fix=fix)
    return OpenRefused(
        f"{sealed.name} is not sealed to any key of ours",
        code="not_for_us",
        fix="check that the file is meant for us and that the sender has our public key",
    )
