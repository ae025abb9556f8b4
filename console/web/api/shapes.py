"""What the API says and hears: shapes made from the store's own tables, so that each says what the other does."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field, create_model

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlmodel import SQLModel

Item = TypeVar("Item")
LARGEST = 2**62
LONGEST_TEXT = 2_000

Text = Annotated[str, Field(max_length=LONGEST_TEXT, pattern=r"^[^\x00]*$")]
Word = Annotated[str, Field(max_length=200, pattern=r"^[^\x00]*$")]
Number = Annotated[int, Field(ge=1, le=LARGEST)]


class Problem(BaseModel):
    """What went wrong (RFC 9457): what, why, and what to do."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str = ""
    fix: str = Field(default="", description="what to do about it")


class Listed(BaseModel, Generic[Item]):
    """One page of a list."""

    items: list[Item]
    next: str | None = Field(default=None, description="goes on there: `?after=`; null on the last page")


class Given(BaseModel):
    """What is sent to us; a field that nobody knows is refused."""

    model_config = ConfigDict(extra="forbid")


def of_table(
    name: str, table: type[SQLModel], *, only: Collection[str] = (), but: Collection[str] = (), **more: Any
) -> type[BaseModel]:
    """The shape of a table's rows: the columns that are named, or all but some, with their own descriptions.

    more: fields beside them, `(type, default)`; a default of `...` is always there.
    """
    columns = table.__table__.columns  # type: ignore[attr-defined]  # SQLModel makes it
    told: dict[str, Any] = {}
    for column in columns:
        if (only and column.name not in only) or column.name in but:
            continue
        kind = _python_type(column.type)
        field = table.model_fields.get(column.name)
        about = Field(description=field.description if field is not None else None)
        told[column.name] = (kind | None, about) if column.nullable else (kind, about)
    return create_model(name, __config__=ConfigDict(from_attributes=True, extra="ignore"), **(told | more))


def _python_type(kind: Any) -> Any:
    found = getattr(kind, "impl_instance", kind).python_type
    return found if found in {int, str, bool, float, date, datetime, Decimal} else str
