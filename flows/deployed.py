"""Verbs as Prefect flows, and steps as its tasks: the one module that runs anything under Prefect.

`flows.deployed.<verb>` is the entrypoint of each verb of the catalogue. A flow's body is the verb's; what leaves it for
Prefect is identifiers, counts, and of an error its type and our reference (flows.engine.StepFailed).
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import typing
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from pathlib import Path
from threading import BoundedSemaphore
from typing import Any, Final, TypeVar, cast

from flows import serving
from flows.catalogue import CATALOGUE, entry_named

serving.prepare()  # before the first import of Prefect, which reads its environment then

from prefect import Flow, Task  # noqa: E402 - see above
from prefect.artifacts import (  # noqa: E402
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.cache_policies import NO_CACHE  # noqa: E402
from prefect.futures import PrefectFuture, as_completed  # noqa: E402
from prefect.settings import (  # noqa: E402
    PREFECT_API_URL,
    PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
    temporary_settings,
)
from prefect.task_runners import ThreadPoolTaskRunner  # noqa: E402

from flows.engine import Step, StepFailed, Verb, _watcher, check, conducted, is_identifier, told  # noqa: E402
from infra.journaling import adopt, journal, open_journal  # noqa: E402
from infra.wiring import desk  # noqa: E402
from models.errors import ConsignError  # noqa: E402

R = TypeVar("R")

adopt()  # Prefect has just set its loggers up anew

SHORT_CODE: Final = re.compile(r"[a-z][a-z0-9-]{1,19}")
WORDS_SHOWN: Final = frozenset({"agency", "lender", "kind", "currency", "period", "state", "code", "product", "step"})
"""The fields of a report whose text an artifact shows; of all others, numbers alone."""


class EngineFailed(ConsignError):
    """Prefect itself failed, not the work: its server went away, or would not keep a run."""


@dataclass
class Kept:
    """What a flow's body hands its caller past Prefect: the report, or the error as it was raised."""

    report: Any = None
    error: BaseException | None = None
    done: bool = False


_kept: ContextVar[Kept | None] = ContextVar("consign_kept", default=None)


def run(verb: Verb[..., R], ids: Mapping[str, Any], api_url: str) -> R:
    """The verb's report, run as a flow of the server at `api_url`; raises what the body raised."""
    kept = Kept()
    token = _kept.set(kept)
    try:
        with attached(api_url):
            flow_of(verb)(**ids)
    except StepFailed:
        pass
    except Exception as error:  # noqa: BLE001 - Prefect's own trouble, of whatever type
        if kept.error is None and not kept.done:
            kind = type(error).__name__
            raise EngineFailed(
                f"Prefect could not run {verb.name}: {kind}",
                fix="run it again, which is safe; CONSIGN_ENGINE=direct runs it without Prefect",
            ) from None
        journal("engine").warning("prefect lost a finished run", verb=verb.name, error=type(error).__name__)
    finally:
        _kept.reset(token)
    if kept.error is not None:
        raise kept.error
    return cast("R", kept.report)


@contextmanager
def attached(api_url: str) -> Iterator[None]:
    """In the block this process speaks to that server; at its end everything it has to tell is told."""
    # without heartbeats: their thread costs each run a second, and a command that was killed is swept at the next start
    updates: dict[Any, Any] = {PREFECT_API_URL: api_url, PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}
    with temporary_settings(updates):
        try:
            yield
        finally:
            if not serving.is_held_around(desk().settings):
                serving.tell_all()


def flow_of(verb: Verb[..., Any]) -> Flow[..., None]:
    """The verb as a Prefect flow, made once."""
    return _flow_of(verb)


@cache
def _flow_of(verb: Verb[..., Any]) -> Flow[..., None]:
    signature = _signature(verb.body)

    def body(*args: Any, **ids: Any) -> None:
        given = signature.bind(*args, **ids).arguments
        kept = _kept.get() or Kept()
        with suppress(OSError):
            open_journal(desk().settings.home)
        try:
            given = _as_annotated(signature, given)
            check(given)
            with conducted(Tasks(verb.name)):
                kept.report = verb.body(**given)
            kept.done = True
        except Exception as error:  # noqa: BLE001 - whatever it is, Prefect is told its type and no more
            kept.error = error
        if kept.error is not None:
            # raised outside the handler, so that the error is neither its cause nor its context
            raise told(verb.name, kept.error)
        publish(verb.name, kept.report)

    body.__name__ = body.__qualname__ = verb.name
    body.__module__ = __name__
    body.__doc__ = inspect.getdoc(verb.body)
    body.__signature__ = signature.replace(return_annotation=None)  # type: ignore[attr-defined]
    named = "".join(f" {name}={{{name}}}" for name in signature.parameters)
    return Flow(
        body,
        name=verb.name,
        flow_run_name=verb.name + named,
        task_runner=ThreadPoolTaskRunner(max_workers=_widest()),  # type: ignore[arg-type]
        persist_result=False,
        validate_parameters=False,  # its complaint would quote the value; `check` names the parameter
        log_prints=False,
    )


def _widest() -> int:
    at = desk().settings
    return max(at.agencies_at_once, at.connections_at_once)


class Tasks:
    """Runs a verb's steps as Prefect tasks, on threads; Prefect is given positions, never the items."""

    def __init__(self, verb: str) -> None:
        self.verb = verb

    def map(self, step: Step[Any, R], items: list[Any], rest: tuple[Any, ...]) -> list[R]:
        """The step's results in the items' order; every item runs, then the first failure is raised."""
        outcomes = [Outcome() for _ in items]
        turns = BoundedSemaphore(step.width())  # the flow's pool is as wide as its widest step

        def piece(position: int) -> None:
            outcome = outcomes[position]
            try:
                with turns, conducted(None):  # a step inside a step stays on its thread: the pool could wait for itself
                    outcome.result = step(items[position], *rest)
                outcome.ended = True
            except Exception as error:  # noqa: BLE001 - as above
                outcome.error = error
            if outcome.error is not None:
                raise told(step.name, outcome.error)

        task = Task(piece, name=step.name, persist_result=False, cache_policy=NO_CACHE, log_prints=False, retries=0)
        futures = [
            task.with_options(task_run_name=_called(step.name, item, position)).submit(position)
            for position, item in enumerate(items)
        ]
        self._watch(step.name, futures)
        for outcome in outcomes:
            if outcome.error is not None:
                raise outcome.error
            if not outcome.ended:
                raise EngineFailed(
                    f"Prefect lost a run of {step.name}", fix="run the command again: what was done is not done twice"
                )
        return [cast("R", outcome.result) for outcome in outcomes]

    def _watch(self, name: str, futures: list[PrefectFuture[None]]) -> None:
        watcher = _watcher.get()
        bar = _begun(f"{self.verb}-{name}") if len(futures) > 1 else None
        for done, _ in enumerate(as_completed(futures), 1):
            if watcher is not None:
                watcher(name, done, len(futures))
            if bar is not None:
                with suppress(Exception):
                    update_progress_artifact(bar, progress=100 * done / len(futures))


@dataclass
class Outcome:
    """What became of one item."""

    result: Any = None
    error: BaseException | None = None
    ended: bool = False


def publish(verb: str, report: object) -> None:
    """The report's counts as artifacts of the run; the work is done, so trouble here is only noted."""
    try:
        for key, rows in tables(verb, report):
            create_table_artifact(table=rows, key=key, description=f"What {verb} did")
    except Exception as error:  # noqa: BLE001 - see above
        journal("engine").warning("no artifact", verb=verb, error=type(error).__name__)


def tables(verb: str, report: object) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The report as tables of numbers: its own, then one for each of its fields that holds several things."""
    if not dataclasses.is_dataclass(report) or isinstance(report, type):
        return
    own = _shown(report)
    if own:
        yield _key(verb), [{"what": name, "count": value} for name, value in own.items()]
    for one in dataclasses.fields(report):
        value = getattr(report, one.name)
        if isinstance(value, list | tuple) and value and all(map(dataclasses.is_dataclass, value)):
            yield _key(f"{verb}-{one.name}"), [_shown(row) for row in value]


def __getattr__(name: str) -> Flow[..., None]:
    """The flow of that name: `flows.deployed.place` is what Prefect loads."""
    if any(entry.name == name for entry in CATALOGUE):
        return flow_of(entry_named(name).verb)
    raise AttributeError(name)


def _shown(report: Any) -> dict[str, Any]:
    return {
        one.name: value
        for one in dataclasses.fields(report)
        if isinstance(value := getattr(report, one.name), int | bool | None)
        or (isinstance(value, str) and one.name in WORDS_SHOWN and is_identifier(value))
    }


def _key(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def _called(name: str, item: object, position: int) -> str:
    """`send north`: a run's name shows an item only if it is a number or a code like an agency's."""
    shown = isinstance(item, int) or (isinstance(item, str) and SHORT_CODE.fullmatch(item) is not None)
    return f"{name} {item}" if shown else f"{name} {position + 1}"


def _begun(name: str) -> Any:
    try:
        return create_progress_artifact(progress=0.0, key=_key(name))
    except Exception:  # noqa: BLE001 - a bar is no reason to stop
        return None


def _signature(body: Callable[..., Any]) -> inspect.Signature:
    """The body's signature with its annotations looked up, for Prefect to make a schema from."""
    hints = typing.get_type_hints(body)
    signature = inspect.signature(body)
    return signature.replace(
        parameters=[one.replace(annotation=hints.get(name, Any)) for name, one in signature.parameters.items()]
    )


def _as_annotated(signature: inspect.Signature, given: Mapping[str, Any]) -> dict[str, Any]:
    """What came through Prefect's JSON, back in the types the body asks for."""
    return {name: _typed(value, signature.parameters[name].annotation) for name, value in given.items()}


def _typed(value: Any, annotation: Any) -> Any:
    wanted = set(typing.get_args(annotation)) or {annotation}
    if isinstance(value, str) and str not in wanted:
        if datetime in wanted:
            return datetime.fromisoformat(value)
        if date in wanted:
            return date.fromisoformat(value)
        if Path in wanted:
            return Path(value)
    if isinstance(value, list) and typing.get_origin(annotation) is tuple:
        return tuple(value)
    return value
