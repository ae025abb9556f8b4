"""What is exported is what is booked: programs that are not ours read it and add it up."""

from __future__ import annotations

import csv
import re
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from infra.books.export import export
from infra.books.rows import Books
from infra.store import balances
from models import postings
from models.errors import UsageError
from models.money import exponent

if TYPE_CHECKING:
    import contextlib
    from collections.abc import Callable, Iterator

    from tests.conftest import Needs
    from tests.infra.books.conftest import House

MONTHS = [date(2026, month, day) for month in (2, 3, 4) for day in (1, 17, 28)]


@pytest.fixture(scope="module")
def booked(houses: Callable[[], contextlib.AbstractContextManager[House]]) -> Iterator[House]:
    """Three months of two agencies, in three currencies, with mirrors and an exchange; nobody writes to it."""
    with houses() as house:
        fill(house)
        yield house


def fill(house: House) -> None:
    keys = [house.recover(100_00 + 7 * number, day) for number, day in enumerate(MONTHS)]
    journal = []
    for number, day in enumerate(MONTHS):
        agency = ("alpha", "beta-2")[number % 2]
        currency = ("CNY", "JPY", "KWD")[number % 3]
        row = postings.event("commission", f"fee:{number}", "bank-a", agency, day, currency, 40 + number)
        journal.append(postings.commission(row, pd.Series([1_234 + number]), pd.Series([-56])))
        row = postings.event("receipt", f"bank:{number}", "bank-a", None, day, currency)
        journal.append(postings.receipt(row, pd.Series([(-1) ** number * (5_000 + number)])))
    house.post(pd.concat(journal, ignore_index=True))
    row = postings.event("exchange", "fx:1", "bank-a", "alpha", MONTHS[4], ["KWD", "CNY"])
    house.post(postings.exchange(row, clearing=pd.Series([10_000, 0]), unapplied=pd.Series([0, 233_000])))
    house.reverse(keys[0], keys[4])
    house.recover(5, MONTHS[0], lender="bank-b")


def checked(program: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """The outside program, as it ended."""
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=False, timeout=60)


def hledger(path: Path) -> subprocess.CompletedProcess[str]:
    return checked("hledger", "-f", path, "check", "--strict")


def bean_check(path: Path) -> subprocess.CompletedProcess[str]:
    return checked(str(Path(sys.executable).with_name("bean-check")), path)


@pytest.mark.parametrize("by_account", [False, True])
@pytest.mark.parametrize("since", [None, "2026-03"])
def test_hledger_and_beancount_come_to_the_same_balances(
    booked: House, needs: Needs, tmp_path: Path, by_account: bool, since: str | None
) -> None:
    needs("hledger")
    pytest.importorskip("beancount")
    for ending, check in ((".journal", hledger), (".beancount", bean_check)):
        path = tmp_path / f"books{ending}"
        done = export(booked.desk, "bank-a", path, since=since, by_account=by_account)
        assert done.lines > 0
        said = check(path)
        assert said.returncode == 0, said.stderr


@pytest.mark.parametrize("ending", [".journal", ".beancount"])
def test_a_line_that_is_wrong_by_one_unit_is_found_by_them(
    booked: House, needs: Needs, tmp_path: Path, ending: str
) -> None:
    needs("hledger")
    pytest.importorskip("beancount")
    path = tmp_path / f"books{ending}"
    export(booked.desk, "bank-a", path)
    text = path.read_text(encoding="utf-8")
    # both sides of one entry, so that the entry still balances and the account does not
    text, count = re.subn(r"(?<=  )(-?)100\.00(?= CNY)", r"\g<1>100.01", text)
    assert count == 4  # the entry and its mirror
    text = text.replace("100.01", "100.00", 2)
    path.write_text(text, encoding="utf-8")
    said = (hledger if ending == ".journal" else bean_check)(path)
    assert said.returncode != 0
    assert "100.0" in said.stderr or "0.01" in said.stderr


def test_what_is_asserted_is_the_trial_balance(booked: House, tmp_path: Path) -> None:
    path = tmp_path / "books.beancount"
    export(booked.desk, "bank-a", path)
    asserted = re.findall(
        r"^(\S+) balance \S+?:(\d+)-\S+?(?::(\S+))?  (\S+) ~ 0 (\S+)$", path.read_text(), re.MULTILINE
    )
    for day, month in (("2026-03-01", "2026-02"), ("2026-04-01", "2026-03"), ("2026-05-01", "2026-04")):
        told = {
            (code, agency.lower(), currency): round(float(amount) * 10 ** exponent(currency))
            for on, code, agency, amount, currency in asserted
            if on == day
        }
        with booked.database.read() as connection:
            balance = balances.trial_balance(connection, "bank-a", period=month)
        keys = zip(balance["code"], balance["agency"].fillna(""), balance["currency"], strict=True)
        ours = dict(zip(keys, balance["balance_minor"], strict=True))
        assert {key: minor for key, minor in told.items() if minor} == {k: v for k, v in ours.items() if v}
        assert set(ours) <= set(told)


def test_in_pieces_it_is_the_same_text(booked: House, tmp_path: Path) -> None:
    whole = tmp_path / "whole.journal"
    export(booked.desk, "bank-a", whole)
    from infra.books.plaintext import Hledger

    with booked.database.read() as connection, (tmp_path / "pieces").open("w", encoding="utf-8") as out:
        books = Books.of(connection, "bank-a")
        Hledger(Books(**(vars(books) | {"rows": 3}))).write(out)
    assert (tmp_path / "pieces").read_text() == whole.read_text()


def test_a_debtor_s_account_is_named_by_our_number_and_only_where_asked_for(booked: House, tmp_path: Path) -> None:
    for by_account in (False, True):
        path = tmp_path / f"{by_account}.csv"
        export(booked.desk, "bank-a", path, by_account=by_account)
        with path.open(newline="", encoding="utf-8") as file:
            numbers = {row["number"] for row in csv.DictReader(file)}
        assert numbers == ({"", "7", *(str(40 + number) for number in range(9))} if by_account else {""})


def test_the_tables_hold_every_line_and_each_month_s_balances(booked: House, tmp_path: Path) -> None:
    for ending in (".csv", ".xlsx"):
        export(booked.desk, "bank-a", tmp_path / f"books{ending}")
    lines = pd.read_csv(tmp_path / "books.csv", dtype={"code": "str"})
    sheets = pd.read_excel(tmp_path / "books.xlsx", sheet_name=None, engine="calamine", dtype={"code": "str"})
    assert list(sheets) == ["balances", "lines"]
    assert sheets["lines"]["amount"].tolist() == lines["amount"].tolist()
    assert lines.groupby(["entry", "currency"])["amount"].sum().abs().max() < 1e-9
    last = sheets["balances"].query("period == '2026-04'").set_index(["code", "agency", "currency"])["balance"]
    sums = lines.groupby(["code", "agency", "currency"], dropna=False)["amount"].sum()
    assert last.round(6).sort_index().to_dict() == sums.round(6).sort_index().to_dict()
    assert booked.desk.settings.home not in tmp_path.parents


def test_a_file_is_written_whole_or_not_at_all(booked: House, tmp_path: Path) -> None:
    path = tmp_path / "books.journal"
    with pytest.raises(UsageError, match="nothing is in the books"):
        export(booked.desk, "bank-a", path, since="2026-07")
    assert list(tmp_path.glob("*.journal")) == []
    export(booked.desk, "bank-a", path)
    assert path.stat().st_mode & 0o077 == 0
    with pytest.raises(UsageError, match="already"):
        export(booked.desk, "bank-a", path)
    with pytest.raises(UsageError, match="which format"):
        export(booked.desk, "bank-a", tmp_path / "books.txt")
    with pytest.raises(UsageError, match="cannot be written"):
        export(booked.desk, "bank-a", tmp_path / "books.txt", format_="pdf")
