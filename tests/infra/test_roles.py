"""Roles: given by administrators and never to oneself, asked for where something is decided, and all on record."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlmodel import SQLModel
from typer.testing import CliRunner

from console.cli.main import app
from flows import plan
from infra import certificates, diligence, escrow, gates, health, hostkeys, reidentification, roles, rotation
from infra.reports import drafts
from infra.settings import Settings
from infra.store import trail
from infra.wiring import Desk, seated
from keys.keyring import Keyring
from models.errors import RefusedByPolicy, UsageError
from models.roles import ABOUT, ROLES, Role

NOW = datetime(2026, 7, 1, 9, tzinfo=UTC)
runner = CliRunner()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """A store whose administrator is chen.yu."""
    with seated(Desk(Settings(home=tmp_path), clock=lambda: NOW, actor="chen.yu")) as at:
        SQLModel.metadata.create_all(at.database.engine)
        assert roles.first_administrator(at)
        yield at
        at.database.close()


@pytest.fixture
def keyed(desk: Desk) -> Desk:
    """The same, with a keyring."""
    Keyring.create(desk.settings.keyring_path, key_file=desk.settings.key_file_path)
    return desk


def acting(desk: Desk, actor: str, **settings: object) -> Desk:
    other = Desk(desk.settings.model_copy(update=settings), clock=desk.clock, actor=actor)
    other.database = desk.database
    if desk.settings.keyring_path.exists():
        other.keyring = desk.keyring
    return other


ACTS: dict[str, tuple[Role, Callable[[Desk], object]]] = {
    "approve a plan": ("portfolio_manager", lambda _: plan.approve(7)),
    "approve a host key": ("operations", lambda at: hostkeys.approve(at, "acme", "SHA256:x")),
    "approve an agency's keys": ("operations", lambda at: rotation.approve(at, "acme", 7, encrypt="x", verify="x")),
    "let the keyring out": ("administrator", lambda at: escrow.approve(at, 7, "age1")),
    "lift a gate": ("compliance", lambda at: gates.grant(at, 7)),
    "waive a certificate": ("compliance", lambda at: certificates.grant_waiver(at, "acme")),
    "take in evidence of due diligence": (
        "compliance",
        lambda at: diligence.add(
            at, "acme", "licence", kinds=["licence"], valid_from=NOW.date(), reference="a register"
        ),
    ),
    "see whom an account belongs to": (
        "compliance", lambda at: reidentification.show(at, "42", ["name"], "he rang us up", lender="bank"),
    ),
    "list the debtors that a breach affects": ("compliance", lambda at: drafts.affected_pseudonyms(at, "acme")),
}  # fmt: skip
"""What asks for a role, and for which; in an empty store nothing of it is there."""


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
    return [
        (str(row["actor"]), str(row["action"]), str(row["subject"]), json.loads(str(row["details"])).get("role", ""))
        for row in frame.to_dict("records")
    ]


def test_one_role_is_no_other(desk: Desk) -> None:
    for given in ROLES:
        roles.grant(desk, f"with.{given}", given)
    assert {(given, wanted) for given in ROLES for wanted in ROLES if asked(acting(desk, f"with.{given}"), wanted)} == {
        (role, role) for role in ROLES
    }


@pytest.mark.parametrize("act", ACTS)
def test_what_only_some_may_do_asks_for_their_role_and_no_other(keyed: Desk, act: str) -> None:
    needed, done = ACTS[act]
    for role in ROLES:
        roles.grant(keyed, f"with.{role}", role)
        nothing_there, said = (
            (UsageError, None) if role == needed else (roles.RoleMissing, f"has not the role {needed}")
        )
        with seated(acting(keyed, f"with.{role}")) as at, pytest.raises(nothing_there, match=said):
            done(at)


def test_who_was_refused_an_identity_is_on_record(keyed: Desk) -> None:
    with pytest.raises(roles.RoleMissing):
        reidentification.show(acting(keyed, "mallory"), "42", ["name"], "I want to know", lender="bank")
    assert on_record(keyed)[-1][:2] == ("mallory", "identity.refused")
    assert [row["outcome"] for row in reidentification.asked(keyed, "mallory")] == ["refused"]


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


def test_nobody_gives_a_role_to_his_own_name(desk: Desk) -> None:
    with pytest.raises(RefusedByPolicy, match="cannot give a role to chen"):
        roles.grant(desk, "chen.yu", "finance")
    roles.grant(desk, "li.wei", "administrator")
    assert roles.grant(acting(desk, "li.wei"), "chen.yu", "finance")


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


def test_what_is_given_and_taken_is_on_record_in_a_store_of_either_kind(tmp_path: Path, database_url: str) -> None:
    desk = Desk(Settings(home=tmp_path, database=database_url), clock=lambda: NOW, actor="chen.yu")
    SQLModel.metadata.create_all(desk.database.engine)
    roles.first_administrator(desk)
    roles.grant(desk, "li.wei", "operations")
    roles.revoke(desk, "li.wei", "operations")
    assert on_record(desk) == [
        ("chen.yu", "role.granted", "actor:chen.yu", "administrator"),
        ("chen.yu", "role.granted", "actor:li.wei", "operations"),
        ("chen.yu", "role.revoked", "actor:li.wei", "operations"),
    ]
    desk.database.close()


def test_what_is_no_name_to_log_in_with_gets_no_role(desk: Desk) -> None:
    for name in ("", " ", "li wei", "li\nwei", "x" * 65, "a\x1b[0m"):
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
