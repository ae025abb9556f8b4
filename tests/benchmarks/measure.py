"""What work cost: CPU seconds (ours, our children's, the server's), wall time, peak memory, stage by stage."""

from __future__ import annotations

import os
import resource
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any


@dataclass
class Cost:
    """What a block cost."""

    self_cpu_s: float = 0.0
    child_cpu_s: float = 0.0
    """of programs that it started and that have ended: gpg, age, sftp"""
    wall_s: float = 0.0
    peak_mb: float = 0.0
    """the highest resident memory that this process ever had, start-up and libraries included"""

    @property
    def cpu_s(self) -> float:
        """All of it."""
        return self.self_cpu_s + self.child_cpu_s


@contextmanager
def costing() -> Iterator[Cost]:
    """Measures the block; the cost is filled in at its end."""
    cost = Cost()
    ours, theirs, wall = _cpu(resource.RUSAGE_SELF), _cpu(resource.RUSAGE_CHILDREN), time.perf_counter()
    yield cost
    cost.wall_s = time.perf_counter() - wall
    cost.self_cpu_s = _cpu(resource.RUSAGE_SELF) - ours
    cost.child_cpu_s = _cpu(resource.RUSAGE_CHILDREN) - theirs
    cost.peak_mb = peak_mb()


def _cpu(who: int) -> float:
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def peak_mb() -> float:
    """The process's highest resident memory, MB of 1024 x 1024 bytes."""
    # getrusage's figure starts at what the parent held when it forked; the kernel's own high-water mark does not
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def cpu_of(process: int) -> float:
    """CPU seconds of another process and of its children that have ended."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def cpu_of_program(arguments: Sequence[str], stdin: bytes = b"") -> float:
    """Run a program to its end; the CPU seconds that it and what it started took. Raises RuntimeError if it fails."""
    import subprocess
    import tempfile

    with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as talk:
        source.write(stdin)
        source.seek(0)
        process = subprocess.Popen(list(arguments), stdin=source, stdout=talk, stderr=talk)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            talk.seek(0)
            raise RuntimeError(f"{arguments[0]} failed: {talk.read().decode(errors='replace')[-500:]}")
    return used.ru_utime + used.ru_stime


@dataclass
class Stages:
    """CPU seconds of this process by stage, each without the stages inside it; every thread counts for itself."""

    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    _open: threading.local = field(default_factory=threading.local)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _undo: list[Callable[[], None]] = field(default_factory=list)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """The block is of that stage."""
        stack: list[list[Any]] = self._open.__dict__.setdefault("stack", [])
        began = time.thread_time()
        if stack:
            self._charge(stack[-1], began)
        stack.append([name, began])
        try:
            yield
        finally:
            now = time.thread_time()
            self._charge(stack.pop(), now)
            if stack:
                stack[-1][1] = now

    def _charge(self, entry: list[Any], now: float) -> None:
        with self._lock:
            self.seconds[entry[0]] += now - entry[1]

    def within(self, name: str) -> bool:
        """Whether this thread is in a stage of that name."""
        return any(entry[0] == name for entry in self._open.__dict__.get("stack", []))

    def watch(self, owner: Any, attribute: str, name: str, *, inside: dict[str, str] | None = None) -> None:
        """Calls of `owner.attribute` are of the stage `name`; inside another stage, of the one that `inside` names."""
        whole = getattr(owner, attribute)

        @wraps(whole)
        def timed(*args: Any, **kwargs: Any) -> Any:
            within = next((mine for outer, mine in (inside or {}).items() if self.within(outer)), name)
            with self.stage(within):
                return whole(*args, **kwargs)

        setattr(owner, attribute, timed)
        self._undo.append(lambda: setattr(owner, attribute, whole))

    def stop(self) -> None:
        """Everything watched is itself again."""
        while self._undo:
            self._undo.pop()()
