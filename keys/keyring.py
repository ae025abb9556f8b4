"""The keyring: one sealed file that holds every key, apart from the database.

The file is JSON: how to come by the root key, a nonce, and everything else under AES-256-GCM with the header as
associated data. The root key comes from a passphrase (Argon2id) or from a key file; neither is kept beside the keyring.
Every change is its own transaction: take the lock, read what others wrote, change, write a new file, rename it over the
old one, and overwrite the old one's bytes. So two processes never lose each other's keys, and a destroyed key is gone
from the disk as far as a file system lets a program say so (a copy-on-write volume, a snapshot or a backup of the
keyring still has it: let those expire).
"""

from __future__ import annotations

import base64
import binascii
import fcntl
import json
import os
import secrets
import threading
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from keys import vault
from keys.entries import Entry, Purpose
from keys.errors import KeyDestroyed, KeyringLocked, KeysError, KeyUnfit, KeyUnknown
from keys.files import PRIVATE, readable_by_others, write_private
from keys.pseudonyms import GENERATIONS, PseudonymKey
from keys.sealing import sshsig, suite_named
from keys.vault import DataKey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    Passphrase = str | Callable[[], str]

_FORMAT: Final = "consign.keyring"
_VERSION: Final = 1
_ROOT_BYTES: Final = 32
_SALT_BYTES: Final = 16
_NONCE_BYTES: Final = 12
_MEMORY_AT_MOST_KIB: Final = 4 * 1024 * 1024  # a header that asks for more is not one of ours
DEFAULT_VALID_DAYS: Final = 365


@dataclass(frozen=True, slots=True)
class Argon2Cost:
    """What a passphrase costs to try. The default is RFC 9106's second recommendation (64 MiB)."""

    iterations: int = 3
    lanes: int = 4
    memory_kib: int = 65_536


class Keyring:
    """An open keyring. Reads see what other processes wrote; writes are made at once, or together in `batch()`."""

    def __init__(self, path: Path, header: Mapping[str, Any], root: bytes) -> None:
        """Bind an open keyring; use `create` or `open`."""
        self.path = path
        self._header = dict(header)
        self._root = root
        self._entries: tuple[Entry, ...] = ()
        self._seen: tuple[int, int, int] | None = None
        self._mutex = threading.RLock()
        self._batching = False

    def __repr__(self) -> str:
        """Return the path and how many keys there are; nothing of their content."""
        return f"Keyring({str(self.path)!r}, {len(self._entries)} keys)"

    # -- the file ---------------------------------------------------------------------------------------------

    @classmethod
    def create(
        cls,
        path: Path,
        *,
        passphrase: Passphrase | None = None,
        key_file: Path | None = None,
        cost: Argon2Cost | None = None,
    ) -> Self:
        """Write an empty keyring and return it open; a key file that is not there yet is made.

        Raises KeyringLocked if there is a keyring already: nothing is ever written over one.
        """
        header: dict[str, Any] = {"format": _FORMAT, "version": _VERSION}
        if _by_passphrase(passphrase, key_file):
            cost = cost or Argon2Cost()
            header["root"] = {
                "kind": "argon2id",
                "salt": base64.b64encode(secrets.token_bytes(_SALT_BYTES)).decode(),
                "iterations": cost.iterations,
                "lanes": cost.lanes,
                "memory_kib": cost.memory_kib,
            }
        else:
            header["root"] = {"kind": "key_file"}
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _locked(path, exclusive=True):
            if path.exists():
                raise KeyringLocked(
                    f"there is a keyring at {path} already",
                    fix="open it, or choose another path; its keys could not be had again",
                )
            if key_file is not None and not key_file.exists():
                key_file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                write_private(key_file, base64.b64encode(secrets.token_bytes(_ROOT_BYTES)) + b"\n")
            keyring = cls(path, header, _root(header["root"], path, passphrase, key_file))
            keyring._write()
        return keyring

    @classmethod
    def open(cls, path: Path, *, passphrase: Passphrase | None = None, key_file: Path | None = None) -> Self:
        """Return the keyring, open.

        Raises KeyringLocked for a missing or damaged file, one that others may read, a wrong passphrase or key file.
        """
        by_passphrase = _by_passphrase(passphrase, key_file)
        header, _ = _read(path)
        if by_passphrase != (header["root"]["kind"] == "argon2id"):
            wanted = "key file" if by_passphrase else "passphrase"
            raise KeyringLocked(
                f"the keyring {path} opens with a {wanted}", fix=f"give the {wanted} that it was made with"
            )
        keyring = cls(path, header, _root(header["root"], path, passphrase, key_file))
        with _locked(path, exclusive=False):
            keyring._load()
        return keyring

    def save(self) -> None:
        """Write the file anew. Every change has been written when its method returns: this only renews the nonce."""
        with self._changing():
            pass

    @contextmanager
    def batch(self) -> Iterator[Self]:
        """Make several changes as one: all are written at the end, or none if it raises. Others wait meanwhile."""
        with self._mutex, _locked(self.path, exclusive=True):
            self._load()
            before = self._entries
            self._batching = True
            try:
                yield self
                self._write()
            except BaseException:
                self._entries = before
                raise
            finally:
                self._batching = False

    @contextmanager
    def _changing(self) -> Iterator[list[Entry]]:
        """Give the entries, as they are now, to be changed in place; write them if that does not raise."""
        with self._mutex:
            if self._batching:
                entries = list(self._entries)
                yield entries
                self._entries = tuple(entries)
                return
            with _locked(self.path, exclusive=True):
                self._load()
                entries = list(self._entries)
                yield entries
                self._entries = tuple(entries)
                self._write()

    def _load(self) -> None:
        """Read the file; the lock is held."""
        header, sealed = _read(self.path)
        opened = _opened(self._root, header, sealed, self.path)
        self._entries = tuple(Entry.from_json(entry) for entry in opened["entries"])
        self._header = header
        self._seen = _mark(self.path)

    def _write(self) -> None:
        """Replace the file, and overwrite the bytes of the one it replaces; the lock is held."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        plain = json.dumps({"entries": [entry.as_json() for entry in self._entries]}).encode()
        sealed = AESGCM(self._root).encrypt(nonce, plain, _canonical(self._header))
        written = self._header | {"sealed": base64.b64encode(nonce + sealed).decode()}
        old = os.open(self.path, os.O_RDWR) if self.path.exists() else None
        try:
            write_private(self.path, json.dumps(written, indent=1).encode() + b"\n")
            if old is not None:
                _overwrite(old)
        finally:
            if old is not None:
                os.close(old)
        self._seen = _mark(self.path)

    def entries(self) -> tuple[Entry, ...]:
        """Return every entry, in the order they were made, read again if another process has written."""
        with self._mutex:
            if not self._batching and self._seen != _mark(self.path):
                with _locked(self.path, exclusive=False):
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
            key = PseudonymKey(free[0], secrets.token_bytes(_ROOT_BYTES))
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
        """Return our own pairs of a suite, newest first, expired and revoked ones too."""
        return self._of("own", suite)

    def new_own_keys(self, suite: str, now: datetime, valid_days: int = DEFAULT_VALID_DAYS) -> Entry:
        """Return a fresh pair of our own; files sealed to the older ones still open until those expire."""
        valid_until = _aware(now) + timedelta(days=valid_days)
        made = suite_named(suite).new_keys(now, valid_until)
        with self._changing() as entries:
            entry = Entry(
                purpose="own",
                owner=suite,
                generation=_next_number(entries, "own", suite),
                suite=suite,
                created_at=now,
                valid_from=now,
                valid_until=valid_until,
                fingerprint=made.fingerprint,
                public=made.public,
                secret=made.secret,
            )
            entries.append(entry)
        return entry

    def public_keys(self, suite: str, now: datetime | None = None) -> dict[str, str]:
        """Return what to give an agency: `encrypt` and `verify` as `trust` takes them, and their fingerprints.

        Of the newest pair that is not revoked (and, given `now`, is valid).  Raises KeyUnknown if there is none.
        """
        for entry in self.own_keys(suite):
            if entry.revoked_at is None and (now is None or entry.state(now) == "valid"):
                until = entry.valid_until.isoformat() if entry.valid_until else ""
                shown = {name: text for name, text in entry.public.items() if not name.endswith("_packets")}
                return shown | {"suite": suite, "generation": entry.generation, "valid_until": until}
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
    ) -> dict[str, str]:
        """Pin the agency's public keys as its next generation and return their fingerprints, to be compared by voice.

        They count until `valid_until`, else for `valid_days`, and never beyond what the key says of itself.
        Raises KeyUnfit for a text that is not such a public key, and for a key that was revoked before.
        """
        read = suite_named(suite).read_public(encrypt, verify, _aware(now))
        until = _aware(valid_until or now + timedelta(days=valid_days))
        with self._changing() as entries:
            _refuse_revoked(agency, {read.fingerprint, read.public["encrypt_fingerprint"]}, entries)
            entry = Entry(
                purpose="trusted",
                owner=agency,
                generation=_next_number(entries, "trusted", agency),
                suite=suite,
                created_at=now,
                valid_from=now,
                valid_until=min(until, read.expires_at) if read.expires_at else until,
                fingerprint=read.fingerprint,
                public=read.public,
            )
            entries.append(entry)
        return {
            "generation": entry.generation,
            "encrypt": read.public["encrypt_fingerprint"],
            "verify": read.fingerprint,
        }

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
        """Make a pair of our own count no more: neither to sign with nor to open with."""
        self._revoke(
            lambda entry: entry.purpose == "own" and entry.owner == suite, f"our {suite} keys", generation, now
        )

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
        """Return a fresh random data key for a portfolio."""
        key = vault.new_data_key()
        with self._changing() as entries:
            entries.append(
                Entry(
                    purpose="data",
                    owner=key.key_id,
                    generation="1",
                    created_at=_aware(now),
                    valid_from=now,
                    secret=_kept(key.key),
                )
            )
        return key

    def data_key(self, key_id: str) -> DataKey:
        """Return a data key; raises KeyDestroyed for one that was destroyed, KeyUnknown for one that never was here."""
        for entry in self._of("data", key_id):
            if entry.destroyed:
                raise KeyDestroyed(f"data key {key_id} was destroyed: its portfolio's identities cannot be read again")
            return DataKey(key_id, _key(entry))
        raise KeyUnknown(
            f"the keyring has no data key {key_id}", fix="open the keyring that the portfolio was imported with"
        )

    def destroy_data_key(self, key_id: str, now: datetime | None = None) -> None:
        """Erase a portfolio's identities by erasing their key; a tombstone stays. Destroying twice changes nothing."""
        with self._changing() as entries:
            places = [at for at, entry in enumerate(entries) if entry.purpose == "data" and entry.owner == key_id]
            if not places:
                raise KeyUnknown(f"the keyring has no data key {key_id} to destroy")
            for at in places:
                if not entries[at].destroyed:
                    entries[at] = replace(entries[at], destroyed=True, destroyed_at=now, secret={})

    # -- secrets, the audit signer, SSH clients ---------------------------------------------------------------

    def secret(self, name: str, *, create: bool = True, now: datetime | None = None) -> bytes:
        """Return the 32 random bytes kept under a name, made at the first call unless `create` is false."""
        return _key(
            self._named("secret", name, lambda: (_kept(secrets.token_bytes(_ROOT_BYTES)), {}), now, create=create)
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

    def ssh_client_key(self, name: str, now: datetime | None = None) -> str:
        """Return the OpenSSH private key text for an SFTP account, made at the first call."""
        signer = Ed25519PrivateKey.from_private_bytes(_key(self._named("ssh_client", name, _new_signer, now)))
        return signer.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()

    def ssh_client_public(self, name: str, now: datetime | None = None) -> str:
        """Return the public key line to give the agency for its authorized_keys."""
        return self._named("ssh_client", name, _new_signer, now).public["line"]

    def _named(
        self,
        purpose: Purpose,
        name: str,
        make: Callable[[], tuple[dict[str, str], dict[str, str]]],
        now: datetime | None,
        *,
        create: bool = True,
    ) -> Entry:
        """Return the newest entry of that name; two processes that both find none end up with the same one."""
        found = self._of(purpose, name)
        if found:
            return found[0]
        if not create:
            raise KeyUnknown(f"the keyring has no {purpose} named {name}", fix="open the keyring that it was made in")
        with self._changing() as entries:
            there = [entry for entry in entries if entry.purpose == purpose and entry.owner == name]
            return there[-1] if there else _added(entries, purpose, name, make, now)

    # -- people -----------------------------------------------------------------------------------------------

    def rotate(
        self, purpose: Purpose, owner: str, now: datetime, *, valid_days: int = DEFAULT_VALID_DAYS
    ) -> dict[str, Any]:
        """Add the next generation of a pseudonym, own, audit or ssh_client key and return its line of the inventory.

        Older generations go on opening and verifying; revoke them to end that.  Raises KeyUnfit for a purpose
        whose keys cannot be replaced without rewriting what they protect.
        """
        if purpose == "pseudonym":
            self.new_pseudonym_key(owner, now)
        elif purpose == "own":
            self.new_own_keys(owner, now, valid_days)
        elif purpose in {"audit", "ssh_client"}:
            with self._changing() as entries:
                _added(entries, purpose, owner, _new_signer, now)
        else:
            raise KeyUnfit(
                f"{purpose} keys do not rotate by themselves",
                fix="rotate one of pseudonym, own, audit, ssh_client; for an agency's keys, trust new ones",
            )
        return _line(self._of(purpose, owner)[0], now)

    def inventory(self, now: datetime) -> list[dict[str, Any]]:
        """Return one line per key and no secret: what for, whose, generation, fingerprint, dates, state, days left."""
        return [_line(entry, now) for entry in self.entries()]


def _line(entry: Entry, now: datetime) -> dict[str, Any]:
    state = entry.state(_aware(now))
    left = (entry.valid_until - now).days if entry.valid_until and state in {"valid", "pending"} else None
    return {
        "purpose": entry.purpose,
        "owner": entry.owner,
        "suite": entry.suite,
        "generation": entry.generation,
        "fingerprint": entry.fingerprint,
        "created": entry.created_at,
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
) -> Entry:
    secret, public = make()
    entry = Entry(
        purpose=purpose,
        owner=name,
        generation=_next_number(entries, purpose, name),
        created_at=now,
        valid_from=now,
        fingerprint=public.get("fingerprint", ""),
        public=public,
        secret=secret,
    )
    entries.append(entry)
    return entry


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


def _by_passphrase(passphrase: Passphrase | None, key_file: Path | None) -> bool:
    """Return whether the root comes from a passphrase; raises KeyringLocked unless it is exactly one of the two."""
    if (passphrase is None) == (key_file is None):
        raise KeyringLocked(
            "a keyring opens with a passphrase or with a key file: give exactly one",
            fix="set the passphrase or the key file in the settings, not both",
        )
    return passphrase is not None


def _root(how: Mapping[str, Any], path: Path, passphrase: Passphrase | None, key_file: Path | None) -> bytes:
    """Return the root key that the header says how to come by."""
    if key_file is not None:
        return _from_key_file(key_file)
    given = passphrase() if callable(passphrase) else passphrase
    if not given:
        raise KeyringLocked(
            f"the passphrase for the keyring {path} is empty", fix="give the passphrase that it was made with"
        )
    if how["memory_kib"] > _MEMORY_AT_MOST_KIB:
        raise KeyringLocked(
            f"the keyring {path} asks for {how['memory_kib']} KiB to try a passphrase",
            fix="restore the keyring from a backup: its header was altered",
        )
    salt = base64.b64decode(how["salt"])
    stretch = Argon2id(
        salt=salt, length=_ROOT_BYTES, iterations=how["iterations"], lanes=how["lanes"], memory_cost=how["memory_kib"]
    )
    return stretch.derive(given.encode())


def _from_key_file(key_file: Path) -> bytes:
    if not key_file.is_file():
        raise KeyringLocked(
            f"there is no key file at {key_file}", fix="put the key file back; without it the keyring cannot be opened"
        )
    _refuse_readable(key_file)
    try:
        root = base64.b64decode(key_file.read_bytes().strip(), validate=True)
    except binascii.Error:
        root = b""
    if len(root) != _ROOT_BYTES:
        raise KeyringLocked(
            f"{key_file} is not a key file: it must hold {_ROOT_BYTES} bytes in base64", fix="put the right file back"
        )
    return root


def _refuse_readable(path: Path) -> None:
    if readable_by_others(path):
        raise KeyringLocked(
            f"{path} can be read by others (mode {path.stat().st_mode & 0o777:04o})",
            fix=f"run `chmod 600 {path}`, and ask who read it",
        )


def _canonical(header: Mapping[str, Any]) -> bytes:
    return json.dumps(header, sort_keys=True, separators=(",", ":")).encode()


def _read(path: Path) -> tuple[dict[str, Any], bytes]:
    """Return the header and the sealed bytes of a keyring file; raises KeyringLocked if it is not one."""
    if not path.is_file():
        raise KeyringLocked(f"there is no keyring at {path}", fix="make one, or set the path in the settings")
    _refuse_readable(path)
    try:
        header = json.loads(path.read_bytes())
        sealed = base64.b64decode(header.pop("sealed"), validate=True)
        known = header["format"] == _FORMAT and header["root"]["kind"] in {"argon2id", "key_file"}
    except (ValueError, KeyError, TypeError, AttributeError) as fault:
        raise KeyringLocked(
            f"{path} is not a keyring file, or it is damaged", fix="restore it from a backup"
        ) from fault
    if not known or header["version"] != _VERSION:
        raise KeyringLocked(
            f"{path} is a keyring of format {header.get('format')} {header.get('version')}, not {_FORMAT} {_VERSION}",
            fix="use the release of consign that wrote it",
        )
    return header, sealed


def _opened(root: bytes, header: Mapping[str, Any], sealed: bytes, path: Path) -> dict[str, Any]:
    try:
        plain = AESGCM(root).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _canonical(header))
    except (InvalidTag, ValueError) as fault:
        way = "passphrase" if header["root"]["kind"] == "argon2id" else "key file"
        raise KeyringLocked(
            f"the keyring {path} does not open with this {way}",
            fix=f"check the {way}; if it is right, the file was altered: restore it",
        ) from fault
    opened: dict[str, Any] = json.loads(plain)
    return opened


@contextmanager
def _locked(path: Path, *, exclusive: bool) -> Iterator[None]:
    """Hold the keyring's lock, which lives beside it because the file itself is replaced at every write."""
    lock = os.open(path.with_name(path.name + ".lock"), os.O_CREAT | os.O_RDWR, PRIVATE)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)
        yield
    finally:
        os.close(lock)


def _mark(path: Path) -> tuple[int, int, int]:
    """Return what changes whenever the file is replaced."""
    try:
        found = path.stat()
    except FileNotFoundError as fault:
        raise KeyringLocked(f"the keyring {path} has gone", fix="restore it from a backup") from fault
    return found.st_ino, found.st_mtime_ns, found.st_size


def _overwrite(descriptor: int) -> None:
    """Overwrite a file that no longer has a name; one that still has another name is somebody's backup."""
    found = os.fstat(descriptor)
    if found.st_nlink == 0:
        os.pwrite(descriptor, secrets.token_bytes(found.st_size), 0)
        os.fsync(descriptor)
