"""Versions of release policies: proposed by one, approved by another, kept as they were, and in force or not."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from sqlmodel import SQLModel

from infra import policies, roles
from infra.policies import NotInForce, PolicyAltered
from infra.settings import Settings
from infra.store import policies as store
from infra.store import trail
from infra.wiring import Desk
from models import packaged, release
from models.errors import ConsignError, RefusedByPolicy, UsageError
from models.lives import IllegalMove
from models.release import PolicyInvalid

NOW = datetime(2026, 7, 1, 9, tzinfo=UTC)
OURS = """
    name = "ours"
    version = "1"
    jurisdiction = "CN"
    [purposes.collection]
    basis = "contract"
    verified = "text"
    erase_after_days = 5
    [[release]]
    purpose = "collection"
    stages = ["phone"]
    channels = ["phone"]
    [release.fields]
    dpd = "release"
"""


def text_of(name: str = "ours", version: str = "1", over: str = "", agencies: tuple[str, ...] = ()) -> str:
    head = f'name = "{name}"' + (f'\nover = "{over}"' if over else "")
    head += f"\nagencies = {json.dumps(agencies)}" if agencies else ""
    return OURS.replace('name = "ours"', head).replace('version = "1"', f'version = "{version}"')


class Clock:
    """A clock that a test turns."""

    now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def desk(tmp_path: Path, clock: Clock) -> Iterator[Desk]:
    at = Desk(Settings(home=tmp_path), clock=clock, actor="chen.yu")
    SQLModel.metadata.create_all(at.database.engine)
    yield at
    at.database.close()


def acting(desk: Desk, actor: str) -> Desk:
    other = Desk(desk.settings, clock=desk.clock, actor=actor)
    other.database = desk.database
    return other


@pytest.fixture
def propose(desk: Desk, tmp_path: Path) -> Callable[..., str]:
    """Proposes such a policy; its name and version."""

    def put(name: str = "ours", version: str = "1", *, by: Desk = desk, text: str = "", **more: Any) -> str:
        file = tmp_path / "policy.toml"
        file.write_text(text or text_of(name, version, **more), encoding="utf-8")
        made = policies.propose(by, file)
        return f"{made.name}@{made.version}"

    return put


def found(desk: Desk, name: str = "ours") -> release.Policy:
    with desk.database.read() as connection:
        return policies.find(connection, name)


def events(desk: Desk) -> list[tuple[str, str, str]]:
    with desk.database.read() as connection:
        frame = trail.latest(connection, 100)[::-1]
    return list(frame[["actor", "action", "subject"]].itertuples(index=False, name=None))


# --- one proposes, another approves -----------------------------------------------------------------------------------


def test_an_own_policy_counts_from_the_approval_of_a_second_person_on(
    desk: Desk, clock: Clock, propose: Callable[..., str]
) -> None:
    reference = propose()
    with pytest.raises(NotInForce, match="nobody has approved it"):
        found(desk)
    with pytest.raises(RefusedByPolicy, match="proposed ours@1, and cannot approve it"):
        policies.approve(desk, reference)
    clock.now = NOW + timedelta(days=1)
    policies.approve(acting(desk, "li.wei"), reference)
    assert found(desk).version == "1"
    (row,) = policies.history(desk, "ours")
    assert (row.state, row.proposed_by, row.proposed_at, row.approved_by, row.in_force_from, row.in_force_until) == (
        "in_force", "chen.yu", NOW, "li.wei", NOW + timedelta(days=1), None,
    )  # fmt: skip
    assert events(desk) == [
        ("chen.yu", "policy.proposed", "policy:ours@1"), ("li.wei", "policy.approved", "policy:ours@1"),
    ]  # fmt: skip


def test_the_second_person_has_the_role_for_it(desk: Desk, propose: Callable[..., str]) -> None:
    reference = propose()
    roles.first_administrator(desk)
    roles.grant(desk, "li.wei", "finance")
    with pytest.raises(roles.RoleMissing, match="has not the role compliance"):
        policies.approve(acting(desk, "li.wei"), reference)
    roles.grant(desk, "li.wei", "compliance")
    policies.approve(acting(desk, "li.wei"), reference)
    assert found(desk).version == "1"


def test_a_new_version_ends_the_one_before_and_both_are_kept(
    desk: Desk, clock: Clock, propose: Callable[..., str]
) -> None:
    other = acting(desk, "li.wei")
    first = policies.approve(other, propose())
    clock.now = NOW + timedelta(days=9)
    policies.approve(other, propose(version="2"))
    assert found(desk).version == "2"
    two, one = policies.history(desk, "ours")
    assert (one.version, one.state, one.in_force_from, one.in_force_until) == (
        "1", "superseded", NOW, NOW + timedelta(days=9),
    )  # fmt: skip
    assert (two.version, two.state, two.in_force_from) == ("2", "in_force", NOW + timedelta(days=9))
    with desk.database.read() as connection:
        assert policies.version(connection, "ours@1") == first
        assert policies.as_approved(connection, "ours", "1", first.sha256) == first


@pytest.mark.parametrize("then", ["proposed", "in_force", "superseded", "withdrawn"])
def test_a_version_is_one_text_for_ever(desk: Desk, propose: Callable[..., str], then: str) -> None:
    other = acting(desk, "li.wei")
    reference = propose()
    if then in {"in_force", "superseded"}:
        policies.approve(other, reference)
    if then == "superseded":
        policies.approve(other, propose(version="2"))
    if then == "withdrawn":
        policies.withdraw(desk, reference, "a mistake")
    with pytest.raises(UsageError, match=f"version 1 of ours is {then} already, with another text"):
        propose(text=text_of() + "# one more word\n")
    with pytest.raises(UsageError, match=f"version 1 of ours is {then} already$"):
        propose()


def test_only_what_waits_is_approved(desk: Desk, propose: Callable[..., str]) -> None:
    other = acting(desk, "li.wei")
    reference = propose()
    policies.approve(other, reference)
    for wrong, error in (
        ("ours@1", IllegalMove),
        ("ours@7", UsageError),
        ("ours", UsageError),
        ("nobody@1", UsageError),
    ):
        with pytest.raises(error):
            policies.approve(other, wrong)
    policies.withdraw(other, reference, "a mistake")
    with pytest.raises(IllegalMove):
        policies.approve(other, reference)


def test_what_is_tried_on_is_not_kept(desk: Desk, tmp_path: Path) -> None:
    file = tmp_path / "ours.toml"
    file.write_text(OURS)
    assert policies.propose(desk, file, dry_run=True).name == "ours"
    with pytest.raises(UsageError, match="there is no policy 'ours'"):
        policies.history(desk, "ours")


def test_a_file_that_is_none_is_told(desk: Desk, tmp_path: Path) -> None:
    file = tmp_path / "ours.toml"
    for content, error in ((None, UsageError), (b"\xff\xfe", UsageError), (b"name = 1", PolicyInvalid)):
        if content is not None:
            file.write_bytes(content)
        with pytest.raises(error):
            policies.propose(desk, file)


# --- withdrawing ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ours", "cn-default"])
def test_a_version_that_was_withdrawn_lets_nothing_leave(desk: Desk, propose: Callable[..., str], name: str) -> None:
    if name == "ours":
        policies.approve(acting(desk, "li.wei"), propose())
    policy = found(desk, name)
    assert policies.withdraw(desk, f"{name}@1", "counsel says no") == "in_force"
    with pytest.raises(NotInForce, match=f"{name} 1 was withdrawn: counsel says no"):
        found(desk, name)
    with desk.database.read() as connection, pytest.raises(NotInForce):
        policies.as_approved(connection, name, "1", policy.sha256)
    assert events(desk)[-1] == ("chen.yu", "policy.withdrawn", f"policy:{name}@1")
    policies.keep_shipped(desk)
    with pytest.raises(NotInForce):
        found(desk, name)


def test_compliance_withdraws_and_whoever_proposed_takes_back(desk: Desk, propose: Callable[..., str]) -> None:
    reference = propose()
    roles.first_administrator(desk)
    with pytest.raises(roles.RoleMissing):
        policies.withdraw(acting(desk, "mallory"), reference, "no")
    assert policies.withdraw(desk, reference, "not yet") == "proposed"
    with pytest.raises(roles.RoleMissing):
        policies.withdraw(desk, "minimal@1", "no")
    with pytest.raises(UsageError, match="needs a reason"):
        policies.withdraw(desk, reference, " ")


# --- nobody rewrites what was approved --------------------------------------------------------------------------------


def rewritten(desk: Desk, name: str, **columns: object) -> None:
    """Somebody with the store's password was there."""
    with desk.database.write() as connection:
        connection.execute(update(store.POLICIES).where(store.POLICIES.c.name == name).values(**columns))


LOOSER = text_of().replace('dpd = "release"', 'dpd = "release"\n    phone = "release"')


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("hash_too", [False, True])
def test_a_text_that_was_changed_in_the_store_lets_nothing_leave(
    desk: Desk, propose: Callable[..., str], hash_too: bool, when: str
) -> None:
    reference, other = propose(), acting(desk, "li.wei")
    if when == "after":
        policies.approve(other, reference)
    more = {"sha256": release.Policy.parse(LOOSER).sha256} if hash_too else {}
    rewritten(desk, "ours", toml=LOOSER, **more)
    with pytest.raises(PolicyAltered, match="is not the one that was"):
        found(desk) if when == "after" else policies.approve(other, reference)


def test_a_version_that_nobody_approved_does_not_count_for_saying_so(desk: Desk, propose: Callable[..., str]) -> None:
    propose()
    rewritten(desk, "ours", state="in_force", approved_by="li.wei", approved_at=NOW)
    with pytest.raises(PolicyAltered):
        found(desk)


def test_an_approval_is_of_its_own_version_alone(desk: Desk, propose: Callable[..., str]) -> None:
    policies.approve(acting(desk, "li.wei"), propose())
    (ours,) = policies.history(desk, "ours")
    propose(name="theirs")
    rewritten(desk, "theirs", state="in_force", approved_at=NOW, audit_seq=ours.audit_seq)
    with pytest.raises(PolicyAltered):
        found(desk, "theirs")


def test_a_shipped_text_that_was_changed_under_its_version_lets_nothing_leave(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    policies.keep_shipped(desk)
    assert found(desk, "minimal").version == "1"
    looser = packaged.text("models", "policies", "minimal").replace('"province"', '"city"')
    monkeypatch.setattr(packaged, "text", lambda *_: looser)
    with pytest.raises(PolicyAltered, match="minimal 1 comes with Consign, and was another one before"):
        found(desk, "minimal")


# --- those that come with Consign -------------------------------------------------------------------------------------


def test_what_comes_with_consign_is_kept_once(desk: Desk) -> None:
    policies.keep_shipped(desk)
    policies.keep_shipped(desk)
    rows = policies.history(desk)
    assert [(row.name, row.state, row.origin, row.proposed_by) for row in rows] == [
        (name, "in_force", "shipped", None) for name in sorted(release.shipped())
    ]
    assert all(row.toml == packaged.text("models", "policies", row.name) for row in rows)
    assert len(events(desk)) == len(release.shipped())


def test_a_newer_consign_brings_a_newer_version_and_the_old_one_is_kept(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    policies.keep_shipped(desk)
    before = found(desk, "minimal")
    newer = packaged.text("models", "policies", "minimal").replace('version = "1"', 'version = "2"')
    monkeypatch.setattr(packaged, "text", lambda *_: newer)
    assert found(desk, "minimal").version == "2"
    with desk.database.write() as connection:
        policies.keep(connection, desk, "minimal")
    assert [(row.version, row.state) for row in policies.history(desk, "minimal")] == [
        ("2", "in_force"), ("1", "superseded"),
    ]  # fmt: skip
    with desk.database.read() as connection:
        assert policies.as_approved(connection, "minimal", "1", before.sha256) == before


def test_an_own_policy_cannot_take_a_shipped_ones_name(propose: Callable[..., str]) -> None:
    with pytest.raises(UsageError, match="has the name of a policy that comes with Consign"):
        propose(name="cn-default", version="2")


# --- one over another -------------------------------------------------------------------------------------------------


def test_a_policy_over_another_is_in_force_with_it_and_goes_with_it(desk: Desk, propose: Callable[..., str]) -> None:
    other = acting(desk, "li.wei")
    base = found(desk, "cn-default")
    policies.approve(other, propose(name="acme-only", over="cn-default", agencies=("acme",)))
    whole = found(desk, "cn-default")
    assert (whole.version, whole.sha256 == base.sha256) == ("1+acme-only@1", False)
    assert whole.release("collection", "phone", ["phone"], "acme").policy == "acme-only"
    assert whole.release("collection", "phone", ["phone"], "quay").sha256 == base.sha256
    policies.approve(other, propose(name="acme-only", version="2", over="cn-default", agencies=("acme", "quay")))
    assert found(desk, "cn-default").version == "1+acme-only@2"
    with desk.database.read() as connection:
        assert policies.as_approved(connection, "cn-default", whole.version, whole.sha256) == whole
        with pytest.raises(PolicyAltered, match="is not what was approved"):
            policies.as_approved(connection, "cn-default", whole.version, base.sha256)
    policies.withdraw(other, "acme-only@1", "was wrong all along")
    with desk.database.read() as connection, pytest.raises(NotInForce, match="acme-only 1 was withdrawn"):
        policies.as_approved(connection, "cn-default", whole.version, whole.sha256)
    policies.withdraw(other, "acme-only@2", "no more exceptions")
    assert found(desk, "cn-default") == base


def test_two_over_one_for_the_same_agency_are_not_approved(desk: Desk, propose: Callable[..., str]) -> None:
    other = acting(desk, "li.wei")
    policies.approve(other, propose(name="one", over="cn-default", agencies=("acme", "quay")))
    second = propose(name="two", over="cn-default", agencies=("acme",))
    with pytest.raises(PolicyInvalid, match="both stand over cn-default for acme"):
        policies.approve(other, second)
    assert found(desk, "cn-default").version == "1+one@1"


def test_nothing_stands_over_what_is_not_there(propose: Callable[..., str]) -> None:
    with pytest.raises(UsageError, match="there is no policy 'nobody'"):
        propose(name="one", over="nobody", agencies=("acme",))


@pytest.mark.parametrize("reference", ["ours@9", "minimal@9", "nobody@1"])
def test_a_version_that_nobody_knows_is_told(desk: Desk, reference: str) -> None:
    with desk.database.read() as connection, pytest.raises(ConsignError, match="there is no version"):
        policies.version(connection, reference)


def test_it_is_so_in_a_store_of_either_kind(tmp_path: Path, empty_postgres_url: str) -> None:
    at = Desk(Settings(home=tmp_path, database=empty_postgres_url), clock=Clock(), actor="chen.yu")
    SQLModel.metadata.create_all(at.database.engine)
    policies.keep_shipped(at)
    file = tmp_path / "ours.toml"
    for version in ("1", "2"):
        file.write_text(text_of(version=version))
        policies.propose(at, file)
        policies.approve(acting(at, "li.wei"), f"ours@{version}")
    assert found(at).version == "2"
    assert [row.state for row in policies.history(at, "ours")] == ["in_force", "superseded"]
    at.database.close()
