"""Every version of a release policy that was proposed or in force: texts that never change, and what became of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import insert, select, update

from infra.store import bulk
from models.tables import ReleasePolicy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Row

POLICIES: Final = bulk.table_of(ReleasePolicy)


def version(connection: Connection, name: str, number: str) -> Row[Any] | None:
    """That version; None where nobody proposed it."""
    return connection.execute(
        select(POLICIES).where(POLICIES.c.name == name, POLICIES.c.version == number)
    ).one_or_none()


def in_force(connection: Connection, name: str) -> Row[Any] | None:
    """The version of the policy that is in force; None where none is."""
    return connection.execute(
        select(POLICIES).where(POLICIES.c.name == name, POLICIES.c.state == "in_force")
    ).one_or_none()


def standing_over(connection: Connection, name: str) -> Sequence[Row[Any]]:
    """The policies in force that stand over this one, by name."""
    return connection.execute(
        select(POLICIES).where(POLICIES.c.over == name, POLICIES.c.state == "in_force").order_by(POLICIES.c.name)
    ).all()


def versions(connection: Connection, name: str | None = None) -> Sequence[Row[Any]]:
    """Every version of the policy, or of all, by name, the newest first."""
    statement = select(POLICIES).order_by(POLICIES.c.name, POLICIES.c.proposed_at.desc(), POLICIES.c.version.desc())
    return connection.execute(statement if name is None else statement.where(POLICIES.c.name == name)).all()


def names(connection: Connection) -> list[str]:
    """The policies of which a version is in force."""
    found = select(POLICIES.c.name).where(POLICIES.c.state == "in_force").order_by(POLICIES.c.name)
    return list(connection.execute(found).scalars())


def add(connection: Connection, **columns: object) -> None:
    """The version is kept. Raises the driver's IntegrityError where there is one of that name and number."""
    connection.execute(insert(POLICIES).values(**columns))


def note(connection: Connection, row: Row[Any], **columns: object) -> None:
    """What became of the version; its text stays."""
    connection.execute(
        update(POLICIES).where(POLICIES.c.name == row.name, POLICIES.c.version == row.version).values(**columns)
    )
