"""Somebody is forgotten: their cells, keys, indexes and values in texts are gone, and nobody else's."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from sqlalchemy import func, insert, select

from infra import attachments, audit, keycopies, shredding
from infra.indexes import accounts_of
from infra.store import bulk, trail
from infra.store import shredding as store
from infra.store.portfolios import ACCOUNTS, DEBTORS, IDENTITIES
from keys.errors import KeyDestroyed
from keys.vault import open_cells
from models.errors import RefusedByPolicy
from models.tables import Complaint, ExceptionComment, Placement

WHY = "a request of the debtor, number 12"


ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def opened(house: Any) -> pd.DataFrame:
    """Every identity that the store and the keyring still give, by account."""
    with house.desk.database.read() as connection:
        rows = bulk.read(connection, select(IDENTITIES).order_by(IDENTITIES.c.account_id))
    keys = house.desk.keyring.keys_of_rows(rows["data_key_id"])
    ids = rows["account_id"].to_numpy()
    return pd.DataFrame(
        {name: open_cells(keys, name, ids, rows[name].tolist()) for name in ("account_ref", "name", "phone")}
    ).set_index(rows["account_id"])


def debtor_of(house: Any, who: str) -> tuple[int, list[int]]:
    with house.desk.database.read() as connection:
        accounts = accounts_of(connection, house.desk.keyring, "harbour", who)
        debtor = connection.execute(
            select(ACCOUNTS.c.debtor_id).where(ACCOUNTS.c.account_id == accounts[0])
        ).scalar_one()
    return int(debtor), accounts


@ON_SQLITE
def test_intake_seals_so_many_accounts_under_a_key_and_no_more(house: Any, raw: pd.DataFrame) -> None:
    house.take(raw)
    with house.desk.database.read() as connection:
        per_key = [
            int(n) for n in connection.execute(
                select(func.count()).select_from(IDENTITIES).group_by(IDENTITIES.c.data_key_id)
            ).scalars()
        ]  # fmt: skip
        registered = connection.execute(select(func.count()).select_from(store.KEYS)).scalar_one()
    assert sorted(per_key) == [12, 16, 16, 16]
    assert registered == 4
    assert set(opened(house)["name"]) == set(raw["name"])


def test_an_erased_debtor_is_found_by_nothing_and_opens_with_nothing(house: Any, raw: pd.DataFrame) -> None:
    house.take(raw)
    debtor, accounts = debtor_of(house, raw["account_ref"][7])
    with house.desk.database.read() as connection:
        cells = bulk.read(connection, select(IDENTITIES).where(IDENTITIES.c.account_id.in_(accounts)))
        index = connection.execute(select(DEBTORS.c.identity_index).where(DEBTORS.c.debtor_id == debtor)).scalar_one()
    before = opened(house)
    done = shredding.erase_debtor(house.desk, debtor, WHY)
    assert (done.accounts, done.debtors, done.keys, done.already) == (
        len(accounts),
        1,
        cells["data_key_id"].nunique(),
        False,
    )
    assert 0 < done.resealed <= 15 * done.keys
    assert done.swept
    with house.desk.database.read() as connection:
        for who in (raw["account_ref"][7], raw["id_number"][7], raw["phone"][7]):
            assert accounts_of(connection, house.desk.keyring, "harbour", who) == []
        account = connection.execute(select(ACCOUNTS).where(ACCOUNTS.c.account_id == accounts[0])).one()
        assert (account.status, account.region, account.opened_on) == ("erased", None, None)
        assert account.balance_minor > 0
        changed = connection.execute(select(DEBTORS).where(DEBTORS.c.debtor_id == debtor)).one()
        assert changed.identity_index != index
        assert changed.erased_at is not None
    for key_id in cells["data_key_id"].unique():
        with pytest.raises(KeyDestroyed):
            house.desk.keyring.data_key(str(key_id))
    after = opened(house)
    pd.testing.assert_frame_equal(after, before.drop(accounts))


def test_one_asks_that_a_debtor_be_forgotten_and_another_approves(house: Any, raw: pd.DataFrame) -> None:
    house.take(raw)
    debtor, accounts = debtor_of(house, raw["account_ref"][7])
    before = opened(house)
    number = shredding.ask_debtor(house.desk, "harbour", raw["id_number"][7], WHY)
    with pytest.raises(RefusedByPolicy, match="asked for shredding"):
        shredding.shred(house.desk, number)
    pd.testing.assert_frame_equal(opened(house), before)
    house.desk.actor = "li.wei"
    done = shredding.shred(house.desk, number)
    assert (done.debtors, done.accounts, done.swept) == (1, len(accounts), True)
    pd.testing.assert_frame_equal(opened(house), before.drop(accounts))
    with house.desk.database.read() as connection:
        row = store.shredding(connection, number)
        told = trail.latest(connection, 9, f"debtor:{debtor}")["action"].tolist()
    assert (row.kind, row.subject_id, row.state, row.asked_by, row.approved_by) == (
        "debtor", debtor, "done", "chen.yu", "li.wei"
    )  # fmt: skip
    assert told == ["debtor.erased", "debtor.shred_approved", "debtor.shred_asked"]


@ON_SQLITE
def test_whom_a_second_person_agreed_to_forget_is_forgotten_although_the_run_was_killed(
    house: Any, raw: pd.DataFrame
) -> None:
    house.take(raw)
    _, accounts = debtor_of(house, raw["account_ref"][7])
    number = shredding.ask_debtor(house.desk, "harbour", raw["account_ref"][7], WHY)
    house.desk.actor = "li.wei"
    shredding.approve(house.desk, number)
    assert set(accounts) <= set(opened(house).index)
    assert shredding.finish(house.desk) == 1
    assert not set(accounts) & set(opened(house).index)
    with house.desk.database.read() as connection:
        assert store.shredding(connection, number).state == "done"


@ON_SQLITE
def test_erasing_again_changes_nothing(house: Any, raw: pd.DataFrame) -> None:
    house.take(raw)
    debtor, _ = debtor_of(house, raw["account_ref"][0])
    shredding.erase_debtor(house.desk, debtor, WHY)
    before = opened(house)
    assert shredding.erase_debtor(house.desk, debtor, WHY).already
    pd.testing.assert_frame_equal(opened(house), before)


@ON_SQLITE
def test_the_lenders_next_file_does_not_bring_them_back_and_is_taken_all_the_same(
    house: Any, raw: pd.DataFrame
) -> None:
    house.take(raw)
    debtor, accounts = debtor_of(house, raw["account_ref"][3])
    shredding.erase_debtor(house.desk, debtor, WHY)
    again = pd.concat([raw, raw.iloc[[3]].assign(account_ref="HB-NEW-1")], ignore_index=True)
    report = house.take(again, day=pd.Timestamp("2026-07-01").date())
    assert report.state == "accepted"
    assert report.refusals == {"erased": len(accounts) + 1}
    assert raw["name"][3] not in set(opened(house)["name"]) or (raw["name"] == raw["name"][3]).sum() > 1
    assert not set(accounts) & set(opened(house).index)


def test_a_value_of_theirs_is_struck_out_of_what_people_wrote(house: Any, raw: pd.DataFrame) -> None:
    house.take(raw)
    debtor, accounts = debtor_of(house, raw["account_ref"][5])
    name, phone = raw["name"][5], raw["phone"][5]
    with house.desk.database.write() as connection:
        placement = bulk.reserve(connection, "placement", 1)
        bulk.append(connection, Placement, pd.DataFrame([{
            "placement_id": placement, "plan_id": 1, "lender": "harbour", "agency": "quayside",
            "account_id": accounts[0], "debtor_id": debtor, "round": 1, "stage": "phone", "segment": "all",
            "currency": "CNY", "balance_minor": 1, "dpd": 1, "bucket": "M1", "placed_on": pd.Timestamp("2026-01-01"),
            "due_back_on": pd.Timestamp("2026-06-01"), "state": "closed",
        }]))  # fmt: skip
        connection.execute(insert(bulk.table_of(ExceptionComment)).values(
            exception_id=1, at=house.now, by="chen.yu", text=f"spoke with {name}, who called from {phone}; asked again",
        ))  # fmt: skip
        connection.execute(insert(bulk.table_of(Complaint)).values(
            agency="quayside", complaint_ref="c-1", placement_id=placement, received_on=house.now.date(),
            category="conduct", severity="normal", state="closed", lender="harbour", source="console",
            reason=f"{name} 投诉夜间来电",
        ))  # fmt: skip
    assert shredding.erase_debtor(house.desk, debtor, WHY).texts == 2
    with house.desk.database.read() as connection:
        comment = connection.execute(select(bulk.table_of(ExceptionComment).c.text)).scalar_one()
        reason = connection.execute(select(bulk.table_of(Complaint).c.reason)).scalar_one()
    assert comment == "spoke with [erased], who called from [erased]; asked again"
    assert reason == "[erased] 投诉夜间来电"


@ON_SQLITE
def test_nobody_is_forgotten_while_an_agency_has_an_account(house: Any, raw: pd.DataFrame) -> None:
    house.take(raw)
    debtor, accounts = debtor_of(house, raw["account_ref"][5])
    with house.desk.database.write() as connection:
        bulk.append(connection, Placement, pd.DataFrame([{
            "placement_id": 1, "plan_id": 1, "lender": "harbour", "agency": "quayside", "account_id": accounts[0],
            "debtor_id": debtor, "round": 1, "stage": "phone", "segment": "all", "currency": "CNY",
            "balance_minor": 1, "dpd": 1, "bucket": "M1", "placed_on": pd.Timestamp("2026-01-01"),
            "due_back_on": pd.Timestamp("2026-06-01"), "state": "recalled",
        }]))  # fmt: skip
    with pytest.raises(shredding.Blocked) as refused:
        shredding.erase_debtor(house.desk, debtor, WHY)
    assert refused.value.because == ("out",)
    assert len(opened(house)) == len(raw)


def test_a_shredded_portfolio_leaves_numbers_and_no_key(house: Any, raw: pd.DataFrame) -> None:
    house.take(raw)
    number = shredding.ask_portfolio(house.desk, 1, "the lender has sold the portfolio")
    with pytest.raises(RefusedByPolicy, match="cannot approve"):
        shredding.shred(house.desk, number)
    house.desk.actor = "li.wei"
    done = shredding.shred(house.desk, number)
    assert (done.accounts, done.keys, done.resealed, done.swept) == (len(raw), 4, 0, True)
    assert [e.destroyed for e in house.desk.keyring.entries() if e.purpose == "data"] == [True] * 4
    with house.desk.database.read() as connection:
        assert connection.execute(select(func.count()).select_from(IDENTITIES)).scalar_one() == 0
        assert set(connection.execute(select(ACCOUNTS.c.status)).scalars()) == {"erased"}
        assert store.portfolio(connection, 1) == ("harbour", "erased")
        assert audit.verify(connection, house.desk.keyring.audit_publics().values()).ok
    with pytest.raises(RefusedByPolicy):
        shredding.shred(house.desk, number)


@ON_SQLITE
def test_whoever_has_an_account_in_another_portfolio_stays(house: Any, raw: pd.DataFrame) -> None:
    house.take(raw)
    other = raw.iloc[:2].assign(account_ref=["HB-OTHER-1", "HB-OTHER-2"])
    house.take(other, day=pd.Timestamp("2026-07-01").date())
    number = shredding.ask_portfolio(house.desk, 1, "the lender has sold the portfolio")
    house.desk.actor = "li.wei"
    done = shredding.shred(house.desk, number)
    assert done.debtors == raw["id_number"].nunique() - other["id_number"].nunique()
    assert set(opened(house)["account_ref"]) == {"HB-OTHER-1", "HB-OTHER-2"}
    _, accounts = debtor_of(house, "HB-OTHER-1")
    assert [number for number in accounts if number > len(raw)] == [len(raw) + 1], "the others are numbers, and erased"


class Killed(BaseException):
    """The process ends here."""


@ON_SQLITE
@pytest.mark.parametrize("at", ["bury_data_keys", "renew"])
def test_killed_anywhere_the_next_run_finishes_it(
    house: Any, raw: pd.DataFrame, at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.take(raw)
    debtor, accounts = debtor_of(house, raw["account_ref"][9])
    with house.desk.database.read() as connection:
        key = connection.execute(
            select(IDENTITIES.c.data_key_id).where(IDENTITIES.c.account_id == accounts[0])
        ).scalar_one()
    target: Any = house.desk.keyring if at == "bury_data_keys" else keycopies

    def end(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(target, at, end)
        with pytest.raises(Killed):
            shredding.erase_debtor(house.desk, debtor, WHY)
    assert shredding.finish(house.desk) == 1
    with pytest.raises(KeyDestroyed):
        house.desk.keyring.data_key(str(key))
    with house.desk.database.read() as connection:
        row = connection.execute(select(store.SHREDDINGS)).one()
    assert (row.state, row.swept_at is not None) == ("done", True)
    assert shredding.finish(house.desk) == 0
    assert len(opened(house)) == len(raw) - len(accounts)


@ON_SQLITE
def test_somebody_is_forgotten_though_a_key_was_lost_before(house: Any, raw: pd.DataFrame) -> None:
    house.take(raw)
    debtor, accounts = debtor_of(house, raw["account_ref"][5])
    with house.desk.database.read() as connection:
        mine = select(IDENTITIES.c.data_key_id).where(IDENTITIES.c.account_id == accounts[0])
        key = str(connection.execute(mine).scalar_one())
    house.desk.keyring.destroy_data_key(key, house.now)
    done = shredding.erase_debtor(house.desk, debtor, WHY)
    assert done.accounts == len(accounts)
    with house.desk.database.read() as connection:
        left = connection.execute(select(IDENTITIES.c.account_id).where(IDENTITIES.c.account_id.in_(accounts))).all()
    assert left == []


@ON_SQLITE
def test_files_attached_to_breaks_about_the_debtor_are_gone_with_their_keys_and_no_others(
    house: Any, raw: pd.DataFrame
) -> None:
    house.take(raw)
    debtor, mine = debtor_of(house, raw["account_ref"].iloc[0])
    other = next(account for account in opened(house).index if account not in mine)
    slip = house.folder / "slip.pdf"
    notes = {}
    for account in (mine[0], other):
        slip.write_bytes(f"slip of account {account}".encode())
        with house.desk.database.write() as connection:
            about = {
                "break_key": f"no_receipt:{account}", "code": "no_receipt", "lender": "harbour", "currency": "CNY",
                "account_id": account, "amount_minor": 1, "opened_at": house.now, "state": "open", "detail": "{}",
            }  # fmt: skip
            number = bulk.reserve(connection, "break", 1)
            connection.execute(insert(store.BREAKS).values(break_id=number, **about))
        notes[account] = attachments.attach(house.desk, number, slip, "the bank's slip")
    assert len(list((house.desk.settings.home / attachments.FOLDER).iterdir())) == len(notes)
    done = shredding.erase_debtor(house.desk, debtor, WHY)
    assert done.files == 1
    with pytest.raises(KeyDestroyed):
        attachments.take_out(house.desk, notes[mine[0]], house.folder / "mine.pdf")
    attachments.take_out(house.desk, notes[other], house.folder / "other.pdf")
    assert (house.folder / "other.pdf").read_text() == f"slip of account {other}"
    (left,) = (house.desk.settings.home / attachments.FOLDER).iterdir()
    assert left.is_file()
