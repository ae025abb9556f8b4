"""SSH packets and a channel's bytes, moved in large pieces: what paramiko does packet by packet, done by the batch.

paramiko takes a packet with two reads, copies it some eight times, and wakes the reader for each of 32 KiB. Here the
socket is read as far as it has something, every whole AES-GCM packet in it is opened, and the channel's reader is woken
once for all of them, or when what it waits for is there. Handshake, key exchange, log-in and the order of messages
remain paramiko's: this is its own hook (`packetizer_class`), and ciphers other than AES-GCM go through its own code.

Source: RFC 4253, section 6 (packets); RFC 5647, section 7 (AES-GCM); RFC 4254, section 5.2 (data).
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import InvalidTag
from paramiko import SSHException
from paramiko.buffered_pipe import BufferedPipe, PipeTimeout
from paramiko.message import Message
from paramiko.packet import NeedRekeyException, Packetizer

if TYPE_CHECKING:
    import socket

    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    _Buffer = BufferedPipe[Any]
else:
    _Buffer = BufferedPipe

LARGEST_PACKET = 256 * 2**10
"""Longer ones are refused unread; we grant the server 128 KiB."""
REKEY_BYTES = 2**32
"""New keys after 4 GiB either way. RFC 4344, section 3.2, allows 64 GiB with blocks of 16 bytes."""
_BUFFER = 2 * LARGEST_PACKET
_LENGTH, _TAG, _BLOCK = 4, 16, 16
_SMALLEST_PACKET = 16
_KEXINIT, _CHANNEL_DATA = 20, 94
_COOKIE = 16
_DATA_AT = 10
"""Padding's length (1), kind of message (1), channel (4), length of the data (4)."""
_ZEROS = bytes(_BLOCK + 4)


class Pipe(_Buffer):
    """A channel's buffer that takes whole batches, and wakes its reader when `wanted` bytes are there."""

    def __init__(self, most: int) -> None:
        """`most` bytes are granted to the other side; more of them unread end the connection."""
        super().__init__()
        self.wanted = 1
        """So many bytes are waited for; less than are granted, or the other side could not send them."""
        self._most = most
        self._ready = threading.Condition()
        self._parts: deque[bytes | memoryview] = deque()
        self._bytes = 0
        self._ended = False
        self._waits = False

    def feed(self, data: bytes) -> None:
        """Take one piece."""
        self.feed_all([data])

    def feed_all(self, pieces: list[bytes | memoryview] | list[bytes] | list[memoryview]) -> None:
        """Take pieces, in order."""
        arrived = sum(map(len, pieces))
        with self._ready:
            if self._bytes + arrived > self._most:
                raise SSHException("more data than were granted")
            self._parts.extend(pieces)
            self._bytes += arrived
            if self._waits and self._bytes >= self.wanted:
                self._ready.notify()

    def read_ready(self) -> bool:
        """Whether there is anything to read."""
        return self._bytes > 0

    def read(self, nbytes: int, timeout: float | None = None) -> bytes:
        """Return what is there, once `wanted` bytes are: up to `nbytes`; nothing if the channel ended."""
        until = None if timeout is None else time.monotonic() + timeout
        with self._ready:
            self._waits = True
            while self._bytes < min(self.wanted, nbytes) and not self._ended:
                left = None if until is None else until - time.monotonic()
                if left is not None and left <= 0:
                    self._waits = False
                    raise PipeTimeout
                self._ready.wait(left)
            self._waits = False
            parts, size = [], 0
            while self._parts and size < nbytes:
                part = self._parts.popleft()
                if size + len(part) > nbytes:
                    self._parts.appendleft(memoryview(part)[nbytes - size :])
                    part = memoryview(part)[: nbytes - size]
                parts.append(part)
                size += len(part)
            self._bytes -= size
        return b"".join(parts)

    def close(self) -> None:
        """Nothing comes any more; who waits gets what there is."""
        with self._ready:
            self._ended = True
            self._ready.notify_all()

    def __len__(self) -> int:
        return self._bytes


class Packets(Packetizer):
    """The packets of one connection. One thread reads them, several may send."""

    def __init__(self, connection: socket.socket) -> None:
        super().__init__(connection)
        self._connection = connection
        self._buffer = bytearray(_BUFFER)
        self._view = memoryview(self._buffer)
        self._from = self._to = 0
        self._sending = threading.RLock()
        self._opener: AESGCM | None = None
        self._sealer: AESGCM | None = None
        self._nonce_in = self._nonce_out = (b"", 0)
        self._sequence = 0
        self._received = self._sent = 0
        self._pipes: dict[int, Pipe] = {}
        self.host_key_algorithms: tuple[str, ...] = ()
        """What the server can sign with to show who it is."""

    def lead(self, channel: int, pipe: Pipe) -> None:
        """What comes for `channel` goes into `pipe`, without the detour by a message."""
        self._pipes[channel] = pipe

    # -- keys ------------------------------------------------------------------------------------------------------

    def set_inbound_cipher(self, *args: Any, **how: Any) -> None:
        """From now on, what arrives is under these keys; paramiko names every argument."""
        super().set_inbound_cipher(*args, **how)
        self._opener = how["block_engine"] if how.get("aead") else None
        self._nonce_in = _split(how.get("iv_in"))
        self._received = 0

    def set_outbound_cipher(self, *args: Any, **how: Any) -> None:
        """From now on, what is sent is under these keys."""
        with self._sending:
            super().set_outbound_cipher(*args, **how)
            self._sealer = how["block_engine"] if how.get("aead") else None
            self._nonce_out = _split(how.get("iv_out"))
            self._sent = 0

    def reset_seqno_in(self) -> None:
        """Count the packets anew, as strict key exchange wants it."""
        super().reset_seqno_in()
        self._sequence = 0

    def _rekey_after(self, size: int) -> None:
        if size >= REKEY_BYTES and not self.need_rekey():
            self._trigger_rekey()  # type: ignore[attr-defined]  # the stubs leave out what is for subclasses

    # -- reading ---------------------------------------------------------------------------------------------------

    def read_message(self) -> tuple[int, Message]:
        """Return kind and content of the next message that is not data for one of the pipes."""
        if self._opener is None:
            kind, message = super().read_message()
            self._sequence = message.seqno + 1
            if kind == _KEXINIT:
                told = Message(message.asbytes())
                told.get_bytes(_COOKIE)
                _key_exchange, self.host_key_algorithms = told.get_list(), tuple(told.get_list())
            return kind, message
        pipe: Pipe | None = None
        batch: list[memoryview] = []
        try:
            while True:
                if batch and (not self._whole() or self.need_rekey()):
                    pipe, batch = self._hand_over(pipe, batch), []
                    if self.need_rekey():
                        raise NeedRekeyException
                size, plain = self._open(self._opener)
                if plain[1] != _CHANNEL_DATA or (to := self._pipes.get(_number(plain, 2))) is None:
                    break
                if to is not pipe:
                    pipe, batch = self._hand_over(pipe, batch), []
                    pipe = to
                end = _DATA_AT + _number(plain, 6)
                if end > size - plain[0]:
                    raise SSHException("a packet shorter than the data that it says it holds")
                batch.append(memoryview(plain)[_DATA_AT:end])
        finally:
            self._hand_over(pipe, batch)
        message = Message(plain[2 : size - plain[0]])
        message.seqno = (self._sequence - 1) & 0xFFFFFFFF
        return plain[1], message

    @staticmethod
    def _hand_over(pipe: Pipe | None, batch: list[memoryview]) -> Pipe | None:
        if pipe is not None and batch:
            pipe.feed_all(batch)
        return pipe

    def _whole(self) -> bool:
        """Whether another whole packet is in the buffer."""
        there = self._to - self._from
        return there >= _LENGTH and there >= _LENGTH + _number(self._view, self._from) + _TAG

    def _open(self, opener: AESGCM) -> tuple[int, bytes]:
        """Return length and content of the next packet; raises SSHException if it is not authentic."""
        self._have(_LENGTH, check_rekey=True)
        size = _number(self._view, self._from)
        if not _SMALLEST_PACKET <= size <= LARGEST_PACKET or size % _BLOCK:
            raise SSHException("a packet of impossible length")
        end = _LENGTH + size + _TAG
        self._have(end)
        sealed = self._view[self._from : self._from + end]
        fixed, counter = self._nonce_in
        try:
            plain = opener.decrypt(fixed + counter.to_bytes(8, "big"), sealed[_LENGTH:], sealed[:_LENGTH])
        except InvalidTag:
            raise SSHException("a packet that is not authentic") from None
        self._nonce_in = (fixed, (counter + 1) & 0xFFFFFFFFFFFFFFFF)
        self._from += end
        self._sequence += 1
        self._received += end
        self._rekey_after(self._received)
        return size, plain

    def read_all(self, n: int, check_rekey: bool = False) -> bytes:  # noqa: FBT001, FBT002 - paramiko's signature
        """Return the next `n` bytes as they came."""
        self._have(n, check_rekey=check_rekey)
        block = bytes(self._view[self._from : self._from + n])
        self._from += n
        return block

    def readline(self, timeout: float) -> str:
        """Return a line of the greeting; raises TimeoutError."""
        until = time.monotonic() + timeout
        while (end := self._buffer.find(b"\n", self._from, self._to)) < 0:
            if self._to - self._from >= LARGEST_PACKET:
                raise SSHException("a greeting without an end")
            if time.monotonic() >= until:
                raise TimeoutError
            self._more()
        line = self.read_all(end + 1 - self._from)
        return line[:-1].removesuffix(b"\r").decode("utf-8")

    def _have(self, wanted: int, *, check_rekey: bool = False) -> None:
        """So many bytes are in the buffer."""
        if wanted > LARGEST_PACKET + _LENGTH + _TAG:
            raise SSHException("a packet of impossible length")
        while self._to - self._from < wanted:
            if self.handshake_timed_out():
                raise EOFError
            if not self._more() and check_rekey and self._from == self._to and self.need_rekey():
                raise NeedRekeyException

    def _more(self) -> bool:
        """Whether something came before the socket's time-out, a tenth of a second; raises EOFError at the end."""
        if self._from == self._to:
            self._from = self._to = 0
        elif len(self._buffer) - self._to < LARGEST_PACKET + _LENGTH + _TAG:
            rest = self._to - self._from
            self._buffer[:rest] = self._buffer[self._from : self._to]
            self._from, self._to = 0, rest
        try:
            got = self._connection.recv_into(self._view[self._to :])
        except TimeoutError:
            if self.closed:
                raise EOFError from None
            return False
        except OSError:
            if self.closed:
                raise EOFError from None
            raise
        if not got:
            raise EOFError
        self._to += got
        return True

    # -- sending ---------------------------------------------------------------------------------------------------

    def send_message(self, data: Message) -> None:
        """Seal and send one message."""
        with self._sending:
            if self._sealer is None:
                super().send_message(data)
                return
            payload = data.asbytes()
            padding = _BLOCK + 3 - (len(payload) + _LENGTH) % _BLOCK
            size = 1 + len(payload) + padding
            head = size.to_bytes(_LENGTH, "big")
            fixed, counter = self._nonce_out
            # Padding hides nothing under AES-GCM that the length does not show: zeros, as OpenSSH's own CTR modes do.
            plain = b"".join((padding.to_bytes(1, "big"), payload, _ZEROS[:padding]))
            sealed = self._sealer.encrypt(fixed + counter.to_bytes(8, "big"), plain, head)
            self._nonce_out = (fixed, (counter + 1) & 0xFFFFFFFFFFFFFFFF)
            self.write_all(head + sealed)
            self._sent += _LENGTH + len(sealed)
            self._rekey_after(self._sent)


def _number(block: bytes | memoryview, at: int) -> int:
    return int.from_bytes(block[at : at + 4], "big")


def _split(nonce: bytes | None) -> tuple[bytes, int]:
    """The fixed part of a nonce and its counter."""
    return (nonce[:4], int.from_bytes(nonce[4:], "big")) if nonce else (b"", 0)
