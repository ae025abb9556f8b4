"""The journal of what the program does: JSON lines that hold codes, counts and references, and never a debtor's values.

An event is a fixed sentence and some keys. Only keys of KEYS are written; any other is dropped and counted. Exceptions
are written by type and step. What libraries log is written as their template, without what they filled it with.
"""

from __future__ import annotations

import json
import logging
import logging.handlers
import os
import sys
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, cast

import structlog

from infra.faults import kind_of, place_of

if TYPE_CHECKING:
    from pathlib import Path

    from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger

WORDS: Final = """
    event level timestamp logger actor verb step agency lender kind file transmission transmission_id file_id plan_id
    portfolio_id placement_id run_id rows lines accounts refused matched breaks sequence state bytes seconds attempt
    reference error place method route status port version revision deployment period code count dropped
"""
KEYS: Final = frozenset(WORDS.split())
"""What may be written. A new key goes in here, in a commit that says why it can hold no debtor's value."""
TEXT_AT_MOST: Final = 200
FILE_BYTES: Final = 10 * 1024 * 1024
FILES_KEPT: Final = 5
FOREIGN: Final = ("paramiko", "prefect", "sqlalchemy", "alembic", "httpx", "uvicorn", "docket", "gnupg")
"""Libraries that log on their own: warnings and worse are kept, without their arguments."""

dropped: Counter[str] = Counter()
"""How often each unlisted key was dropped in this process."""
_lock = threading.Lock()


def journal(name: str) -> FilteringBoundLogger:
    """A logger: `journal("outbox").info("delivered", agency="north", rows=12)`."""
    return cast("FilteringBoundLogger", structlog.get_logger().bind(logger=name))


def open_journal(home: Path, *, verbosity: int = 0) -> Path:
    """Events go to `home`/logs/consign.log from now on (0600, rotated), and with a verbosity to stderr too."""
    folder = home / "logs"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / "consign.log"
    for one in [one for one in _own().handlers if isinstance(one, PrivateFile)]:
        if one.baseFilename == str(path.resolve()):
            return path
        _own().removeHandler(one)  # one journal at a time: another home's is closed
        one.close()
    file = PrivateFile(path.resolve(), maxBytes=FILE_BYTES, backupCount=FILES_KEPT, encoding="utf-8")
    file.setFormatter(logging.Formatter("%(message)s"))
    _install(file, verbosity)
    return path


def talk(verbosity: int = 1) -> None:
    """Events go to stderr as text: from `info` at 1, from `debug` at 2."""
    _install(None, verbosity)


def close_journal() -> None:
    """Nothing is written any more."""
    for handler in [one for one in _own().handlers if isinstance(one, PrivateFile | Talk)]:
        _own().removeHandler(handler)
        handler.close()
    for name in FOREIGN:
        logger = logging.getLogger(name)
        for other in [one for one in logger.handlers if isinstance(one, Scrubbed)]:
            logger.removeHandler(other)
    _own().setLevel(logging.NOTSET)
    _configure(logging.INFO)


class PrivateFile(logging.handlers.RotatingFileHandler):
    """A rotated file that only its owner reads."""

    def _open(self) -> Any:
        descriptor = os.open(self.baseFilename, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
        return os.fdopen(descriptor, "a", encoding=self.encoding)


class Scrubbed(logging.Handler):
    """Takes a library's record: its name, level and template go on, its arguments and exception text do not."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write it as one of our own events."""
        told: dict[str, Any] = {"level": record.levelname.lower(), "logger": record.name}
        # a template of a library is source text; a message without arguments may have been formatted already
        told["event"] = record.msg if isinstance(record.msg, str) and record.args else "a library spoke"
        if record.exc_info and record.exc_info[1] is not None:
            told |= {"error": kind_of(record.exc_info[1]), "place": place_of(record.exc_info[1])}
        else:
            told["place"] = f"{record.module}:{record.lineno}"
        _own().log(record.levelno, json.dumps(allowed(None, "", told), ensure_ascii=False))


def allowed(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """The event with the listed keys alone, long texts cut; an exception becomes its type and place."""
    error = event.pop("exc_info", None)
    if error is True:
        error = sys.exc_info()[1]
    if isinstance(error, tuple):
        error = error[1]
    kept: EventDict = {}
    if isinstance(error, BaseException):
        kept.update(error=kind_of(error), place=place_of(error))
    lost = 0
    for key, value in event.items():
        if key not in KEYS or not isinstance(value, str | int | float | bool | None):
            lost += 1
            with _lock:
                dropped[key] += 1
            continue
        kept[key] = value[:TEXT_AT_MOST] if isinstance(value, str) else value
    if lost:
        kept["dropped"] = lost
    return kept


def _own() -> logging.Logger:
    own = logging.getLogger("consign")
    own.propagate = False
    return own


def _install(file: logging.Handler | None, verbosity: int) -> None:
    own = _own()
    own.setLevel(min(own.level or logging.INFO, logging.DEBUG if verbosity > 1 else logging.INFO))
    if file is not None:
        own.addHandler(file)
    if verbosity and not any(isinstance(one, Talk) for one in own.handlers):
        own.addHandler(Talk(sys.stderr))
    adopt()
    _configure(own.level)


def adopt() -> None:
    """What libraries log comes here and nowhere else; again after one of them has set its own logging up."""
    for name in FOREIGN:
        logger = logging.getLogger(name)
        if not any(isinstance(one, Scrubbed) for one in logger.handlers):
            logger.addHandler(Scrubbed(logging.WARNING))
        logger.propagate = False


def _configure(level: int) -> None:
    """Events go through `allowed` into our own logger; until a journal is opened it keeps them to itself."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            allowed,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_args: _own(),
        cache_logger_on_first_use=False,
    )


class Talk(logging.StreamHandler[Any]):
    """The same events for a person: time, sentence, then the keys."""

    def format(self, record: logging.LogRecord) -> str:
        """`12:00:03 outbox: delivered agency=north rows=12`."""
        event = json.loads(record.getMessage())
        at = str(event.pop("timestamp", ""))[11:19]
        words = [at, f"{event.pop('logger', 'consign')}:", str(event.pop("event", ""))]
        level = event.pop("level", "info")
        if level not in {"info", "debug"}:
            words.insert(1, level)
        return " ".join([*filter(None, words), *(f"{key}={value}" for key, value in event.items())])


_own().addHandler(logging.NullHandler())
_configure(logging.INFO)
