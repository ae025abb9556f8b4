"""Whether models of who pays are used: off, shown beside the accounts, or made into score bands.

Where the settings name `propensity`, they decide. Elsewhere people do: somebody proposes it with a reason, somebody
else of compliance approves it, and it counts until another does, or until it is withdrawn. Without any, models are off.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, NoReturn, get_args

from infra.exceptions import check_text
from infra.ownfiles import Shelf
from infra.rulebooks import AT, Book
from infra.store import rulebooks as store
from models.errors import RefusedByPolicy, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Row

    from infra.wiring import Desk

Mode = Literal["off", "shown", "bands"]
MODES: Final[tuple[Mode, ...]] = get_args(Mode)
NAME: Final = "models"
"""Of the one use there is: that of all lenders' models."""
SORT: Final = "propensity_use"


@dataclass(frozen=True)
class Use:
    """One decision about what models are used for, and why."""

    name: str
    version: str
    mode: Mode
    why: str
    sha256: str
    lenders: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Use:
        """The decision that the text states."""
        told = tomllib.loads(text)
        return cls(
            told["name"], told["version"], told["propensity"], told["why"], hashlib.sha256(text.encode()).hexdigest()
        )


@dataclass(frozen=True)
class Standing:
    """What models are used for now, and what was said of it, the newest first."""

    mode: Mode
    by_settings: bool
    """the settings name it: nobody decides otherwise"""
    versions: Sequence[Row[Any]]
    told: dict[str, Use]
    """what each version says, by its number"""


def _none(name: str) -> NoReturn:
    raise UsageError(f"no use of models called {name} comes with Consign", fix="propose one")


BOOK: Final[Book[Use]] = Book(
    SORT, "consign propensity use", "compliance", Shelf("propensity-use", "use of models", tuple, _none, Use.parse),
    lambda _connection, _use: None, _none,
)  # fmt: skip


def switched(desk: Desk) -> Mode:
    """What models are used for now. Raises RulesAltered where the store says other than what was approved."""
    if _by_settings(desk):
        return desk.settings.propensity
    with desk.database.read() as connection:
        return _in_force(connection)


def standing(desk: Desk) -> Standing:
    """What models are used for, and everything that was proposed."""
    with desk.database.read() as connection:
        rows = store.versions(connection, SORT, NAME)
        told = {row.version: BOOK.read(connection, row) for row in rows}
        mode = desk.settings.propensity if _by_settings(desk) else _in_force(connection)
    return Standing(mode, _by_settings(desk), rows, told)


def propose(desk: Desk, mode: str, why: str) -> Use:
    """It waits for somebody of compliance. Raises UsageError, and RefusedByPolicy where the settings decide."""
    _open_to_people(desk)
    if mode not in MODES:
        raise UsageError("that is none of the choices", fix=f"choose one of {', '.join(MODES)}")
    check_text(why)
    if not why.isprintable():
        raise UsageError("the reason has signs that cannot be shown", fix="write it in one line")
    with desk.database.read() as connection:
        if _in_force(connection) == mode:
            raise UsageError(f"models are {mode} already", fix="propose something else")
        number = len(store.versions(connection, SORT, NAME)) + 1
    said = json.dumps(why.strip(), ensure_ascii=False)
    text = f'name = "{NAME}"\nversion = "{number}"\npropensity = "{mode}"\nwhy = {said}\n'
    return BOOK.propose_text(desk, text)


def approve(desk: Desk, version: str) -> Use:
    """It counts from now on. Raises RoleMissing, RefusedByPolicy for whoever proposed it, IllegalMove, UsageError."""
    _open_to_people(desk)
    return BOOK.approve(desk, f"{NAME}{AT}{version}")


def withdraw(desk: Desk, version: str, reason: str) -> str:
    """It counts no more, or never does: models are off. Returns what it was. Raises as `Book.withdraw` does."""
    return BOOK.withdraw(desk, f"{NAME}{AT}{version}", reason)


def _in_force(connection: Connection) -> Mode:
    rows = store.in_force(connection, SORT)
    return BOOK.read(connection, rows[0]).mode if rows else "off"


def _by_settings(desk: Desk) -> bool:
    return "propensity" in desk.settings.model_fields_set


def _open_to_people(desk: Desk) -> None:
    if _by_settings(desk):
        raise RefusedByPolicy(
            "the settings of this installation say what models are used for",
            fix="take `propensity` out of consign.toml and its environment, then decide it here",
        )
