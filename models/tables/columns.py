"""Column types that every table shares."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Integer
from sqlmodel import Field

ROWID = BigInteger().with_variant(Integer, "sqlite")
"""64 bits on PostgreSQL; on SQLite the key of the table itself, where any other type's key is an index beside it."""


def big(default: Any = ..., **more: Any) -> Any:
    """A 64-bit integer column (SQLModel's own `int` is 32 bits wide on PostgreSQL)."""
    return Field(default, sa_type=ROWID if more.get("primary_key") else BigInteger, **more)


def serial() -> Any:
    """A key the database counts itself: 64 bits on PostgreSQL, the rowid on SQLite."""
    return Field(default=None, primary_key=True, sa_type=ROWID)
