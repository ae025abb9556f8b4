"""What every keeper of a root key promises, so that a change of keepers can be cut short at any moment.

A root key is 32 random bytes (a passphrase's are derived). What is no secret of it stands in the keyring's header: what
a keeper needs to find it again. A new root key is safe with its keeper before the keyring is sealed under it, and the
one before is given up only after.
"""

from __future__ import annotations

import resource
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT_BYTES: Final = 32
PURPOSE: Final = "consign.keyring.v1"
"""What a wrapped root key is bound to: another program's ciphertext under the same key does not open as one."""

_NO_CORE: Final = 1
"""Linux takes this limit, and not 0, to mean that a core is neither written nor piped to a program."""


class Root(ABC):
    """A keeper of the root key of one keyring."""

    kind: ClassVar[str]
    """as the header says it"""
    said: ClassVar[str]
    """as a message says it: the keyring opens with …"""

    @abstractmethod
    def new(self, before: Root | None) -> tuple[dict[str, Any], bytes]:
        """Return the header of a new root key, and the key: the keeper has it safe.

        before: whoever keeps the one there is, None for a keyring that is made now.
        Raises KeyringLocked, RootUnavailable or RootRefused, and then nothing has changed.
        """

    @abstractmethod
    def had(self, header: Mapping[str, Any]) -> bytes:
        """Return the root key that the header speaks of; raises as `new` does."""

    def candidates(self, header: Mapping[str, Any]) -> Iterator[bytes]:
        """Give every root key that it may be, the likeliest first, where a change may have been cut short."""
        yield self.had(header)

    def settle(self) -> None:  # noqa: B027 - most keepers have nothing to do
        """Put the new root key in its place: the keyring is sealed under it. Twice changes nothing."""

    def give_up(self, header: Mapping[str, Any]) -> None:
        """Give up a new root key that nothing was sealed under."""
        self.forget(header)

    def forget(self, header: Mapping[str, Any]) -> None:  # noqa: B027 - most keepers have nothing to do
        """Give up the root key that the header speaks of: nothing is sealed under it any more."""


def leave_no_core() -> None:
    """Let this process, and those that it starts, leave no core behind: it would hold the root key."""
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    wanted = _NO_CORE if hard == resource.RLIM_INFINITY else min(_NO_CORE, hard)
    if soft != wanted:
        resource.setrlimit(resource.RLIMIT_CORE, (wanted, hard))
