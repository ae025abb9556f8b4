"""Roles: given by administrators and never to oneself, asked for where something is decided, and all on record."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlmodel import SQLModel
from typer.testing import CliRunner

from console.cli.main import app
from infra import health, roles
from infra.settings import Settings
from infra.store import trail
from infra.wiring import Desk, seated
from models.errors import RefusedByPolicy, UsageError
from models.roles import ABOUT, ROLES, Role

NOW = datetime(2026, 7, 1, 9, tzinfo=UTC)
runner = CliRunner()


@pytest.fixture
def desk(tmp_path: Path, database_url: str) -> Iterator[Desk]:
    """A store of either kind whose administrator is chen.yu."""
    with seated(Desk(Settings(home=tmp_path, database=database_url), clock=lambda: NOW, actor="chen.yu")) as at:
        SQLModel.metadata.create_all(at.database.engine)
        assert roles.first_administrator(at)
        yield at
        at.database.close()


def acting(desk: Desk, actor: str, **settings: object) -> Desk:
    other = Desk(desk.settings.model_copy(update=settings), clock=desk.clock, actor=actor)
    other.database = desk.database
    return other


def asked(desk: Desk, role: Role) -> bool:
    """Whether the act goes on."""
    try:
        with desk.database.write() as connection:
            roles.require(connection, desk, role)
    except roles.RoleMissing:
        return False
    return True


def on_record(desk: Desk) -> list[tuple[str, str, str, str]]:
    with desk.database.read() as connection:
        frame = trail.latest(connection, 100)[::-1]
    return [(row.actor, row.action, row.subject, json.loads(row.details).get("role", "")) for row in frame.itertuples()]


def test_one_role_is_no_other(desk: Desk) -> None:
    for given in ROLES:
        roles.grant(desk, f"with.{given}", given)
    assert {(given, wanted) for given in ROLES for wanted in ROLES if asked(acting(desk, f"with.{given}"), wanted)} == {
        (role, role) for role in ROLES
    }


def test_whoever_has_none_is_told_which_and_who_gives_it(desk: Desk) -> None:
    nobody = acting(desk, "mallory")
    with desk.database.read() as connection, pytest.raises(roles.RoleMissing, match=r"mallory .* finance") as refused:
        roles.require(connection, nobody, "finance")
    assert "consign role grant mallory finance" in refused.value.fix
    assert not asked(nobody, "administrator")


def test_a_role_that_was_taken_away_is_gone(desk: Desk) -> None:
    assert roles.grant(desk, "li.wei", "compliance")
    assert not roles.grant(desk, "li.wei", "compliance"), "it is given once"
    assert asked(acting(desk, "li.wei"), "compliance")
    roles.revoke(desk, "li.wei", "compliance")
    assert not asked(acting(desk, "li.wei"), "compliance")
    with pytest.raises(UsageError, match="has not the role"):
        roles.revoke(desk, "li.wei", "compliance")


def test_only_administrators_give_and_take(desk: Desk) -> None:
    roles.grant(desk, "li.wei", "compliance")
    for act in (
        lambda at: roles.grant(at, "mallory", "finance"),
        lambda at: roles.grant(at, "li.wei", "administrator"),
        lambda at: roles.revoke(at, "chen.yu", "administrator"),
    ):
        with pytest.raises(roles.RoleMissing, match="administrator"):
            act(acting(desk, "li.wei"))
    assert [(row["actor"], row["role"]) for row in roles.listed(desk)] == [
        ("li.wei", "compliance"), ("chen.yu", "administrator"),
    ]  # fmt: skip


@pytest.mark.parametrize("role", [role for role in ROLES if role != "administrator"])
def test_nobody_gives_a_role_to_his_own_name(desk: Desk, role: str) -> None:
    with pytest.raises(RefusedByPolicy, match="cannot give a role to chen"):
        roles.grant(desk, "chen.yu", role)
    roles.grant(desk, "li.wei", "administrator")
    assert roles.grant(acting(desk, "li.wei"), "chen.yu", role)


def test_the_last_administrator_stays(desk: Desk) -> None:
    with pytest.raises(RefusedByPolicy, match="last administrator"):
        roles.revoke(desk, "chen.yu", "administrator")
    roles.grant(desk, "li.wei", "administrator")
    roles.revoke(desk, "chen.yu", "administrator")
    assert not asked(desk, "administrator")


def test_there_is_one_first_administrator(desk: Desk) -> None:
    assert not roles.first_administrator(acting(desk, "mallory"))
    assert not asked(acting(desk, "mallory"), "administrator")


def test_a_store_that_nobody_initialised_asks_for_none_and_gives_none(tmp_path: Path) -> None:
    bare = Desk(Settings(home=tmp_path), clock=lambda: NOW, actor="sandbox")
    SQLModel.metadata.create_all(bare.database.engine)
    assert asked(bare, "compliance")
    with pytest.raises(UsageError, match="nobody is administrator yet"):
        roles.grant(bare, "mallory", "compliance")
    assert on_record(bare) == []


def test_where_roles_are_off_nothing_is_refused_and_what_passed_is_on_record(desk: Desk) -> None:
    loose = acting(desk, "mallory", roles="off")
    assert asked(loose, "finance")
    assert on_record(desk)[-1] == ("mallory", "role.not_asked_for", "actor:mallory", "finance")
    roles.grant(desk, "li.wei", "finance")
    assert asked(acting(desk, "li.wei", roles="off"), "finance")
    assert on_record(desk)[-1][1] == "role.granted", "who has the role needs no leave"
    with loose.database.read() as connection:
        roles.require(connection, loose, "finance")


def test_what_is_given_and_taken_is_on_record(desk: Desk) -> None:
    roles.grant(desk, "li.wei", "operations")
    roles.revoke(desk, "li.wei", "operations")
    assert on_record(desk) == [
        ("chen.yu", "role.granted", "actor:chen.yu", "administrator"),
        ("chen.yu", "role.granted", "actor:li.wei", "operations"),
        ("chen.yu", "role.revoked", "actor:li.wei", "operations"),
    ]


@pytest.mark.parametrize("name", ["", " ", "li wei", "li\nwei", "x" * 65, "a\x1b[0m"])
def test_what_is_no_name_to_log_in_with_gets_no_role(desk: Desk, name: str) -> None:
    with pytest.raises(UsageError, match="no name"):
        roles.grant(desk, name, "finance")


def test_a_role_that_is_none_is_told_the_ones_there_are(desk: Desk) -> None:
    with pytest.raises(UsageError, match="no role 'root'") as refused:
        roles.grant(desk, "li.wei", "root")
    assert all(role in refused.value.fix for role in ROLES)
    assert set(ABOUT) == set(ROLES)


@pytest.mark.usefixtures("desk")
def test_they_are_given_listed_and_taken_from_the_command_line() -> None:
    def said(*words: str) -> tuple[int, dict[str, object]]:
        result = runner.invoke(app, ["role", *words, "--json"])
        return result.exit_code, json.loads(result.stdout) if result.stdout else {}

    assert said("grant", "li.wei", "compliance") == (
        0, {"actor": "li.wei", "role": "compliance", "new": True, "by": "chen.yu"},
    )  # fmt: skip
    code, told = said("list")
    assert (code, told["count"]) == (0, 2)
    assert said("revoke", "li.wei", "compliance")[0] == 0
    assert said("grant", "chen.yu", "finance")[0] == RefusedByPolicy.exit_code
    assert said("grant", "li.wei", "root")[0] == UsageError.exit_code
    assert said("list")[1]["count"] == 1


@pytest.mark.parametrize(("setting", "state"), [("on", "ok"), ("off", "warn")])
def test_the_doctor_says_whether_roles_count(tmp_path: Path, setting: str, state: str) -> None:
    at = Desk(Settings(home=tmp_path).model_copy(update={"roles": setting}), clock=lambda: NOW, actor="chen.yu")
    SQLModel.metadata.create_all(at.database.engine)
    assert [found.state for found in health.people(at)] == ["warn"], "nobody is administrator"
    roles.first_administrator(at)
    assert [found.state for found in health.people(at)] == [state]
