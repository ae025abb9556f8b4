"""OpenSSH file signatures (SSHSIG) with Ed25519, as `ssh-keygen -Y sign` writes and `-Y verify` reads them.

Source: openssh-portable PROTOCOL.sshsig. What is signed is the magic word, the namespace and the SHA-512 of the file,
so a file of any size is read once and never held.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_ssh_public_key

from keys.errors import KeyUnfit, OpenRefused

if TYPE_CHECKING:
    from pathlib import Path

NAMESPACE: Final = "consign"
_MAGIC: Final = b"SSHSIG"
_VERSION: Final = 1
_BEGIN: Final = "-----BEGIN SSH SIGNATURE-----"
_END: Final = "-----END SSH SIGNATURE-----"
_LINE_WIDTH: Final = 70
_ALGORITHM: Final = b"ssh-ed25519"
_HASHES: Final = ("sha512", "sha256")  # what the protocol allows; ssh-keygen signs with the first
_LONGEST: Final = 16_384


@dataclass(frozen=True, slots=True)
class FileSignature:
    """A parsed signature: nothing about it has been checked against a file yet."""

    public_blob: bytes
    hash_name: str
    signature: bytes


def public_blob(line: str) -> bytes:
    """Return the key blob of an OpenSSH public key line; raises KeyUnfit unless it is a plain Ed25519 key."""
    try:
        key = load_ssh_public_key(line.strip().encode())
    except (ValueError, UnsupportedAlgorithm, UnicodeEncodeError) as fault:
        raise KeyUnfit(
            "the verification key is not an OpenSSH public key line", fix="give the line of an id_ed25519.pub file"
        ) from fault
    if not isinstance(key, Ed25519PublicKey):
        raise KeyUnfit("the verification key is not an Ed25519 key", fix="make one with `ssh-keygen -t ed25519`")
    return blob_of(key)


def blob_of(key: Ed25519PublicKey) -> bytes:
    """Return the key blob as SSH writes it on the wire."""
    return _string(_ALGORITHM) + _string(key.public_bytes(Encoding.Raw, PublicFormat.Raw))


def public_line(blob: bytes, comment: str) -> str:
    """Return the OpenSSH public key line."""
    return f"{_ALGORITHM.decode()} {base64.b64encode(blob).decode()} {comment}".rstrip()


def fingerprint(blob: bytes) -> str:
    """Return the fingerprint as `ssh-keygen -l` prints it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def sign(file: Path, key: Ed25519PrivateKey) -> str:
    """Return the armoured signature over the file's bytes."""
    hash_name = _HASHES[0]
    blob = (
        _MAGIC
        + struct.pack(">I", _VERSION)
        + _string(blob_of(key.public_key()))
        + _string(NAMESPACE.encode())
        + _string(b"")
        + _string(hash_name.encode())
        + _string(_string(_ALGORITHM) + _string(key.sign(_signed(file, hash_name))))
    )
    return "\n".join([_BEGIN, *textwrap.wrap(base64.b64encode(blob).decode(), _LINE_WIDTH), _END, ""])


def verified(file: Path, signature: FileSignature) -> bool:
    """Return whether the signature's own key made it over this file's bytes; whose key that is, is not asked here."""
    key = Ed25519PublicKey.from_public_bytes(_fields(signature.public_blob, 2)[1])
    try:
        key.verify(signature.signature, _signed(file, signature.hash_name))
    except InvalidSignature:
        return False
    return True


def parse(armoured: bytes, *, name: str) -> FileSignature:
    """Return the signature in an armoured text; raises OpenRefused if it is not an Ed25519 one for our namespace."""
    try:
        return _parsed(armoured)
    except (ValueError, struct.error, binascii.Error) as fault:
        msg = f"{name} is not an Ed25519 OpenSSH signature for the namespace {NAMESPACE}"
        fix = f"sign the sealed file with `ssh-keygen -Y sign -n {NAMESPACE}` and send the .sig file with it"
        raise OpenRefused(msg, code="bad_signature", fix=fix) from fault


def _parsed(armoured: bytes) -> FileSignature:
    lines = armoured[:_LONGEST].decode("ascii").strip().splitlines()
    if len(lines) < 3 or lines[0].strip() != _BEGIN or lines[-1].strip() != _END:  # noqa: PLR2004 - two fences and a body
        raise ValueError(_BEGIN)
    blob = base64.b64decode("".join(line.strip() for line in lines[1:-1]), validate=True)
    head, body = blob[: len(_MAGIC) + 4], blob[len(_MAGIC) + 4 :]
    if head != _MAGIC + struct.pack(">I", _VERSION):
        raise ValueError(_MAGIC)
    key, namespace, _reserved, hash_name, signed = _fields(body, 5)
    kind, raw = _fields(key, 2)
    signing_kind, signature = _fields(signed, 2)
    if kind != _ALGORITHM or signing_kind != _ALGORITHM or len(raw) != 32:  # noqa: PLR2004 - an Ed25519 point
        raise ValueError(_ALGORITHM)
    if namespace.decode() != NAMESPACE or hash_name.decode() not in _HASHES:
        raise ValueError(NAMESPACE)
    return FileSignature(key, hash_name.decode(), signature)


def _signed(file: Path, hash_name: str) -> bytes:
    """Return the bytes that are really signed: a statement about the file's hash."""
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, hash_name).digest()
    return _MAGIC + _string(NAMESPACE.encode()) + _string(b"") + _string(hash_name.encode()) + _string(digest)


def _string(value: bytes) -> bytes:
    return struct.pack(">I", len(value)) + value


def _fields(blob: bytes, count: int) -> list[bytes]:
    """Return exactly `count` length-prefixed fields that fill the blob; raises ValueError otherwise."""
    fields = []
    for _ in range(count):
        (length,) = struct.unpack_from(">I", blob)
        if len(blob) < 4 + length:
            raise ValueError(count)
        fields.append(blob[4 : 4 + length])
        blob = blob[4 + length :]
    if blob:
        raise ValueError(count)
    return fields
