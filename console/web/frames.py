"""Rows of a frame, and of the store, as a template reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from infra.store.keyset import aware

if TYPE_CHECKING:
    import pandas as pd
    from sqlalchemy import Row


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """One mapping per row; what is missing is None, whatever the column's type."""
    told = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in told]


def told(row: Row[Any]) -> dict[str, Any]:
    """A row of the store as a template reads it: its instants know that they are UTC."""
    return aware(dict(row._mapping))  # noqa: SLF001 - SQLAlchemy's public name
