"""The audit trail: what happened, by whom and when, in a chain that cannot be rewritten unseen.

Each event's hash is SHA-256 over the hash before it, a line feed, and the event's canonical JSON (keys sorted, no
spaces, UTF-8, instants in UTC with microseconds). The chain begins at GENESIS. Heads are signed with the keyring's
audit key and carried in every outgoing manifest, so that even a whole new chain would not fit what agencies hold.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from json.encoder import encode_basestring as quoted
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from infra.store import trail
from models.errors import RefusedByPolicy
from models.tables import AuditEvent

if TYPE_CHECKING:
    import pandas as pd
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from sqlalchemy import Connection

    from keys.keyring import Keyring

GENESIS: Final = "0" * 64
HEAD: Final = re.compile(r"(\d+):([0-9a-f]{64})")
SIGNED_AS: Final = b"consign.audit.head.v1\n"
TEXT: Final = re.compile(r"[\x20-\x7e]{0,200}")
"""Details are codes, references and hashes: nothing that could spell a name in its own script, nor a page of prose."""
LIST_AT_MOST: Final = 50
SPOKEN_AT_MOST: Final = 200

Value = str | int | bool | None | Sequence[str | int]

WORDS: Final = """
    agency agencies lender plan portfolio placement placements transmission file files statement contract policy profile
    kind kinds suite purpose owner basis channel stage rule code codes reason reasons period currency product segment
    id ids seq sequence rows lines accounts debtors cells entries count minor days seed share round attempts seconds
    at on as_of since until from to due overdue received delivered sealed read term total capacity threshold
    state status version revision generation fingerprint sha256 hash head previous signer result because by
    accepted refused new updated unchanged matched placed excluded skipped recalled erased closed opened posted approved
    rejected certified breaks rejects treatment treatments field fields source model method engine step verb tables
    certificate level layout receipts recovered commission vat matches suggested ambiguous remits dry_run finding
    size waiting found withdrawn contacts breaches rules packs gates outcome
"""
KEYS: Final = frozenset(WORDS.split())
"""What a detail may be called: a key is one of these words, or ends in `_` and one of them."""
NEVER: Final = frozenset(
    {"name", "id_number", "phone", "address", "email", "employer", "contact", "contact_name", "account_ref", "birth"}
    | {"password", "passphrase", "secret"}
)


class DetailNotAllowed(RefusedByPolicy):
    """A detail's name or value is not one that the trail may keep; the message names the key alone."""


@dataclass(frozen=True)
class Event:
    """What is to be recorded: who did what to which subject, with a few details in codes and counts."""

    actor: str
    action: str
    subject: str
    details: Mapping[str, Value]
    at: datetime


@dataclass(frozen=True)
class Verification:
    """Whether the chain holds; if not, from which event on, and why."""

    ok: bool
    events: int
    heads: int
    heads_sent: int
    first_bad_seq: int | None = None
    why: str = ""


def record(
    connection: Connection, actor: str, action: str, subject: str, details: Mapping[str, Value], at: datetime
) -> AuditEvent:
    """The event, appended inside the caller's write transaction; it is there if and only if that commits.

    The chain is held until then: record last. Raises DetailNotAllowed.
    """
    rows = _chained(connection, [Event(actor, action, subject, details, at)])
    trail.append(connection, rows)
    return AuditEvent(**rows[0])


def record_many(connection: Connection, events: Iterable[Event]) -> int:
    """As `record`, for several events in their order; how many there were."""
    rows = _chained(connection, events)
    if rows:
        trail.append(connection, rows)
    return len(rows)


def head(connection: Connection) -> str:
    """Where the chain ends, as manifests carry it: `<seq>:<hash>`."""
    seq, digest = trail.newest(connection) or (0, GENESIS)
    return f"{seq}:{digest}"


def sign_head(connection: Connection, keyring: Keyring, now: datetime) -> str:
    """The head, now signed and kept; a head that is signed already stays as it is."""
    trail.hold(connection)
    seq, digest = trail.newest(connection) or (0, GENESIS)
    if seq and not trail.signed(connection, seq):
        signer = keyring.audit_signer(now)
        signature = signer.sign(_to_sign(seq, digest, instant(now)))
        trail.append_head(
            connection,
            {
                "seq": seq,
                "hash": digest,
                "signed_at": now,
                "signature": base64.b64encode(signature).decode(),
                "key_fingerprint": fingerprint(signer.public_key()),
            },
        )
    return f"{seq}:{digest}"


def signed_head(connection: Connection) -> dict[str, str] | None:
    """The last signed head as a manifest carries it: `head` (`<seq>:<hash>`), `signed_at`, `signature`, `key`."""
    row = trail.newest_signed(connection)
    if row is None:
        return None
    return {
        "head": f"{row.seq}:{row.hash}",
        "signed_at": instant(row.signed_at),
        "signature": row.signature,
        "key": row.key_fingerprint,
    }


def verify(connection: Connection, publics: Iterable[Ed25519PublicKey]) -> Verification:
    """Whether every event follows from the one before, and the chain passes through every head that was signed or sent.

    publics: every audit key there has been. Reads in chunks: memory does not grow with the trail.
    """
    signed = trail.heads(connection)
    sent = trail.heads_sent(connection)
    wanted = _heads_of(sent, signed)
    keys = {fingerprint(public): public for public in publics}
    previous, count = GENESIS, 0
    fault: tuple[int, str] | None = None
    for frame in trail.events(connection):
        previous, count, fault = _follow(frame, previous, count, wanted)
        if fault:
            break
    fault = fault or _beyond(wanted, count) or _forged(signed, keys)
    return Verification(
        ok=fault is None,
        events=count,
        heads=len(signed),
        heads_sent=len(sent),
        first_bad_seq=fault[0] if fault else None,
        why=fault[1] if fault else "",
    )


def canonical(seq: int, at: str, actor: str, action: str, subject: str, details: str) -> str:
    """The event's canonical JSON; `details` is canonical JSON already."""
    return (
        f'{{"action":{quoted(action)},"actor":{quoted(actor)},"at":"{at}","details":{details},'
        f'"seq":{seq},"subject":{quoted(subject)}}}'
    )


def link(previous: str, event: str) -> str:
    """The hash of an event that follows `previous`."""
    return hashlib.sha256(f"{previous}\n{event}".encode()).hexdigest()


def instant(at: datetime) -> str:
    """The instant in UTC, with microseconds."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def detail_text(details: Mapping[str, Value]) -> str:
    """The details in canonical JSON. Raises DetailNotAllowed for a key or value that the trail may not keep."""
    for key, value in details.items():
        if not is_allowed(key):
            raise DetailNotAllowed(
                f"the audit trail keeps no detail called {key!r}",
                fix="name it otherwise, or add a word to infra.audit.KEYS",
            )
        items = value if isinstance(value, list | tuple) else [value]
        if len(items) > LIST_AT_MOST or not all(_is_code(item) for item in items):
            raise DetailNotAllowed(
                f"the audit trail does not keep what was given as {key!r}",
                fix="give a code, a reference, a number or a short list of them",
            )
    return json.dumps(dict(details), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def is_allowed(key: str) -> bool:
    """Whether a detail may be called so."""
    if key in NEVER:
        return False
    parts = key.split("_")
    return any("_".join(parts[start:]) in KEYS for start in range(len(parts)))


def fingerprint(public: Ed25519PublicKey) -> str:
    """`SHA256:` and the key's digest in base64, without its padding."""
    digest = hashlib.sha256(public.public_bytes(Encoding.Raw, PublicFormat.Raw)).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def _chained(connection: Connection, events: Iterable[Event]) -> list[dict[str, Any]]:
    """The events as rows that follow from the trail's end, which is held from now on."""
    told = [(event, detail_text(event.details)) for event in events]
    trail.hold(connection)
    seq, previous = trail.newest(connection) or (0, GENESIS)
    rows = []
    for event, details in told:
        seq += 1
        at = event.at.astimezone(UTC)
        actor, action, subject = _spoken(event.actor), _spoken(event.action), _spoken(event.subject)
        digest = link(previous, canonical(seq, instant(at), actor, action, subject, details))
        rows.append({
            "seq": seq, "at": at, "actor": actor, "action": action, "subject": subject,
            "details": details, "previous_hash": previous, "hash": digest,
        })  # fmt: skip
        previous = digest
    return rows


def _is_code(value: object) -> bool:
    return value is None or isinstance(value, int) or (isinstance(value, str) and TEXT.fullmatch(value) is not None)


def _spoken(word: str) -> str:
    if len(word) > SPOKEN_AT_MOST or not word.isprintable():
        raise DetailNotAllowed(
            "an actor, action or subject of the audit trail is one short line",
            fix="name the thing by its code or number",
        )
    return word


def _to_sign(seq: int, digest: str, at: str) -> bytes:
    return SIGNED_AS + f'{{"hash":"{digest}","seq":{seq},"signed_at":"{at}"}}'.encode()


def _heads_of(sent: pd.DataFrame, signed: pd.DataFrame) -> dict[int, list[tuple[str, str]]]:
    """By event: the hashes that it must have, and who says so."""
    wanted: dict[int, list[tuple[str, str]]] = {}
    for seq, digest in zip(signed["seq"], signed["hash"], strict=True):
        wanted.setdefault(int(seq), []).append((digest, "the signed head"))
    for name, carried in zip(sent["name"], sent["audit_head"], strict=True):
        if (found := HEAD.fullmatch(carried)) is None:
            wanted.setdefault(0, []).append((carried, f"the manifest of {name}"))
        else:
            wanted.setdefault(int(found[1]), []).append((found[2], f"the manifest of {name}"))
    return wanted


def _follow(
    frame: pd.DataFrame, previous: str, count: int, wanted: Mapping[int, list[tuple[str, str]]]
) -> tuple[str, int, tuple[int, str] | None]:
    """The chain's end after these events and how many there were, and the first event that does not fit.

    A chain is a sequence by nature: the one loop over rows of this house, on plain Python lists.
    """
    instants = np.datetime_as_string(frame["at"].dt.tz_localize(None).to_numpy("datetime64[us]"), unit="us").tolist()
    columns: list[list[Any]] = [
        frame[name].tolist() for name in ("seq", "actor", "action", "subject", "details", "previous_hash", "hash")
    ]
    for at, seq, actor, action, subject, details, before, digest in zip(instants, *columns, strict=True):
        if seq != count + 1:
            return previous, count, (count + 1, f"event {count + 1} is missing")
        if before != previous:
            return previous, count, (seq, f"event {seq} does not follow from the one before")
        if link(previous, canonical(seq, f"{at}Z", actor, action, subject, details)) != digest:
            return previous, count, (seq, f"event {seq} was altered")
        for hash_, who in wanted.get(seq, ()):
            if hash_ != digest:
                return previous, count, (seq, f"event {seq} is not the one that {who} speaks of")
        previous, count = digest, seq
    return previous, count, None


def _beyond(wanted: Mapping[int, list[tuple[str, str]]], count: int) -> tuple[int, str] | None:
    """A head of an event that is no longer there, or of a beginning that is not ours."""
    for hash_, who in wanted.get(0, ()):
        if hash_ != GENESIS:
            return 0, f"{who} carries a head that is none of this chain"
    missing = min((seq for seq in wanted if seq > count), default=None)
    if missing is None:
        return None
    return count + 1, f"the trail ends at event {count}, and {wanted[missing][0][1]} speaks of event {missing}"


def _forged(signed: pd.DataFrame, keys: Mapping[str, Ed25519PublicKey]) -> tuple[int, str] | None:
    """The first head whose signature is not by one of our keys."""
    for row in signed.to_dict("records"):
        seq, digest, at = int(row["seq"]), str(row["hash"]), instant(row["signed_at"])
        public = keys.get(row["key_fingerprint"])
        if public is None:
            return seq, f"the head of event {seq} is signed with a key that is not ours"
        try:
            public.verify(base64.b64decode(row["signature"]), _to_sign(seq, digest, at))
        except (InvalidSignature, ValueError):
            return seq, f"the signature of the head of event {seq} is wrong"
    return None
