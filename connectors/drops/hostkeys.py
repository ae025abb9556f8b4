"""Host keys: read from a line, and seen as a server shows them. Seeing one is no reason to trust it."""

from __future__ import annotations

import socket
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from connectors.drops.errors import DropUnreachable

if TYPE_CHECKING:
    from collections.abc import Collection

    import paramiko

ASKED_FOR = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa")
"""What servers commonly have; each type takes a connection of its own, and servers count those."""


@dataclass(frozen=True)
class HostKey:
    """A server's public key: its type, its line without a comment, and its fingerprint as `ssh-keygen -l` prints it."""

    type: str
    line: str
    fingerprint: str


def read(line: str) -> HostKey:
    """The key of a line `ssh-ed25519 AAAA…`. Raises ConfigurationError for one that cannot be pinned."""
    import paramiko  # noqa: PLC0415 - it takes a tenth of a second to import

    from connectors.drops import ssh  # noqa: PLC0415 - which imports it

    ((kind, blobs),) = ssh.pinned_keys((line,)).items()
    return _of(paramiko.PKey.from_type_string(kind, next(iter(blobs))))


def shown(host: str, port: int, timeout: float, types: Collection[str] = ()) -> list[HostKey]:
    """The keys that the server shows now, one per type, without logging in; more `types` than the common if named.

    Raises DropUnreachable where nobody answers.
    """
    asked = [*ASKED_FOR, *sorted(set(types) - set(ASKED_FOR))]
    return [key for kind in asked if (key := _shown(host, port, timeout, kind)) is not None]


def _shown(host: str, port: int, timeout: float, kind: str) -> HostKey | None:
    """The key of that type, None where the server has none of it."""
    import paramiko  # noqa: PLC0415 - as above
    from paramiko.ssh_exception import IncompatiblePeer  # noqa: PLC0415 - as above

    from connectors.drops import ssh  # noqa: PLC0415 - as above

    try:
        with socket.create_connection((host, port), timeout=timeout) as connection:
            transport = paramiko.Transport(connection)
            transport.set_log_channel(ssh.__name__)  # which says nothing
            transport.banner_timeout = transport.handshake_timeout = timeout
            options = transport.get_security_options()
            options.key_types = ssh.SIGNATURES[kind]
            options.kex = tuple(name for name in ssh.KEX if name in options.kex)
            try:
                transport.start_client(timeout=timeout)
                return _of(transport.get_remote_server_key())
            except IncompatiblePeer:
                return None
            finally:
                with suppress(Exception):  # it was only looked at
                    transport.close()
    except (OSError, EOFError, paramiko.SSHException) as error:
        message = f"{host}:{port} did not show its {kind} host key: {type(error).__name__}."
        raise DropUnreachable(message, fix="Try again; check the address, the network and the server.") from error


def _of(key: paramiko.PKey) -> HostKey:
    return HostKey(key.get_name(), f"{key.get_name()} {key.get_base64()}", key.fingerprint)
