"""The one place that picks the adapters: a desk holds the settings, the store, the keys and the clock."""

from __future__ import annotations

import getpass
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cached_property
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from infra.rootkeys import root_of
from infra.settings import Settings, settings
from infra.store.database import Database
from keys.keyring import Keyring
from keys.sealing.openpgp import OpenPgpSuite
from models.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


def system_clock() -> datetime:
    """The machine's time, UTC."""
    return datetime.now(UTC)


@dataclass
class Desk:
    """What a flow's body works with. Tests and the sandbox install their own; everybody else gets `desk()`."""

    settings: Settings
    clock: Callable[[], datetime] = system_clock
    actor: str = ""
    _extra: dict[str, object] = field(default_factory=dict, repr=False)
    _of: Desk | None = field(default=None, repr=False)
    """whose store and keyring these are, opened when one of them is first asked for"""

    def __post_init__(self) -> None:
        """Whoever is logged in acts, unless a setting names somebody."""
        self.actor = self.actor or self.settings.actor or getpass.getuser()

    @cached_property
    def database(self) -> Database:
        """The store."""
        if self._of is not None:
            return self._of.database
        return Database(
            self.settings.database_url, durable=self.settings.durable, wait_seconds=self.settings.database_wait
        )

    @cached_property
    def keyring(self) -> Keyring:
        """The keyring, opened on first use. Raises ConfigurationError where there is none yet."""
        if self._of is not None:
            return self._of.keyring
        path = self.settings.keyring_path
        if not path.exists():
            message = f"no keyring at {path}"
            raise ConfigurationError(message, fix="run `consign init` once, or point CONSIGN_KEYRING at the keyring")
        OpenPgpSuite.within_s = self.settings.gnupg_timeout
        return Keyring.open(path, root=root_of(self.settings))

    @cached_property
    def certification(self) -> Desk:
        """The desk where agencies are certified: store, inbox and outbox apart, with the same keys and clock."""
        settings = self.settings.model_copy(
            update={
                "home": self.settings.home / "certification", "database": "", "engine": "direct",
                "keyring": self.settings.keyring_path, "key_file": self.settings.key_file_path,
            }
        )  # fmt: skip
        apart = Desk(settings, clock=self.clock, actor=self.actor)
        apart.keyring = self.keyring  # one open keyring: two would write over each other's entries
        return apart

    def acting(self, actor: str) -> Desk:
        """The same desk with somebody else at it: one store, one keyring, one clock."""
        return Desk(self.settings, clock=self.clock, actor=actor, _of=self)

    def now(self) -> datetime:
        """This moment, aware, UTC."""
        return self.clock()

    def today(self, timezone: str = "Asia/Shanghai") -> date:
        """The calendar day where the lender is."""
        return self.clock().astimezone(ZoneInfo(timezone)).date()

    def folder(self, name: str) -> Path:
        """A folder of ours below home."""
        return self.settings.folder(name)


_current: list[Desk] = []
_here: ContextVar[Desk | None] = ContextVar("desk", default=None)


def desk() -> Desk:
    """The desk in use: this thread's, else the installed one, else one made from the process's settings."""
    if (mine := _here.get()) is not None:
        return mine
    if not _current:
        _current.append(Desk(settings()))
    return _current[-1]


@contextmanager
def seated(at: Desk) -> Iterator[Desk]:
    """Everything in the block works at this desk (every thread of the process)."""
    _current.append(at)
    try:
        yield at
    finally:
        _current.remove(at)


@contextmanager
def seated_here(at: Desk) -> Iterator[Desk]:
    """What this thread does in the block, it does at this desk; other threads, those it starts too, keep theirs."""
    token = _here.set(at)
    try:
        yield at
    finally:
        _here.reset(token)
