"""What the commands that exchange files with agencies have in common: how a report is told that is not the whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from console.cli.output import emit

if TYPE_CHECKING:
    from flows.engine import Verb

R = TypeVar("R")


def told(verb: Verb[..., R], title: str, **ids: Any) -> R:
    """The verb's report, run and emitted; where some agencies failed, what was done with the others is told first.

    Raises what the verb raises.
    """
    from flows.engine import run
    from flows.exchange import AgenciesFailed

    try:
        report = run(verb, **ids)
    except AgenciesFailed as failed:
        emit(failed.report, title=title)
        raise
    emit(report, title=title)
    return report
