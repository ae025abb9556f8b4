"""Verbs and steps: the same body runs in this process or under Prefect (docs/architecture.md).

A verb takes and returns identifiers and small reports; a step is one agency and file, or one shard. Rows,
identities and file contents travel through our own store, never through a verb's or a step's boundary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import update_wrapper
from typing import Any, Generic, ParamSpec, TypeVar

from infra.wiring import desk

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Schedule:
    """When a verb runs by itself: cron in the lender's zone."""

    cron: str
    timezone: str = "Asia/Shanghai"


class Step(Generic[P, R]):
    """One coarse piece of a verb: called alone, or mapped over agencies, files or shards."""

    def __init__(self, body: Callable[P, R]) -> None:
        self.body = body
        update_wrapper(self, body)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run it here and now."""
        return self.body(*args, **kwargs)

    def map(self, items: Iterable[Any], *rest: Any) -> list[R]:
        """Run it once per item, `agencies_at_once` at a time; results in the items' order.

        Every item runs even when another fails; then the first failure is raised.
        """
        work = list(items)
        with ThreadPoolExecutor(max_workers=max(1, desk().settings.agencies_at_once)) as pool:
            futures = [pool.submit(self.body, item, *rest) for item in work]  # type: ignore[call-arg]
        return [future.result() for future in futures]


class Verb(Generic[P, R]):
    """A flow of the catalogue."""

    def __init__(self, body: Callable[P, R], schedule: Schedule | None) -> None:
        self.body = body
        self.schedule = schedule
        update_wrapper(self, body)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the body in this process, without Prefect."""
        return self.body(*args, **kwargs)


def step(body: Callable[P, R]) -> Step[P, R]:
    """Make a function a step."""
    return Step(body)


def verb(*, schedule: Schedule | None = None) -> Callable[[Callable[P, R]], Verb[P, R]]:
    """Make a function a verb, with the schedule it is deployed under."""

    def wrap(body: Callable[P, R]) -> Verb[P, R]:
        return Verb(body, schedule)

    return wrap
