"""A list of joint payments is split as a whole or not at all, and says which lines are wrong, never with what."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from infra import jointpayments
from infra.packages import account_pseudonyms, joint_ids, joint_pseudonyms
from infra.store import bulk
from infra.store import consolidation as store
from models.errors import Findings, UsageError
from models.tables import Account, Agency, Placement

if TYPE_CHECKING:
    from pathlib import Path

TODAY = date(2026, 3, 2)
ANNA, BEN = "11010519491231002X", "440524188001010014"
HEAD = "payment_ref,account,currency,amount,paid_on\n"


@pytest.fixture
def placed(house: Any) -> Any:
    """Anna owes harbour 100.00 (older) and lotus 60.00; Ben owes harbour alone; the agency has all three."""
    keyring = house.desk.keyring
    keyring.new_pseudonym_key("quay", house.desk.now())
    debtors = [*house.know("harbour", ANNA, BEN), *house.know("lotus", ANNA)]
    with house.desk.database.session() as session:
        session.add(Agency(agency="quay", name="Quay", state="live", drop="{}", created_at=house.desk.now()))
    rows = pd.DataFrame({
        "account_id": [1, 2, 3], "debtor_id": debtors, "lender": ["harbour", "harbour", "lotus"],
        "balance_minor": [100_00, 70_00, 60_00], "dpd": [90, 90, 30], "currency": "CNY", "bucket": "M3",
    })  # fmt: skip
    generation = keyring.pseudonym_key("quay").generation
    with house.desk.database.write() as connection:
        bulk.append(connection, Account, rows.assign(
            ref_index=["a", "b", "c"], portfolio_id=1, product="card", as_of=pd.Timestamp(TODAY), status="open",
        ))  # fmt: skip
        bulk.append(connection, Placement, rows.assign(
            placement_id=rows["account_id"] + 10, plan_id=1, agency="quay", round=1, stage="phone", segment="all",
            placed_on=pd.Timestamp(TODAY), due_back_on=pd.Timestamp(TODAY), state="acknowledged",
            key_generation=generation,
        ))  # fmt: skip
    return house


def named(house: Any, account_id: int) -> str:
    key = house.desk.keyring.pseudonym_key("quay")
    return str(account_pseudonyms(key, pd.Series([account_id])).iloc[0])


def split(house: Any, path: Path, *rows: str, **more: Any) -> Any:
    path.write_text(HEAD + "\n".join(rows) + "\n", encoding="utf-8")
    return jointpayments.take_in(house.desk, "quay", path, **more)


def shares(house: Any, **only: Any) -> dict[int, int]:
    with house.desk.database.read() as connection:
        found = store.shares(connection, **only)
    return dict(zip(found["account_id"], found["amount_minor"], strict=True))


def test_a_payment_named_by_the_joint_reference_is_the_same_as_by_an_account(placed: Any, tmp_path: Path) -> None:
    placed.base("harbour")
    placed.base("lotus")
    with placed.desk.database.read() as connection:
        link = store.linked(connection, TODAY)["link"].head(1)
    joint = joint_pseudonyms(placed.desk.keyring.pseudonym_key("quay"), pd.Series(joint_ids(link))).iloc[0]
    path = tmp_path / "list.csv"
    told, advice = split(placed, path, f"P1,{joint},CNY,120.00,2026-03-02", dry_run=True)
    assert told.shares == 2
    assert shares(placed) == {}
    _, again = split(placed, path, f"P1,{named(placed, 3)},CNY,120.00,2026-03-02")
    assert again["gross"].tolist() == advice["gross"].tolist() == ["100.00", "20.00"]
    assert again["account"].tolist() == [named(placed, 1), named(placed, 3)]
    assert shares(placed) == {1: 100_00, 3: 20_00}
    assert shares(placed, lender="lotus") == {3: 20_00}


def test_what_was_split_since_the_snapshot_is_not_owed_again(placed: Any, tmp_path: Path) -> None:
    placed.base("harbour")
    placed.base("lotus")
    placed.clock.turn(date(2026, 3, 9))
    split(placed, tmp_path / "one.csv", f"P1,{named(placed, 1)},CNY,90.00,2026-03-05")
    _, advice = split(placed, tmp_path / "two.csv", f"P2,{named(placed, 1)},CNY,30.00,2026-03-06")
    assert dict(zip(advice["lender"], advice["gross"], strict=True)) == {"harbour": "10.00", "lotus": "20.00"}


def test_who_is_linked_with_nobody_is_split_by_their_lenders_own_order(placed: Any, tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    line = f"P1,{named(placed, 2)},CNY,50.00,2026-03-02"
    with pytest.raises(Findings, match="line 1: no order of splitting is on record"):
        split(placed, path, line)
    placed.base("harbour", "house", scope="internal")
    split(placed, path, line)
    assert shares(placed) == {2: 50_00}


def test_references_tell_no_lender_what_belongs_together(placed: Any, tmp_path: Path) -> None:
    placed.base("harbour", split_order="pro_rata")
    placed.base("lotus", split_order="pro_rata")
    _, advice = split(placed, tmp_path / "list.csv", f"P1,{named(placed, 1)},CNY,16.00,2026-03-02")
    refs = advice["agency_txn_id"].tolist()
    assert len(set(refs)) == 2
    assert not any("P1" in ref for ref in refs)
    with placed.desk.database.read() as connection:
        told = store.shares(connection, lender="lotus")
    assert not {"payment_id", "payment_ref", "circle"} & set(told.columns)


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("P1,x,CNY,1.00,2026-03-02", "account is none that the agency has"),
        (",{1},CNY,1.00,2026-03-02", "payment_ref must be"),
        ("P1,{1},cny,1.00,2026-03-02", "currency is none"),
        ("P1,{1},CNY,1.005,2026-03-02", "amount must be"),
        ("P1,{1},CNY,-1,2026-03-02", "amount must be"),
        ("P1,{1},CNY,many,2026-03-02", "amount is no number"),
        ("P1,{1},CNY,1.00,2 March", "paid_on is no day"),
        ("P1,{1},USD,1.00,2026-03-02", "owes nothing in that currency"),
        ("P1,{1},CNY,1.00,2026-03-02\nP1,{2},CNY,1.00,2026-03-02", "payment_ref is in a line before"),
        ("P1,{1},CNY,1.00,2026-03-02\nP2,{3},CNY,1.00,2026-03-02", "line 2: the debtor is in another line"),
    ],
)
def test_a_line_that_cannot_be_split_is_named_and_nothing_is_kept(
    placed: Any, tmp_path: Path, row: str, fault: str
) -> None:
    placed.base("harbour")
    placed.base("lotus")
    filled = row.replace("{1}", named(placed, 1)).replace("{2}", named(placed, 2)).replace("{3}", named(placed, 3))
    with pytest.raises(Findings, match=fault) as refused:
        split(placed, tmp_path / "list.csv", filled)
    assert named(placed, 1) not in str(refused.value)
    assert "many" not in str(refused.value).replace("how many", "")
    assert shares(placed) == {}


def test_a_list_that_is_none_is_refused(placed: Any, tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("payment_ref,amount\n", encoding="utf-8")
    with pytest.raises(UsageError, match="lacks account, currency, paid_on"):
        jointpayments.take_in(placed.desk, "quay", path)
    with pytest.raises(UsageError, match="cannot be read"):
        jointpayments.take_in(placed.desk, "quay", tmp_path / "none.csv")


def test_a_share_that_waits_too_long_is_an_exception_of_its_lender(placed: Any, tmp_path: Path) -> None:
    placed.base("harbour")
    placed.base("lotus")
    split(placed, tmp_path / "list.csv", f"P1,{named(placed, 1)},CNY,120.00,2026-03-02")
    with placed.desk.database.write() as connection:
        assert jointpayments.watch(connection, placed.desk) == 0
    placed.clock.turn(date(2026, 3, 20))
    with placed.desk.database.write() as connection:
        assert jointpayments.watch(connection, placed.desk) == 2
