"""What the register says is what the sealed packages held, field by field, account by account, both ways."""

from __future__ import annotations

from typing import Any

import pandas as pd

from flows.erase import erase
from flows.recall import recall, recall_placements
from flows.update import update
from infra import corrections, subjects
from infra.store import bulk, register
from models.tables import Account, Placement

House = Any  # tests/infra/subjects/conftest.py
SPEAKS_OF_NOBODY = {"receipt", "certification", "key_announcement"}


def test_the_register_names_exactly_what_every_package_told_of_every_account(house: House, someone: pd.Series) -> None:
    live(house, someone)
    accounts = [int(number) for number in house.rows(Account, "account_id")["account_id"]]
    with house.desk.database.read() as connection:
        told = register.told(connection, accounts)
    said = {
        (str(file), int(str(account))): set(part["field"])
        for (file, account), part in told.groupby(["file", "account_id"])
    }
    held: dict[tuple[str, int], set[str]] = {}
    kinds = set()
    for agency in house.world.agencies:
        for name, frame in house.packages(agency).items():
            kind = name.split(".")[2]
            kinds.add(kind)
            if kind in SPEAKS_OF_NOBODY:
                assert "account" not in frame.columns
                continue
            for account in house.accounts_in(agency, frame["account"]):
                held[name, int(account)] = set(frame.columns)
    assert kinds >= {"placement", "update", "recall", "erasure_request", "correction", "statement", "receipt"}
    assert said == held


def test_a_debtor_s_rows_are_those_of_their_own_accounts(house: House, someone: pd.Series) -> None:
    live(house, someone)
    answer = house.ask(someone["id_number"])
    (account,) = answer.accounts
    named = set()
    for agency in house.world.agencies:
        for name, frame in house.packages(agency).items():
            if "account" in frame.columns and account in house.accounts_in(agency, frame["account"]):
                named.add(name)
    assert set(answer.told["file"]) == named
    assert set(answer.told["accounts"]) == {1}


def live(house: House, someone: pd.Series) -> None:
    """A few weeks of everything that tells an agency something: changes, money, corrections, recalls, erasures."""
    desk = house.desk
    house.turn(12)
    with desk.database.write() as connection:
        table = bulk.table_of(Account)
        connection.execute(table.update().where(table.c.account_id <= 10).values(balance_minor=12_345))
    update()
    number = subjects.open_request(desk, "harbour", someone["id_number"], "correction", fields=("phone",)).request_id
    assert number is not None
    subjects.verify(desk, number, "passport shown at the counter")
    corrections.correct(desk, number, "phone", "13912345678")
    house.answer("acknowledge", "confirm")
    for agency in house.world.agencies.values():
        agency.work(1, house.world.clock.now.date(), house.world.clock.now)
    house.answer()
    state_everything(house)
    placed = house.rows(Placement, "placement_id").head(12)
    house.turn(20)
    recall_placements(",".join(map(str, placed["placement_id"])), "performance")
    recall()
    house.answer("give_back")
    erase()
    house.answer("erase")


def state_everything(house: House) -> None:
    """Every remittance line is posted, as reconciling would have it, and stated."""
    from flows.statement import state_period
    from models.tables import RemittanceLine

    table = bulk.table_of(RemittanceLine)
    with house.desk.database.write() as connection:
        connection.execute(
            table.update().values(
                posted_at=house.desk.now(), due_commission_minor=0, due_vat_minor=0, rate=0, state="posted"
            )
        )
    made = state_period("harbour", "2026-01")
    assert made.made
    house.answer()
