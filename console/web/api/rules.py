"""Rules that two people put in force, as the API has them: strategies, and limits of instalment plans."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

from console.web.api.door import Calling
from console.web.api.shapes import Given, Listed, of_table
from console.web.frames import told
from infra.wiring import seated_here
from models.policy_file import NAME, VERSION
from models.tables import Rulebook

if TYPE_CHECKING:
    from infra.rulebooks import Book

Name = Annotated[str, Field(pattern=f"^{NAME.pattern}$")]
Version = Annotated[str, Field(pattern=f"^{VERSION.pattern}$")]
AnyVersion = Annotated[str, Query(pattern=f"^({VERSION.pattern})?$", description="empty: the one that counts")]
LONGEST_RULES = 1 << 18
VersionShape = of_table("RuleVersion", Rulebook, but={"toml", "audit_seq"})


class Rules(BaseModel):
    """Rules in force, or a version that waits or is drafted."""

    name: str
    version: str
    state: str
    origin: str
    sha256: str


class WholeRules(BaseModel):
    """One version of rules with its text."""

    name: str
    version: str
    about: str
    lenders: list[str]
    sha256: str
    toml: str


class PutUp(Given):
    """A file of rules (docs/reference/strategies.md)."""

    toml: Annotated[str, Field(min_length=1, max_length=LONGEST_RULES, pattern=r"^[^\x00]*$")]
    dry_run: bool = Field(default=False, description="only read and checked: nothing is kept")


class Reason(Given):
    """Why."""

    reason: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[\x20-\x7e]+$")]


class Differs(BaseModel):
    """One part that another version says otherwise; `before` or `after` is empty where there is none."""

    model_config = ConfigDict(from_attributes=True)
    part: str
    id: str
    before: str
    after: str


def listed(call: Calling, book: Book[Any]) -> Listed[Rules]:
    """Those in force, proposed, and drafted on the server."""
    with seated_here(call.desk), call.desk.database.read() as connection:
        return Listed(items=[Rules.model_validate(row) for row in book.listed(connection)])


def whole(call: Calling, book: Book[Any], name: str, version: str) -> WholeRules:
    """The version with its text, or the one that counts."""
    with seated_here(call.desk), call.desk.database.read() as connection:
        one = book.version(connection, name, version) if version else book.find(connection, name)
        toml = book.text(connection, one.name, one.version)
    return WholeRules(
        name=one.name, version=one.version, about=one.about, lenders=list(one.lenders), sha256=one.sha256, toml=toml
    )


def history(call: Calling, book: Book[Any], name: str) -> Listed[Any]:
    """Every version of the name."""
    with seated_here(call.desk):
        return Listed(items=[told(row) for row in book.history(call.desk, name)])


def pair(call: Calling, book: Book[Any], name: str, against: str, version: str) -> tuple[Any, Any]:
    """The version that is compared with, and the one that counts or is named."""
    with seated_here(call.desk), call.desk.database.read() as connection:
        one = book.version(connection, name, version) if version else book.find(connection, name)
        return book.version(connection, name, against), one


def propose(call: Calling, book: Book[Any], given: PutUp) -> WholeRules:
    """The version is up for approval."""
    with seated_here(call.desk):
        made = book.propose_text(call.desk, given.toml, dry_run=given.dry_run)
    return WholeRules(
        name=made.name, version=made.version, about=made.about, lenders=list(made.lenders), sha256=made.sha256,
        toml=given.toml,
    )  # fmt: skip


def approve(call: Calling, book: Book[Any], name: str, version: str) -> None:
    """The version is in force."""
    with seated_here(call.desk):
        book.approve(call.desk, f"{name}@{version}")


def withdraw(call: Calling, book: Book[Any], name: str, version: str, reason: str) -> None:
    """The version counts no more."""
    with seated_here(call.desk):
        book.withdraw(call.desk, f"{name}@{version}", reason)
