"""What every sealing suite promises.

Sealing signs with one own key and encrypts to every recipient; opening yields plaintext only after the signature of a
pinned, valid key was checked over it. The target file appears whole, by a rename, or not at all.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from keys.entries import NO_SKEW

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime, timedelta
    from pathlib import Path

    from keys.entries import Entry


@dataclass(frozen=True, slots=True)
class NewKeys:
    """A pair of halves fresh from a suite."""

    fingerprint: str
    public: Mapping[str, str]
    secret: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class PublicKeys:
    """The other side's public keys, read and found fit. `expires_at` is what the key says of itself."""

    fingerprint: str
    public: Mapping[str, str]
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Opened:
    """Who sealed a file that was opened: the signer's fingerprint and the generation it is pinned as."""

    signer_fingerprint: str
    key_generation: str


@dataclass(frozen=True, slots=True)
class SealedBy:
    """With which keys a file was sealed, and all the files that now belong together."""

    suite: str
    signer_fingerprint: str
    signer_generation: str
    recipient_fingerprint: str
    recipient_generation: str
    files: tuple[Path, ...]

    @property
    def key_ids(self) -> tuple[str, str]:
        """The signer's and the recipient's fingerprints, as a manifest carries them."""
        return self.signer_fingerprint, self.recipient_fingerprint


class Suite(Protocol):
    """One way to sign and encrypt a file."""

    name: str
    suffix: str

    def sidecars(self, sealed: Path) -> tuple[Path, ...]:
        """Return the files that travel with a sealed file."""

    def new_keys(self, now: datetime, valid_until: datetime) -> NewKeys:
        """Return a fresh pair for sealing our own files and opening those sealed to us."""

    def read_public(self, encrypt: str, verify: str, now: datetime) -> PublicKeys:
        """Return the other side's public keys; raises KeyUnfit if they cannot be used."""

    def seal(self, plain: Path, sealed: Path, *, signer: Entry, recipients: Sequence[Entry], now: datetime) -> None:
        """Write `sealed` (and its sidecars); raises SealRefused, with nothing written, if any key is not valid."""

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
        """Write `plain`; raises OpenRefused, with nothing written, unless one of the verifiers signed `sealed`.

        skew: how far the sender's clock may be off at the ends of a key's time.
        """

    def sign(self, file: Path, signature: Path, *, signer: Entry, now: datetime) -> None:
        """Write a detached signature over a file that stays readable; raises SealRefused if the key is not valid."""
