"""Column types that every table shares."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Integer
from sqlmodel import Field


def big(default: Any = ..., **more: Any) -> Any:
    """A 64-bit integer column (SQLModel's own `int` is 32 bits wide on PostgreSQL)."""
    return Field(default, sa_type=BigInteger, **more)


def serial() -> Any:
    """A key the database counts itself: 64 bits on PostgreSQL, the rowid on SQLite."""
    return Field(default=None, primary_key=True, sa_type=BigInteger().with_variant(Integer, "sqlite"))
