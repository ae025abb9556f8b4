"""An authenticated SSH channel to a server whose key is pinned, or an error that says whether trying again may help.

Weak algorithms are never offered, the host key's type is restricted to the pinned ones, and all of connecting,
handshake, log-in and channel has one time limit, kept by a watchdog that closes the socket.
"""

from __future__ import annotations

import base64
import io
import logging
import socket
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, cast

import paramiko
from paramiko.ssh_exception import IncompatiblePeer

from connectors.drops.errors import DropStalled, DropUnreachable, HostKeyMismatch, Unsupported
from connectors.drops.login import log_in
from connectors.drops.packets import Packets, Pipe
from connectors.drops.watchdog import Watchdog
from models.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from connectors.drops.settings import SftpSettings

CIPHERS = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "aes256-ctr", "aes128-ctr")
"""GCM first: one pass and no separate MAC. paramiko has no ChaCha20."""
MACS = (
    "hmac-sha2-256-etm@openssh.com",
    "hmac-sha2-512-etm@openssh.com",
    "hmac-sha2-256",
    "hmac-sha2-512",
)
KEX = (
    "mlkem768x25519-sha256",
    "curve25519-sha256@libssh.org",
    "ecdh-sha2-nistp256",
    "ecdh-sha2-nistp384",
    "ecdh-sha2-nistp521",
    "diffie-hellman-group16-sha512",
)
SIGNATURES = {
    "ssh-ed25519": ("ssh-ed25519",),
    "ecdsa-sha2-nistp256": ("ecdsa-sha2-nistp256",),
    "ecdsa-sha2-nistp384": ("ecdsa-sha2-nistp384",),
    "ecdsa-sha2-nistp521": ("ecdsa-sha2-nistp521",),
    "ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256"),
}
"""Key type as it is pinned -> signature algorithms accepted for it. `ssh-rsa` with SHA-1 is not among them."""

OBSOLETE = {"ssh-rsa", "ssh-dss", "ssh-rsa-cert-v01@openssh.com", "ssh-dss-cert-v01@openssh.com"}
"""Ways to sign with SHA-1."""

WINDOW = 4 * 2**20
"""What the server may send unread. At 16 MiB paramiko's buffer takes fourteen times as long."""
PACKET = 128 * 2**10
"""Largest packet the server may send us; larger than the usual 32 KiB because paramiko's cost is per packet."""

RECEIVED_AT_ONCE = 256 * 2**10
"""Of a long answer, the reader waits for so much at a time: waking it for each packet costs more than the packet."""

_SHOWN = 80
_BREAKS = (OSError, EOFError, paramiko.SSHException, AttributeError, ValueError, IndexError)
"""What comes out of paramiko when a connection breaks, or when its thread could not read what the peer sent."""

_LOG = "connectors.drops.ssh"
logging.getLogger(_LOG).addHandler(logging.NullHandler())


class Connection:
    """An open SFTP subsystem channel, its transport, and the watchdog that closes both."""

    def __init__(self, settings: SftpSettings) -> None:
        """Connect, check the host key, log in, open the channel; all within `connect_timeout`."""
        self.peer = f"{settings.host}:{settings.port}"
        self._stall = settings.stall_timeout
        self._transfer = settings.transfer_timeout
        pinned = pinned_keys(settings.host_keys)
        keys = [private_key(text) for text in (settings.private_key, *settings.older_keys)]
        self._socket: socket.socket | None = None
        self._transport: paramiko.Transport | None = None
        self.watchdog = Watchdog(self._cut)
        try:
            with self.watchdog.guard(settings.connect_timeout), self._named("opening the connection"):
                transport, self.login = log_in(
                    self._handshake(settings, pinned),
                    lambda: self._handshake(settings, pinned),
                    self.peer,
                    settings.username,
                    keys,
                )
                self.channel = self._open_channel(transport)
                if self.watchdog.bit:  # too late to cut anything, but too late all the same
                    raise EOFError("the time was up")
        except BaseException:
            self.close()
            raise

    @property
    def alive(self) -> bool:
        """Whether the connection can still be used."""
        return self._transport is not None and self._transport.is_active() and not self.channel.closed

    @property
    def software(self) -> str:
        """What the server says that it is, without the protocol's version."""
        said = self._transport.remote_version if self._transport is not None else ""
        return ascii(said.removeprefix("SSH-2.0-"))[1:-1][:_SHOWN]

    @property
    def cipher(self) -> str:
        """The cipher that was agreed on, for what the server sends."""
        return str(getattr(self._transport, "remote_cipher", None) or "")  # the stubs leave it out

    @contextmanager
    def working(self, what: str) -> Iterator[None]:
        """Within it something must move, and whatever breaks is DropUnreachable or DropStalled."""
        with self.watchdog.guard(self._stall), self._named(what):
            yield

    def within(self) -> AbstractContextManager[None]:
        """The acts within it, together, must be over in `transfer_timeout` seconds."""
        return self.watchdog.within(self._transfer)

    def send(self, block: bytes) -> int:
        """Send what fits of `block` into the window and a packet; return how much that was."""
        sent = self.channel.send(block)
        if not sent:
            raise EOFError("the channel was closed")
        return sent

    def receive(self, wanted: int) -> bytes:
        """Return what arrived: at least `wanted` bytes, or RECEIVED_AT_ONCE, and more if it is there."""
        self._pipe.wanted = min(wanted, RECEIVED_AT_ONCE)
        arrived = self.channel.recv(WINDOW)
        if not arrived:
            raise EOFError("the server closed the channel")
        return arrived

    def close(self) -> None:
        """Close everything; never raises."""
        self.watchdog.stop()
        self._cut()

    def _cut(self) -> None:
        """Free whoever waits. Runs in the watchdog's thread too, hence no lock and no order relied upon."""
        with suppress(Exception):  # whatever fails here, the socket must still be closed
            if self._transport is not None:
                self._transport.close()
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()

    @contextmanager
    def _named(self, what: str) -> Iterator[None]:
        try:
            yield
        except _BREAKS as broken:
            if isinstance(broken, AttributeError) and not self.watchdog.bit:
                raise  # paramiko's threads trip over what the watchdog took away; any other AttributeError is a fault
            if self.watchdog.bit:
                message = f"{self.peer} did not move, or was not done, in the time allowed while {what}."
                raise DropStalled(
                    message, fix="Try again; if it stays so, ask the agency about its server."
                ) from broken
            message = f"{self.peer} was not reached or was lost while {what}: {_said(broken)}."
            raise DropUnreachable(message, fix="Try again; check the address, the network and the server.") from broken

    def _handshake(self, settings: SftpSettings, pinned: dict[str, set[bytes]]) -> paramiko.Transport:
        """A new connection, in the place of one that was lost, whose server holds a pinned host key."""
        if self.watchdog.bit:
            raise EOFError("the time was up")
        limit = settings.connect_timeout
        self._cut()
        self._socket = socket.create_connection((settings.host, settings.port), timeout=limit)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(self._stall * 1000))
        transport = paramiko.Transport(
            self._socket, default_window_size=WINDOW, default_max_packet_size=PACKET, packetizer_class=Packets
        )
        self._transport = transport
        transport.set_log_channel(_LOG)
        transport.banner_timeout = transport.handshake_timeout = limit
        transport.auth_timeout = transport.channel_timeout = limit
        options = transport.get_security_options()
        options.ciphers = CIPHERS
        options.digests = MACS
        options.kex = tuple(name for name in KEX if name in options.kex)
        options.key_types = tuple(algorithm for kind in pinned for algorithm in SIGNATURES[kind])
        try:
            transport.start_client(timeout=limit)
        except IncompatiblePeer as error:
            if "host key" in str(error):
                offered = set(cast("Packets", transport.packetizer).host_key_algorithms)
                if "ssh-rsa" in offered and not offered - OBSOLETE:
                    message = f"{self.peer} signs with its RSA host key over SHA-1 alone, which is not accepted."
                    raise Unsupported(message, fix=_BRING_UP_TO_DATE) from error
                message = f"{self.peer} has no host key of a pinned type ({', '.join(sorted(pinned))})."
                raise HostKeyMismatch(message, fix=_ASK_FOR_KEY) from error
            message = f"{self.peer} shares no accepted algorithm with us: {_said(error)}."
            raise Unsupported(message, fix=_BRING_UP_TO_DATE) from error
        shown = transport.get_remote_server_key()
        if shown.asbytes() not in pinned.get(shown.get_name(), set()):
            message = (
                f"{self.peer} shows the host key {shown.fingerprint}, which is not pinned for it; nothing was sent."
            )
            raise HostKeyMismatch(message, fix=_ASK_FOR_KEY)
        return transport

    def _open_channel(self, transport: paramiko.Transport) -> paramiko.Channel:
        try:
            channel = transport.open_session(window_size=WINDOW, max_packet_size=PACKET)
            self._pipe = channel.in_buffer = Pipe(WINDOW)
            channel.in_stderr_buffer = Pipe(WINDOW)  # nobody reads it, so nothing of it is granted anew
            cast("Packets", transport.packetizer).lead(channel.get_id(), self._pipe)
            channel.invoke_subsystem("sftp")
        except paramiko.ChannelException as error:
            message = f"{self.peer} offers no SFTP to user: {_said(error)}."
            raise Unsupported(message, fix="Ask the agency to enable SFTP for our user.") from error
        return channel


_BRING_UP_TO_DATE = (
    "Ask the agency to bring its server up to date: docs/reference/sftp-servers.md says what it must know."
)
_ASK_FOR_KEY = (
    "Ask the agency, by another way than this server, whether its host key changed; pin the new key only then."
)


def pinned_keys(lines: tuple[str, ...]) -> dict[str, set[bytes]]:
    """Public key blobs by key type; raises ConfigurationError if there is no line or one is unreadable."""
    pinned: dict[str, set[bytes]] = {}
    for line in lines:
        words = line.split()
        try:
            key = paramiko.PKey.from_type_string(words[0], base64.b64decode(words[1], validate=True))
        except (IndexError, ValueError, paramiko.SSHException, paramiko.pkey.UnknownKeyType) as error:
            message = f"A pinned host key cannot be read: {line[:40]!r}."
            raise ConfigurationError(message, fix="Pin a line such as `ssh-ed25519 AAAA...`.") from error
        if key.get_name() not in SIGNATURES:
            raise ConfigurationError(
                f"Host keys of type {key.get_name()} are not accepted.", fix="Pin an ssh-ed25519 key."
            )
        pinned.setdefault(key.get_name(), set()).add(key.asbytes())
    if not pinned:
        message = "No host key is pinned for this server, and keys are never trusted on first use."
        raise ConfigurationError(message, fix="Get the server's public host key from the agency and pin it.")
    return pinned


def private_key(text: str) -> paramiko.PKey:
    """Our key from its OpenSSH or PEM text; raises ConfigurationError, which holds nothing of it."""
    for kind in (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey):
        try:
            return kind.from_private_key(io.StringIO(text))
        except paramiko.PasswordRequiredException:
            message = "Our SSH key is protected by a passphrase, which nobody can type here."
            raise ConfigurationError(
                message, fix="Keep the key in the keyring, without a passphrase of its own."
            ) from None
        except (paramiko.SSHException, ValueError, IndexError):
            continue
    message = "Our SSH key cannot be read."
    raise ConfigurationError(message, fix="Use an ssh-ed25519 key as ssh-keygen writes it.") from None


def _said(error: BaseException) -> str:
    """What an error says, in one printable line, or its kind."""
    text = str(error).strip() or type(error).__name__
    return ascii(text)[1:-1][:200].rstrip(".")
