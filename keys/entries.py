"""One key of the keyring: what it is for, whose it is, from when to when it counts, and its two halves."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

from keys.errors import OpenRefused, SealRefused

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Purpose = Literal["pseudonym", "own", "trusted", "data", "secret", "audit", "ssh_client", "backup"]
State = Literal["pending", "valid", "expired", "revoked", "destroyed"]

_INSTANTS: Final = ("created_at", "valid_from", "valid_until", "revoked_at", "destroyed_at")
NO_SKEW: Final = timedelta(0)


@dataclass(frozen=True, slots=True)
class Entry:
    """A key of the keyring; `secret` never shows in `repr`.

    owner: the agency for `pseudonym` and `trusted`; the suite for `own`, with `:lender` behind it where the pair is one
    lender's alone; the name or id for the rest.
    generation: a letter for pseudonym keys, a number counted up from 1 for the rest.
    """

    purpose: Purpose
    owner: str
    generation: str
    suite: str = ""
    created_at: datetime | None = None
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    revoked_at: datetime | None = None
    destroyed_at: datetime | None = None
    destroyed: bool = False
    fingerprint: str = ""
    public: Mapping[str, str] = field(default_factory=dict)
    secret: Mapping[str, str] = field(default_factory=dict, repr=False)

    def state(self, now: datetime, skew: timedelta = NO_SKEW) -> State:
        """Return what the key is good for at `now`; a revocation counts at once, whatever the clock says.

        It is valid from the instant `valid_from` on, and no more at the instant `valid_until`. skew: how far the other
        side's clock may be off; it widens the window at both ends, for what the other side did.
        """
        if self.destroyed:
            return "destroyed"
        if self.revoked_at is not None:
            return "revoked"
        if self.valid_from is not None and now < self.valid_from - skew:
            return "pending"
        if self.valid_until is not None and now >= self.valid_until + skew:
            return "expired"
        return "valid"

    def as_json(self) -> dict[str, Any]:
        """Return the entry as plain JSON values, secrets included: for the sealed keyring file only."""
        written = {name: getattr(self, name) for name in self.__slots__}
        for name in _INSTANTS:
            written[name] = written[name].isoformat() if written[name] else None
        return written | {"public": dict(self.public), "secret": dict(self.secret)}

    @classmethod
    def from_json(cls, written: Mapping[str, Any]) -> Entry:
        """Return the entry that `as_json` wrote."""
        read = dict(written)
        for name in _INSTANTS:
            read[name] = datetime.fromisoformat(read[name]) if read[name] else None
        return cls(**read)

    def __str__(self) -> str:
        """Return how a message names this key."""
        whose = {
            "own": f"our own {self.suite} key {self.generation}",
            "trusted": f"{self.suite} key {self.generation} of {self.owner}",
        }.get(self.purpose, f"{self.purpose} key {self.generation} of {self.owner}")
        return f"{whose} ({self.fingerprint})" if self.fingerprint else whose


def why_not(entry: Entry, now: datetime) -> str:
    """Return what is wrong with a key that is not valid, in words for a message."""
    state = entry.state(now)
    if state == "pending" and entry.valid_from:
        return f"{entry} is not valid before {entry.valid_from.isoformat()}"
    if state == "expired" and entry.valid_until:
        return f"{entry} expired at {entry.valid_until.isoformat()}"
    if state == "revoked" and entry.revoked_at:
        return f"{entry} was revoked at {entry.revoked_at.isoformat()}"
    return f"{entry} is {state}"


def refuse_to_seal_unless_valid(entry: Entry, now: datetime) -> None:
    """Raise SealRefused unless the key is valid now."""
    if entry.state(now) != "valid":
        raise SealRefused(
            why_not(entry, now), fix="exchange new keys and run `consign keys rotate` or `consign keys list`"
        )


def opens(entry: Entry, now: datetime, skew: timedelta = NO_SKEW) -> bool:
    """Return whether a pair of our own may open what was sealed to it.

    One that is announced and not in force yet opens too: whoever has its public half may be quicker than our clock.
    """
    return entry.state(now, skew) in {"valid", "pending"}


def accepted_signer(candidates: Iterable[Entry], now: datetime, *, file: str, skew: timedelta = NO_SKEW) -> Entry:
    """Return the valid one of the generations that hold the signing key; raises OpenRefused if none is valid.

    candidates: every trusted generation with exactly that key, maybe none.
    """
    found = sorted(candidates, key=lambda entry: (entry.state(now, skew) == "valid", int(entry.generation)))
    if not found:
        raise OpenRefused(
            f"{file} is signed with a key that is not pinned for this sender",
            code="wrong_signer",
            fix="ask the sender which key signed it; trust it only after comparing fingerprints",
        )
    signer = found[-1]
    state = signer.state(now, skew)
    if state == "valid":
        return signer
    code: Literal["key_revoked", "key_expired"] = "key_revoked" if state == "revoked" else "key_expired"
    raise OpenRefused(
        f"{file}: {why_not(signer, now)}", code=code, fix="ask the sender for a new key and a newly signed file"
    )
