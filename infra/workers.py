"""Who holds a lease, and whether that worker still lives: a killed run must not make its successor wait."""

from __future__ import annotations

import os
import secrets
import socket
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from infra.store import exchange
from models.errors import RemoteError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.wiring import Desk


class AgencyBusy(RemoteError):
    """Another worker is doing this with the agency."""


@contextmanager
def alone(desk: Desk, act: str, agency: str) -> Iterator[None]:
    """In the block nobody else does `act` (send, collect) with the agency. Raises AgencyBusy where somebody does."""
    owner, name = new_owner(), f"{act}:{agency}"
    with desk.database.write() as connection:
        if not exchange.lease(connection, name, owner, desk.now(), desk.settings.lease_seconds, is_dead):
            message = f"another worker is at it: {act} {agency}"
            raise AgencyBusy(message, fix="wait for it; a dead worker's lease ends by itself")
    try:
        yield
    finally:
        with desk.database.write() as connection:
            exchange.release_lease(connection, name, owner)


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
    if host != socket.gethostname():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    # the number may have gone to another process since
    now = _began(pid)
    return now is not None and began != "0" and now != int(began)


def _began(pid: int) -> int | None:
    """When the process began, in clock ticks since boot; None where the system does not say."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return None
