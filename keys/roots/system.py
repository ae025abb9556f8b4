"""A root key in the keyring of the operating system: Secret Service, Keychain, Credential Locker.

Each root key has a name of its own, which the header states. So a new one never replaces the one before, and whoever
is killed between the two leaves a secret too many, never one too few.
"""

from __future__ import annotations

import base64
import binascii
import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Final

from keys.errors import KeyringLocked, ProgramMissing, RootRefused, RootUnavailable
from keys.roots.root import ROOT_BYTES, Root

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from keyring.backend import KeyringBackend

SERVICE: Final = "consign"
_NO_KEEPERS: Final = ("keyring.backends.fail", "keyring.backends.null")
_PLAIN: Final = "Plaintext"


class SystemKeyring(Root):
    """The root key is in the operating system's keyring, where the package `keyring` finds one."""

    kind: ClassVar[str] = "keyring"
    said: ClassVar[str] = "system keyring"

    def __init__(self, backend: KeyringBackend | None = None) -> None:
        """Bind a backend; None for the one that the system offers, or PYTHON_KEYRING_BACKEND names."""
        self._given = backend

    def new(self, before: Root | None) -> tuple[dict[str, Any], bytes]:  # noqa: ARG002 - it gets a new name
        """Return a new root key, kept under a new name; raises RootRefused for a keyring that keeps nothing safe."""
        backend = self._backend()
        header = {"kind": self.kind, "service": SERVICE, "name": f"root-{secrets.token_hex(8)}"}
        root = secrets.token_bytes(ROOT_BYTES)
        with _answering():
            backend.set_password(SERVICE, header["name"], base64.b64encode(root).decode())
        if self.had(header) != root:
            raise RootRefused("the system's keyring does not give back what it was given", fix="choose another keeper")
        return header, root

    def had(self, header: Mapping[str, Any]) -> bytes:
        """Return the key of that name; raises KeyringLocked where there is none."""
        backend = self._backend()
        with _answering():
            told = backend.get_password(header["service"], header["name"])
        try:
            root = base64.b64decode(told or "", validate=True)
        except binascii.Error:
            root = b""
        if len(root) != ROOT_BYTES:
            raise KeyringLocked(
                f"the system's keyring has no root key named {header['service']}/{header['name']}",
                fix="log in as the user that made it, or restore the keyring from its escrow (`consign keys import`)",
            )
        return root

    def forget(self, header: Mapping[str, Any]) -> None:
        """Delete the key of that name."""
        backend = self._backend()
        with _answering():
            backend.delete_password(header["service"], header["name"])

    def _backend(self) -> KeyringBackend:
        try:
            import keyring  # noqa: PLC0415 - an optional package, for this keeper alone
        except ImportError as fault:
            raise ProgramMissing(
                "the package `keyring` is not installed", fix="pip install 'consign[os-keyring]'"
            ) from fault
        found = self._given or keyring.get_keyring()
        kind = type(found)
        if kind.__module__ in _NO_KEEPERS or _PLAIN in kind.__name__:
            raise RootRefused(
                f"there is no keyring of the system here that keeps secrets ({kind.__module__}.{kind.__name__})",
                fix="start a Secret Service, or choose another keeper: file, passphrase, vault, aws-kms",
            )
        return found


@contextmanager
def _answering() -> Iterator[None]:
    """Say what the system's keyring reports in our own words: its own may hold anything."""
    from keyring import errors  # noqa: PLC0415 - an optional package, which `_backend` has found

    try:
        yield
    except (errors.KeyringLocked, errors.NoKeyringError) as fault:
        raise RootUnavailable(
            f"the system's keyring is locked, or not there ({type(fault).__name__})", fix="unlock it, and try again"
        ) from None
    except EOFError:
        raise RootUnavailable(
            "the system's keyring asks for its password, and nobody is there to type it",
            fix="unlock it first, or call the command from a terminal; a server is better served by vault or aws-kms",
        ) from None
    except errors.KeyringError as fault:
        raise RootRefused(
            f"the system's keyring refuses ({type(fault).__name__})", fix="see that this user may use it"
        ) from None
