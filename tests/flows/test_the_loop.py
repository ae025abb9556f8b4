"""An account's whole story over a real SFTP host, sealed both ways."""

from __future__ import annotations

import zipfile
from datetime import date
from importlib import resources
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from sqlalchemy import func, insert, select

from flows.collect import collect
from flows.erase import erase
from flows.place import place
from flows.recall import recall
from infra import audit
from infra.store import bulk
from keys.sealing import open_from
from models.errors import RefusedByPolicy
from models.tables import (
    Disclosure,
    DisclosureAccount,
    Erasure,
    Hold,
    InboundFile,
    InboundReject,
    Placement,
    RemittanceLine,
    Transmission,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from infra.sandbox.world import World
    from infra.wiring import Desk


@pytest.fixture
def store_url(database_url: str) -> str:
    """The story is told on both stores."""
    return database_url


def acknowledged(world: World) -> None:
    world.clock.turn(date(2026, 1, 3))
    for agency in world.agencies.values():
        agency.open_mail(world.clock.now)
        agency.acknowledge(date(2026, 1, 3), world.clock.now)
    collect()


def test_each_agency_gets_its_accounts_once_however_often_placing_runs(
    world: World, approved_plan: int, counts: Any
) -> None:
    first = place(approved_plan)
    again = place(approved_plan)
    assert (first.files_delivered, first.accounts) == (2, 60)
    assert (again.files_delivered, again.accounts) == (0, 0)
    assert counts(Placement) == {"placed": 60}
    for agency in world.agencies.values():
        assert (
            len(
                [
                    path
                    for path in agency.inbox.iterdir()
                    if ".placement." in path.name and not path.name.endswith(".sig")
                ]
            )
            == 1
        )
        agency.open_mail(world.clock.now)
        assert len(agency.book) == 30


def test_what_an_agency_can_read_is_what_the_policy_releases(
    world: World, approved_plan: int, raw: pd.DataFrame, tmp_path: Path
) -> None:
    place(approved_plan)
    for agency in world.agencies.values():
        (sealed,) = [p for p in agency.inbox.iterdir() if ".placement." in p.name and not p.name.endswith(".sig")]
        plain = tmp_path / f"{agency.code}.zip"
        open_from(agency.keyring, "lender", agency.suite, sealed, plain, world.clock.now)
        with zipfile.ZipFile(plain) as package:
            text = b"\n".join(package.read(name) for name in package.namelist()).decode()
        withheld = ("id_number", "account_ref", "employer", "contact_name", "contact_phone", "email")
        assert not any(value in text for column in withheld for value in raw[column].dropna())
        assert any(value in text for value in raw["phone"])


def test_agencies_cannot_join_their_files_on_pseudonyms(world: World, approved_plan: int) -> None:
    place(approved_plan)
    books = []
    for agency in world.agencies.values():
        agency.open_mail(world.clock.now)
        books.append(set(agency.book["account"]) | set(agency.book["debtor"]))
    assert not books[0] & books[1]


def test_the_register_says_field_by_field_who_was_told(world: World, approved_plan: int) -> None:
    place(approved_plan)
    register, members = bulk.table_of(Disclosure), bulk.table_of(DisclosureAccount)
    with world.desk.database.read() as connection:
        told = bulk.read(connection, select(*register.c))
        spoken_of = connection.execute(select(func.count()).select_from(members)).scalar_one()
    assert spoken_of == 60
    assert set(told["agency"]) == {"quayside", "hengxin"}
    assert {"account", "balance", "phone"} <= set(told["field"])
    assert not {"id_number", "contact_phone"} & set(told.loc[told["treatment"] == "release", "field"])
    assert (told["erase_by"] > pd.Timestamp("2026-04-01")).all()
    assert (told["basis"] != "").all()


def test_an_acknowledgement_answers_the_placement(world: World, approved_plan: int, counts: Any) -> None:
    place(approved_plan)
    acknowledged(world)
    assert counts(Placement) == {"acknowledged": 60}
    assert counts(Transmission)["acknowledged"] == 2


def test_a_file_that_comes_twice_counts_once(world: World, approved_plan: int) -> None:
    place(approved_plan)
    acknowledged(world)
    agency = world.agencies["quayside"]
    agency.traits = type(agency.traits)(skill=6, repeats_file=True)
    world.clock.turn(date(2026, 1, 25))
    agency.work(0, date(2026, 1, 25), world.clock.now)
    took = collect()
    table = bulk.table_of(RemittanceLine)
    with world.desk.database.read() as connection:
        lines = connection.execute(select(func.count()).select_from(table)).scalar_one()
    assert took.duplicates == 1
    assert lines == len(agency._paid)
    assert collect().lines == 0


def test_a_bad_line_is_refused_and_the_receipt_says_where(world: World, approved_plan: int, tmp_path: Path) -> None:
    place(approved_plan)
    acknowledged(world)
    agency = world.agencies["quayside"]
    agency.traits = type(agency.traits)(skill=8, bad_lines=0.9)
    world.clock.turn(date(2026, 1, 25))
    agency.work(0, date(2026, 1, 25), world.clock.now)
    took = collect()
    rejects, files = bulk.table_of(InboundReject), bulk.table_of(InboundFile)
    with world.desk.database.read() as connection:
        codes = set(connection.execute(select(rejects.c.code)).scalars())
        states = set(connection.execute(select(files.c.state)).scalars())
    assert took.lines_refused > 0
    assert codes <= {"unknown_account", "not_date"}
    assert states == {"accepted"}
    receipts = sorted(p for p in agency.inbox.iterdir() if ".receipt." in p.name and p.name.endswith(".age"))
    texts = []
    for number, sealed in enumerate(receipts):
        plain = tmp_path / f"{number}.zip"
        open_from(agency.keyring, "lender", "age", sealed, plain, world.clock.now)
        with zipfile.ZipFile(plain) as package:
            texts.append(package.read("lines.csv").decode())
    assert sum("accepted_with_rejects" in text for text in texts) == 1
    assert any(code in text for text in texts for code in codes)


def test_a_debtor_on_hold_is_recalled_and_an_ended_placement_is_erased_and_certified(
    world: World, approved_plan: int, counts: Any
) -> None:
    place(approved_plan)
    acknowledged(world)
    with world.desk.database.write() as connection:
        connection.execute(
            insert(bulk.table_of(Hold)).values(
                debtor_id=5, reason="complaint", since=date(2026, 1, 4), placed_by="li.wei"
            )
        )
    world.clock.turn(date(2026, 1, 5))
    assert recall().placements == 1
    assert recall().placements == 0
    world.clock.turn(date(2026, 1, 20))
    assert recall().overdue == 1
    for agency in world.agencies.values():
        agency.open_mail(world.clock.now)
        agency.give_back(date(2026, 1, 20), world.clock.now)
    collect()
    assert recall().overdue == 0
    assert counts(Placement) == {"acknowledged": 59, "closed": 1}
    assert erase().files == 1
    assert erase().files == 0
    for agency in world.agencies.values():
        agency.open_mail(world.clock.now)
        agency.erase(date(2026, 1, 20), world.clock.now)
    collect()
    with world.desk.database.read() as connection:
        erasure = connection.execute(select(bulk.table_of(Erasure))).one()
        verdict = audit.verify(connection, world.desk.keyring.audit_publics().values())
    assert erasure.verified_at is not None
    assert erasure.certified_by == "data protection officer"
    assert verdict.ok


def test_everything_comes_back_at_its_term(world: World, approved_plan: int, counts: Any) -> None:
    place(approved_plan)
    acknowledged(world)
    world.clock.turn(date(2026, 4, 1))
    assert recall().placements == 60
    assert counts(Placement) == {"recalled": 60}


def test_a_policy_that_changed_after_approval_lets_nothing_leave(
    world: World, make_plan: Callable[..., int], counts: Any, policy_in_force: Callable[[Desk, str], Any]
) -> None:
    shipped = resources.files("models.policies").joinpath("minimal.toml").read_text(encoding="utf-8")
    ours = shipped.replace('name = "minimal"', 'name = "house"')
    policy_in_force(world.desk, ours)
    plan_id = make_plan(20, policy="house")
    policy_in_force(world.desk, ours.replace('version = "1"', 'version = "2"'))
    with pytest.raises(RefusedByPolicy, match="changed"):
        place(plan_id)
    assert counts(Transmission) == {}


def test_no_plaintext_is_left_behind(world: World, approved_plan: int) -> None:
    place(approved_plan)
    acknowledged(world)
    assert list(world.desk.folder("scratch").iterdir()) == []
