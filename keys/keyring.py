"""The keyring: every key there is, by purpose, owner and generation, in one sealed file apart from the database.

Every change is its own transaction: take the lock, read what others wrote, change, write the file anew. So two
processes never lose each other's keys. How the file is sealed and replaced is `keys.strongbox`'s subject.
"""

from __future__ import annotations

import base64
import secrets
import threading
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Self

import pandas as pd
import pyrage
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from keys import vault
from keys.entries import Entry, Purpose
from keys.errors import KeyDestroyed, KeyringLocked, KeysError, KeyUnfit, KeyUnknown
from keys.pseudonyms import GENERATIONS, PseudonymKey
from keys.roots.keyfile import KeyFile
from keys.roots.passphrase import Argon2Cost, Passphrase
from keys.sealing import sshsig, suite_named
from keys.strongbox import Strongbox
from keys.vault import DataKey, RowKeys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from keys.roots.root import Root

__all__ = ["DEFAULT_VALID_DAYS", "Argon2Cost", "Keyring"]

_KEY_BYTES: Final = 32
DEFAULT_VALID_DAYS: Final = 365

_ALGORITHMS: Final = {
    "data": "AES-256-GCM",
    "backup": "X25519",
    "pseudonym": "AES-256",
    "secret": "HMAC-SHA-256",
    "audit": "Ed25519",
    "ssh_client": "Ed25519",
    "age": "X25519, Ed25519",
    "openpgp": "OpenPGP",
}
"""What a key of a purpose, or of a sealing suite, is for."""


class Keyring:
    """An open keyring. Reads see what other processes wrote; writes are made at once, or together in `batch()`."""

    def __init__(self, box: Strongbox) -> None:
        """Bind an open box; use `create` or `open`."""
        self._box = box
        self._entries: tuple[Entry, ...] = ()
        self._mutex = threading.RLock()
        self._batching = False
        with box.locked(exclusive=False):
            self._load()

    @property
    def path(self) -> Path:
        """Where the file is."""
        return self._box.path

    def __repr__(self) -> str:
        """Return the path and how many keys there are; nothing of their content."""
        return f"Keyring({str(self.path)!r}, {len(self._entries)} keys)"

    # -- the file ---------------------------------------------------------------------------------------------

    @classmethod
    def create(
        cls,
        path: Path,
        *,
        passphrase: str | Callable[[], str] | None = None,
        key_file: Path | None = None,
        root: Root | None = None,
        cost: Argon2Cost | None = None,
    ) -> Self:
        """Write an empty keyring and return it open; a key file that is not there yet is made.

        Raises KeyringLocked if there is a keyring already: nothing is ever written over one.
        """
        empty: dict[str, Any] = {"entries": []}
        return cls(Strongbox.create(path, empty, _one_of(passphrase, key_file, root, cost)))

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        passphrase: str | Callable[[], str] | None = None,
        key_file: Path | None = None,
        root: Root | None = None,
    ) -> Self:
        """Return the keyring, open; exactly one of the three says how.

        Raises KeyringLocked for a missing or damaged file, one that others may read, a wrong passphrase or key file.
        """
        return cls(Strongbox.open(path, _one_of(passphrase, key_file, root)))

    def rewrap(
        self,
        *,
        passphrase: str | Callable[[], str] | None = None,
        key_file: Path | None = None,
        root: Root | None = None,
        cost: Argon2Cost | None = None,
    ) -> None:
        """Seal the keyring under a new root key: a new passphrase, a new key in `key_file`, or another keeper's.

        No other key changes.

        Killed at any moment, it leaves a keyring that opens: with the old root key, or with the new one.
        A copy that was made before opens with the old root key alone.
        """
        with self._mutex, self._box.locked(exclusive=True):
            self._load()
            document = {"entries": [entry.as_json() for entry in self._entries]}
            self._box.rekey(document, _one_of(passphrase, key_file, root, cost))

    def try_root(self, root: Root) -> dict[str, Any]:
        """Return what the header would say of a new root key of that keeper's, made to try and given up again."""
        header, _ = root.new(self._box.root)
        root.give_up(header)
        return header

    @property
    def root_header(self) -> dict[str, Any]:
        """What the file says of its root key: the kind, and what its keeper finds it by; nothing of it is secret."""
        return self._box.root_header

    @property
    def root(self) -> Root:
        """Who keeps the root key."""
        return self._box.root

    def restore(self, entries: Iterable[Entry], destroyed: set[str], now: datetime) -> int:
        """Return how many keys were added: those that are not there yet; what is there stays as it is.

        destroyed: ids of data keys that come as tombstones. Raises KeyUnfit, and adds none, where another key stands
        under the same purpose, owner and generation.
        """
        with self._changing() as mine:
            there = {(entry.purpose, entry.owner, entry.generation): entry for entry in mine}
            before = len(mine)
            for entry in entries:
                known = there.get((entry.purpose, entry.owner, entry.generation))
                if known is None:
                    gone = entry.purpose == "data" and entry.owner in destroyed and not entry.destroyed
                    mine.append(replace(entry, destroyed=True, destroyed_at=now, secret={}) if gone else entry)
                elif not known.destroyed and not entry.destroyed and known.secret != entry.secret:
                    raise KeyUnfit(
                        f"the keyring has another {known.purpose} key {known.generation} of {known.owner}",
                        fix="take the escrow in where there is no keyring (CONSIGN_KEYRING names another file)",
                    )
            return len(mine) - before

    def save(self) -> None:
        """Write the file anew. Every change has been written when its method returns: this only renews the nonce."""
        with self._changing():
            pass

    @contextmanager
    def batch(self) -> Iterator[Self]:
        """Make several changes as one: all are written at the end, or none if it raises. Others wait meanwhile."""
        with self._mutex:
            if self._batching:
                yield self
                return
            with self._box.locked(exclusive=True):
                self._load()
                before = self._entries
                self._batching = True
                try:
                    yield self
                    self._store(self._entries)
                except BaseException:
                    self._entries = before
                    raise
                finally:
                    self._batching = False

    @contextmanager
    def _changing(self) -> Iterator[list[Entry]]:
        """Give the entries, as they are now, to be changed in place; write them if that does not raise."""
        with self.batch():
            entries = list(self._entries)
            yield entries
            self._entries = tuple(entries)

    def _load(self) -> None:
        """Read the file; the lock is held."""
        self._entries = tuple(Entry.from_json(entry) for entry in self._box.load()["entries"])

    def _store(self, entries: tuple[Entry, ...]) -> None:
        """Replace the file; the lock is held."""
        self._box.store({"entries": [entry.as_json() for entry in entries]})

    def entries(self) -> tuple[Entry, ...]:
        """Return every entry, in the order they were made, read again if another process has written."""
        with self._mutex:
            if not self._batching and self._box.changed():
                with self._box.locked(exclusive=False):
                    self._load()
            return self._entries

    def _of(self, purpose: Purpose, owner: str | None = None) -> list[Entry]:
        """Return the entries of a purpose (and an owner), newest first."""
        return [
            entry for entry in reversed(self.entries()) if entry.purpose == purpose and owner in (None, entry.owner)
        ]

    # -- pseudonym keys ---------------------------------------------------------------------------------------

    def new_pseudonym_key(self, agency: str, now: datetime) -> PseudonymKey:
        """Return the agency's next generation, from now on the one for new placements; older ones still open."""
        with self._changing() as entries:
            used = {entry.generation for entry in entries if entry.purpose == "pseudonym" and entry.owner == agency}
            free = [letter for letter in GENERATIONS if letter not in used]
            if not free:
                raise KeysError(
                    f"all {len(GENERATIONS)} generations of pseudonym keys of {agency} are used",
                    fix="end the agency's placements and add it anew under another name",
                )
            key = PseudonymKey(free[0], secrets.token_bytes(_KEY_BYTES))
            entries.append(
                Entry(
                    purpose="pseudonym",
                    owner=agency,
                    generation=key.generation,
                    created_at=_aware(now),
                    valid_from=now,
                    secret=_kept(key.key),
                )
            )
        return key

    def pseudonym_key(self, agency: str, generation: str | None = None) -> PseudonymKey:
        """Return the generation asked for, or the newest; raises KeyUnknown if there is none that is not revoked."""
        keys = self.pseudonym_keys(agency)
        wanted = generation or next(reversed(keys), None)
        if wanted is None or wanted not in keys:
            which = f"generation {generation}" if generation else "pseudonym key"
            raise KeyUnknown(
                f"the keyring has no {which} for {agency}", fix=f"run `consign keys rotate pseudonym {agency}`"
            )
        return keys[wanted]

    def pseudonym_keys(self, agency: str) -> dict[str, PseudonymKey]:
        """Return every generation that is not revoked, oldest first, by its letter."""
        return {
            entry.generation: PseudonymKey(entry.generation, _key(entry))
            for entry in reversed(self._of("pseudonym", agency))
            if entry.revoked_at is None
        }

    # -- sealing keys -----------------------------------------------------------------------------------------

    def own_keys(self, suite: str) -> list[Entry]:
        """Return our own pairs of a suite, newest first, expired and revoked ones too; not those of a lender's own."""
        return self._of("own", suite)

    def signing_keys(self, suite: str, now: datetime, lender: str = "") -> list[Entry]:
        """Return the pairs that sign for a lender, newest first: its own from when the first of them is in force."""
        mine = self._of("own", owner_of(suite, lender)) if lender else []
        begun = any(entry.state(now) != "pending" for entry in mine)
        return mine if begun else self.own_keys(suite)

    def own_key(self, owner: str, generation: str) -> Entry:
        """Return a pair of our own. owner: the suite, or `suite:lender`. Raises KeyUnknown if there is none."""
        for entry in self._of("own", owner):
            if entry.generation == str(generation):
                return entry
        raise KeyUnknown(f"there is no own {owner} key {generation}", fix="run `consign keys list`")

    def announcing_keys(self, suite: str, generation: str, lender: str = "") -> list[Entry]:
        """Return the pairs that may sign the announcement of a generation, newest first: those that were there before.

        Whoever is told of the new pair knows only them.
        """
        older = [entry for entry in self._of("own", owner_of(suite, lender)) if int(entry.generation) < int(generation)]
        return [*older, *self.own_keys(suite)] if lender else older

    def opening_keys(self, suite: str, lender: str = "") -> list[Entry]:
        """Return the pairs that open what was sealed for a lender, newest first: its own and those of everybody."""
        mine = self._of("own", owner_of(suite, lender)) if lender else []
        return [*mine, *self.own_keys(suite)]

    def new_own_keys(
        self,
        suite: str,
        now: datetime,
        valid_days: int = DEFAULT_VALID_DAYS,
        *,
        valid_from: datetime | None = None,
        lender: str = "",
    ) -> Entry:
        """Return a fresh pair of our own; files sealed to the older ones still open until those expire.

        valid_from: when it begins to sign, for a pair that is announced first. lender: whose alone it is.
        """
        begins = _aware(valid_from or now)
        valid_until = begins + timedelta(days=valid_days)
        made = suite_named(suite).new_keys(_aware(now), valid_until)
        owner = owner_of(suite, lender)
        with self._changing() as entries:
            entry = Entry(
                purpose="own",
                owner=owner,
                generation=_next_number(entries, "own", owner),
                suite=suite,
                created_at=now,
                valid_from=begins,
                valid_until=valid_until,
                fingerprint=made.fingerprint,
                public=made.public,
                secret=made.secret,
            )
            entries.append(entry)
        return entry

    def public_keys(self, suite: str, now: datetime | None = None, lender: str = "") -> dict[str, str]:
        """Return what to give an agency: `encrypt` and `verify` as `trust` takes them, and their fingerprints.

        Of the newest pair that is not revoked (and, given `now`, is valid).  Raises KeyUnknown if there is none.
        """
        candidates = self.own_keys(suite) if now is None else self.signing_keys(suite, now, lender)
        for entry in candidates:
            if entry.revoked_at is None and (now is None or entry.state(now) == "valid"):
                return shown(entry)
        raise KeyUnknown(
            f"the keyring has no valid {suite} key of our own", fix=f"run `consign keys rotate own {suite}`"
        )

    def trust(
        self,
        agency: str,
        suite: str,
        *,
        encrypt: str,
        verify: str,
        now: datetime,
        valid_days: int = DEFAULT_VALID_DAYS,
        valid_until: datetime | None = None,
        valid_from: datetime | None = None,
    ) -> dict[str, str]:
        """Pin the agency's public keys as its next generation and return their fingerprints, to be compared by voice.

        They count from `valid_from` (else now) until `valid_until`, else for `valid_days`, and never beyond what the
        key says of itself. Older generations go on counting until their own end.
        Raises KeyUnfit for a text that is not such a public key, for a key that was revoked before, and for one that
        would end before it begins.
        """
        read = suite_named(suite).read_public(encrypt, verify, _aware(now))
        begins = _aware(valid_from or now)
        until = _aware(valid_until or begins + timedelta(days=valid_days))
        until = min(until, read.expires_at) if read.expires_at else until
        if until <= begins:
            raise KeyUnfit(
                f"the key {read.fingerprint} of {agency} would end at {until.isoformat()}, before it begins",
                fix="give a later end, or ask the agency for a key that is valid for longer",
            )
        with self._changing() as entries:
            _refuse_revoked(agency, {read.fingerprint, read.public["encrypt_fingerprint"]}, entries)
            entry = Entry(
                purpose="trusted",
                owner=agency,
                generation=_next_number(entries, "trusted", agency),
                suite=suite,
                created_at=now,
                valid_from=begins,
                valid_until=until,
                fingerprint=read.fingerprint,
                public=read.public,
            )
            entries.append(entry)
        return {
            "generation": entry.generation,
            "encrypt": read.public["encrypt_fingerprint"],
            "verify": read.fingerprint,
        }

    def refuse_revoked(self, agency: str, fingerprints: set[str]) -> None:
        """Raise KeyUnfit if one of these keys of the agency's was revoked: `trust` would."""
        _refuse_revoked(agency, fingerprints, list(self.entries()))

    def trusted_keys(self, agency: str, suite: str) -> list[Entry]:
        """Return the agency's pinned public keys of a suite, newest first, expired and revoked ones too."""
        return [entry for entry in self._of("trusted", agency) if entry.suite == suite]

    def revoke(self, agency: str, generation: str, now: datetime) -> None:
        """Make a generation of the agency's count no more: a pinned key (a number) or a pseudonym key (a letter).

        A pinned key that was pinned more than once is revoked in all its generations.
        """
        self._revoke(
            lambda entry: entry.purpose in {"trusted", "pseudonym"} and entry.owner == agency, agency, generation, now
        )

    def revoke_own(self, suite: str, generation: str, now: datetime) -> None:
        """Make a pair of our own count no more: neither to sign with nor to open with. suite: or `suite:lender`."""
        self._revoke(
            lambda entry: entry.purpose == "own" and entry.owner == suite, f"our {suite} keys", generation, now
        )

    def revoke_client(self, name: str, generation: str, now: datetime) -> None:
        """Make an SSH client key count no more: it is not offered to any server again."""
        self._revoke(
            lambda entry: entry.purpose == "ssh_client" and entry.owner == name, f"SSH client {name}", generation, now
        )

    def shorten(self, purpose: Purpose, owner: str, generation: str, until: datetime) -> Entry:
        """Let a key end at `until`, if it would have lasted longer, and return it as it is now.

        Raises KeyUnknown if there is no such key.
        """
        with self._changing() as entries:
            for at, entry in enumerate(entries):
                if (entry.purpose, entry.owner, entry.generation) == (purpose, owner, str(generation)):
                    ends = min(_aware(until), entry.valid_until) if entry.valid_until else _aware(until)
                    entries[at] = replace(entry, valid_until=ends)
                    return entries[at]
        raise KeyUnknown(f"there is no {purpose} key {generation} of {owner}", fix="run `consign keys list`")

    def _revoke(self, meant: Callable[[Entry], bool], whose: str, generation: str, now: datetime) -> None:
        with self._changing() as entries:
            named = [entry for entry in entries if meant(entry) and entry.generation == str(generation)]
            if not named:
                msg = f"{whose}: there is no key generation {generation} to revoke"
                raise KeyUnknown(msg, fix="run `consign keys list`")
            lost = set().union(*map(_fingerprints, named))
            places = [
                at
                for at, entry in enumerate(entries)
                if entry in named or (meant(entry) and lost & _fingerprints(entry))
            ]
            for at in places:
                entries[at] = replace(entries[at], revoked_at=entries[at].revoked_at or _aware(now))

    # -- data keys --------------------------------------------------------------------------------------------

    def new_data_key(self, now: datetime) -> DataKey:
        """Return a fresh random data key."""
        return self.new_data_keys(1, now)[0]

    def new_data_keys(self, count: int, now: datetime) -> tuple[DataKey, ...]:
        """Return so many fresh random data keys, written at once."""
        keys = tuple(vault.new_data_key() for _ in range(count))
        with self._changing() as entries:
            entries += [
                Entry(
                    purpose="data",
                    owner=key.key_id,
                    generation="1",
                    created_at=_aware(now),
                    valid_from=now,
                    secret=_kept(key.key),
                )
                for key in keys
            ]
        return keys

    def data_key(self, key_id: str) -> DataKey:
        """Return a data key; raises KeyDestroyed for one that was destroyed, KeyUnknown for one that never was here."""
        for entry in self._of("data", key_id):
            if entry.destroyed:
                raise KeyDestroyed(f"data key {key_id} was destroyed: what it sealed cannot be read again")
            return DataKey(key_id, _key(entry))
        raise KeyUnknown(f"the keyring has no data key {key_id}", fix="open the keyring that it was made in")

    def keys_of_rows(self, key_ids: pd.Series) -> RowKeys:
        """Return the data key of each row; raises as `data_key` does."""
        codes, names = pd.factorize(key_ids)
        asked = set(names)
        found = {entry.owner: entry for entry in self._of("data") if entry.owner in asked}
        keys = tuple(
            DataKey(name, _key(found[name])) if name in found and not found[name].destroyed else self.data_key(name)
            for name in map(str, names)
        )
        return RowKeys(keys, codes)

    def bury_data_keys(self, key_ids: Iterable[str], now: datetime) -> int:
        """Return how many of these data keys were destroyed now; a tombstone stays of each, known here or not.

        All in one writing: what was sealed under any of them is gone together.
        """
        wanted, gone = set(key_ids), 0
        with self._changing() as entries:
            for at, entry in enumerate(entries):
                if entry.purpose == "data" and entry.owner in wanted:
                    wanted.discard(entry.owner)
                    if not entry.destroyed:
                        entries[at] = replace(entry, destroyed=True, destroyed_at=now, secret={})
                        gone += 1
            entries += [
                Entry(purpose="data", owner=key_id, generation="1", destroyed=True, destroyed_at=_aware(now))
                for key_id in sorted(wanted)
            ]
        return gone

    def destroy_data_key(self, key_id: str, now: datetime | None = None) -> None:
        """Erase what a data key sealed by erasing the key; a tombstone stays. Destroying twice changes nothing."""
        with self._changing() as entries:
            places = [at for at, entry in enumerate(entries) if entry.purpose == "data" and entry.owner == key_id]
            if not places:
                raise KeyUnknown(f"the keyring has no data key {key_id} to destroy")
            for at in places:
                if not entries[at].destroyed:
                    entries[at] = replace(entries[at], destroyed=True, destroyed_at=now, secret={})

    # -- backups ----------------------------------------------------------------------------------------------

    def new_backup_key(self, name: str, now: datetime) -> str:
        """Return the age recipient that this one backup is sealed to."""
        identity = pyrage.x25519.Identity.generate()
        recipient = str(identity.to_public())
        with self._changing() as entries:
            entries.append(
                Entry(
                    purpose="backup", owner=name, generation="1", created_at=_aware(now), valid_from=now,
                    public={"recipient": recipient}, secret={"identity": str(identity)},
                )
            )  # fmt: skip
        return recipient

    def backup_identity(self, name: str) -> str:
        """Return what opens this backup; raises KeyDestroyed for one that was removed, KeyUnknown for a stranger's."""
        for entry in self._of("backup", name):
            if entry.destroyed:
                raise KeyDestroyed(f"backup {name} was removed: no copy of it opens any more")
            return entry.secret["identity"]
        raise KeyUnknown(f"the keyring has no key of backup {name}", fix="open the keyring that it was made with")

    def destroy_backup_key(self, name: str, now: datetime) -> None:
        """No copy of the backup opens any more, wherever it is. Twice changes nothing."""
        with self._changing() as entries:
            for at, entry in enumerate(entries):
                if (entry.purpose, entry.owner, entry.destroyed) == ("backup", name, False):
                    entries[at] = replace(entry, destroyed=True, destroyed_at=now, secret={})

    # -- secrets, the audit signer, SSH clients ---------------------------------------------------------------

    def secret(self, name: str, *, create: bool = True, now: datetime | None = None) -> bytes:
        """Return the 32 random bytes kept under a name, made at the first call unless `create` is false."""
        return _key(
            self._named("secret", name, lambda: (_kept(secrets.token_bytes(_KEY_BYTES)), {}), now, create=create)
        )

    def audit_signer(self, now: datetime | None = None) -> Ed25519PrivateKey:
        """Return the key that signs audit heads, made at the first call; the newest after a rotation."""
        return Ed25519PrivateKey.from_private_bytes(_key(self._named("audit", "audit", _new_signer, now)))

    def audit_public(self, generation: str | None = None) -> Ed25519PublicKey:
        """Return the public half of the audit signer, of the newest generation unless one is named."""
        if generation is None:
            return self.audit_signer().public_key()
        publics = self.audit_publics()
        if generation not in publics:
            raise KeyUnknown(f"the keyring has no audit key of generation {generation}")
        return publics[generation]

    def audit_publics(self) -> dict[str, Ed25519PublicKey]:
        """Return the public half of every audit signer that there has been, oldest first, by generation."""
        return {
            entry.generation: Ed25519PrivateKey.from_private_bytes(_key(entry)).public_key()
            for entry in reversed(self._of("audit"))
        }

    def ssh_client_key(self, name: str, now: datetime | None = None, valid_days: int | None = None) -> str:
        """Return the OpenSSH private key text of the newest key for an SFTP account, made at the first call.

        valid_days: how long a key that is made now lasts; None for one without an end.
        """
        return ssh_private(self._named("ssh_client", name, _new_signer, now, valid_days=valid_days))

    def ssh_client_public(self, name: str, now: datetime | None = None) -> str:
        """Return the public key line to give the agency for its authorized_keys."""
        return self._named("ssh_client", name, _new_signer, now).public["line"]

    def ssh_clients(self, name: str) -> list[Entry]:
        """Return every key for an SFTP account, newest first, expired and revoked ones too."""
        return self._of("ssh_client", name)

    def _named(
        self,
        purpose: Purpose,
        name: str,
        make: Callable[[], tuple[dict[str, str], dict[str, str]]],
        now: datetime | None,
        *,
        create: bool = True,
        valid_days: int | None = None,
    ) -> Entry:
        """Return the newest entry of that name; two processes that both find none end up with the same one."""
        found = self._of(purpose, name)
        if found:
            return found[0]
        if not create:
            raise KeyUnknown(f"the keyring has no {purpose} named {name}", fix="open the keyring that it was made in")
        with self._changing() as entries:
            there = [entry for entry in entries if entry.purpose == purpose and entry.owner == name]
            return there[-1] if there else _added(entries, purpose, name, make, now, valid_days)

    # -- people -----------------------------------------------------------------------------------------------

    def rotate(
        self,
        purpose: Purpose,
        owner: str,
        now: datetime,
        *,
        valid_days: int = DEFAULT_VALID_DAYS,
        valid_from: datetime | None = None,
    ) -> dict[str, Any]:
        """Add the next generation of a pseudonym, own, audit or ssh_client key and return its line of the inventory.

        owner: of own keys the suite, or `suite:lender`. valid_from: of own keys alone; the others count at once.
        valid_days: of own and SSH client keys.
        Older generations go on opening and verifying; revoke them to end that.  Raises KeyUnfit for a purpose
        whose keys cannot be replaced without rewriting what they protect.
        """
        if purpose == "pseudonym":
            self.new_pseudonym_key(owner, now)
        elif purpose == "own":
            suite, _, lender = owner.partition(":")
            self.new_own_keys(suite, now, valid_days, valid_from=valid_from, lender=lender)
        elif purpose in {"audit", "ssh_client"}:
            with self._changing() as entries:
                _added(entries, purpose, owner, _new_signer, now, valid_days if purpose == "ssh_client" else None)
        else:
            raise KeyUnfit(
                f"{purpose} keys do not rotate by themselves",
                fix="rotate one of pseudonym, own, audit, ssh_client; for an agency's keys, trust new ones",
            )
        return _line(self._of(purpose, owner)[0], now)

    def inventory(self, now: datetime) -> list[dict[str, Any]]:
        """Return one line per key and no secret: what for, whose, generation, fingerprint, dates, state, days left."""
        return [_line(entry, now) for entry in self.entries()]


def _one_of(
    passphrase: str | Callable[[], str] | None,
    key_file: Path | None,
    root: Root | None,
    cost: Argon2Cost | None = None,
) -> Root:
    """Return the keeper of the root key; raises KeyringLocked unless it is exactly one of the three."""
    if sum(one is not None for one in (passphrase, key_file, root)) != 1:
        raise KeyringLocked(
            "a keyring opens with a passphrase or with a key file or by another keeper: give exactly one",
            fix="set the passphrase or the key file in the settings, not both",
        )
    if key_file is not None:
        return KeyFile(key_file)
    return root if root is not None else Passphrase(passphrase or "", cost)


def _line(entry: Entry, now: datetime) -> dict[str, Any]:
    state = entry.state(_aware(now))
    left = (entry.valid_until - now).days if entry.valid_until and state in {"valid", "pending"} else None
    return {
        "purpose": entry.purpose,
        "owner": entry.owner,
        "suite": entry.suite,
        "algorithm": _ALGORITHMS.get(entry.suite or entry.purpose, ""),
        "generation": entry.generation,
        "fingerprint": entry.fingerprint,
        "created": entry.created_at,
        "begins": entry.valid_from,
        "expires": entry.valid_until,
        "state": state,
        "days_left": left,
    }


def _added(
    entries: list[Entry],
    purpose: Purpose,
    name: str,
    make: Callable[[], tuple[dict[str, str], dict[str, str]]],
    now: datetime | None,
    valid_days: int | None = None,
) -> Entry:
    secret, public = make()
    entry = Entry(
        purpose=purpose,
        owner=name,
        generation=_next_number(entries, purpose, name),
        created_at=now,
        valid_from=now,
        valid_until=now + timedelta(days=valid_days) if now is not None and valid_days is not None else None,
        fingerprint=public.get("fingerprint", ""),
        public=public,
        secret=secret,
    )
    entries.append(entry)
    return entry


def owner_of(suite: str, lender: str) -> str:
    """Return whose an own pair of a suite is: everybody's here, or one lender's alone."""
    return f"{suite}:{lender}" if lender else suite


def shown(entry: Entry) -> dict[str, str]:
    """Return the public halves of an own pair as people and agencies get them."""
    public = {name: text for name, text in entry.public.items() if not name.endswith("_packets")}
    return public | {
        "suite": entry.suite,
        "generation": entry.generation,
        "valid_from": entry.valid_from.isoformat() if entry.valid_from else "",
        "valid_until": entry.valid_until.isoformat() if entry.valid_until else "",
    }


def ssh_private(entry: Entry) -> str:
    """Return an SSH client key's OpenSSH private key text."""
    signer = Ed25519PrivateKey.from_private_bytes(_key(entry))
    return signer.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()


def _new_signer() -> tuple[dict[str, str], dict[str, str]]:
    """Return the secret and the public half of a fresh Ed25519 key."""
    signer = Ed25519PrivateKey.generate()
    blob = sshsig.blob_of(signer.public_key())
    public = {"line": sshsig.public_line(blob, sshsig.NAMESPACE), "fingerprint": sshsig.fingerprint(blob)}
    return _kept(signer.private_bytes_raw()), public


def _fingerprints(entry: Entry) -> set[str]:
    return {entry.fingerprint, entry.public.get("encrypt_fingerprint", "")} - {""}


def _refuse_revoked(agency: str, fingerprints: set[str], entries: list[Entry]) -> None:
    """Raise KeyUnfit if one of the keys was revoked: what was lost does not come back by being sent again."""
    for entry in entries:
        if (
            entry.revoked_at
            and (entry.purpose, entry.owner) == ("trusted", agency)
            and fingerprints & _fingerprints(entry)
        ):
            raise KeyUnfit(
                f"{entry} was revoked at {entry.revoked_at.isoformat()}",
                fix=f"ask {agency} to make new keys, both of them",
            )


def _next_number(entries: list[Entry], purpose: Purpose, owner: str) -> str:
    return str(1 + sum(entry.purpose == purpose and entry.owner == owner for entry in entries))


def _kept(key: bytes) -> dict[str, str]:
    return {"key": base64.b64encode(key).decode()}


def _key(entry: Entry) -> bytes:
    return base64.b64decode(entry.secret["key"])


def _aware(now: datetime) -> datetime:
    if now.tzinfo is None:
        raise KeyUnfit("an instant without a time zone is not an instant", fix="give an aware UTC datetime")
    return now
