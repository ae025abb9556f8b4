"""Logging in with one of several keys of ours, newest first, without trying a server's patience."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import paramiko

from connectors.drops.errors import AuthRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

OFFERED_AT_MOST = 3
"""OpenSSH hangs up after six refused keys (MaxAuthTries), and some servers shut whoever is refused too often out."""

_FIX = "Ask the agency whether our public key is registered for this user, and whether that is all it asks for."


@dataclass(frozen=True)
class Login:
    """How we came in; fingerprints as `ssh-keygen -l` prints them."""

    host_key: str
    """of the key that the server showed"""
    accepted: str
    """of our key that let us in"""
    refused: tuple[str, ...] = ()
    """of the keys of ours that were offered before it"""


def log_in(
    transport: paramiko.Transport,
    again: Callable[[], paramiko.Transport],
    peer: str,
    user: str,
    keys: Sequence[paramiko.PKey],
) -> tuple[paramiko.Transport, Login]:
    """The transport that we are logged in on, and with which key: the first that the server accepts.

    again: a new transport, for a server that hangs up when it refuses a key. Raises AuthRefused where it accepts none
    of them or wants more than a key, SSHException where the connection was lost.
    """
    refused: list[str] = []
    offered = keys[:OFFERED_AT_MOST]
    for number, key in enumerate(offered, start=1):
        if not transport.is_active():
            transport = again()
        try:
            further = transport.auth_publickey(user, key)
        except paramiko.AuthenticationException as error:
            lost = not transport.is_active() or "timeout" in str(error).lower()
            if lost and number == len(offered):
                raise paramiko.SSHException(str(error)) from error  # lost, not refused
            refused.append(key.fingerprint)
            continue
        if further or not transport.is_authenticated():
            message = f"{peer} asks for more than our key for user {user!r}: {', '.join(further)}."
            raise AuthRefused(message, fix=_FIX)
        return transport, Login(transport.get_remote_server_key().fingerprint, key.fingerprint, tuple(refused))
    which = "our key" if len(offered) == 1 else f"all {len(offered)} keys of ours"
    raise AuthRefused(f"{peer} refused {which} for user {user!r}: {', '.join(refused)}.", fix=_FIX)
