"""The audit trail: what happened, by whom and when, in a chain that cannot be rewritten unseen.

Each event's hash is SHA-256 over the hash before it, a line feed, and the event's canonical JSON (keys sorted, no
spaces, UTF-8, instants in UTC with microseconds). The chain begins at GENESIS. Heads are signed with the keyring's
audit key and carried in every outgoing manifest, so that even a whole new chain would not fit what agencies hold. A
head also holds the root of a hash tree over the events (models.merkle; an entry is an event's canonical JSON): a short
proof shows that one event, or an older head, belongs to it (infra.proving).
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from json.encoder import encode_basestring as quoted
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from infra.store import schema, trail
from models import merkle
from models.errors import Findings, RefusedByPolicy
from models.tables import AuditEvent

if TYPE_CHECKING:
    import pandas as pd
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from sqlalchemy import Connection

    from keys.keyring import Keyring

GENESIS: Final = "0" * 64
HEAD: Final = re.compile(r"(\d+):([0-9a-f]{64})")
SIGNED_AS: Final = b"consign.audit.head.v2\n"
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
    size waiting found withdrawn contacts breaches rules packs gates outcome role backup column columns identifier
    others
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
    witnesses: int = field(default=0, compare=False)
    """heads that came from elsewhere: packages, backups"""
    since: int = field(default=0, compare=False)
    """events that were not looked at again, for they were verified before"""
    root: str = field(default="", compare=False)
    """of the tree over all events"""
    tree: merkle.Tree | None = field(default=None, compare=False, repr=False)
    end: str = field(default="", compare=False, repr=False)
    """the chain's last hash"""


@dataclass(frozen=True)
class Head:
    """A signed head, wherever it was found: the chain and the tree up to event `seq`."""

    seq: int
    hash: str
    root: str
    signed_at: str
    signature: str
    key: str
    """the signing key's fingerprint"""

    def holds(self, public: Ed25519PublicKey) -> bool:
        """Whether the signature is by this key."""
        try:
            public.verify(base64.b64decode(self.signature), _to_sign(self.seq, self.hash, self.root, self.signed_at))
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True)
class Verified:
    """Up to where a trail was found whole: what the next look may begin with."""

    seq: int
    hash: str
    peaks: Mapping[int, bytes]
    """as in models.merkle.Tree"""


class TrailBroken(Findings):
    """The trail is not what it was: the message names the first event that shows it."""


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
    """The head, now signed and kept with the root of the tree; a head that is signed already stays as it is.

    Raises TrailBroken where the tree has lost a part that it grows from.
    """
    trail.hold(connection)
    seq, digest = trail.newest(connection) or (0, GENESIS)
    if seq and not trail.signed(connection, seq):
        root = _grown(connection, seq).root().hex()
        signer = keyring.audit_signer(now)
        signature = signer.sign(_to_sign(seq, digest, root, instant(now)))
        trail.append_head(
            connection,
            {
                "seq": seq,
                "hash": digest,
                "root": root,
                "signed_at": now,
                "signature": base64.b64encode(signature).decode(),
                "key_fingerprint": fingerprint(signer.public_key()),
            },
        )
    return f"{seq}:{digest}"


def signed_head(connection: Connection) -> dict[str, str] | None:
    """The last signed head as a manifest has it: `head` (`<seq>:<hash>`), `root`, `signed_at`, `signature`, `key`."""
    row = trail.newest_signed(connection)
    if row is None:
        return None
    return {
        "head": f"{row.seq}:{row.hash}",
        "root": row.root,
        "signed_at": instant(row.signed_at),
        "signature": row.signature,
        "key": row.key_fingerprint,
    }


def head_of(row: Any) -> Head:
    """A head as the store keeps it."""
    return Head(int(row.seq), row.hash, row.root, instant(row.signed_at), row.signature, row.key_fingerprint)


def verify(
    connection: Connection,
    publics: Iterable[Ed25519PublicKey],
    *,
    against: Iterable[tuple[Head, str]] = (),
    since: Verified | None = None,
    noted: Verified | None = None,
) -> Verification:
    """Whether every event follows from the one before, and chain and tree pass through every head, signed or sent.

    publics: every audit key there has been. against: heads from elsewhere, and where each was found. since: events up
    to there are not read again. noted: how far it was found whole before, to be found so again. Reads in chunks: memory
    does not grow with the trail.
    """
    signed = trail.heads(connection)
    sent = trail.heads_sent(connection)
    strangers = list(against)
    keys = {fingerprint(public): public for public in publics}
    following = _Following(connection, _Wanted.of(sent, signed, strangers, noted), since)
    for frame in trail.events(connection, after=following.count):
        following.follow(frame)
        if following.fault:
            break
    fault = (
        following.fault
        or following.ended()
        or _forged([(head_of(row), "the signed head") for row in signed.itertuples()] + strangers, keys)
        or _unsigned(sent, signed)
        or _unguarded(connection)
    )
    return Verification(
        ok=fault is None,
        events=following.count,
        heads=len(signed),
        heads_sent=len(sent),
        first_bad_seq=fault[0] if fault else None,
        why=fault[1] if fault else "",
        witnesses=len(strangers),
        since=since.seq if since else 0,
        root=following.tree.root().hex() if fault is None else "",
        tree=following.tree if fault is None else None,
        end=following.previous,
    )


def entries(frame: pd.DataFrame) -> list[bytes]:
    """Each event's canonical JSON: what its hash covers, and its entry in the tree."""
    instants = np.datetime_as_string(frame["at"].dt.tz_localize(None).to_numpy("datetime64[us]"), unit="us").tolist()
    said: dict[str, str] = {}
    spoken = []
    for name in ("action", "actor"):  # few words, often said
        words = frame[name].tolist()
        said.update((word, quoted(word)) for word in set(words) - said.keys())
        spoken.append([said[word] for word in words])
    columns = (*spoken, instants, frame["details"].tolist(), frame["seq"].tolist(), frame["subject"].tolist())
    return [
        (
            f'{{"action":{action},"actor":{actor},"at":"{at}Z","details":{details},'
            f'"seq":{seq},"subject":{quoted(subject)}}}'
        ).encode()
        for action, actor, at, details, seq, subject in zip(*columns, strict=True)
    ]


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


def _to_sign(seq: int, digest: str, root: str, at: str) -> bytes:
    return SIGNED_AS + f'{{"hash":"{digest}","root":"{root}","seq":{seq},"signed_at":"{at}"}}'.encode()


def _grown(connection: Connection, seq: int) -> merkle.Tree:
    """The tree over the events up to `seq`; what is complete of it now is kept."""
    kept = trail.kept_until(connection)
    try:
        tree = merkle.Tree(kept, trail.peaks(connection, kept))
    except LookupError as error:
        message = f"the audit trail is broken: {error}"
        raise TrailBroken(message, fix="run `consign audit verify`, and compare with a backup") from None
    for frame in trail.events(connection, after=kept, until=seq):
        trail.append_nodes(connection, tree.extend(merkle.leaves(entries(frame))))
    return tree


Fault = tuple[int, str]


@dataclass(frozen=True)
class _Wanted:
    """By event: what it must be, and who says so."""

    hashes: Mapping[int, list[tuple[str, str]]]
    roots: Mapping[int, list[tuple[str, str]]]

    @classmethod
    def of(
        cls,
        sent: pd.DataFrame,
        signed: pd.DataFrame,
        strangers: Iterable[tuple[Head, str]],
        noted: Verified | None,
    ) -> _Wanted:
        """From the heads that were signed, those that left in manifests, those from elsewhere, and our own note."""
        hashes: dict[int, list[tuple[str, str]]] = {}
        roots: dict[int, list[tuple[str, str]]] = {}
        for seq, digest, root in zip(signed["seq"], signed["hash"], signed["root"], strict=True):
            hashes.setdefault(int(seq), []).append((digest, "the signed head"))
            roots.setdefault(int(seq), []).append((root, "the signed head"))
        for name, carried in zip(sent["name"], sent["audit_head"], strict=True):
            found = HEAD.fullmatch(carried)
            seq, digest = (int(found[1]), found[2]) if found else (0, carried)
            hashes.setdefault(seq, []).append((digest, f"the manifest of {name}"))
        for head, where in strangers:
            hashes.setdefault(head.seq, []).append((head.hash, where))
            roots.setdefault(head.seq, []).append((head.root, where))
        if noted is not None:
            hashes.setdefault(noted.seq, []).append((noted.hash, "the last verification"))
        return cls(hashes, roots)


class _Following:
    """Follows the chain frame by frame, growing the tree beside it, until something does not fit."""

    fault: Fault | None

    def __init__(self, connection: Connection, wanted: _Wanted, since: Verified | None) -> None:
        self.wanted = wanted
        self.count = since.seq if since else 0
        self.begun = self.count
        self.previous = since.hash if since else GENESIS
        self.tree = merkle.Tree(self.count, dict(since.peaks) if since else {})
        self.kept = trail.nodes(connection)
        newest = trail.newest_signed(connection)
        self.signed_until = newest.seq if newest else 0
        self._stops = sorted(seq for seq in wanted.roots if seq > self.count)
        self._heads = sorted(wanted.hashes)
        self.fault = (self._look(self.count, self.previous) or self._rooted()) if since else None

    def follow(self, frame: pd.DataFrame) -> None:
        """These events follow, or `fault` says which does not."""
        told = entries(frame)
        self.fault = self.fault or self._chain(frame, told)
        if self.fault is None:
            self._grow(merkle.leaves(told))

    def ended(self) -> Fault | None:
        """Whether somebody speaks of events that are not there any more, or of a beginning that is not ours."""
        for hash_, who in self.wanted.hashes.get(0, ()):
            if hash_ != GENESIS:
                return 0, f"{who} carries a head that is none of this chain"
        missing = min((seq for seq in self.wanted.hashes if seq > self.count), default=None)
        if missing is not None:
            who = self.wanted.hashes[missing][0][1]
            return self.count + 1, f"the trail ends at event {self.count}, and {who} speaks of event {missing}"
        beyond = [(level, position) for level, position in self.kept if (position + 1) << level > self.begun]
        if beyond:
            level, position = min(beyond, key=lambda one: one[1] << one[0])
            first = (position << level) + 1
            return first, f"the tree holds a part from event {first} on that no signed head covers"
        return None

    def _chain(self, frame: pd.DataFrame, told: list[bytes]) -> Fault | None:
        """The first event that does not follow from the one before, if there is one.

        Looked at as columns: each hash is computed from the hash before it as it is written, and the two are compared
        with what is written; only where something differs is the place looked for.
        """
        seqs, before, digests = (frame[name].tolist() for name in ("seq", "previous_hash", "hash"))
        sha256 = hashlib.sha256
        computed = [
            sha256(b"%b\n%b" % (one.encode(), event)).hexdigest() for one, event in zip(before, told, strict=True)
        ]
        first, last = self.count + 1, self.count + len(seqs)
        fits = seqs == list(range(first, last + 1)) and computed == digests
        if fits and before == [self.previous, *digests[:-1]][: len(before)]:
            self.previous, self.count = digests[-1] if digests else self.previous, last
            heads = (seq for seq in self._heads if first <= seq <= last)
            return next((fault for seq in heads if (fault := self._look(seq, digests[seq - first]))), None)
        for seq, one, mine, digest in zip(seqs, before, computed, digests, strict=True):
            if seq != self.count + 1:
                return self.count + 1, f"event {self.count + 1} is missing"
            if one != self.previous:
                return seq, f"event {seq} does not follow from the one before"
            if mine != digest:
                return seq, f"event {seq} was altered"
            if fault := self._look(seq, digest):
                return fault
            self.previous, self.count = digest, seq
        return None

    def _grow(self, leaves: list[bytes]) -> None:
        """The tree has these leaves; at every head it has the root that the head speaks of, and its parts are kept."""
        start, first = 0, self.tree.size
        stops = [seq for seq in self._stops if first < seq <= first + len(leaves)]
        for stop in [*stops, first + len(leaves)]:
            self._compare(self.tree.extend(leaves[start : stop - first]))
            start = stop - first
            self.fault = self.fault or self._rooted()
            if self.fault:
                return

    def _rooted(self) -> Fault | None:
        wanted = self.wanted.roots.get(self.tree.size, ())
        mine = self.tree.root().hex() if wanted else ""
        for root, who in wanted:
            if root != mine:
                return self.tree.size, f"the tree up to event {self.tree.size} has not the root that {who} speaks of"
        return None

    def _compare(self, completed: list[merkle.Completed]) -> None:
        """What is kept of the tree is what the events make of it, up to the last signed head."""
        for row in completed:
            if row.level < trail.KEPT_LEVEL or self.fault:
                continue
            for position, one in enumerate(row.hashes, row.first):
                until = (position + 1) << row.level
                if until <= self.signed_until and self.kept.pop((row.level, position), None) != one.hex():
                    self.fault = (until, f"the tree was altered or lost a part before event {until}")
                    return

    def _look(self, seq: int, digest: str) -> Fault | None:
        for hash_, who in self.wanted.hashes.get(seq, ()):
            if hash_ != digest:
                return seq, f"event {seq} is not the one that {who} speaks of"
        return None


def _forged(heads: Iterable[tuple[Head, str]], keys: Mapping[str, Ed25519PublicKey]) -> Fault | None:
    """The first head whose signature is not by one of our keys."""
    for head, where in heads:
        public = keys.get(head.key)
        who = f"the head of event {head.seq}" if where == "the signed head" else f"the head in {where}"
        if public is None:
            return head.seq, f"{who} is signed with a key that is not ours"
        if not head.holds(public):
            return head.seq, f"the signature of {who} is wrong"
    return None


def _unsigned(sent: pd.DataFrame, signed: pd.DataFrame) -> Fault | None:
    """A head that left in a manifest was signed, and its signature is kept."""
    known = set(signed["seq"].tolist())
    for name, carried in zip(sent["name"], sent["audit_head"], strict=True):
        found = HEAD.fullmatch(carried)
        if found and int(found[1]) and int(found[1]) not in known:
            return int(found[1]), f"the signed head of event {found[1]}, which left in {name}, is gone"
    return None


def _unguarded(connection: Connection) -> Fault | None:
    """The store refuses to change the trail; one that no migration made never did."""
    if schema.version_of(connection) is None:
        return None
    bare = trail.unguarded(connection)
    return (0, f"nothing keeps {', '.join(bare)} from being changed: a trigger is gone") if bare else None
