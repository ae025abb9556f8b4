"""The one root of every error that Consign raises on purpose, and the exit code each kind leaves behind.

A message names files, lines, fields and references, never a debtor's values. `fix` says what to do next.
"""

from __future__ import annotations

from typing import ClassVar


class ConsignError(Exception):
    """Something a person can act on: what happened and why in the message, what to do next in `fix`."""

    exit_code: ClassVar[int] = 1
    """1 fault, 2 usage, 3 findings, 4 configuration, 5 remote, 6 refused by policy."""
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, fix: str = "") -> None:
        super().__init__(message)
        self.fix = fix


class UsageError(ConsignError):
    """The call's words are wrong: an unknown name, a missing file, an impossible combination."""

    exit_code = 2


class Findings(ConsignError):
    """The work was done and something in the input needs a person: rejects, breaks, refused files."""

    exit_code = 3


class ConfigurationError(ConsignError):
    """A setting, key, profile or migration is missing or wrong."""

    exit_code = 4


class RemoteError(ConsignError):
    """The other side failed in a way that trying again may mend."""

    exit_code = 5
    retryable = True


class RemoteRefused(RemoteError):
    """The other side answered, and trying again will not help: wrong host key, wrong credentials."""

    retryable = False


class RefusedByPolicy(ConsignError):
    """A rule forbids it: an unreleased field, an approval by the proposer, an expired key."""

    exit_code = 6
