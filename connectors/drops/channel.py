"""SFTP version 3 over one SSH channel: our own requests and answers, matched by number, in whatever order they come.

paramiko's `put` loses data in silence and its `get` accepts a file cut short, so of paramiko only the transport is
used. Its private methods turned out not to be needed: the protocol is spoken here, over the channel's public `send`
and `recv`. Up to 64 writes are in flight and the answer to every one is checked; short reads are asked for again; no
answer is believed that was not asked for, or is longer than what was asked for.

Source: draft-ietf-secsh-filexfer-02; OpenSSH's PROTOCOL, section 4, for the extensions.
"""

from __future__ import annotations

import stat
import struct
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from types import MappingProxyType
from typing import TYPE_CHECKING

from connectors.drops.acts import Block, Found, Kind
from connectors.drops.errors import BadAnswer, ChangedWhileRead, TooLarge
from connectors.drops.ssh import Connection
from models.errors import ConsignError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence
    from contextlib import AbstractContextManager

    from connectors.drops.login import Login
    from connectors.drops.settings import SftpSettings

PLAIN_WRITE_BYTES = 32_512
"""With its header it fits one SSH packet of 32 KiB, the largest that OpenSSH takes; every server takes it."""
WRITE_BYTES = 255 * 1024
"""The most that OpenSSH writes at once; sent only where `limits@openssh.com` allows it."""
IN_FLIGHT = 64
WRITTEN_AHEAD = 4 * 2**20
"""Unanswered writes hold so many bytes at most."""
_PIECE = 32 * 1024 - 64
"""What paramiko puts into one SSH packet of 32 KiB."""
READ_BYTES = 255 * 1024
"""The most that OpenSSH reads at once; asked for only where `limits@openssh.com` allows it."""
PLAIN_READ_BYTES = 32 * 1024
READ_AHEAD = 4 * 2**20
_MAX_ATTRIBUTES = 100_000
_NAME_KEPT = 1024
"""No file system gives a name more than 255 bytes; what is longer is refused by its length, and need not be kept."""
_MAX_EMPTY_ANSWERS = 16
"""A listing whose answers hold no name must end some day."""
_MAX_ANSWER = 512 * 1024
_SPOKEN_VERSION = 3
_SHORTEST_ANSWER = 5
"""Kind and number."""
_SHORTEST_STATUS_WITH_TEXT = 8
"""Some old servers send the code alone."""

_INIT, _VERSION, _OPEN, _CLOSE, _READ, _WRITE, _LSTAT, _FSTAT = 1, 2, 3, 4, 5, 6, 7, 8
_OPENDIR, _READDIR, _REMOVE, _MKDIR, _RENAME = 11, 12, 13, 14, 18
_STATUS, _HANDLE, _DATA, _NAME, _ATTRS, _EXTENDED, _EXTENDED_REPLY = 101, 102, 103, 104, 105, 200, 201
_FLAG_READ, _FLAG_WRITE, _FLAG_CREATE = 0x01, 0x02, 0x08
_HAS_SIZE, _HAS_OWNER, _HAS_MODE, _HAS_TIMES, _HAS_MORE = 0x1, 0x2, 0x4, 0x8, 0x80000000
_NO_ATTRIBUTES = struct.pack(">I", 0)

OK, EOF, NO_SUCH_FILE, PERMISSION_DENIED, FAILURE = 0, 1, 2, 3, 4
OP_UNSUPPORTED, FILE_ALREADY_EXISTS = 8, 11


class Status(Exception):
    """The server answered a request with something other than OK."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"status {code}: {text}")
        self.code = code
        self.text = text


@dataclass(frozen=True)
class Attributes:
    """What a server says of a file; None where it does not say."""

    size: int | None
    mode: int | None
    mtime: int | None

    @property
    def kind(self) -> Kind:
        """Regular file, directory, or anything else, the unknown included."""
        if self.mode is None:
            return "other"
        return "file" if stat.S_ISREG(self.mode) else "directory" if stat.S_ISDIR(self.mode) else "other"


class Sftp:
    """One SFTP session.

    Raises Status for what the server denies, DropUnreachable or DropStalled for what breaks, and BadAnswer for answers
    that cannot be read or were not asked for.
    """

    def __init__(self, settings: SftpSettings) -> None:
        """Connect and agree on the version; learn the extensions and the limits."""
        self._connection = Connection(settings)
        self._arrived = memoryview(b"")
        self._unsent: list[Block] = []
        self._unsent_bytes = 0
        self._last = 0
        try:
            self.extensions = self._agree()
            self.limits = self._ask_limits()
        except BaseException:
            self.close()
            raise
        self.write_bytes = min(self.limits.get("max-write-length", 0) or PLAIN_WRITE_BYTES, WRITE_BYTES)
        self._read_bytes = min(self.limits.get("max-read-length", 0) or PLAIN_READ_BYTES, READ_BYTES)

    @property
    def login(self) -> Login:
        """With which of our keys we came in, and which host key was shown."""
        return self._connection.login

    @property
    def alive(self) -> bool:
        """Whether the session can still be used."""
        return self._connection.alive

    @property
    def peer(self) -> str:
        """Host and port, for messages."""
        return self._connection.peer

    @property
    def software(self) -> str:
        """What the server says that it is; safe to print."""
        return self._connection.software

    @property
    def cipher(self) -> str:
        """What was agreed on."""
        return self._connection.cipher

    def within(self) -> AbstractContextManager[None]:
        """The acts within it, together, must be over in the time for one transfer."""
        return self._connection.within()

    def close(self) -> None:
        """Close the connection; never raises."""
        self._connection.close()

    # -- single requests -------------------------------------------------------------------------------------------

    def attributes(self, path: str) -> Attributes:
        """Return what the server says of `path`, links not followed."""
        return _attributes(self._call("asking for a file", _LSTAT, _text(path), _ATTRS), 0)[0]

    def attributes_of(self, paths: Sequence[str]) -> list[Attributes | Status]:
        """Return what the server says of each path, links not followed, asked at once."""
        answers = self._call_all("asking for files", [(_LSTAT, _text(path)) for path in paths])
        return [self._refusal(kind, body, _ATTRS) or _attributes(body, 0)[0] for kind, body in answers]

    def rename_all(self, pairs: Sequence[tuple[str, str]]) -> list[Status | None]:
        """Rename source to target in each pair, asked at once; the status where refused."""
        requests = [(_RENAME, _text(source) + _text(target)) for source, target in pairs]
        return [self._refusal(kind, body) for kind, body in self._call_all("renaming files", requests)]

    def rename(self, source: str, target: str) -> None:
        """Rename; by the protocol it never replaces, and some servers know better."""
        self._call("renaming a file", _RENAME, _text(source) + _text(target), _STATUS)

    def posix_rename(self, source: str, target: str) -> None:
        """Rename, replacing `target`."""
        body = _text("posix-rename@openssh.com") + _text(source) + _text(target)
        self._call("renaming a file", _EXTENDED, body, _STATUS)

    def remove(self, path: str) -> None:
        """Remove a file."""
        self._call("removing a file", _REMOVE, _text(path), _STATUS)

    def make_directory(self, path: str) -> None:
        """Make a directory."""
        self._call("making a directory", _MKDIR, _text(path) + _NO_ATTRIBUTES, _STATUS)

    def free_bytes(self, path: str) -> int | None:
        """Return the room left for us where `path` is, or None if the server does not say."""
        if "statvfs@openssh.com" not in self.extensions:
            return None
        body = _text("statvfs@openssh.com") + _text(path)
        try:
            answer = self._call("asking for free space", _EXTENDED, body, _EXTENDED_REPLY)
        except Status:
            return None
        _block, fragment, _blocks, _free, available = _unpack(">5Q", answer)
        return int(fragment * available)

    def listing(self, directory: str, most: int) -> list[Found]:
        """Up to `most` names in `directory`, without `.` and `..`; undecodable bytes as lone surrogates."""
        what = "listing a directory"
        handle = bytes(self._call(what, _OPENDIR, _text(directory), _HANDLE))
        found: list[Found] = []
        empty = 0
        try:
            while len(found) < most:
                try:
                    answer = self._call(what, _READDIR, handle, _NAME)
                except Status as status:
                    if status.code == EOF:
                        break
                    raise
                listed = _names(answer)
                empty += not listed
                if empty > _MAX_EMPTY_ANSWERS:
                    raise self._broken("a listing without names and without an end")
                found += [self._found(directory, *one) for one in listed[: most - len(found)]]
        finally:
            self._close_handle(handle)
        return found

    def _found(self, directory: str, name: str, attributes: Attributes) -> Found:
        if attributes.mode is None or attributes.size is None:
            with suppress(Status):
                attributes = self.attributes(f"{directory}/{name}")
        return Found(name, attributes.size or 0, attributes.mtime or 0, attributes.kind)

    # -- writing ---------------------------------------------------------------------------------------------------

    def write(self, path: str, blocks: Iterable[Block], start: int) -> int | None:
        """Size of `path` as the server gives it, after `blocks` were written from `start` on, and synced where offered.

        blocks: of at most `write_bytes`. Every answer was OK, that to closing included; otherwise Status. None: it
        gives no size. What is there is written over and never cut: another worker may be publishing that very content.
        """
        what = "sending a file"
        flags = _FLAG_WRITE | _FLAG_CREATE
        handle = bytes(self._call(what, _OPEN, _text(path) + struct.pack(">I", flags) + _NO_ATTRIBUTES, _HANDLE))
        try:
            self._write_all(what, handle, blocks, start)
        except BaseException:
            self._close_handle(handle)
            raise
        return self._finish(handle)

    def write_small(self, files: Sequence[tuple[str, bytes]]) -> list[int | Status | None]:
        """Sizes of small files as the server gives them, all written at once as `write` does; Status where refused.

        files: paths and contents, a few dozen and a few megabytes together.
        """
        what = "sending files"
        flags = struct.pack(">I", _FLAG_WRITE | _FLAG_CREATE) + _NO_ATTRIBUTES
        opened = self._call_all(what, [(_OPEN, _text(path) + flags) for path, _ in files])
        results: list[int | Status | None] = [self._refusal(kind, body, _HANDLE) for kind, body in opened]
        handles = {at: bytes(body) for at, (_kind, body) in enumerate(opened) if results[at] is None}
        flight: dict[int, int] = {}
        with self._connection.working(what):
            for at, handle in handles.items():
                content = memoryview(files[at][1])
                for offset in range(0, len(content), self.write_bytes):
                    block = content[offset : offset + self.write_bytes]
                    flight[self._ask(_WRITE, handle, struct.pack(">QI", offset, len(block)), block)] = at
            while flight:
                number, kind, body = self._answer()
                if number not in flight:
                    raise self._broken("an answer to no write of ours")
                at = flight.pop(number)
                results[at] = self._refusal(kind, body) or results[at]
        for at, ended in self._finish_all(handles).items():
            results[at] = results[at] or ended
        return results

    def _finish_all(self, handles: dict[int, bytes]) -> dict[int, int | Status | None]:
        """`_finish` for several, all in one exchange; Status instead of raising it."""
        syncs = "fsync@openssh.com" in self.extensions
        requests = [request for handle in handles.values() for request in self._ending(handle, syncs=syncs)]
        answers = iter(self._call_all("ending files", requests))
        return {at: self._ended(list(islice(answers, 2 + syncs))) for at in handles}

    def _ending(self, handle: bytes, *, syncs: bool) -> list[tuple[int, bytes]]:
        sync = [(_EXTENDED, _text("fsync@openssh.com") + handle)] if syncs else []
        return [*sync, (_FSTAT, handle), (_CLOSE, handle)]

    def _ended(self, answers: list[tuple[int, memoryview]]) -> int | Status | None:
        """The size in the answers to `_ending`, or the first refusal among them."""
        *synced, (kind, body), closed = answers
        for sync in synced:
            if (status := self._refusal(*sync)) and status.code != OP_UNSUPPORTED:
                return status  # unsupported although offered is as good as not offered
        return self._refusal(kind, body, _ATTRS) or self._refusal(*closed) or _attributes(body, 0)[0].size

    def _finish(self, handle: bytes) -> int | None:
        """Size of a file whose writes were all answered, synced where that is offered, and closed; in one exchange."""
        ended = self._finish_all({0: handle})[0]
        if isinstance(ended, Status):
            raise ended
        return ended

    def _write_all(self, what: str, handle: bytes, blocks: Iterable[Block], offset: int) -> None:
        flight: set[int] = set()
        refused: Status | None = None
        most = max(1, min(IN_FLIGHT, WRITTEN_AHEAD // self.write_bytes))
        with self._connection.working(what):
            for block in blocks:
                head = handle + struct.pack(">QI", offset, len(block))
                flight.add(self._ask(_WRITE, head, block))
                offset += len(block)
                if len(flight) >= most:
                    refused = self._settle(flight)
                if refused:
                    break
            while flight:
                refused = self._settle(flight) or refused
        if refused:
            raise refused

    def _settle(self, flight: set[int]) -> Status | None:
        """The next answer to a write, whichever it is; None if it is OK."""
        number, kind, body = self._answer()
        if number not in flight or kind != _STATUS:
            raise self._broken("an answer to no write of ours")
        flight.remove(number)
        status = _status(body)
        return None if status.code == OK else status

    # -- reading ---------------------------------------------------------------------------------------------------

    def span(self, path: str, start: int, length: int) -> bytes:
        """Return the bytes of `path` from `start` on, `length` or what there is of them."""
        what = "reading a file"
        handle = bytes(self._call(what, _OPEN, _text(path) + struct.pack(">I", _FLAG_READ) + _NO_ATTRIBUTES, _HANDLE))
        read = bytearray()
        try:
            while len(read) < length:
                wanted = min(length - len(read), self._read_bytes)
                body = handle + struct.pack(">QI", start + len(read), wanted)
                try:
                    block = self._data(self._call(what, _READ, body, _DATA), wanted)
                except Status as status:
                    if status.code == EOF:
                        break
                    raise
                read += block
        finally:
            self._close_handle(handle)
        return bytes(read)

    def read(self, path: str, cap: int) -> Generator[Block]:
        """Yield the content of `path` in order; raises ChangedWhileRead unless it was whole and the same throughout."""
        what = "fetching a file"
        handle = bytes(self._call(what, _OPEN, _text(path) + struct.pack(">I", _FLAG_READ) + _NO_ATTRIBUTES, _HANDLE))
        try:
            before = _attributes(self._call(what, _FSTAT, handle, _ATTRS), 0)[0]
            if before.size is None or before.kind != "file":
                raise ChangedWhileRead(f"{path!a} on {self.peer} is not a regular file of known size.")
            if before.size > cap:
                raise TooLarge(f"{path!a} on {self.peer} has {before.size} bytes; {cap} are accepted.")
            yield from self._blocks(what, handle, path, before.size)
            beyond, (kind, body) = self._call_all(
                what, [(_READ, handle + struct.pack(">QI", before.size, 1)), (_FSTAT, handle)]
            )
            if refused := self._refusal(kind, body, _ATTRS):
                raise refused
            after = _attributes(body, 0)[0]
            if self._goes_on(*beyond) or (before.size, before.mtime) != (after.size, after.mtime):
                raise ChangedWhileRead(f"{path!a} on {self.peer} changed while it was fetched.")
        finally:
            self._close_handle(handle)

    def _blocks(self, what: str, handle: bytes, path: str, size: int) -> Generator[Block]:
        """Yield the first `size` bytes in order; up to READ_AHEAD of them are asked for ahead."""
        flight: dict[int, tuple[int, int]] = {}
        arrived: dict[int, Block] = {}
        asked = given = 0
        ahead = min(READ_AHEAD, IN_FLIGHT * self._read_bytes)
        try:
            while given < size:
                with self._connection.working(what):
                    while asked < min(size, given + ahead) and len(flight) < IN_FLIGHT:
                        length = min(self._read_bytes, size - asked)
                        flight[self._ask(_READ, handle, struct.pack(">QI", asked, length))] = (asked, length)
                        asked += length
                    while given not in arrived:
                        self._take(handle, path, flight, arrived)
                while (block := arrived.pop(given, None)) is not None:
                    given += len(block)
                    yield block
        finally:
            if flight:
                self._drain(what, flight)

    def _take(self, handle: bytes, path: str, flight: dict[int, tuple[int, int]], arrived: dict[int, Block]) -> None:
        """File the next answer under its offset; the rest of a short one is asked for again."""
        number, kind, body = self._answer()
        if number not in flight:
            raise self._broken("an answer to no read of ours")
        offset, length = flight.pop(number)
        if kind == _STATUS:
            status = _status(body)
            if status.code == EOF:
                raise ChangedWhileRead(f"{path!a} on {self.peer} ends before its size says so.")
            raise status
        if kind != _DATA:
            raise self._broken("an answer of the wrong kind")
        block = self._data(body, length)
        if not block:
            raise self._broken("an empty answer to a read")
        if len(block) < length:
            rest = (offset + len(block), length - len(block))
            flight[self._ask(_READ, handle, struct.pack(">QI", *rest))] = rest
        arrived[offset] = block

    def _drain(self, what: str, flight: dict[int, tuple[int, int]]) -> None:
        """Nothing is in flight any more: the answers are thrown away, or else the connection."""
        try:
            with self._connection.working(what):
                while flight:
                    flight.pop(self._answer()[0])
        except (ConsignError, KeyError):
            self.close()

    def _goes_on(self, kind: int, body: Block) -> bool:
        """Whether the answer to a read beyond the end shows more, whatever the attributes say."""
        refused = self._refusal(kind, body, _DATA)
        if refused and refused.code != EOF:
            raise refused
        return refused is None

    def _data(self, body: Block, asked: int) -> Block:
        (length,) = _unpack(">I", body)
        if length > asked or length != len(body) - 4:
            raise self._broken("more data than was asked for")
        return body[4:]

    # -- packets ---------------------------------------------------------------------------------------------------

    def _agree(self) -> MappingProxyType[str, str]:
        with self._connection.working("agreeing on the version of SFTP"):
            self._unsent.append(struct.pack(">IBI", 5, _INIT, _SPOKEN_VERSION))
            self._send()
            packet = self._packet()
        if packet[0] != _VERSION or _unpack(">I", packet, 1)[0] < _SPOKEN_VERSION:
            raise self._broken("no SFTP version 3")
        extensions, at = {}, 5
        while at < len(packet):
            name, at = _string(packet, at)
            value, at = _string(packet, at)
            extensions[name.decode("utf-8", "replace")] = value.decode("utf-8", "replace")
        return MappingProxyType(extensions)

    def _ask_limits(self) -> MappingProxyType[str, int]:
        if "limits@openssh.com" not in self.extensions:
            return MappingProxyType({})
        try:
            answer = self._call("asking for limits", _EXTENDED, _text("limits@openssh.com"), _EXTENDED_REPLY)
        except Status:
            return MappingProxyType({})
        names = ("max-packet-length", "max-read-length", "max-write-length", "max-open-handles")
        return MappingProxyType(dict(zip(names, _unpack(">4Q", answer), strict=True)))

    def _call(self, what: str, kind: int, body: bytes, expected: int) -> memoryview:
        """Return the body of the answer to one request, of the `expected` kind; a status other than OK is raised."""
        with self._connection.working(what):
            number = self._ask(kind, body)
            answered, answer_kind, answer = self._answer()
        if answered != number:
            raise self._broken("an answer to no request of ours")
        if refusal := self._refusal(answer_kind, answer, expected):
            raise refusal
        return answer

    def _call_all(self, what: str, requests: list[tuple[int, bytes]]) -> list[tuple[int, memoryview]]:
        """Return kind and body of the answers to several requests, sent at once, in the requests' order."""
        answers: dict[int, tuple[int, memoryview]] = {}
        with self._connection.working(what):
            numbers = [self._ask(kind, body) for kind, body in requests]
            for _ in numbers:
                number, kind, body = self._answer()
                if number not in numbers or number in answers:
                    raise self._broken("an answer to no request of ours")
                answers[number] = (kind, body)
        return [answers[number] for number in numbers]

    def _refusal(self, kind: int, body: Block, expected: int = _STATUS) -> Status | None:
        """The status that an answer is instead of what was `expected`; None if it is that, or OK."""
        if kind == _STATUS:
            status = _status(body)
            if status.code != OK:
                return status
        if kind != expected:
            raise self._broken("an answer of the wrong kind")
        return None

    def _close_handle(self, handle: bytes) -> None:
        """Close it as far as that goes; for handles whose closing decides nothing any more."""
        if self.alive:
            with suppress(ConsignError, Status):
                self._call("closing a file", _CLOSE, handle, _STATUS)

    def _ask(self, kind: int, *body: Block) -> int:
        """Put a request in line; it leaves with those after it, at the latest when an answer is waited for."""
        self._last = (self._last + 1) & 0xFFFFFFFF
        length = 5 + sum(map(len, body))
        self._unsent += (struct.pack(">IBI", length, kind, self._last), *body)
        self._unsent_bytes += 4 + length
        if self._unsent_bytes >= _PIECE:
            self._send()
        return self._last

    def _send(self) -> None:
        """Everything in line has left, in packets as large as may be."""
        rest = memoryview(b"".join(self._unsent))
        self._unsent, self._unsent_bytes = [], 0
        while rest:
            rest = rest[self._connection.send(bytes(rest[:_PIECE])) :]
            self._connection.watchdog.moved()

    def _answer(self) -> tuple[int, int, memoryview]:
        """Return number, kind and body of the next answer."""
        if self._unsent:
            self._send()
        packet = self._packet()
        if len(packet) < _SHORTEST_ANSWER:
            raise self._broken("a packet too short to be an answer")
        return _unpack(">I", packet, 1)[0], packet[0], packet[5:]

    def _packet(self) -> memoryview:
        (length,) = _unpack(">I", self._next(4))
        if not 0 < length <= _MAX_ANSWER:
            raise self._broken("a packet of impossible length")
        packet = self._next(length)
        self._connection.watchdog.moved()  # a whole packet moved: single bytes now and then are no movement
        return packet

    def _next(self, length: int) -> memoryview:
        """Return the next `length` bytes; copied only where they did not arrive in one piece."""
        if len(self._arrived) >= length:
            taken, self._arrived = self._arrived[:length], self._arrived[length:]
            return taken
        parts, missing = [self._arrived], length - len(self._arrived)
        while missing > 0:
            block = self._connection.receive(missing)
            parts.append(memoryview(block)[:missing])
            self._arrived = memoryview(block)[missing:]
            missing -= len(block)
        return memoryview(b"".join(parts))

    def _broken(self, why: str) -> BadAnswer:
        """The error for a peer that breaks the protocol; the connection goes, for no later answer can be matched."""
        self.close()
        return BadAnswer(f"{self.peer} sent {why}.", fix="Report it to the agency; its SFTP server is at fault.")


def _text(value: str) -> bytes:
    encoded = value.encode("utf-8", "surrogateescape")
    return struct.pack(">I", len(encoded)) + encoded


def _string(packet: Block, at: int) -> tuple[bytes, int]:
    """Return the string at `at` and where the next field begins."""
    (length,) = _unpack(">I", packet, at)
    end = at + 4 + length
    if end > len(packet):
        raise _malformed()
    return bytes(packet[at + 4 : end]), end


def _unpack(form: str, body: Block, at: int = 0) -> tuple[int, ...]:
    """The numbers at `at`; raises BadAnswer if they are not all there."""
    try:
        return struct.unpack_from(form, body, at)
    except struct.error:
        raise _malformed() from None


def _malformed() -> BadAnswer:
    message = "The server sent an answer that does not follow the protocol."
    return BadAnswer(message, fix="Report it to the agency; its SFTP server is at fault.")


def _status(body: Block) -> Status:
    (code,) = _unpack(">I", body)
    text = _string(body, 4)[0] if len(body) >= _SHORTEST_STATUS_WITH_TEXT else b""
    return Status(code, ascii(text.decode("utf-8", "replace"))[1:-1][:200])


def _attributes(body: Block, at: int) -> tuple[Attributes, int]:
    """Return the attributes at `at` and where the next field begins."""
    (flags,) = _unpack(">I", body, at)
    at += 4
    size = mode = mtime = None
    if flags & _HAS_SIZE:
        (size,) = _unpack(">Q", body, at)
        at += 8
    if flags & _HAS_OWNER:
        at += 8
    if flags & _HAS_MODE:
        (mode,) = _unpack(">I", body, at)
        at += 4
    if flags & _HAS_TIMES:
        _accessed, mtime = _unpack(">II", body, at)
        at += 8
    if flags & _HAS_MORE:
        (count,) = _unpack(">I", body, at)
        at += 4
        for _ in range(2 * min(count, _MAX_ATTRIBUTES)):
            _value, at = _string(body, at)
    return Attributes(size, mode, mtime), at


def _names(body: Block) -> list[tuple[str, Attributes]]:
    (count,) = _unpack(">I", body)
    at, listed = 4, []
    for _ in range(count):
        name, at = _string(body, at)
        _long_name, at = _string(body, at)
        attributes, at = _attributes(body, at)
        if name not in {b".", b".."}:
            listed.append((name[:_NAME_KEPT].decode("utf-8", "surrogateescape"), attributes))
    return listed
