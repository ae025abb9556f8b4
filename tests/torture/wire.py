"""A TCP wire between a drop and its server that can be cut, reset, made a hole of or throttled, at a chosen phase.

What passes is encrypted; what phase it belongs to is told by whoever runs the drop: `begin(act)` names the act that
begins, and within an act the wire counts *turns*: the client speaks after the server has spoken. So "the answer to the
first question of the second rename" is (`_rename`, 2, 1, "reply"), whatever library speaks SSH.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, Self

if TYPE_CHECKING:
    from collections.abc import Callable

How = Literal["cut", "reset", "hole", "hole up", "hole down", "throttle", "call"]
Where = Literal["accept", "request", "part", "reply"]
LOOPBACK: Final = "127.0.0.1"
BLOCK: Final = 65_536
DRIP_BYTES: Final = 512
DRIP_SECONDS: Final = 0.002


@dataclass(frozen=True)
class Trouble:
    """What happens on the wire, and when.

    act, nth, turn: the turn of the nth act of that name; turn 0 is the accepting of the connection.
    where: before the server hears anything of that turn, after half a block of it, or before its reply passes.
    after_bytes: in place of a turn, so many bytes since the act began: the client's, or the server's with "reply".
    how: "call" disturbs nothing itself; `Wire.calling` is called once, and the bytes pass.
    """

    how: How
    act: str
    nth: int = 1
    turn: int = 1
    where: Where = "request"
    after_bytes: int | None = None


@dataclass
class _Line:
    """One connection: both sockets, and what became of it."""

    client: socket.socket
    server: socket.socket
    hole_up: bool = False
    hole_down: bool = False
    slow: bool = False

    def end(self, *, reset: bool) -> None:
        """Both sides lose it."""
        for side in (self.client, self.server):
            with suppress(OSError):
                if reset:
                    side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                else:
                    side.shutdown(socket.SHUT_RDWR)
            side.close()


@dataclass
class Wire:
    """The relay in front of a server of loopback, for as long as the context lasts."""

    target: int
    trouble: Trouble | None = None
    calling: Callable[[], None] | None = None
    reconnected: Callable[[], object] | None = None
    """called when a connection comes in after the trouble"""
    fired: bool = False
    turns: dict[tuple[str, int], int] = field(default_factory=dict)
    """how many turns each act took: (act, nth) -> turns"""
    sent: dict[tuple[str, int], int] = field(default_factory=dict)
    """bytes from the client in each act"""
    came: dict[tuple[str, int], int] = field(default_factory=dict)
    """bytes from the server in each act"""
    port: int = 0
    _act: tuple[str, int] = ("", 0)
    _seen: dict[str, int] = field(default_factory=dict)
    _client_spoke: bool = False
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _listener: socket.socket | None = None
    _lines: list[_Line] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._listener = socket.create_server((LOOPBACK, self.port))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._listen, args=(self._listener,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._listener is not None:
            with suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
        for line in self._lines:
            line.end(reset=False)

    def begin(self, act: str) -> tuple[str, int]:
        """An act of this name begins: its turns are counted from one. Returns the act that it is a part of."""
        with self._lock:
            before = self._act
            self._seen[act] = self._seen.get(act, 0) + 1
            self._act = (act, self._seen[act])
            self.turns[self._act] = self.sent[self._act] = self.came[self._act] = 0
            self._client_spoke = False
            return before

    def back_to(self, act: tuple[str, int]) -> None:
        """The act within this one is over."""
        with self._lock:
            self._act = act

    def _listen(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            if self.fired and self.reconnected is not None:
                self.reconnected()
            try:
                server = socket.create_connection((LOOPBACK, self.target))
            except OSError:
                client.close()
                continue
            line = _Line(client, server)
            self._lines.append(line)
            for side in (client, server):
                side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._is_due("accept") and not self._strike(line):
                continue
            threading.Thread(target=self._up, args=(line,), daemon=True).start()
            threading.Thread(target=self._down, args=(line,), daemon=True).start()

    def _up(self, line: _Line) -> None:
        """What the client says."""
        with suppress(OSError):
            while block := line.client.recv(BLOCK):
                with self._lock:
                    if not self._client_spoke:
                        self._client_spoke = True
                        self.turns[self._act] = self.turns.get(self._act, 0) + 1
                    before = self.sent.get(self._act, 0)
                    self.sent[self._act] = before + len(block)
                    due = self._is_due("request", before) or self._is_due("part", before)
                if due and self.trouble is not None:
                    half = len(block) // 2
                    if self.trouble.after_bytes is not None:
                        half = max(0, min(len(block), self.trouble.after_bytes - before))
                    if self.trouble.where == "part" or self.trouble.after_bytes is not None:
                        self._pass(line, line.server, block[:half])
                        block = block[half:]
                    if not self._strike(line):
                        return
                if not line.hole_up:
                    self._pass(line, line.server, block)
        if not (line.hole_up or line.hole_down):
            line.end(reset=False)

    def _down(self, line: _Line) -> None:
        """What the server says."""
        with suppress(OSError):
            while block := line.server.recv(BLOCK):
                with self._lock:
                    self.came[self._act] = self.came.get(self._act, 0) + len(block)
                    counted = self.trouble is not None and self.trouble.after_bytes is not None
                    due = (self._client_spoke or counted) and self._is_due("reply")
                    self._client_spoke = False
                if due and not self._strike(line):
                    return
                if not line.hole_down:
                    self._pass(line, line.client, block)
        if not (line.hole_up or line.hole_down):
            line.end(reset=False)

    def _pass(self, line: _Line, to: socket.socket, block: bytes) -> None:
        if not line.slow:
            to.sendall(block)
            return
        for start in range(0, len(block), DRIP_BYTES):
            time.sleep(DRIP_SECONDS)
            to.sendall(block[start : start + DRIP_BYTES])

    def _is_due(self, where: Where, before: int = 0) -> bool:
        trouble = self.trouble
        if self.fired or trouble is None or trouble.where != where or self._act != (trouble.act, trouble.nth):
            return False
        if trouble.after_bytes is not None:
            if where == "reply":
                return self.came[self._act] > trouble.after_bytes
            return before <= trouble.after_bytes < self.sent[self._act]
        return where == "accept" or self.turns.get(self._act, 0) == trouble.turn

    def _strike(self, line: _Line) -> bool:
        """The trouble happens; False where the line is gone with it."""
        assert self.trouble is not None
        self.fired = True
        how = self.trouble.how
        if how == "call" and self.calling is not None:
            self.calling()
        elif how in {"cut", "reset"}:
            line.end(reset=how == "reset")
            return False
        line.hole_up |= how in {"hole", "hole up"}
        line.hole_down |= how in {"hole", "hole down"}
        line.slow |= how == "throttle"
        return True
