"""Who holds a lease, and whether that worker still lives: a killed run must not make its successor wait.

A lease is renewed while its worker works, so that a long file does not let a second worker in; and whoever is about to
do what cannot be undone asks first whether the lease is still its own.
"""

from __future__ import annotations

import os
import secrets
import socket
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from infra.store import exchange
from models.errors import RemoteError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

    from infra.wiring import Desk

RENEWALS = 3
"""per lease: two may fail before it runs out"""
LOOK_AGAIN_SECONDS = 0.2
ENDED = frozenset("ZXx")
"""states of a process that only waits to be buried"""


class AgencyBusy(RemoteError):
    """Another worker is doing this with the agency."""


class LeaseLost(RemoteError):
    """Another worker has taken over; this one must not go on."""


@dataclass(frozen=True)
class Held:
    """A lease of ours."""

    name: str
    owner: str

    def confirm(self, connection: Connection) -> None:
        """It is still ours, and stays so until the transaction ends. Raises LeaseLost."""
        if not exchange.holds_lease(connection, self.name, self.owner):
            message = f"another worker has taken over: {self.name}"
            raise LeaseLost(message, fix="nothing: what this one had not finished, the other one does")


@contextmanager
def alone(desk: Desk, act: str, agency: str, wait_seconds: float = 0.0) -> Iterator[Held]:
    """In the block nobody else does `act` (send, collect) with the agency.

    Raises AgencyBusy where somebody does, and still does after `wait_seconds`.
    """
    held = Held(f"{act}:{agency}", new_owner())
    _await(desk, held, wait_seconds)
    over = threading.Event()
    renewing = threading.Thread(target=_renew, args=(desk, held, over), name=f"lease {held.name}", daemon=True)
    renewing.start()
    try:
        yield held
    finally:
        over.set()
        renewing.join()
        with desk.database.write() as connection:
            exchange.release_lease(connection, held.name, held.owner)


@contextmanager
def at_work(desk: Desk) -> Iterator[None]:
    """In the block files are sealed or judged: for `agencies_at_once` in this process, whoever else it waits for."""
    with _turns(desk.settings.agencies_at_once):
        yield


@cache
def _turns(number: int) -> threading.BoundedSemaphore:
    return threading.BoundedSemaphore(number)


def _await(desk: Desk, held: Held, wait_seconds: float) -> None:
    until = time.monotonic() + wait_seconds
    while True:
        with desk.database.write() as connection:
            if exchange.lease(connection, held.name, held.owner, desk.now(), desk.settings.lease_seconds, is_dead):
                return
        if time.monotonic() >= until:
            message = f"another worker is at it: {held.name}"
            raise AgencyBusy(message, fix="wait for it; a dead worker's lease ends by itself")
        time.sleep(LOOK_AGAIN_SECONDS)


def _renew(desk: Desk, held: Held, over: threading.Event) -> None:
    """Until it is over the lease lasts; a store that does not answer now is asked again the next time."""
    seconds = desk.settings.lease_seconds
    while not over.wait(seconds / RENEWALS):
        with suppress(Exception), desk.database.write() as connection:
            exchange.extend_lease(connection, held.name, held.owner, desk.now() + timedelta(seconds=seconds))


def new_owner() -> str:
    """A name for this worker: host, process, when the process began, and a word of its own."""
    return f"{socket.gethostname()}|{os.getpid()}|{_began(os.getpid()) or 0}|{secrets.token_hex(4)}"


def is_dead(owner: str) -> bool:
    """True where the worker ran on this machine and is gone for certain; a worker elsewhere is never called dead."""
    try:
        host, process, began, _ = owner.split("|")
        pid = int(process)
    except ValueError:
        return False
    if host != socket.gethostname() or pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:
        return False
    told = _told(pid)
    if told and told[0] in ENDED:
        return True
    # the number may have gone to another process since
    now = _began(pid)
    return now is not None and began != "0" and str(now) != began


def _began(pid: int) -> int | None:
    """When the process began, in clock ticks since boot; None where the system does not say."""
    try:
        return int(_told(pid)[19])
    except (ValueError, IndexError):
        return None


def _told(pid: int) -> list[str]:
    """What Linux says of the process, from its state on; nothing elsewhere."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
