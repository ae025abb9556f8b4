"""Rows of a frame, and of the store, as a template reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from infra.store.keyset import aware

if TYPE_CHECKING:
    import pandas as pd
    from sqlalchemy import Row


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """One mapping per row; what is missing is None, whatever the column's type."""
    names = [str(name) for name in frame.columns]
    columns = [_plain(frame.iloc[:, place]) for place in range(len(names))]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _plain(column: pd.Series) -> list[Any]:
    """The column's values as Python has them; a frame's own `to_dict` takes a millisecond for every dozen columns."""
    values = column.tolist()
    missing = column.isna().to_numpy()
    return [None if gone else value for value, gone in zip(values, missing, strict=True)] if missing.any() else values


def told(row: Row[Any]) -> dict[str, Any]:
    """A row of the store as a template reads it: its instants know that they are UTC."""
    return aware(dict(row._mapping))  # noqa: SLF001 - SQLAlchemy's public name
