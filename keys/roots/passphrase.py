"""A root key derived from a passphrase by Argon2id, at a cost that the header states."""

from __future__ import annotations

import base64
import secrets
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from keys.errors import KeyringLocked
from keys.roots.root import ROOT_BYTES, Root

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_SALT_BYTES: Final = 16
_MEMORY_AT_MOST_KIB: Final = 4 * 1024 * 1024  # a header that asks for more is not one of ours


@dataclass(frozen=True, slots=True)
class Argon2Cost:
    """What a passphrase costs to try. The default is RFC 9106's second recommendation (64 MiB)."""

    iterations: int = 3
    lanes: int = 4
    memory_kib: int = 65_536

    @property
    def work(self) -> int:
        """KiB written for one try: what somebody who guesses has to pay each time."""
        return self.iterations * self.memory_kib


FLOOR: Argon2Cost = Argon2Cost(iterations=2, lanes=1, memory_kib=19_456)
"""The least that a new passphrase may cost to try: OWASP's minimum (19 MiB, twice)."""


class Passphrase(Root):
    """The root key is derived from what a person knows."""

    kind: ClassVar[str] = "argon2id"
    said: ClassVar[str] = "passphrase"

    def __init__(self, passphrase: str | Callable[[], str], cost: Argon2Cost | None = None) -> None:
        """Bind a passphrase, or what asks for it; cost: of a new root key."""
        self._passphrase = passphrase
        self._cost = cost or Argon2Cost()

    def new(self, before: Root | None) -> tuple[dict[str, Any], bytes]:  # noqa: ARG002 - a new salt suffices
        """Return a root key under a new salt; raises KeyringLocked for a cost below the floor."""
        if below_floor(asdict(self._cost)):
            raise KeyringLocked(
                f"a passphrase that costs {self._cost.memory_kib} KiB x {self._cost.iterations} to try is guessed",
                fix=f"take {FLOOR.memory_kib} KiB and {FLOOR.iterations} iterations at least",
            )
        salt = base64.b64encode(secrets.token_bytes(_SALT_BYTES)).decode()
        header = {"kind": self.kind, "salt": salt} | asdict(self._cost)
        return header, self.had(header)

    def had(self, header: Mapping[str, Any]) -> bytes:
        """Return what the passphrase and the header's salt and cost give."""
        given = self._passphrase() if callable(self._passphrase) else self._passphrase
        if not given:
            raise KeyringLocked("the passphrase for the keyring is empty", fix="CONSIGN_PASSPHRASE gives it")
        if header["memory_kib"] > _MEMORY_AT_MOST_KIB:
            raise KeyringLocked(
                f"the keyring asks for {header['memory_kib']} KiB to try a passphrase",
                fix="restore the keyring from a backup: its header was altered",
            )
        stretch = Argon2id(
            salt=base64.b64decode(header["salt"]), length=ROOT_BYTES, iterations=header["iterations"],
            lanes=header["lanes"], memory_cost=header["memory_kib"],
        )  # fmt: skip
        return stretch.derive(given.encode())


def below_floor(header: Mapping[str, Any]) -> bool:
    """Return whether a passphrase costs less to try than the floor says: in memory, or in all."""
    cost = Argon2Cost(*(int(header[name]) for name in ("iterations", "lanes", "memory_kib")))
    return cost.memory_kib < FLOOR.memory_kib or cost.work < FLOOR.work
