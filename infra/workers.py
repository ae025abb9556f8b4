"""Who holds a lease, and whether that worker still lives: a killed run must not make its successor wait."""

from __future__ import annotations

import os
import secrets
import socket
from pathlib import Path


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
