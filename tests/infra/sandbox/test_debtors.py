"""The synthetic portfolio: valid-looking, seeded, and recognisably nobody."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pandas as pd
import pytest
from stdnum.cn import ric

from infra.sandbox.debtors import SEVERAL_ACCOUNTS, Language, portfolio, snapshot, write
from models.intake.fields import ACCOUNT_FIELDS

AS_OF = date(2026, 6, 30)


def minor(amounts: pd.Series) -> pd.Series:
    return amounts.str.replace(".", "").astype("int64")


def test_the_same_arguments_give_the_same_portfolio_and_another_seed_or_lender_another_one() -> None:
    first = portfolio(1, 50, "nova", AS_OF)
    pd.testing.assert_frame_equal(first, portfolio(1, 50, "nova", AS_OF))
    for other in (portfolio(2, 50, "nova", AS_OF), portfolio(1, 50, "orion", AS_OF)):
        assert not set(first["account_ref"]) & set(other["account_ref"])


def test_every_resident_id_is_valid_by_the_rules_and_carries_a_number_that_is_never_given_out() -> None:
    numbers = portfolio(3, 500, "nova", AS_OF)["id_number"]
    assert all(ric.is_valid(number) for number in numbers)
    assert numbers.str[14:17].isin(["996", "997", "998", "999"]).all()


def test_all_phones_are_of_a_prefix_no_carrier_holds_and_all_mail_goes_nowhere() -> None:
    frame = portfolio(3, 500, "nova", AS_OF)
    for column in ("phone", "phone_alt", "contact_phone"):
        assert frame[column].dropna().str.fullmatch(r"154\d{8}").all()
    assert frame["email"].dropna().str.contains(r"@example\.(?:com|net|org)$").all()


def test_some_debtors_have_two_or_three_accounts_and_one_identity() -> None:
    frame = portfolio(4, 20_000, "nova", AS_OF)
    accounts = frame.groupby("id_number").size()
    assert set(accounts) == {1, 2, 3}
    assert (accounts > 1).mean() == pytest.approx(1 - SEVERAL_ACCOUNTS[0], abs=0.01)
    assert len(frame[["id_number", "phone"]].drop_duplicates()) == len(accounts)


def test_a_balance_is_the_sum_of_its_parts_and_dpd_counts_from_the_due_date() -> None:
    frame = portfolio(5, 2_000, "nova", AS_OF)
    parts = minor(frame["principal"]) + minor(frame["interest"]) + minor(frame["fees"])
    assert (minor(frame["balance"]) == parts).all()
    days = (pd.Timestamp(AS_OF) - pd.to_datetime(frame["due_on"])).dt.days
    assert (days == frame["dpd"].astype("int64")).all()


def test_account_numbers_are_unique_and_the_empty_portfolio_has_its_columns() -> None:
    assert portfolio(6, 20_000, "nova", AS_OF)["account_ref"].is_unique
    assert list(portfolio(6, 0, "nova", AS_OF).columns) == list(ACCOUNT_FIELDS)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_later_snapshot_takes_off_what_was_paid_and_ages_the_rest(language: Language) -> None:
    frame = portfolio(7, 100, "nova", AS_OF, language=language)
    ref, owed, dpd, paid_on = (
        ("account_ref", "balance", "dpd", "last_paid_on")
        if language == "en"
        else ("账号", "欠款余额", "逾期天数", "最近还款日")
    )
    everything = int(minor(frame[owed])[0])
    later = snapshot(frame, date(2026, 7, 31), {frame[ref][0]: everything, frame[ref][1]: 100})
    assert list(later.columns) == list(frame.columns)
    assert (later[owed][0], later["dpd" if language == "en" else "逾期天数"][0]) == ("0.00", "0")
    assert minor(later[owed])[1] == minor(frame[owed])[1] - 100
    assert later[paid_on][1] == "2026-07-31"
    assert (later[dpd][1:].astype("int64") == frame[dpd][1:].astype("int64") + 31).all()
    assert (later[owed][2:] == frame[owed][2:]).all()


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.parquet", "a.xlsx"])
def test_a_written_file_reads_back_as_the_same_text(name: str, tmp_path: Path) -> None:
    frame = portfolio(8, 30, "nova", AS_OF)
    path = write(frame, tmp_path / name)
    if name.endswith(".parquet"):
        back = pd.read_parquet(path)
    elif name.endswith(".xlsx"):
        back = pd.read_excel(path, dtype="str", engine="calamine")
    else:
        back = pd.read_csv(path, dtype="str")
    pd.testing.assert_frame_equal(back.astype("str"), frame)
