"""What a command says: data on stdout (one JSON object with --json), talk on stderr, and how it ends when it fails."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import json as jsonlib
import math
import os
import re
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from pathlib import Path, PurePath
from typing import IO, TYPE_CHECKING, Annotated, Any, Protocol, TypeAlias, cast

import typer

from models.errors import ConfigurationError, ConsignError
from models.money import exponent

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID
    from rich.text import Text

MISSING = "–"
MONEY = "_minor"
PIPE_WIDTH = 240
"""Where stdout is no terminal a table is as wide as it needs, and nothing is cut."""
NAMES_A_THING = re.compile(r"(^|_)(id|seq|port|year|pid)$")
"""Numbers that are names: they are not grouped by thousands."""
PADDING = re.compile(r" +$", re.MULTILINE)
INTERRUPTED = 130
NOBODY_READS = 141
"""As a shell reports a program that wrote into a closed pipe."""

Plain: TypeAlias = "bool | int | float | str | list[Plain] | dict[str, Plain] | None"
"""What JSON can say."""

_json: ContextVar[bool] = ContextVar("consign_json", default=False)


def _remember(value: bool) -> bool:
    _json.set(value)
    return value


Json = Annotated[
    bool,
    typer.Option("--json", help="One JSON object on stdout.", callback=_remember, is_eager=True, show_default=False),
]
"""The option that every command takes: `json: Json = False`."""

DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Say what would change, and change nothing.", show_default=False)
]
"""The option of every command that changes something: `dry_run: DryRun = False`."""


class Bar(Protocol):
    """Progress of something long, on stderr."""

    def advance(self, by: float = 1) -> None:
        """More of it is done."""

    def update(self, *, done: float | None = None, total: float | None = None, description: str | None = None) -> None:
        """So much of it is done; there is more than was thought; it does something else now."""


def is_json() -> bool:
    """Whether --json was given."""
    return _json.get()


def emit(result: object, title: str = "", columns: Sequence[str] | None = None) -> None:
    """Put a result on stdout: with --json one JSON object, else a table (of rows) or a summary (of one thing).

    result: a dataclass, a mapping, a row of the store, a frame, or a sequence of them. `columns` picks and orders
    the columns of the table; JSON always holds all. A sequence becomes `{"items": [...], "count": n}`.
    """
    plain = jsonable(result)
    if _json.get():
        if not isinstance(plain, dict):
            plain = {"items": plain, "count": len(plain)} if isinstance(plain, list) else {"result": plain}
        _put(jsonlib.dumps(plain, ensure_ascii=False, allow_nan=False))
        return
    console = _stdout()
    if isinstance(plain, list):
        _table(console, plain, title, columns)
    elif isinstance(plain, dict):
        _summary(console, plain, title)
    else:
        console.print(str(plain), markup=False, highlight=False)
    sys.stdout.flush()


def say(text: str, *, style: str = "") -> None:
    """Tell the person something, on stderr: it is no part of the result."""
    _stderr().print(text, style=style or None, markup=False, highlight=False, soft_wrap=True)


@contextlib.contextmanager
def progress(description: str, total: float | None = None) -> Iterator[Bar]:
    """A bar on stderr while the block runs; without a terminal nothing is drawn."""
    console = _stderr()
    if not console.is_terminal:
        yield _Silent()
        return
    from rich import progress as bars

    shown = bars.Progress(
        bars.SpinnerColumn(),
        bars.TextColumn("{task.description}"),
        bars.BarColumn(),
        bars.TaskProgressColumn(),
        bars.TimeElapsedColumn(),
        console=console,
        transient=True,
    )
    with shown:
        yield _Drawn(shown, shown.add_task(description, total=total))


def confirmed(question: str, *, yes: bool = False) -> bool:
    """Whether the person agrees; `yes` is the option that agrees beforehand. Without a terminal the answer is no."""
    if yes:
        return True
    if not sys.stdin.isatty():
        say(f"{question} Nobody is there to answer: add --yes to agree.")
        return False
    return typer.confirm(question, err=True)


def explain(error: ConsignError) -> None:
    """What happened and what to do next, on stderr."""
    console = _stderr()
    console.print(f"{error}", style="bold red", markup=False, highlight=False, soft_wrap=True)
    if error.fix:
        console.print(f"→ {error.fix}", markup=False, highlight=False, soft_wrap=True)


@contextlib.contextmanager
def boundary(command: str) -> Iterator[None]:
    """The block ends with an exit code and a sentence, whatever happens in it.

    A ConsignError speaks for itself. Of anything unexpected only the type and the place are told: its text may hold
    a debtor's values. Raises typer.Exit.
    """
    try:
        yield
    except (typer.Exit, typer.TyperException):
        raise
    except ConsignError as error:
        explain(error)
        raise typer.Exit(error.exit_code) from None
    except (KeyboardInterrupt, typer.Abort):
        say("Interrupted. What was begun is taken up again by the same command.")
        raise typer.Exit(INTERRUPTED) from None
    except _NobodyReads:
        raise typer.Exit(NOBODY_READS) from None
    except BrokenPipeError as error:
        if not _is_of_stdout(error):
            _confess(command, error)
            raise typer.Exit(ConsignError.exit_code) from None
        _close_stdout()
        raise typer.Exit(NOBODY_READS) from None
    except Exception as error:  # noqa: BLE001 - the last line: nothing of an unknown error's text may reach a terminal
        if (known := _as_full_disk(error) or _as_configuration(error) or _as_store_to_make(error)) is not None:
            explain(known)
            raise typer.Exit(known.exit_code) from None
        _confess(command, error)
        raise typer.Exit(ConsignError.exit_code) from None


class _NobodyReads(Exception):
    """Stdout's reader went away: no fault of anybody's."""


def _put(text: str) -> None:
    try:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        _close_stdout()
        raise _NobodyReads from None


def _is_of_stdout(error: BrokenPipeError) -> bool:
    """Whether it was help that nobody read to its end, and not a connection that broke."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return bool(frames) and {"typer", "rich"} & set(Path(frames[-1].f_code.co_filename).parts) != set()


def _close_stdout() -> None:
    """Give the interpreter's last flush somewhere to go."""
    with contextlib.suppress(OSError, ValueError):
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, sys.stdout.fileno())
        os.close(silence)


def jsonable(value: object) -> Plain:
    """The value in JSON's own types: dates in ISO 8601, decimals and fractions as text, no number as null.

    Raises TypeError for bytes: sealed cells and keys are never data for people.
    """
    if isinstance(value, Enum):
        return jsonable(value.value)
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, date):
        return _day_or_instant(value)
    if isinstance(value, Decimal | Fraction | PurePath):
        return str(value)
    return _jsonable_composed(value)


def _day_or_instant(value: date) -> str | None:
    """In ISO 8601; a frame carries a date as its midnight without a zone, and an instant always has one."""
    if value != value:  # noqa: PLR0124 - pandas' NaT is not itself
        return None
    if isinstance(value, datetime) and value.tzinfo is None:
        return value.date().isoformat()
    return value.isoformat()


def _jsonable_composed(value: object) -> Plain:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: jsonable(getattr(value, f.name)) for f in dataclasses.fields(value) if f.repr}
    if isinstance(value, Mapping):
        return {str(key): jsonable(inner) for key, inner in value.items()}
    if isinstance(value, set | frozenset):
        return [jsonable(inner) for inner in sorted(value)]
    if isinstance(value, Sequence | Iterator) and not isinstance(value, bytes | bytearray | memoryview):
        return [jsonable(inner) for inner in value]
    return _jsonable_foreign(value)


def _jsonable_foreign(value: Any) -> Plain:
    if hasattr(value, "model_dump"):  # a row of the store
        return jsonable(value.model_dump())
    if hasattr(value, "to_dict") and hasattr(value, "columns"):  # a frame
        return [jsonable(row) for row in value.to_dict("records")]
    if hasattr(value, "tolist"):  # a number or an array of numpy's, a series of pandas'
        return jsonable(value.tolist())
    if type(value).__name__ == "NAType":
        return None
    message = f"{type(value).__name__} is not for people"
    raise TypeError(message)


def _stdout() -> Console:
    from rich.console import Console

    guarded = cast("IO[str]", _Guarded())
    return Console(file=guarded, width=None if sys.stdout.isatty() else PIPE_WIDTH)


def _stderr() -> Console:
    from rich.console import Console

    return Console(stderr=True)


class _Guarded:
    """Stdout as rich sees it, which would otherwise end the process when the reader goes away."""

    encoding = property(lambda _self: sys.stdout.encoding)

    def write(self, text: str) -> int:
        try:
            return sys.stdout.write(text if sys.stdout.isatty() else PADDING.sub("", text))
        except BrokenPipeError:
            _close_stdout()
            raise _NobodyReads from None

    def flush(self) -> None:
        try:
            sys.stdout.flush()
        except BrokenPipeError:
            _close_stdout()
            raise _NobodyReads from None

    def isatty(self) -> bool:
        return sys.stdout.isatty()

    def fileno(self) -> int:
        return sys.stdout.fileno()


def _table(console: Console, rows: list[Plain], title: str, columns: Sequence[str] | None) -> None:
    from rich import box
    from rich.table import Table

    lines = [row if isinstance(row, dict) else {title or "value": row} for row in rows]
    names = list(columns or dict.fromkeys(name for row in lines for name in row))
    table = Table(title=title or None, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for name in names:
        numeric = name.endswith(MONEY) or all(_is_number(row.get(name)) for row in lines)
        table.add_column(_heading(name), justify="right" if numeric else "left", overflow="fold")
    for row in lines:
        table.add_row(*(_cell(name, row.get(name), row) for name in names))
    if lines:
        console.print(table, markup=False)
    else:
        console.print(f"{title}: none" if title else "none", markup=False, highlight=False)


def _summary(console: Console, thing: dict[str, Plain], title: str) -> None:
    from rich.table import Table

    if title:
        console.print(title, style="bold", markup=False, highlight=False)
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    nested = {
        name: value for name, value in thing.items() if isinstance(value, list) and value and isinstance(value[0], dict)
    }
    for name, value in thing.items():
        if name not in nested:
            table.add_row(_heading(name), _cell(name, value, thing))
    console.print(table)
    for name, rows in nested.items():
        _table(console, rows, _heading(name), None)


def _is_number(value: Plain) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _heading(name: str) -> str:
    return name.removesuffix(MONEY).replace("_", " ")


def _cell(name: str, value: Plain, row: Mapping[str, Plain]) -> Text:
    from rich.text import Text

    return Text(_words(name, value, row))


def _words(name: str, value: Plain, row: Mapping[str, Plain]) -> str:
    if value is None:
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return _number(name, value, row.get("currency"))
    if isinstance(value, dict):
        return ", ".join(f"{_heading(key)} {_words(key, inner, value)}" for key, inner in value.items()) or MISSING
    if isinstance(value, list):
        return ", ".join(_words(name, inner, row) for inner in value) or MISSING
    return value


def _number(name: str, value: float, currency: Plain) -> str:
    if isinstance(value, float):
        return f"{value:,.4g}"
    if not name.endswith(MONEY):
        return str(value) if NAMES_A_THING.search(name) else f"{value:,}"
    if not isinstance(currency, str):
        return f"{Decimal(value).scaleb(-2):,.2f}"
    digits = exponent(currency)
    return f"{Decimal(value).scaleb(-digits):,.{digits}f} {currency}"


class _Silent:
    def advance(self, by: float = 1) -> None:
        """Nobody watches."""

    def update(self, *, done: float | None = None, total: float | None = None, description: str | None = None) -> None:
        """Nobody watches."""


class _Drawn:
    def __init__(self, shown: Progress, task: TaskID) -> None:
        self._shown = shown
        self._task = task

    def advance(self, by: float = 1) -> None:
        self._shown.advance(self._task, by)

    def update(self, *, done: float | None = None, total: float | None = None, description: str | None = None) -> None:
        self._shown.update(self._task, completed=done, total=total, description=description)


def _as_configuration(error: Exception) -> ConfigurationError | None:
    """Settings that cannot be read, told by name and rule: what was set may be a passphrase."""
    kind = type(error).__name__
    if kind == "ValidationError" and getattr(error, "title", "") == "Settings":
        wrong = "; ".join(
            f"{'.'.join(map(str, part['loc']))}: {part['msg']}"
            for part in error.errors(include_input=False, include_url=False, include_context=False)  # type: ignore[attr-defined]
        )
        return ConfigurationError(
            f"settings: {wrong}", fix="correct consign.toml or the CONSIGN_* variable of that name"
        )
    if kind == "TOMLDecodeError":
        return ConfigurationError("a TOML file cannot be read", fix="check consign.toml: every text needs its quotes")
    return None


def _as_store_to_make(error: Exception) -> ConfigurationError | None:
    """A store that `consign init` has not made yet, or not brought to this program's schema."""
    lost = getattr(error, "orig", None)
    if "no such table" not in str(lost) and getattr(lost, "sqlstate", "") != "42P01":
        return None
    from infra.store import schema
    from infra.wiring import desk

    with contextlib.suppress(Exception):  # it does not answer any more: then the error itself is told
        if schema.current(desk().database) != schema.head():
            return ConfigurationError("the store has not the tables of this Consign", fix="run `consign init`")
    return None


def _as_full_disk(error: BaseException) -> ConsignError | None:
    """A disk without room, said by the system or by SQLite: no fault of the program's, and a person can mend it."""
    by_system = isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}
    by_sqlite = type(error).__name__ == "OperationalError" and "disk is full" in str(getattr(error, "orig", error))
    if not (by_system or by_sqlite):
        return None
    return ConsignError(
        "a disk that Consign writes to is full",
        fix="make room (`consign doctor` shows it) and run the command again: nothing is lost or sent twice",
    )


def _confess(command: str, error: Exception) -> None:
    """An unexpected error in one line without its text; where it happened goes to a private file."""
    try:
        from infra.faults import record

        fault = record(error, command)
        where, reference = fault.place, fault.path
    except Exception:  # noqa: BLE001 - a full disk must not hide the first error
        where, reference = "", None
    say(f"{command} failed: {type(error).__name__}{where and f' at {where}'}", style="bold red")
    if reference is not None:
        say(f"→ the stack (without values) is in {reference}; running the command again is safe")
