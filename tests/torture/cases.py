"""The fault matrix: every fault at every phase that it can meet, each a case of its own.

A case puts the world back to how it stood before a verb, does the fault, and recovers by nothing but running the verb
again; then the rest of the loop is run, and both sides are counted.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from connectors.drops import sftp
from connectors.drops.publishing import Publishing, Pushed
from connectors.drops.sftp import SftpDrop
from infra import acceptance
from infra.sandbox.host import SandboxHost
from infra.sandbox.paramiko_host import Faults, ParamikoHost
from infra.store import exchange
from models.errors import ConsignError
from models.tables import Circuit
from tests.torture.lanes import KILLED, Ended, done, forked
from tests.torture.miniature import BY_NAME, CODE, Count, Ground, Miniature, after, count, rows, wanting
from tests.torture.moments import ACTS, Moments
from tests.torture.wire import Trouble, Wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

RUNS: Final = 4
BACK_WITHIN: Final = 20.0
"""seconds, for a server that is started again"""
"""So often a verb is run again before it is called unable to recover."""
SHORT: Final = {"connect_timeout": 2.0, "stall_timeout": 1.0}
"""Where a wait is to reach its limit."""
FOREIGN: Final = "another-machine|1|1|00000000"


@dataclass(frozen=True)
class Case:
    """One fault, at one place. `run` does it and says what came of it."""

    kind: str
    stage: str
    detail: str
    run: Callable[[Ground], Result] = field(repr=False, compare=False)
    family: str = ""
    """of cases that are alike; the sample takes one of each"""

    def __str__(self) -> str:
        """Return it in a line."""
        return f"{self.kind} · {self.stage} · {self.detail}"


@dataclass
class Result:
    """What came of a case."""

    injected: bool
    count: Count = field(default_factory=Count)
    skipped: str = ""

    @property
    def failed(self) -> bool:
        """Something is lost, doubled or wrong."""
        return not self.skipped and not self.count.clean


# -- recovering, and the rest of the loop ------------------------------------------------------------------------------


def recovered(at: Miniature, stage: str, *, whole: bool, problems: list[str] | None = None) -> Count:
    """The verb is run until it comes to its end, then the rest of the loop, and all is counted."""
    found = list(problems or [])
    found += wanting(at)
    verb = BY_NAME[stage].verb
    for run in range(RUNS):
        _wait_for_circuit(at)
        try:
            verb(at)
        except ConsignError as error:
            if not error.retryable or run == RUNS - 1:
                found.append(f"{stage} does not recover: {type(error).__name__}: {error}")
                break
            continue
        if _served(at):
            break
    if whole:
        for following in after(stage):
            at.clock.turn(following.day)
            following.before(at)
            following.verb(at)
    told = count(at)
    told.problems += found
    return told


def _served(at: Miniature) -> bool:
    """Whether the agency's server is not being left in peace."""
    return all(circuit.state == "closed" for circuit in rows(at, Circuit))


def _wait_for_circuit(at: Miniature) -> None:
    """A server that failed is left in peace for a while: the while goes by."""
    if not _served(at):
        at.clock.now += timedelta(seconds=at.desk.settings.breaker_longest_pause * 2)


def _counted(ended: Ended) -> Count:
    if ended.well:
        return Count(**ended.answer)
    return Count(problems=[f"recovering ended with {ended.code}: {ended.error}"])


def _recover(
    ground: Ground, stage: str, *, fast: bool, whole: bool, jump: float = 0.0, problems: Sequence[str] = ()
) -> Count:
    """Another process finds what was left, and runs the verb again."""

    def act() -> dict[str, Any]:
        with ground.open() as at:
            at.clock.now += timedelta(seconds=1 + jump)
            if fast:
                at.agency.take()
            return recovered(at, stage, whole=whole, problems=list(problems)).as_json()

    return _counted(done(act))


# -- kill -9 -----------------------------------------------------------------------------------------------------------


def moments_of(ground: Ground, stage: str) -> list[str]:
    """The names of the moments that the stage's verb passes, in order."""
    ground.put_back(stage)

    def act() -> list[str]:
        with ground.open() as at:
            seen = Moments(names=[])
            seen.watch(at.desk)
            BY_NAME[stage].verb(at)
            seen.watching = False
            return seen.names or []

    ended = done(act)
    assert ended.well, ended.error
    names: list[str] = ended.answer
    return names


def _until(ground: Ground, stage: str, moment: int, number: signal.Signals) -> None:
    """Run the verb up to that moment."""
    with ground.open() as at:
        Moments(at=moment, signal=number).watch(at.desk)
        BY_NAME[stage].verb(at)


def kill(stage: str, moment: int, name: str, *, fast: bool, whole: bool, jump: float = 0.0) -> Case:
    """The process dies at that moment."""

    def run(ground: Ground) -> Result:
        ground.put_back(stage)
        ended = done(lambda: _until(ground, stage, moment, signal.SIGKILL))
        told = _recover(ground, stage, fast=fast, whole=whole, jump=jump)
        return Result(ended.code == KILLED, told)

    what, _, place = name.partition(" @ ")
    kind = "kill -9" if not jump else f"kill -9, then the clock jumps {_jumped(jump)}"
    consumer = "taken at once" if fast else "left lying"
    room = place.partition("/")[0]
    return Case(kind, stage, f"moment {moment}: {name}, {consumer}", run, f"{what} in {room}" if not jump else stage)


def _jumped(seconds: float) -> str:
    return f"{'on' if seconds > 0 else 'back'}"


# -- the wire ----------------------------------------------------------------------------------------------------------


def _telling(wire: Wire) -> None:
    """Every act on a drop tells the wire that it begins; for good, in this process."""
    for act in ACTS:
        there = getattr(SftpDrop, act)

        def told(*given: Any, _act: str = act, _there: Any = there) -> Any:
            before = wire.begin(_act)
            try:
                return _there(*given)
            finally:
                if _act != "_read":  # which only begins here: it gives its blocks later
                    wire.back_to(before)

        setattr(SftpDrop, act, wraps(there)(told))


@contextmanager
def wired(ground: Ground, trouble: Trouble | None, **settings: Any) -> Iterator[tuple[Miniature, Wire]]:
    """The world with the wire before its server."""
    with ground.open(**settings) as at:
        server = at.reach["port"]
        with Wire(int(server), trouble) as wire:
            at.reach_by(port=wire.port)
            _telling(wire)
            yield at, wire
            at.reach_by(port=server)


def turns_of(ground: Ground, stage: str) -> list[tuple[str, int, int, int, int]]:
    """Act, which of that name, turns, bytes up and bytes down of every act of the stage's verb."""
    ground.put_back(stage)

    def act() -> list[tuple[str, int, int, int, int]]:
        with wired(ground, None) as (at, wire):
            BY_NAME[stage].verb(at)
            return [
                (name, nth, turns, wire.sent[name, nth], wire.came.get((name, nth), 0))
                for (name, nth), turns in wire.turns.items()
            ]

    ended = done(act)
    assert ended.well, ended.error
    return [(name, nth, turns, up, down) for name, nth, turns, up, down in ended.answer]


def on_wire(stage: str, trouble: Trouble, *, fast: bool, whole: bool, resuming: bool = False) -> Case:
    """The connection meets the trouble; whoever sends tries again by itself, and then by being run again."""

    def run(ground: Ground) -> Result:
        ground.put_back(stage)

        def act() -> dict[str, Any]:
            hurried = SHORT if trouble.how.startswith("hole") else {}
            if resuming:
                _resume_soon()
            with wired(ground, trouble, **hurried) as (at, wire):
                if fast:
                    wire.reconnected = at.agency.take
                problems = []
                try:
                    BY_NAME[stage].verb(at)
                except ConsignError as error:
                    if not error.retryable:
                        problems.append(f"a final error for a passing trouble: {type(error).__name__}")
                if fast and wire.fired:
                    at.agency.take()
                told = recovered(at, stage, whole=whole, problems=problems)
                return {"fired": wire.fired, **told.as_json()}

        ended = done(act)
        fired = bool(ended.answer.pop("fired")) if ended.well else True
        return Result(fired, _counted(ended))

    names = {"cut": "connection cut", "reset": "connection reset", "throttle": "connection throttled"}
    kind = names.get(trouble.how, "connection black-holed")
    if trouble.after_bytes is not None:
        when = f"after {trouble.after_bytes} bytes {'down' if trouble.where == 'reply' else 'up'}"
    else:
        when = f"turn {trouble.turn}, {trouble.where}"
    consumer = ", taken at once" if fast else ""
    detail = f"{trouble.how} in {trouble.act} {trouble.nth}, {when}{consumer}"
    return Case(kind, stage, detail, run, f"{trouble.how} {trouble.where} {trouble.act}")


def _resume_soon() -> None:
    """What is resumed from megabytes on is resumed from kilobytes on, in this process."""
    sftp.BACK_OFF, sftp.COMPARED = 16 * 2**10, 4 * 2**10


# -- the server --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ailment:
    """What is wrong with a server, until it is mended."""

    kind: str
    faults: dict[str, Any]
    stages: tuple[str, ...] = ("place", "collect")
    slow: bool = False
    """a wait is to reach its limit"""
    final: str = ""
    """the error that must come out, and may not be retried; nothing may have been published then"""
    passing: bool = False
    """it need not be mended: the verb comes to its end with it"""


AILMENTS: Final = (
    Ailment("server: out of space", {"room": 0}, ("place", "recall", "deliver")),
    Ailment("server: out of space", {"room": 1_000}, ("place",)),
    Ailment("server: refuses writes", {"refuse_write_from": 100}, ("place", "collect")),
    Ailment("server: cannot sync", {"refuse_fsync": True}, ("place",)),
    Ailment("server: refuses renames", {"refuse_renames": True}, ("place", "collect", "recall", "return")),
    Ailment("server: slow to list", {"answer_after_seconds": 0.02}, ("place", "collect"), passing=True),
    Ailment("server: hangs at listing", {"hang_on": "opendir"}, ("collect", "return"), slow=True),
    Ailment("server: hangs at listing", {"hang_on": "readdir"}, ("collect",), slow=True),
    Ailment("server: hangs", {"hang_on": "banner"}, slow=True),
    Ailment("server: hangs", {"hang_on": "auth"}, slow=True),
    Ailment("server: hangs", {"hang_on": "channel"}, slow=True),
    Ailment("server: hangs", {"hang_on": "open"}, slow=True),
    Ailment("server: hangs", {"hang_on": "write"}, slow=True),
    Ailment("server: hangs", {"hang_on": "extended"}, ("place",), slow=True),
    Ailment("server: hangs", {"hang_on": "fstat"}, slow=True),
    Ailment("server: hangs", {"hang_on": "close"}, slow=True),
    Ailment("server: hangs", {"hang_on": "lstat"}, slow=True),
    Ailment("server: hangs", {"hang_on": "rename"}, slow=True),
    Ailment("server: hangs", {"hang_on": "read"}, ("collect",), slow=True),
    Ailment("server: loses answers to renames", {"lose_renames": 1}, ("place", "collect", "return")),
    Ailment("server: loses answers to renames", {"lose_renames": 3}, ("place", "collect")),
    Ailment("server: its consumer is fast", {"fast_consumer": True}, ("place", "deliver"), passing=True),
    Ailment(
        "server: its consumer is fast", {"fast_consumer": True, "lose_renames": 2}, ("place", "deliver"), passing=True
    ),
    Ailment("server: its rename replaces", {"rename_replaces": True}, passing=True),
    Ailment("server: loses the connection after writes", {"cut_after": 500}, ("place", "deliver")),
    Ailment("server: answers in another order, and short", {"reversed_answers": True, "short_reads": True},
            ("place", "collect"), passing=True),
    Ailment("server: files cut while read", {"end_reads_at": 200}, ("collect", "return")),
    Ailment("server: answers too long", {"overlong_reads": True}, ("collect",)),
    Ailment("server: garbled answers", {"garbled": 7}, ("place", "collect"), slow=True),
    Ailment("server: wants more than a key", {"partial_auth": True}, final="AuthRefused"),
)  # fmt: skip


WELL: Final = {
    name: getattr(Faults(), name) for name in Faults.__dataclass_fields__ if name not in {"extra_names", "written"}
}


@contextmanager
def ailing(ground: Ground, **settings: Any) -> Iterator[tuple[Miniature, ParamikoHost]]:
    """The world behind the server that can be told to misbehave."""
    with ground.open(**settings) as at, ParamikoHost(ground.home / "agencies", [CODE]) as host:
        host.authorize(CODE, at.desk.keyring.ssh_client_public(CODE, at.clock.now))
        before = at.reach
        at.reach_by(port=host.port, username=CODE, host_keys=[host.host_key_line])
        yield at, host
        at.reach_by(**before)


def ailment(ill: Ailment, stage: str, *, fast: bool, whole: bool) -> Case:
    """The server is ill, then mended."""

    def run(ground: Ground) -> Result:
        ground.put_back(stage)

        def act() -> dict[str, Any]:
            with ailing(ground, **(SHORT if ill.slow else {})) as (at, host):
                _set(host, ill.faults)
                problems = _suffered(at, stage, ill)
                _set(host, WELL)
                _bring_back(at)
                if fast:
                    at.agency.take()
                return recovered(at, stage, whole=whole, problems=problems).as_json()

        return Result(True, _counted(done(act)))

    said = ", ".join(f"{name}={value}" for name, value in ill.faults.items())
    return Case(ill.kind, stage, f"{said}{', taken at once' if fast else ''}", run, f"{ill.kind} {said}")


def _set(host: ParamikoHost, faults: Mapping[str, Any]) -> None:
    for name, value in faults.items():
        setattr(host.faults, name, value)


def _suffered(at: Miniature, stage: str, ill: Ailment) -> list[str]:
    """What is wrong with how the verb fared with the ill server."""
    try:
        BY_NAME[stage].verb(at)
    except ConsignError as error:
        if ill.final:
            return _final(at, error, ill.final)
        return [f"it was not to fail: {type(error).__name__}: {error}"] if ill.passing else []
    return ["no error came of it"] if ill.final else []


def _final(at: Miniature, error: ConsignError, expected: str) -> list[str]:
    """What is wrong with a final error: its kind, that it may be retried, or that something was published."""
    found = [] if type(error).__name__ == expected else [f"{type(error).__name__} came out, not {expected}"]
    found += ["it is called retryable"] if error.retryable else []
    return found + (["something was published"] if at.agency.take() else [])


def _bring_back(at: Miniature) -> None:
    """What the server's own fast consumer took is the agency's: it counts like what the agency takes."""
    taken = at.agency.taken
    for path in sorted(taken.iterdir()) if taken.exists() else []:
        number, _, name = path.name.partition(".")
        if len(number) <= 4:  # the agency's own
            continue
        if name.endswith(".sig"):
            at.agency.inbox.mkdir(exist_ok=True)
            path.rename(at.agency.inbox / name)
            continue
        copy = at.agency.inbox / name
        at.agency.inbox.mkdir(exist_ok=True)
        if not copy.exists():
            copy.write_bytes(path.read_bytes())
        path.rename(taken / f"{len(list(taken.iterdir())):04}.{name}")


def host_key_changed(stage: str, *, whole: bool) -> Case:
    """The server shows another key: nothing is sent; once the new key is pinned, all is."""

    def run(ground: Ground) -> Result:
        ground.put_back(stage)

        def act() -> dict[str, Any]:
            with ailing(ground) as (at, host):
                public = host.change_host_key()
                problems = []
                try:
                    BY_NAME[stage].verb(at)
                    problems.append("no error came of it")
                except ConsignError as error:
                    problems += _final(at, error, "HostKeyMismatch")
                at.reach_by(host_keys=[public])
                return recovered(at, stage, whole=whole, problems=problems).as_json()

        return Result(True, _counted(done(act)))

    return Case("server: host key changed", stage, "then pinned anew", run, "host key")


def restarted(stage: str, act_name: str, nth: int, where: Any, *, whole: bool) -> Case:
    """OpenSSH is killed with all its sessions in mid-transfer, and started again at the same port."""
    trouble = Trouble("call", act_name, nth, 1, where)

    def run(ground: Ground) -> Result:
        ground.put_back(stage)

        def act() -> dict[str, Any]:
            with SandboxHost(ground.home / "agencies", [CODE]) as host, ground.open() as at:
                before = at.reach
                at.reach_by(port=host.port)
                with wired_at(at, host.port, trouble) as wire:
                    back = threading.Event()
                    wire.calling = partial(_restart, host, back)
                    with suppress(ConsignError):
                        BY_NAME[stage].verb(at)
                    # tried at once and again, it is all over before the server is back
                    assert not wire.fired or back.wait(BACK_WITHIN), "the server did not come back"
                    told = recovered(at, stage, whole=False)
                    fired = wire.fired
                at.reach_by(**before)
                if whole:
                    told = recovered(at, stage, whole=True, problems=told.problems)
                return {"fired": fired, **told.as_json()}

        ended = done(act)
        fired = bool(ended.answer.pop("fired")) if ended.well else True
        return Result(fired, _counted(ended))

    return Case("server: restarted", stage, f"in {act_name} {nth}, {where}", run, f"restart {act_name}")


@contextmanager
def wired_at(at: Miniature, port: int, trouble: Trouble | None) -> Iterator[Wire]:
    """The wire before that port, for a world that is open already."""
    with Wire(port, trouble) as wire:
        at.reach_by(port=wire.port)
        _telling(wire)
        yield wire


def _restart(host: SandboxHost, back: threading.Event) -> None:
    """The server and its sessions die; it is back half a second later."""
    process = host._process
    assert process is not None
    sessions = _children(process.pid)
    for pid in (process.pid, *sessions):
        with suppress(ProcessLookupError):
            os.kill(pid, 9)
    process.wait()
    time.sleep(0.2)
    host._start()
    back.set()


def _children(pid: int) -> list[int]:
    """Every process below this one."""
    found = []
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += [int(child), *_children(int(child))]
    return found


def small_disk(stage: str, how: str, *, whole: bool) -> Case:
    """The agency's server really has no room, or really may not write: a file system of its own under OpenSSH."""

    def run(ground: Ground) -> Result:
        if os.geteuid() != 0:
            return Result(injected=False, skipped="mounting a file system takes root")
        ground.put_back(stage)
        folder = ground.home / "agencies" / CODE / "to_agency"
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], capture_output=True, check=False
        )
        if mounted.returncode:
            return Result(injected=False, skipped="no file system may be mounted here")
        try:
            return Result(True, _on_small_disk(ground, stage, folder, how, whole=whole))
        finally:
            subprocess.run(["umount", "-l", str(folder)], capture_output=True, check=False)

    kinds = {"full": "server: out of space", "freed": "server: out of space, then freed in mid-upload"}
    return Case(kinds.get(how, "server: read-only"), stage, f"a real file system, {how}", run, f"tmpfs {how}")


def _on_small_disk(ground: Ground, stage: str, folder: Path, how: str, *, whole: bool) -> Count:
    def act() -> dict[str, Any]:
        filler = folder / "filler"
        with ground.open() as at:
            problems: list[str] = []
            if how == "read-only":
                subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
            else:
                with suppress(OSError), filler.open("wb") as file:
                    while True:
                        file.write(bytes(4096))
                        file.flush()
                if how == "freed":
                    _free_at_second_try(filler)
            try:
                BY_NAME[stage].verb(at)
                if how != "freed":
                    problems.append("no error came of it")
            except ConsignError:
                pass
            if how == "read-only":
                subprocess.run(["mount", "-o", "remount,rw", str(folder)], check=True)
            filler.unlink(missing_ok=True)
            return recovered(at, stage, whole=whole, problems=problems).as_json()

    return _counted(done(act))


def _free_at_second_try(filler: Path) -> None:
    upload = SftpDrop._upload
    tries = iter(range(1_000))

    def tried(*given: Any) -> None:
        if next(tries) == 1:
            filler.unlink(missing_ok=True)
        upload(*given)

    SftpDrop._upload = tried  # type: ignore[assignment, method-assign]  # in this process, which ends with the case


# -- two workers -------------------------------------------------------------------------------------------------------


def two_workers(stage: str, delay: float, *, whole: bool) -> Case:
    """Two processes do the same at the same time."""

    def run(ground: Ground) -> Result:
        ground.put_back(stage)

        def act() -> None:
            with ground.open() as at:
                BY_NAME[stage].verb(at)

        first = forked(act)
        time.sleep(delay)
        second = forked(act)
        problems = [
            f"one of two workers ended with {ended.code}: {ended.error}"
            for ended in (first.wait(), second.wait())
            if not (ended.well or (ended.code == 0 and ended.retryable))
        ]
        return Result(True, _recover(ground, stage, fast=False, whole=whole, problems=problems))

    return Case("two workers", stage, f"the second {delay * 1000:.0f} ms later", run, f"two {stage}")


def overtaken(stage: str, moment: int, name: str, *, fast: bool, whole: bool) -> Case:
    """A worker stops, as a machine does that sleeps; its lease runs out, another takes over; then the first goes on."""

    def run(ground: Ground) -> Result:
        ground.put_back(stage)
        first = forked(lambda: _until(ground, stage, moment, signal.SIGSTOP))
        if not first.wait_stopped():
            ended = first.wait()
            return Result(injected=False, count=_recover(ground, stage, fast=False, whole=whole))

        def act() -> None:
            with ground.open() as at:
                at.clock.now += timedelta(hours=2)
                with suppress(ConsignError):
                    BY_NAME[stage].verb(at)
                if fast:
                    at.agency.take()

        second = done(act)
        first.go_on()
        ended = first.wait()
        problems = [] if second.well else [f"who took over ended with {second.code}: {second.error}"]
        if not ended.well and not ended.retryable:
            problems.append(f"who was overtaken ended with {ended.code}: {ended.error}")
        return Result(True, _recover(ground, stage, fast=fast, whole=whole, jump=7200, problems=problems))

    what, _, place = name.partition(" @ ")
    return Case("a worker overtaken", stage, f"moment {moment}: {name}", run, f"{what} in {place.partition(':')[0]}")


# -- the clock ---------------------------------------------------------------------------------------------------------


@dataclass
class Jumping:
    """A clock that jumps when it has been asked so many times."""

    now: datetime
    at: int
    by: timedelta
    asked: int = 0

    def __call__(self) -> datetime:
        """This moment."""
        self.asked += 1
        if self.asked == self.at:
            self.now += self.by
        return self.now


def clock_jumps(stage: str, asked: int, seconds: float, *, whole: bool) -> Case:
    """While the verb runs the clock jumps; it stays where it is then."""

    def run(ground: Ground) -> Result:
        ground.put_back(stage)

        def act() -> dict[str, Any]:
            with ground.open() as at:
                jumping = Jumping(at.clock.now, asked, timedelta(seconds=seconds))
                at.desk.clock = jumping
                with suppress(ConsignError):
                    BY_NAME[stage].verb(at)
                at.clock.now = jumping.now
                at.desk.clock = at.clock
                told = recovered(at, stage, whole=whole)
                return {"fired": jumping.asked >= asked, **told.as_json()}

        ended = done(act)
        fired = bool(ended.answer.pop("fired")) if ended.well else True
        return Result(fired, _counted(ended))

    kind = f"the clock jumps {_jumped(seconds)}"
    return Case(kind, stage, f"{seconds:+.0f} s, asked the {asked}. time", run, f"{kind} {stage}")


def foreign_lease(stage: str, ahead: float, *, whole: bool) -> Case:
    """Another machine's worker died with a lease that ends in so many seconds: it is waited for, and no longer."""

    def run(ground: Ground) -> Result:
        ground.put_back(stage)

        def act() -> dict[str, Any]:
            with ground.open(busy_wait=0.0) as at:
                with at.desk.database.write() as connection:
                    for act in ("send", "collect") if stage in {"collect", "return"} else ("send",):
                        connection.execute(
                            exchange.LEASES.insert().values(
                                name=f"{act}:{CODE}", owner=FOREIGN, until=at.clock.now + timedelta(seconds=ahead)
                            )
                        )
                problems = []
                at.agency.take()
                BY_NAME[stage].verb(at)
                if at.agency.take():
                    problems.append("another machine's lease was not respected")
                for _ in ("collecting", "sending"):  # each lease is cut to its length when it is first asked for
                    at.clock.now += timedelta(seconds=at.desk.settings.lease_seconds + 1)
                    with suppress(ConsignError):
                        BY_NAME[stage].verb(at)
                at.clock.now += timedelta(seconds=at.desk.settings.lease_seconds + 1)
                return recovered(at, stage, whole=whole, problems=problems).as_json()

        return Result(True, _counted(done(act)))

    kind = "a lease of a clock ahead" if ahead > 900 else "a lease of a dead machine"
    return Case(kind, stage, f"it ends {ahead:.0f} s from now", run, f"{kind} {stage}")


# -- who counts must be able to find something -------------------------------------------------------------------------


@dataclass(frozen=True)
class Broken:
    """A product that is broken on purpose, and what the count must find of it."""

    name: str
    stage: str
    finds: str
    """the counter that must not be nothing"""
    breaks: Callable[[], None] = field(repr=False)
    killed_at: str = ""
    """with a kill after this moment, and a consumer that is fast"""


def _forgets_intent() -> None:
    push = Publishing.push

    def forgetful(*given: Any, **named: Any) -> Pushed:
        return push(*given, **{**named, "intent_recorded": False})

    Publishing.push = forgetful  # type: ignore[method-assign]  # in this process, which ends with the case


def _says_sent() -> None:
    Publishing.push = lambda *_, **__: Pushed.SENT  # type: ignore[method-assign]  # as above


def _replaces() -> None:
    def upload(self: SftpDrop, file: Path, path: str, sha256: str) -> None:
        del sha256
        self._sftp().write(path, [file.read_bytes()[:-1] + b"?"], 0)

    SftpDrop._upload = upload  # type: ignore[method-assign]  # as above


def _activity_times(times: int) -> None:
    there = acceptance._ACCEPT["activity"]

    def accept(arrival: acceptance.Arrival) -> acceptance.Outcome:
        outcome = there(replace(arrival, lines=arrival.lines.iloc[:0], account_ids=arrival.account_ids[:0],
                                known=arrival.known[:0]))  # fmt: skip
        for time_ in range(times):
            outcome = there(replace(arrival, lines=arrival.lines.assign(line=arrival.lines["line"] + 10_000 * time_)))
        return outcome

    acceptance._ACCEPT = {**acceptance._ACCEPT, "activity": accept}


BROKEN: Final = (
    Broken("it forgets its intent", "place", "files_doubled", _forgets_intent, "after _rename"),
    Broken("it says sent and sends nothing", "place", "files_lost", _says_sent),
    Broken("it publishes other bytes", "place", "files_lost", _replaces),
    Broken("it counts lines twice", "collect", "lines_doubled", partial(_activity_times, 2)),
    Broken("it forgets lines", "collect", "lines_lost", partial(_activity_times, 0)),
)


def found_out(broken: Broken, ground: Ground) -> bool:
    """Whether the count finds what the broken product did."""
    if broken.killed_at:
        names = moments_of(ground, broken.stage)
        moment = 1 + max(place for place, name in enumerate(names) if name.startswith(broken.killed_at))
        ground.put_back(broken.stage)
        done(lambda: _until(ground, broken.stage, moment, signal.SIGKILL))
    else:
        ground.put_back(broken.stage)

    def act() -> dict[str, Any]:
        broken.breaks()
        with ground.open() as at:
            if broken.killed_at:
                at.agency.take()
            return recovered(at, broken.stage, whole=False).as_json()

    told = _counted(done(act))
    return bool(getattr(told, broken.finds))
