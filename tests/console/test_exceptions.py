"""`consign exceptions`, as a person types it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from sqlmodel import SQLModel
from typer.testing import CliRunner, Result

from console.cli.main import app
from infra import exceptions
from infra.settings import Settings
from infra.wiring import Desk, seated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Type = Callable[..., Result]

NOW = datetime(2026, 5, 4, 1, 15, tzinfo=UTC)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A desk at which two things went amiss."""
    at = Desk(Settings(home=tmp_path / "home", engine="direct"), clock=lambda: NOW, actor="chen.yu")
    SQLModel.metadata.create_all(at.database.engine)
    with at.database.write() as connection:
        for code, agency in (("file_refused", "quayside"), ("unconfirmed_recall", "hengxin")):
            exceptions.open_exception(connection, at, code, agency=agency, subject=f"about:{agency}")
    with seated(at):
        yield at
    at.database.close()


@pytest.fixture
def typed(desk: Desk) -> Type:
    """Types a command; it must end with `code`."""
    assert desk is not None

    def run(*words: str, code: int = 0) -> Result:
        result = CliRunner().invoke(app, ["exceptions", *words])
        assert result.exit_code == code, result.output
        return result

    return run


def said(result: Result) -> Any:
    return json.loads(result.stdout)


def test_the_gravest_is_first_and_the_list_ends_with_three_while_any_is_unresolved(typed: Type) -> None:
    found = said(typed("list", "--json", code=3))["items"]
    assert [one["code"] for one in found] == ["unconfirmed_recall", "file_refused"]
    assert all(one["about"] for one in found)
    narrowed = said(typed("list", "--agency", "quayside", "--json", code=3))["items"]
    assert [one["agency"] for one in narrowed] == ["quayside"]
    assert said(typed("list", "--mine", "--json"))["items"] == []
    assert said(typed("list", "--overdue", "--json"))["items"] == []


def test_one_is_taken_commented_handed_on_and_resolved(typed: Type) -> None:
    number = str(said(typed("list", "--code", "file_refused", "--json", code=3))["items"][0]["exception_id"])
    assert said(typed("take", number, "--dry-run", "--json"))["owner"] == "operations"
    assert said(typed("take", number, "--json"))["owner"] == "chen.yu"
    assert len(said(typed("list", "--mine", "--json", code=3))["items"]) == 1
    assert said(typed("comment", number, "they send it again", "--json"))["comments"][0]["by"] == "chen.yu"
    assert said(typed("assign", number, "compliance", "--json"))["state"] == "open"
    typed("resolve", number, "--reason", "call 13800138000", code=2)
    resolved = said(typed("resolve", number, "--reason", "came as number 2", "--json"))
    assert (resolved["state"], resolved["resolution"]) == ("resolved", "came as number 2")
    typed("resolve", number, "--reason", "again", code=6)
    assert len(said(typed("list", "--all", "--json", code=3))["items"]) == 2
    assert len(said(typed("list", "--json", code=3))["items"]) == 1


def test_what_is_not_there_says_where_to_look(typed: Type) -> None:
    assert "exceptions list" in typed("show", "99", code=2).stderr
