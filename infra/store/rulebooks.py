"""Every version of a file of rules that was proposed or in force: texts that never change, and what became of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import insert, select, update

from infra.store import bulk
from models.tables import Rulebook

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Row

RULES: Final = bulk.table_of(Rulebook)


def version(connection: Connection, sort: str, name: str, number: str) -> Row[Any] | None:
    """That version; None where nobody proposed it."""
    mine = select(RULES).where(RULES.c.sort == sort, RULES.c.name == name, RULES.c.version == number)
    return connection.execute(mine).one_or_none()


def in_force(connection: Connection, sort: str) -> Sequence[Row[Any]]:
    """The versions of that sort that are in force, by name."""
    statement = select(RULES).where(RULES.c.sort == sort, RULES.c.state == "in_force").order_by(RULES.c.name)
    return connection.execute(statement).all()


def versions(connection: Connection, sort: str, name: str | None = None) -> Sequence[Row[Any]]:
    """Every version of the name, or of all of that sort, by name, the newest first."""
    statement = (
        select(RULES)
        .where(RULES.c.sort == sort)
        .order_by(RULES.c.name, RULES.c.proposed_at.desc(), RULES.c.version.desc())
    )
    return connection.execute(statement if name is None else statement.where(RULES.c.name == name)).all()


def add(connection: Connection, **columns: object) -> None:
    """The version is kept. Raises the driver's IntegrityError where there is one of that name and number."""
    connection.execute(insert(RULES).values(**columns))


def note(connection: Connection, row: Row[Any], **columns: object) -> None:
    """What became of the version; its text stays."""
    mine = (RULES.c.sort == row.sort, RULES.c.name == row.name, RULES.c.version == row.version)
    connection.execute(update(RULES).where(*mine).values(**columns))
