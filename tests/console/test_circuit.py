"""`consign agency circuit` and the agencies' list, as a person types them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner, Result

from connectors.drops.errors import AuthRefused
from console.cli.main import app
from infra import breaker, onboarding
from infra.settings import Settings
from infra.store import schema
from infra.wiring import Desk, seated
from keys.keyring import Keyring

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Type = Callable[..., Result]

NOW = datetime(2026, 5, 4, 1, 15, tzinfo=UTC)


@pytest.fixture
def typed(tmp_path: Path) -> Iterator[Type]:
    """Types a command at a desk with two agencies, one of which has refused our login."""
    desk = Desk(Settings(home=tmp_path / "home", engine="direct"), clock=lambda: NOW, actor="chen.yu")
    desk.settings.keyring_path.parent.mkdir(parents=True)
    Keyring.create(desk.settings.keyring_path, key_file=desk.settings.key_file_path)
    schema.ensure(desk.database)
    for code in ("hengxin", "quayside"):
        onboarding.add(desk, code, code)
    with pytest.raises(AuthRefused), breaker.observed(desk, "quayside"):
        raise AuthRefused("no")

    def run(*words: str, code: int = 0) -> Result:
        result = CliRunner().invoke(app, list(words))
        assert result.exit_code == code, result.output
        return result

    with seated(desk):
        yield run
    desk.database.close()


def items(result: Result) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(result.stdout)["items"]
    return found


def test_a_circuit_is_shown_with_its_reason_and_its_pause_and_closed_by_a_person(typed: Type) -> None:
    shown = {one["agency"]: one for one in items(typed("agency", "circuit", "--json"))}
    assert (shown["hengxin"]["state"], shown["hengxin"]["failures"]) == ("closed", 0)
    assert (shown["quayside"]["state"], shown["quayside"]["reason"]) == ("open", "AuthRefused")
    assert shown["quayside"]["retry_at"] > NOW.isoformat()
    (alone,) = items(typed("agency", "circuit", "quayside", "--reset", "--json"))
    assert alone["state"] == "closed"
    assert items(typed("exceptions", "list", "--json")) == []


def test_the_agencies_list_says_whose_server_is_left_in_peace(typed: Type) -> None:
    assert [one["circuit"] for one in items(typed("agency", "list", "--json"))] == ["closed", "open"]


def test_what_is_asked_wrong_is_said(typed: Type) -> None:
    assert "--reset needs" in typed("agency", "circuit", "--reset", code=2).stderr
    assert "no agency" in typed("agency", "circuit", "nobody", code=2).stderr
