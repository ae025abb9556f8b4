"""Trying again: only after what trying again may mend, with back-off and jitter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import stamina

from models.errors import ConsignError

if TYPE_CHECKING:
    from collections.abc import Iterator

ATTEMPTS = 4
WITHIN_SECONDS = 120.0
"""Longer outages are the next run's business: every act can be run again."""
FIRST_WAIT_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 20.0


def attempts(
    most: int = ATTEMPTS,
    first_wait: float = FIRST_WAIT_SECONDS,
    longest_wait: float = LONGEST_WAIT_SECONDS,
    within: float = WITHIN_SECONDS,
) -> Iterator[stamina.Attempt]:
    """Up to `most` attempts begun within so many seconds, each a context; the last error, and any final one, comes out.

    Read what is recorded anew in each: whether the intent to publish was recorded may have changed since the last.
    """
    yield from stamina.retry_context(
        on=may_mend,
        attempts=most,
        timeout=within,
        wait_initial=first_wait,
        wait_max=max(first_wait, longest_wait),
        wait_jitter=first_wait,
    )


def may_mend(error: Exception) -> bool:
    """Whether trying again may help: the error says so itself."""
    return isinstance(error, ConsignError) and error.retryable
