"""Verbs and steps: the same body runs in this process or under Prefect (docs/architecture.md).

A verb takes and returns identifiers and small reports; a step is one agency and file, or one shard. Rows,
identities and file contents travel through our own store, never through a verb's or a step's boundary.

`place(plan_id=7)` runs the body here. `run(place, plan_id=7)` runs it as the settings say: here, or as a Prefect flow
whose steps are its tasks. What goes wrong in a body never reaches Prefect: it is told the step's name, the error's
type and a reference; the caller gets the error itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import ContextVar, copy_context
from dataclasses import dataclass
from datetime import date
from functools import partial, update_wrapper
from pathlib import PurePath
from typing import Any, Final, Generic, ParamSpec, Protocol, TypeVar, overload

from infra.journaling import journal, open_journal
from infra.wiring import desk
from models.errors import ConsignError

P = ParamSpec("P")
R = TypeVar("R")

CODE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@/,+-]{0,199}")
PERSONAL: Final = re.compile(r"\d{11,}")
"""As many digits as a phone or ID number has: no identifier of ours is that long."""
ITEMS_AT_MOST: Final = 100
NOTED: Final = "consign_fault"
"""The attribute of an error that was noted already: what a step raised passes its verb as well."""


class ParameterRefused(ConsignError):
    """A verb was given something other than identifiers; the message names the parameter alone."""

    exit_code = 2


class StepFailed(Exception):
    """What Prefect is told of a failure: the step's name, the error's type, its exit code and our reference."""

    def __init__(self, step: str, kind: str, exit_code: int, reference: str) -> None:
        super().__init__(step, kind, exit_code, reference)
        self.step = step
        self.kind = kind
        self.exit_code = exit_code
        self.reference = reference

    def __str__(self) -> str:
        """Without the error's own text, which may hold a debtor's values."""
        return f"{self.step} failed: {self.kind} (exit code {self.exit_code}, fault {self.reference})"


@dataclass(frozen=True)
class Schedule:
    """When a verb runs by itself: cron in the lender's zone."""

    cron: str
    timezone: str = "Asia/Shanghai"


@dataclass(frozen=True)
class Retries:
    """How often a step is tried again after an error that says it is `retryable`, and how long in between.

    The n-th pause is `backoff` seconds doubled n - 1 times, at most `longest`, and up to `backoff` more by chance, so
    that agencies which failed together are not called together.
    """

    attempts: int = 1
    backoff: float = 2.0
    longest: float = 60.0


class Conductor(Protocol):
    """Whoever runs the steps instead of this thread and its pool."""

    def map(self, step: Step[Any, R], items: list[Any], rest: tuple[Any, ...]) -> list[R]:
        """The step's results in the items' order; every item runs, then the first failure is raised."""


_conductor: ContextVar[Conductor | None] = ContextVar("consign_conductor", default=None)
Watcher = Callable[[str, int, int], None]
_watcher: ContextVar[Watcher | None] = ContextVar("consign_watcher", default=None)


class Step(Generic[P, R]):
    """One coarse piece of a verb: called alone, or mapped over agencies, files or shards."""

    def __init__(self, body: Callable[P, R], retries: Retries, *, waits: bool = False) -> None:
        self.body = body
        self.retries = retries
        self.waits = waits
        update_wrapper(self, body)
        self.name = body.__name__

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run it here and now, and again after a retryable error if it says so."""
        if self.retries.attempts <= 1:
            return self.body(*args, **kwargs)
        return _again(self.name, self.retries, partial(self.body, *args, **kwargs))

    def map(self, items: Iterable[Any], *rest: Any) -> list[R]:
        """Run it once per item, as many at a time as `width` says; results in the items' order.

        Every item runs even when another fails; then the first failure is raised.
        """
        work = list(items)
        conductor = _conductor.get()
        if conductor is not None and work:
            return conductor.map(self, work, rest)
        with ThreadPoolExecutor(max_workers=self.width()) as pool:
            # each item in a copy of this context: what is current here (conductor, watcher, log keys) is current there
            futures = [pool.submit(copy_context().run, partial(self, item, *rest)) for item in work]
            watch(self.name, futures)
        return [future.result() for future in futures]

    def width(self) -> int:
        """How many of it run at once: `connections_at_once` of those that wait for servers, else `agencies_at_once`."""
        at = desk().settings
        return max(at.agencies_at_once, at.connections_at_once) if self.waits else at.agencies_at_once


class Verb(Generic[P, R]):
    """A flow of the catalogue."""

    def __init__(self, body: Callable[P, R], schedule: Schedule | None) -> None:
        self.body = body
        self.schedule = schedule
        update_wrapper(self, body)
        self.name = body.__name__

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the body in this process, without Prefect."""
        return self.body(*args, **kwargs)


@overload
def step(body: Callable[P, R], /) -> Step[P, R]: ...
@overload
def step(
    *, retries: int = 0, backoff: float = 2.0, longest: float = 60.0, waits: bool = False
) -> Callable[[Callable[P, R]], Step[P, R]]: ...
def step(
    body: Callable[P, R] | None = None,
    /,
    *,
    retries: int = 0,
    backoff: float = 2.0,
    longest: float = 60.0,
    waits: bool = False,
) -> Step[P, R] | Callable[[Callable[P, R]], Step[P, R]]:
    """Make a function a step: `@step`, or `@step(retries=3)` where trying again does no harm and may mend it.

    waits: it waits for somebody else's server most of its time, so that many of it may run at once.
    """
    policy = Retries(retries + 1, backoff, longest)
    if body is not None:
        return Step(body, policy, waits=waits)
    return lambda body: Step(body, policy, waits=waits)


@overload
def verb(body: Callable[P, R], /) -> Verb[P, R]: ...
@overload
def verb(*, schedule: Schedule | None = None) -> Callable[[Callable[P, R]], Verb[P, R]]: ...
def verb(
    body: Callable[P, R] | None = None, /, *, schedule: Schedule | None = None
) -> Verb[P, R] | Callable[[Callable[P, R]], Verb[P, R]]:
    """Make a function a verb, with the schedule it is deployed under."""
    if body is not None:
        return Verb(body, schedule)
    return lambda body: Verb(body, schedule)


def run(verb: Verb[..., R], /, **ids: Any) -> R:
    """The verb's report, run as `settings.engine` says: in this process, or as a Prefect flow.

    Raises ParameterRefused for parameters that are no identifiers, and whatever the body raises, as it raised it.
    """
    check(ids)
    with suppress(OSError):  # a full disk is told of by the work itself
        open_journal(desk().settings.home)
    if desk().settings.engine == "direct" or _conductor.get() is not None:
        return verb(**ids)
    from flows import deployed, serving

    with serving.server(desk().settings) as api_url:
        return deployed.run(verb, ids, api_url)


def check(ids: Mapping[str, Any]) -> None:
    """Nothing but numbers, codes, dates, yes and no, paths, and short lists of them. Raises ParameterRefused."""
    for name, value in ids.items():
        many = isinstance(value, list | tuple)
        if (many and len(value) > ITEMS_AT_MOST) or not all(map(is_identifier, value if many else [value])):
            raise ParameterRefused(
                f"parameter {name} is no identifier",
                fix="give numbers, codes, dates or paths; rows and values travel through the store",
            )


def is_identifier(value: object) -> bool:
    """Whether the value may cross a verb's boundary, where Prefect keeps it."""
    if value is None or isinstance(value, bool | int | date | PurePath):
        return True
    return isinstance(value, str) and CODE.fullmatch(value) is not None and PERSONAL.search(value) is None


@contextmanager
def conducted(by: Conductor | None) -> Iterator[None]:
    """Steps of this context are run by the conductor; by their own thread and its pool where it is None."""
    token = _conductor.set(by)
    try:
        yield
    finally:
        _conductor.reset(token)


@contextmanager
def watched(by: Watcher) -> Iterator[None]:
    """In this context `by(step, done, total)` is told whenever an item of a mapped step has ended."""
    token = _watcher.set(by)
    try:
        yield
    finally:
        _watcher.reset(token)


def watch(name: str, futures: Iterable[Future[Any]]) -> None:
    """Whoever watches is told when each of them ends."""
    watcher = _watcher.get()
    if watcher is None:
        return
    from concurrent.futures import as_completed

    waiting = list(futures)
    for done, _ in enumerate(as_completed(waiting), 1):
        watcher(name, done, len(waiting))


def told(name: str, error: BaseException) -> StepFailed:
    """What Prefect may know of the error; the rest is noted once, in home/faults and in the journal. Never raises."""
    kind = type(error).__name__
    code = error.exit_code if isinstance(error, ConsignError) else ConsignError.exit_code
    reference = getattr(error, NOTED, "")
    if not reference:
        with suppress(Exception):  # a full disk must not hide the first error
            from infra import faults

            fault = faults.record(error, name, desk().folder("faults"))
            reference = fault.reference
            setattr(error, NOTED, reference)
            journal("engine").error(
                "step failed", step=name, error=fault.kind, place=fault.place, reference=reference, code=code
            )
    return StepFailed(name, kind, code, reference or "not noted")


def _again(name: str, policy: Retries, attempt: Callable[[], R]) -> R:
    import stamina

    stamina.instrumentation.set_on_retry_hooks([])  # its own would write the arguments and the error's text
    contexts = stamina.retry_context(
        on=lambda error: bool(getattr(error, "retryable", False)),
        attempts=policy.attempts,
        timeout=None,
        wait_initial=policy.backoff,
        wait_max=policy.longest,
        wait_jitter=policy.backoff,
    )
    for context in contexts:
        with context:
            if context.num > 1:
                journal("engine").warning("trying again", step=name, attempt=context.num)
            return attempt()
    raise AssertionError("a retry context ends by returning or raising")
