"""An SFTP server within this process: where OpenSSH's is missing, or a counterparty must misbehave on request.

Each agency is a user of its own, confined to its directory. `faults` may be changed while the server runs; what is not
asked for behaves as OpenSSH does: a rename never replaces, files are synced, limits are stated.
"""

from __future__ import annotations

import errno
import io
import logging
import os
import random
import socket
import struct
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import paramiko
from paramiko import common
from paramiko import sftp as wire
from paramiko.message import Message

from connectors.drops.settings import SftpSettings
from infra.sandbox.host import FROM_AGENCY, TO_AGENCY, kept_key, make_directories, new_key

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from _typeshed import ReadableBuffer

EXTENSIONS = ("posix-rename@openssh.com", "fsync@openssh.com", "statvfs@openssh.com", "limits@openssh.com")
_LIMITS = (262_144, 261_120, 261_120, 100)
_HELD_BACK = 8
_LEFT_ALONE = 0.7
_LOG = "infra.sandbox.sftp"
logging.getLogger(_LOG).addHandler(logging.NullHandler())
_POLL = 0.05


@dataclass
class Faults:
    """What the server does wrong; by default nothing.

    hang_on: a phase (`banner`, `auth`, `channel`) or a request (`open`, `write`, `read`, `rename`, `fstat`, `opendir`
    ...) that is never answered.
    lose_renames: so many renames are carried out and their answers lost with the connection.
    fast_consumer: what gets its final name in `to_agency` is taken away at once, into `taken`.
    refuse_write_from: writes at or beyond this offset are refused. room: the same, and the disk is full.
    cut_after: the connection is lost after so many bytes were written, once.
    end_reads_at: files end here, whatever their attributes say. grow_reads: files grow while they are read.
    short_reads, overlong_reads, reversed_answers: answers that the protocol allows, forbids, allows.
    garbled: seeds what answers are cut short and overwritten with noise.
    refuse_renames: no rename is carried out.
    extra_names: names that every listing shows besides the real ones. endless: listings go on for ever, in answers of
    so many names each.
    unsupported: requests (`rename`, `remove` ...) that it says it does not know.
    case_insensitive: names that differ in case are one, as on Windows. clock_ahead: seconds added to all times.
    limits: what `limits@openssh.com` tells instead of OpenSSH's; longer writes fail.
    """

    hang_on: str = ""
    lose_renames: int = 0
    fast_consumer: bool = False
    refuse_write_from: int | None = None
    room: int | None = None
    cut_after: int | None = None
    end_reads_at: int | None = None
    grow_reads: bool = False
    short_reads: bool = False
    overlong_reads: bool = False
    reversed_answers: bool = False
    rename_replaces: bool = False
    refuse_renames: bool = False
    refuse_fsync: bool = False
    partial_auth: bool = False
    garbled: int | None = None
    answer_after_seconds: float = 0.0
    extensions: tuple[str, ...] = EXTENSIONS
    extra_names: list[bytes] = field(default_factory=list)
    endless: int | None = None
    unsupported: tuple[str, ...] = ()
    case_insensitive: bool = False
    clock_ahead: int = 0
    limits: tuple[int, int, int, int] = _LIMITS
    written: int = 0


class ParamikoHost:
    """The server, for as long as the context lasts; `<root>/<agency>/to_agency` and `from_agency` are made."""

    def __init__(self, root: Path, agencies: list[str], port: int = 0) -> None:
        self.host = "127.0.0.1"
        self.port = port
        self.faults = Faults()
        self._root = root.absolute()
        self._agencies = list(agencies)
        self._authorized: dict[str, set[str]] = {agency: set() for agency in agencies}
        self._listener: socket.socket | None = None
        self._transports: list[paramiko.Transport] = []
        self._host_key = ""
        self._private = ""

    @property
    def host_key_line(self) -> str:
        """The host's public key, to be pinned."""
        return self._host_key

    def __enter__(self) -> Self:
        for agency in self._agencies:
            make_directories(self.directory(agency))
        kept = self._root / ".sshd" / "host_key"
        kept.parent.mkdir(exist_ok=True, mode=0o700)
        self._host_key = kept_key(kept)
        self._private = kept.read_text()
        self._listener = socket.create_server((self.host, self.port))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, args=(self._listener,), name="sandbox-sftp", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._listener is not None:
            with suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
        for transport in self._transports:
            transport.close()

    def directory(self, agency: str) -> Path:
        """Where the agency's `to_agency` and `from_agency` lie."""
        return self._root / agency

    def authorize(self, agency: str, public_key_line: str) -> None:
        """`public_key_line` opens the agency's directory."""
        self._authorized[agency].add(public_key_line.split()[1])

    def client_key(self, agency: str) -> str:
        """A new private key (OpenSSH text) that opens the agency's directory."""
        private, public = new_key()
        self.authorize(agency, public)
        return private

    def settings_for(self, agency: str, private_key_text: str) -> SftpSettings:
        """What a drop needs to reach the agency's directory."""
        return SftpSettings(self.host, self.port, agency, (self.host_key_line,), private_key_text)

    def change_host_key(self) -> str:
        """Show another host key from now on, as a changed or a false server would; return its public line."""
        self._private, public = new_key()
        return public

    def opens(self, user: str, key: paramiko.PKey) -> bool:
        """Whether `key` opens the directory of the agency `user`."""
        return key.get_base64() in self._authorized.get(user, set())

    def _serve(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _address = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(connection,), name="sandbox-sftp-login", daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        if self.faults.hang_on == "banner":
            while connection.recv(1024):
                time.sleep(_POLL)
            connection.close()
            return
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        transport = paramiko.Transport(connection)
        self._transports.append(transport)
        transport.set_log_channel(_LOG)
        transport.add_server_key(_private_key(self._private))
        transport.set_subsystem_handler("sftp", _Sftp, _Files, self)
        with suppress(paramiko.SSHException, EOFError, OSError):
            transport.start_server(server=_Login(self, transport))


def _private_key(text: str) -> paramiko.PKey:

    return paramiko.Ed25519Key.from_private_key(io.StringIO(text))


class _Login(paramiko.ServerInterface):
    """Lets an agency in with a key authorised for it."""

    def __init__(self, host: ParamikoHost, transport: paramiko.Transport) -> None:
        self.host = host
        self.user = ""
        self._transport = transport

    def get_allowed_auths(self, username: str) -> str:
        """Keys alone, unless more is asked for."""
        del username
        return "password" if self.host.faults.partial_auth else "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        """Check the key against those of the user's agency."""
        self._hang("auth")
        if not self.host.opens(username, key):
            return common.AUTH_FAILED
        if self.host.faults.partial_auth:
            return common.AUTH_PARTIALLY_SUCCESSFUL
        self.user = username
        return common.AUTH_SUCCESSFUL

    def check_channel_request(self, kind: str, chanid: int) -> int:
        """Open sessions and nothing else."""
        del chanid
        self._hang("channel")
        return common.OPEN_SUCCEEDED if kind == "session" else common.OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED

    def _hang(self, phase: str) -> None:
        while self.host.faults.hang_on == phase and self._transport.is_active():
            time.sleep(_POLL)


if TYPE_CHECKING:

    class _Protocol(paramiko.SFTPServer):
        """What the stubs leave out of paramiko's server."""

        sock: paramiko.Channel

        def _read_packet(self) -> tuple[int, bytes]: ...
        def _send_packet(self, kind: int, message: Message) -> None: ...
        def _send_status(self, number: int, code: int, text: str | None = None) -> None: ...
        def _process(self, kind: int, number: int, message: Message) -> None: ...

else:
    _Protocol = paramiko.SFTPServer


class _Sftp(_Protocol):
    """The protocol, with the faults that lie in it rather than in the files."""

    def __init__(self, channel: paramiko.Channel, name: str, server: _Login, *args: Any) -> None:
        super().__init__(channel, name, server, *args)
        self._faults = server.host.faults
        self._held_back: list[tuple[int, Message]] = []
        self._random = random.Random(self._faults.garbled)
        self._given = 0

    def _send_server_version(self) -> int:
        kind, body = self._read_packet()
        if kind != wire.CMD_INIT:
            raise paramiko.SFTPError("the client does not begin with INIT")
        answer = Message()
        answer.add_int(3)
        for name in self._faults.extensions:
            answer.add_string(name)
            answer.add_string("1")
        self._send_packet(wire.CMD_VERSION, answer)
        return int(struct.unpack(">I", body[:4])[0])

    def _process(self, kind: int, number: int, message: Message) -> None:
        faults = self._faults
        transport = self.sock.get_transport()
        while faults.hang_on == wire.CMD_NAMES[kind] and transport.is_active():
            time.sleep(_POLL)
        time.sleep(faults.answer_after_seconds)
        if wire.CMD_NAMES[kind] in faults.unsupported:
            self._send_status(number, wire.SFTP_OP_UNSUPPORTED)
            return
        if kind == wire.CMD_READDIR and faults.endless is not None:
            self._made_up(number, faults.endless)
            return
        if kind == wire.CMD_EXTENDED:
            self._extended(number, message)
            return
        super()._process(kind, number, message)
        if kind == wire.CMD_WRITE and faults.cut_after is not None and faults.written >= faults.cut_after:
            faults.cut_after = None
            transport.close()

    def _send_packet(self, kind: int, message: Message) -> None:
        """Send an answer, garbled if asked; with `reversed_answers` several are held back and sent last first."""
        if self._faults.garbled is not None and kind != wire.CMD_VERSION:
            message = self._noise(message)
        if self._faults.reversed_answers and kind != wire.CMD_VERSION:
            self._held_back.append((kind, message))
            if self.sock.recv_ready() and len(self._held_back) < _HELD_BACK:
                return
            while self._held_back:
                super()._send_packet(*self._held_back.pop())
            return
        super()._send_packet(kind, message)

    def _noise(self, message: Message) -> Message:
        """The answer, now and then cut short with noise at its end; its number is left, so that it is believed."""
        if self._random.random() < _LEFT_ALONE:
            return message
        content = message.asbytes()
        cut = content[: self._random.randrange(4, len(content) + 1)]
        return Message(cut + self._random.randbytes(self._random.randrange(12)))

    def _send_status(self, number: int, code: int, text: str | None = None) -> None:
        if code == _LOST:
            self.sock.get_transport().close()
            return
        super()._send_status(number, code, text)

    def _made_up(self, number: int, names: int) -> None:
        """Answer a request for more names with as many as are asked for, none of them given twice."""
        answer = Message()
        answer.add_int(number)
        answer.add_int(names)
        for _ in range(names):
            self._given += 1
            answer.add_string(f"{self._given:012}.csv")
            answer.add_string(b"-rw-r--r--")
            answer.add_bytes(struct.pack(">IQIII", 1 | 4 | 8, 5, 0o100644, 1, 1))
        self._send_packet(wire.CMD_NAME, answer)

    def _extended(self, number: int, message: Message) -> None:
        name = message.get_text()
        if name not in self._faults.extensions:
            self._send_status(number, wire.SFTP_OP_UNSUPPORTED)
        elif name == "fsync@openssh.com":
            self._send_status(number, wire.SFTP_FAILURE if self._faults.refuse_fsync else wire.SFTP_OK)
        elif name == "limits@openssh.com":
            self._numbers(number, self._faults.limits)
        elif name == "statvfs@openssh.com":
            free = 2**30 if self._faults.room is None else 0
            self._numbers(number, (1, 1, 2**40, free, free, 0, 0, 0, 0, 0, 255))
        else:
            old, new = message.get_text(), message.get_text()
            self._send_status(number, self.server.posix_rename(old, new))

    def _numbers(self, number: int, values: tuple[int, ...]) -> None:
        answer = Message()
        answer.add_int(number)
        answer.add_bytes(struct.pack(f">{len(values)}Q", *values))
        self._send_packet(wire.CMD_EXTENDED_REPLY, answer)


_LOST = -1
"""Not a status: the connection is cut instead of answering."""


class _Files(paramiko.SFTPServerInterface):
    """The agency's directory, with the faults that lie in its files."""

    def __init__(self, server: _Login, host: ParamikoHost) -> None:
        super().__init__(server)
        self._faults = host.faults
        self._root = host.directory(server.user)

    def _real(self, path: str) -> Path:
        """Return where `path` is on disk: beneath the agency's directory, whatever it says."""
        real = self._root / os.path.normpath("/" + path).lstrip("/")
        if self._faults.case_insensitive and not real.exists() and real.parent.is_dir():
            alike = (one for one in real.parent.iterdir() if one.name.casefold() == real.name.casefold())
            return next(alike, real)
        return real

    def list_folder(self, path: str) -> list[paramiko.SFTPAttributes] | int:
        """List the real names and the made-up ones."""
        try:
            listed = [(os.fsencode(one.name), one.stat(follow_symlinks=False)) for one in os.scandir(self._real(path))]
        except OSError as error:
            return _code(error)
        made_up = os.stat_result((0o100644, 0, 0, 1, 0, 0, 5, 1, 1, 1))
        listed += [(name, made_up) for name in self._faults.extra_names]
        return [_attributes(name, status, self._faults.clock_ahead) for name, status in listed]

    def lstat(self, path: str) -> paramiko.SFTPAttributes | int:
        """Return the attributes, links not followed."""
        try:
            return _ahead(paramiko.SFTPAttributes.from_stat(self._real(path).lstat()), self._faults.clock_ahead)
        except OSError as error:
            return _code(error)

    stat = lstat

    def open(self, path: str, flags: int, attr: paramiko.SFTPAttributes) -> paramiko.SFTPHandle | int:
        """Open a regular file."""
        del attr
        try:
            return _Open(os.open(self._real(path), flags | os.O_NOFOLLOW, 0o640), self._faults)
        except OSError as error:
            return _code(error)

    def remove(self, path: str) -> int:
        """Remove a file."""
        return _tried(self._real(path).unlink)

    def mkdir(self, path: str, attr: paramiko.SFTPAttributes) -> int:
        """Make a directory."""
        del attr
        return _tried(self._real(path).mkdir)

    def rename(self, oldpath: str, newpath: str) -> int:
        """Rename as OpenSSH does: by a link, which never replaces, and an unlink."""
        source, target = self._real(oldpath), self._real(newpath)
        if self._faults.refuse_renames:
            return wire.SFTP_FAILURE
        if self._faults.rename_replaces:
            return self.posix_rename(oldpath, newpath)
        code = _tried(lambda: os.link(source, target, follow_symlinks=False)) or _tried(source.unlink)
        return code or self._renamed(target)

    def posix_rename(self, oldpath: str, newpath: str) -> int:
        """Rename, replacing."""
        source, target = self._real(oldpath), self._real(newpath)
        return _tried(lambda: source.replace(target)) or self._renamed(target)

    def _renamed(self, target: Path) -> int:
        if self._faults.fast_consumer and target.parent.name == TO_AGENCY:
            taken = self._root / "taken"
            taken.mkdir(exist_ok=True)
            target.rename(taken / f"{time.monotonic_ns()}.{target.name}")
        if self._faults.lose_renames and target.parent.name in {TO_AGENCY, FROM_AGENCY, "claim"}:
            self._faults.lose_renames -= 1
            return _LOST
        return wire.SFTP_OK


class _Open(paramiko.SFTPHandle):
    """An open file."""

    def __init__(self, descriptor: int, faults: Faults) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._faults = faults

    def close(self) -> None:
        """Close it, once."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def stat(self) -> paramiko.SFTPAttributes | int:
        """Return the attributes of the open file."""
        return _ahead(paramiko.SFTPAttributes.from_stat(os.fstat(self._descriptor)), self._faults.clock_ahead)

    def read(self, offset: int, length: int) -> bytes | int:
        """Return what is there, or what the faults make of it."""
        faults = self._faults
        if faults.end_reads_at is not None:
            length = max(0, min(length, faults.end_reads_at - offset))
        if faults.short_reads:
            length = max(1, length // 3)
        block = os.pread(self._descriptor, length, offset)
        if faults.grow_reads and offset == 0:
            with suppress(OSError), Path(f"/proc/self/fd/{self._descriptor}").open("ab") as file:
                file.write(b"more")
        return block + b"!" if faults.overlong_reads else block

    def write(self, offset: int, data: ReadableBuffer) -> int:
        """Write, unless the faults forbid it."""
        faults = self._faults
        limits = [limit for limit in (faults.room, faults.refuse_write_from) if limit is not None]
        block = bytes(data)
        if len(block) > faults.limits[2] or (limits and offset + len(block) > min(limits)):
            return wire.SFTP_FAILURE
        os.pwrite(self._descriptor, block, offset)
        faults.written += len(block)
        return wire.SFTP_OK


def _ahead(attributes: paramiko.SFTPAttributes, seconds: int) -> paramiko.SFTPAttributes:
    """The attributes as a server gives them whose clock is ahead by so much, or whose zone is another."""
    attributes.st_mtime = (attributes.st_mtime or 0) + seconds
    return attributes


def _attributes(name: bytes, status: os.stat_result, ahead: int) -> paramiko.SFTPAttributes:
    """The attributes of one name in a listing; the name goes out as the bytes it is."""
    attributes = paramiko.SFTPAttributes.from_stat(status, name.decode("ascii", "replace"))
    _ahead(attributes, ahead)
    attributes.filename = name  # type: ignore[assignment]  # paramiko would take text alone; names need not be text
    attributes.asbytes = lambda: b"-rw-r--r--"  # type: ignore[method-assign]  # its long form would decode the name
    return attributes


def _tried(act: Callable[[], object]) -> int:
    """The status of an act on the file system."""
    try:
        act()
    except OSError as error:
        return _code(error)
    return wire.SFTP_OK


def _code(error: OSError) -> int:
    """The status of an error, as OpenSSH gives it: an existing target is a mere failure."""
    if error.errno in {errno.ENOENT, errno.ENOTDIR}:
        return wire.SFTP_NO_SUCH_FILE
    if error.errno in {errno.EACCES, errno.EPERM}:
        return wire.SFTP_PERMISSION_DENIED
    return wire.SFTP_FAILURE
