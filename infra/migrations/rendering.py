"""How a column's type is written into a migration: in SQLAlchemy's own words, so that old migrations keep running."""

from __future__ import annotations

from typing import Literal

from sqlmodel.sql.sqltypes import AutoString, UTCDateTime


def render_item(kind: str, item: object, _context: object) -> str | Literal[False]:
    """SQLModel's types by what they are in the database; everything else as Alembic writes it."""
    if kind == "type" and isinstance(item, UTCDateTime):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and isinstance(item, AutoString):
        return "sa.String()"
    return False
