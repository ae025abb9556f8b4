"""Rows of tokens: by hash alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Connection, Row, insert, select, update

from infra.store import bulk
from infra.store.people import PEOPLE
from models.tables import AccessToken

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

TOKENS: Final = bulk.table_of(AccessToken)


def add(connection: Connection, **columns: Any) -> int:
    """One more token; its number."""
    return int(connection.execute(insert(TOKENS).values(**columns).returning(TOKENS.c.token_id)).scalar_one())


def one(connection: Connection, token_id: int) -> Row[Any] | None:
    """The token of that number."""
    return connection.execute(select(TOKENS).where(TOKENS.c.token_id == token_id)).one_or_none()


def counting(connection: Connection, token_hash: str, now: datetime) -> Row[Any] | None:
    """The token with its person's agency, if it counts now and the person is active."""
    return connection.execute(
        select(TOKENS, PEOPLE.c.agency)
        .join(PEOPLE, PEOPLE.c.actor == TOKENS.c.actor)
        .where(
            TOKENS.c.token_hash == token_hash, TOKENS.c.revoked_at.is_(None), TOKENS.c.ends_at > now,
            PEOPLE.c.state == "active",
        )
    ).one_or_none()  # fmt: skip


def listed(connection: Connection, now: datetime, actor: str | None = None) -> Sequence[Row[Any]]:
    """The tokens that count now, the newest first, without their hashes."""
    columns = [column for column in TOKENS.c if column.name != "token_hash"]
    statement = select(*columns).where(TOKENS.c.revoked_at.is_(None), TOKENS.c.ends_at > now)
    if actor is not None:
        statement = statement.where(TOKENS.c.actor == actor)
    return connection.execute(statement.order_by(TOKENS.c.token_id.desc())).all()


def note(connection: Connection, token_id: int, **columns: Any) -> None:
    """Columns of the token change."""
    connection.execute(update(TOKENS).where(TOKENS.c.token_id == token_id).values(**columns))
