"""Short proofs from the audit trail, that anybody can check without the store: a JSON file and a signed head.

An *inclusion* proof shows one event to be in the trail that a head was signed of; a *consistency* proof shows an older
head's trail to be the beginning of a newer one's. Format and check are as docs/how-to/prove-an-event.md has them.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, NoReturn

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from infra import audit
from infra.store import trail
from models import merkle
from models.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy import Connection

FORMAT: Final = "consign.audit.proof.v1"
KNOWN: Final = ((FORMAT, "inclusion"), (FORMAT, "consistency"))
LARGEST_BYTES: Final = 1 << 20
HASH: Final = re.compile(r"[0-9a-f]{64}")


class ProofRefused(audit.TrailBroken):
    """What was given proves nothing: it is no proof, or one that does not hold."""


@dataclass(frozen=True)
class Checked:
    """What a proof that holds has shown."""

    kind: str
    ok: bool
    event: Mapping[str, Any] | None
    """of an inclusion proof: seq, at, actor, action, subject, details"""
    from_seq: int | None
    """of a consistency proof: the older head's event"""
    seq: int
    """the head's event: how many the trail had"""
    root: str
    signed_at: str
    key: str
    """the fingerprint of the key that signed the head"""
    key_expected: bool | None
    """whether it is the one that the reader expects; None where none was named: compare it with one had otherwise"""


def prove(
    connection: Connection, publics: Iterable[Ed25519PublicKey], seq: int, head_seq: int | None = None
) -> dict[str, Any]:
    """The proof that the event is in the trail of the newest signed head, or of the one of event `head_seq`.

    Raises UsageError where there is no such event or head, and TrailBroken where what would come out does not hold.
    """
    head = _head(connection, head_seq)
    if not 0 < seq <= head.seq:
        message = f"event {seq} is not among the {head.seq} events of the signed head"
        raise UsageError(message, fix="run `consign audit sign`, and see `consign audit list`")
    row = next(iter(trail.events(connection, after=seq - 1, until=seq)))
    if len(row) != 1:
        _broken(f"event {seq} is missing")
    entry = audit.entries(row)[0]
    subtrees = _Subtrees(connection)
    return _held(
        {
            "format": FORMAT,
            "kind": "inclusion",
            "event": json.loads(entry),
            "path": [one.hex() for one in subtrees.inclusion(seq - 1, head.seq)],
            "head": asdict(head),
            "keys": _keys(publics, {head.key}),
        }
    )


def prove_consistency(
    connection: Connection, publics: Iterable[Ed25519PublicKey], old_seq: int, new_seq: int | None = None
) -> dict[str, Any]:
    """The proof that the head of event `old_seq` is the beginning of a newer one, as a rule the newest.

    Raises as `prove` does.
    """
    old, new = _head(connection, old_seq), _head(connection, new_seq)
    if old.seq > new.seq:
        message = f"the head of event {old.seq} is younger than that of event {new.seq}"
        raise UsageError(message, fix="name the older one first")
    subtrees = _Subtrees(connection)
    return _held(
        {
            "format": FORMAT,
            "kind": "consistency",
            "from": asdict(old),
            "path": [one.hex() for one in subtrees.consistency(old.seq, new.seq)],
            "head": asdict(new),
            "keys": _keys(publics, {old.key, new.key}),
        }
    )


def check(text: bytes, expected: str = "") -> Checked:
    """What the proof shows; it needs neither store nor keys. expected: the signing key's fingerprint, had otherwise.

    Raises ProofRefused for anything that is no proof, and for one that does not hold.
    """
    told = _read(text)
    head, keys = _told_head(told.get("head")), _told_keys(told.get("keys"))
    path = _told_path(told.get("path"))
    older = _told_head(told.get("from")) if told["kind"] == "consistency" else None
    for one in (head, *([older] if older else [])):
        _signed(one, keys, expected)
    try:
        if older is None:
            entry = _entry(told.get("event"))
            root = merkle.root_of_inclusion(merkle.leaf(entry), told["event"]["seq"] - 1, head.seq, path)
            _same(root, head.root, "the event is not in the tree that the head speaks of")
        else:
            known = bytes.fromhex(older.root)
            before, after = merkle.roots_of_consistency(older.seq, head.seq, known, path)
            _same(before, older.root, "the older head is not what the proof leads to")
            _same(after, head.root, "the older head is not the beginning of the newer one")
    except merkle.ProofInvalid as error:
        _refused(str(error))
    return Checked(
        kind=told["kind"],
        ok=True,
        event=told["event"] if older is None else None,
        from_seq=older.seq if older else None,
        seq=head.seq,
        root=head.root,
        signed_at=head.signed_at,
        key=head.key,
        key_expected=True if expected else None,
    )


class _Subtrees:
    """Looks complete subtrees up: the larger ones are kept, the smaller ones are made of the events below them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._known: dict[tuple[int, int], bytes] = {}

    def inclusion(self, index: int, size: int) -> list[bytes]:
        """As models.merkle.inclusion."""
        return merkle.inclusion(index, size, self)

    def consistency(self, old: int, new: int) -> list[bytes]:
        """As models.merkle.consistency."""
        return merkle.consistency(old, new, self)

    def __call__(self, level: int, position: int) -> bytes:
        """The subtree's hash. Raises TrailBroken where it is gone."""
        if level >= trail.KEPT_LEVEL:
            found = trail.node_at(self._connection, level, position)
            return found if found is not None else _broken("a part of the tree is gone")
        if (level, position) not in self._known:
            self._make((position << level) >> trail.KEPT_LEVEL)
        found = self._known.get((level, position))
        return found if found is not None else _broken(f"events after {position << level} are gone")

    def _make(self, block: int) -> None:
        """All subtrees of one block of events are known."""
        after = block << trail.KEPT_LEVEL
        until = after + (1 << trail.KEPT_LEVEL)
        told = [
            entry
            for frame in trail.events(self._connection, after=after, until=until)
            for entry in audit.entries(frame)
        ]
        first = merkle.leaves(told)
        self._known |= {(0, after + at): one for at, one in enumerate(first)}
        for row in merkle.Tree().extend(first):
            begins = after >> row.level
            self._known |= {(row.level, begins + row.first + at): one for at, one in enumerate(row.hashes)}


def _head(connection: Connection, seq: int | None) -> audit.Head:
    row = trail.newest_signed(connection) if seq is None else trail.head_at(connection, seq)
    if row is None:
        which = "no head was signed yet" if seq is None else f"event {seq} has no signed head"
        raise UsageError(which, fix="run `consign audit sign`, or name one of `consign audit heads`")
    return audit.head_of(row)


def _keys(publics: Iterable[Ed25519PublicKey], wanted: set[str]) -> dict[str, str]:
    """The public keys in base64, by fingerprint, of those that are wanted."""
    known = {audit.fingerprint(public): public for public in publics}
    return {
        name: base64.b64encode(known[name].public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()
        for name in sorted(wanted & known.keys())
    }


def _held(proof: dict[str, Any]) -> dict[str, Any]:
    """The proof, if it holds: what is handed out was checked as its reader will."""
    try:
        check(json.dumps(proof).encode())
    except ProofRefused as error:
        _broken(str(error))
    return proof


def _broken(why: str) -> NoReturn:
    message = f"the audit trail is broken: {why}"
    raise audit.TrailBroken(message, fix="run `consign audit verify`, and compare with a backup")


def _read(text: bytes) -> dict[str, Any]:
    if len(text) > LARGEST_BYTES:
        _refused("the file is too large for a proof")
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict) or (told.get("format"), told.get("kind")) not in KNOWN:
        _refused(f"the file is no {FORMAT}")
    return told


def _told_head(told: Any) -> audit.Head:
    fields = {"seq": int, "hash": str, "root": str, "signed_at": str, "signature": str, "key": str}
    if not isinstance(told, dict) or any(type(told.get(name)) is not kind for name, kind in fields.items()):
        _refused("a head is missing, or not whole")
    if not HASH.fullmatch(told["hash"]) or not HASH.fullmatch(told["root"]) or told["seq"] < 1:
        _refused("a head is not written as one")
    return audit.Head(**{name: told[name] for name in fields})


def _told_keys(told: Any) -> dict[str, Ed25519PublicKey]:
    """The public keys, each under the fingerprint that it really has."""
    try:
        keys = [Ed25519PublicKey.from_public_bytes(base64.b64decode(one)) for one in dict(told).values()]
    except (TypeError, ValueError):
        _refused("the public keys cannot be read")
    return {audit.fingerprint(key): key for key in keys}


def _told_path(told: Any) -> list[bytes]:
    if not isinstance(told, list) or not all(isinstance(one, str) and HASH.fullmatch(one) for one in told):
        _refused("the path is no list of hashes")
    return [bytes.fromhex(one) for one in told]


def _entry(event: Any) -> bytes:
    """The event as it was hashed."""
    kinds = {"seq": int, "at": str, "actor": str, "action": str, "subject": str, "details": dict}
    if not isinstance(event, dict) or any(type(event.get(name)) is not kind for name, kind in kinds.items()):
        _refused("the event is missing, or not whole")
    if event.keys() - kinds.keys():
        _refused("the event says more than an event can")
    return json.dumps(event, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _signed(head: audit.Head, keys: Mapping[str, Ed25519PublicKey], expected: str) -> None:
    public = keys.get(head.key)
    if public is None:
        _refused(f"the public key {head.key} is not in it")
    if not head.holds(public):
        _refused(f"the signature of the head of event {head.seq} is wrong")
    if expected and head.key != expected:
        _refused(f"the head is signed with {head.key}, and not with {expected}")


def _same(found: bytes, wanted: str, why: str) -> None:
    if found.hex() != wanted:
        _refused(why)


def _refused(why: str) -> NoReturn:
    raise ProofRefused(f"this proves nothing: {why}", fix="ask for the proof anew, and compare the key's fingerprint")
