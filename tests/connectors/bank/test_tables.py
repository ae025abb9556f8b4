from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.bank.profiles import Profile, load_profile, parse_profile, shipped_profiles
from connectors.bank.reading import drawn, read
from connectors.bank.statement import BankStatementFile, StatementRefused
from connectors.layouts.errors import LayoutInvalid, LayoutUnknown
from connectors.layouts.workbook import SheetWriter
from infra.sandbox.bank import BankAccount

PROFILE = """
name = "own"
version = 1
currency = "CHF"
ends = ["End"]

[file]
encodings = ["utf-8", "cp1252"]
delimiters = [";"]

[dates]
formats = ["%d.%m.%Y"]

[amounts]
thousands = ["'"]

[columns]
booked = "Day"
value = "Value"
text = ["Text"]
detail = "Part"
credit = "In"
debit = "Out"
balance = "Balance"
currency = "Money"
bank_ref = "Ref"
ignored = ["Label"]

[preamble]
account = ["Account:"]
opening = ["Opening:"]
"""
HEADER = "Day;Value;Text;Part;In;Out;Balance"
Told = Callable[..., BankStatementFile]


@pytest.fixture
def own() -> Profile:
    return parse_profile(PROFILE)


@pytest.fixture
def told(tmp_path: Path, own: Profile) -> Told:
    """The one statement of the table that these lines make."""

    def make(
        *lines: str, header: str = HEADER, above: tuple[str, ...] = (), encoding: str = "utf-8"
    ) -> BankStatementFile:
        path = tmp_path / "table.csv"
        path.write_bytes("\r\n".join([*above, header, *lines, ""]).encode(encoding))
        (found,) = read(path, [own])
        return found

    return make


def test_amounts_are_read_as_the_layout_writes_them(told: Told) -> None:
    found = told(
        "01.04.2026;;a;;4'350.00;;", "02.04.2026;;b;;;12.5;", "03.04.2026;;c;;+.05;;", "04.04.2026;;d;;\u22121;;"
    )
    assert found.entries["amount_minor"].tolist() == [435_000, -1_250, 5, -100]


def test_a_column_of_debits_with_a_minus_in_it_has_its_own_signs(told: Told) -> None:
    assert told("01.04.2026;;a;;;-3.00;", "02.04.2026;;b;;;2.00;").entries["amount_minor"].tolist() == [-300, 200]
    assert told("01.04.2026;;a;;;3.00;", "02.04.2026;;b;;;2.00;").entries["amount_minor"].tolist() == [-300, -200]


def test_the_newest_entry_may_stand_first_and_balances_say_so(told: Told) -> None:
    lines = ["01.04.2026;;a;;5.00;;15.00", "01.04.2026;;b;;;2.00;", "02.04.2026;;c;;1.00;;14.00"]
    falling = ["02.04.2026;;c;;1.00;;14.00", "01.04.2026;;b;;;2.00;", "01.04.2026;;a;;5.00;;15.00"]
    for found in (told(*lines), told(*falling)):
        assert (found.opening_minor, found.closing_minor) == (1_000, 1_400)
        assert found.entries["reference"].tolist() == ["a", "b", "c"]
        assert (found.from_on, found.to_on) == (date(2026, 4, 1), date(2026, 4, 2))


def test_a_balance_that_does_not_follow_is_told_with_its_line(told: Told) -> None:
    with pytest.raises(StatementRefused, match="line 3: its balance does not follow"):
        told("01.04.2026;;a;;5.00;;15.00", "02.04.2026;;b;;1.00;;17.00")
    with pytest.raises(
        StatementRefused, match="opening balance above the table is 900, and by the column of balances 1000"
    ):
        told("01.04.2026;;a;;5.00;;15.00", above=("Opening:;9.00",))


def test_lines_without_a_date_go_on_with_the_entry_before(told: Told) -> None:
    found = told(
        "01.04.2026;;collective;;9.00;;",
        ";;first;4.00;;;",
        ";;second;5.00;;;",
        "02.04.2026;;alone;;1.00;;",
        ";;more;;;;",
    )
    assert found.entries["amount_minor"].tolist() == [400, 500, 100]
    assert found.entries["of_entry"].tolist() == [0, 0, 1]
    assert found.entries["reference"].tolist() == ["first", "second", "alone more"]


def test_parts_that_do_not_sum_to_their_entry_leave_it_whole(told: Told) -> None:
    assert told("01.04.2026;;all;;9.00;;", ";;a;4.00;;;", ";;b;4.00;;;").entries["amount_minor"].tolist() == [900]


def test_total_lines_are_held_against_the_entries(told: Told) -> None:
    assert len(told("Total;;;;5.00;2.00;", "01.04.2026;;a;;5.00;;", "02.04.2026;;b;;;2.00;").entries) == 2
    with pytest.raises(StatementRefused, match="line 2: it is a total of credits, and the entries sum to 500"):
        told("Total;;;;6.00;2.00;", "01.04.2026;;a;;5.00;;", "02.04.2026;;b;;;2.00;")
    with pytest.raises(
        StatementRefused, match="line 3: it is neither the opening balance 1000 nor the closing one 1500"
    ):
        told("01.04.2026;;a;;5.00;;15.00", "Start;;;;;;11.00")


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        (("01.04.2026;;a;;;;",), "line 2: it has a date and no amount"),
        (("1 April;;a;;5.00;;",), "line 2: it has an amount and no date"),
        (("01.04.2026;;a;;5,00;;",), "line 2: its credit is no amount"),
        (("01.04.2026;;a;;5.005;;",), "line 2: its credit is no amount"),
        (("01.04.2026;;a;;5.00;2.00;",), "line 2: it is credit and debit"),
        (("01.04.2026;;a; b;;5.00;;",), "line 2: it has more cells"),
        ((";;a;4.00;;;", "01.04.2026;;b;;4.00;;"), "line 2: it is a part of an entry"),
        (("01.04.2026;31.02.2026;a;;5.00;;",), "line 2: its value date is no day"),
    ],
)
def test_a_line_that_is_nothing_known_refuses_the_file(told: Told, lines: tuple[str, ...], why: str) -> None:
    with pytest.raises(StatementRefused, match=why):
        told(*lines)


def test_what_stands_above_and_below_the_table(told: Told) -> None:
    found = told("01.04.2026;;a;;5.00;;", "End;;", "whatever;;;;1;;", above=('Account:;"=CH01 23"', "", "Money:;EUR"))
    assert (found.account, len(found.entries)) == ("CH0123", 1)


def test_old_encodings_marks_at_the_start_and_lone_returns_are_read(told: Told, tmp_path: Path, own: Profile) -> None:
    for encoding in ("utf-8", "utf-8-sig", "cp1252"):
        assert told("01.04.2026;;Gebühr;;5.00;;", encoding=encoding).entries["reference"].tolist() == ["Gebühr"]
    path = tmp_path / "mac.csv"
    path.write_bytes(f"{HEADER}\r01.04.2026;;a;;5.00;;\r02.04.2026;;b;;6.00;;\r".encode())
    assert len(read(path, [own])[0].entries) == 2


def test_an_account_in_several_currencies_is_a_statement_each(tmp_path: Path, own: Profile) -> None:
    path = tmp_path / "two.csv"
    path.write_text(
        f"{HEADER};Money\n01.04.2026;;a;;5.00;;15.00;EUR\n01.04.2026;;b;;7;;7;JPY\n02.04.2026;;c;;1.00;;16.00;EUR\n"
    )
    found = read(path, [own])
    assert [(one.currency, one.opening_minor, one.closing_minor) for one in found] == [
        ("EUR", 1_000, 1_600),
        ("JPY", 0, 7),
    ]


def test_a_workbook_is_read_like_a_table(tmp_path: Path) -> None:
    xlsx = parse_profile(PROFILE.replace("[file]", '[file]\nformat = "xlsx"').replace('"%d.%m.%Y"', '"%Y-%m-%d"'))
    path = tmp_path / "table.xlsx"
    sheet = SheetWriter(path, "s", {})
    sheet.line(["Account:", "CH01"])
    sheet.line(HEADER.split(";"), head=True)
    sheet.line(["2026-04-01", "", "a", "", "5.00", "", "15.00"])
    sheet.close()
    (found,) = read(path, [xlsx])
    assert (found.account, found.opening_minor, found.closing_minor) == ("CH01", 1_000, 1_500)


# -- which layout ------------------------------------------------------------------------------------------------------


def test_a_header_that_no_layout_knows_all_of_is_refused(tmp_path: Path, own: Profile) -> None:
    path = tmp_path / "table.csv"
    path.write_text(f"{HEADER};Fee\n01.04.2026;;a;;5.00;;;1\n")
    with pytest.raises(StatementRefused, match="no layout fits"):
        read(path, [own])


def test_two_layouts_that_would_read_it_otherwise_must_be_named(tmp_path: Path, own: Profile) -> None:
    path = tmp_path / "table.csv"
    path.write_text(f"{HEADER}\n01.04.2026;;a;;5.00;;\n")
    other = parse_profile(PROFILE.replace('"own"', '"other"').replace("%d.%m.%Y", "%m.%d.%Y"))
    same = parse_profile(PROFILE.replace('"own"', '"same"'))
    with pytest.raises(StatementRefused, match="fits several layouts: other, own"):
        read(path, [own, other])
    assert read(path, [own, other], other)[0].entries["booked_on"][0].month == 1
    assert read(path, [own, same])[0].form == "own@1"


@pytest.mark.parametrize("name", shipped_profiles())
def test_what_comes_with_consign_is_whole_and_says_what_it_was_held_against(name: str) -> None:
    profile = load_profile(name)
    assert profile.name == name
    assert profile.verified in {"samples", "public description"}
    assert profile.about


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (("version = 1\n", "version = 0\n"), "version: needs a whole number"),
        (('currency = "CHF"', 'currency = "francs"'), "currency: needs three"),
        (('booked = "Day"', 'boked = "Day"'), "unknown key 'boked'"),
        (('credit = "In"\n', ""), "credit and debit"),
        (('"%d.%m.%Y"', '"%d.%m"'), "does not hold a year"),
        (('encodings = ["utf-8"', 'encodings = ["utf-7"'), "'utf-7' is not one of"),
        (('thousands = ["\'"]', 'thousands = ["."]'), "holds the decimal mark"),
        (('bank_ref = "Ref"', 'side = "S"'), "a column `side` needs the words"),
        (('bank_ref = "Ref"', 'status = "S"'), "a column `status` needs the words"),
        (("[preamble]", "[summary]\ncount = 0\n[preamble]"), "needs the cells' numbers"),
        (('name = "own"', "name ="), "not TOML"),
    ],
)  # fmt: skip
def test_a_wrong_profile_is_told_by_its_key(change: tuple[str, str], why: str) -> None:
    with pytest.raises(LayoutInvalid, match=why):
        parse_profile(PROFILE.replace(*change))


def test_a_name_that_nobody_knows_is_told_with_the_nearest() -> None:
    with pytest.raises(LayoutUnknown, match=r"near: ch-ubs"):
        load_profile("ch-usb")


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("a.ofx", b"OFXHEADER:100\nDATA:OFXSGML\n<OFX>", "is OFX, which is not read"),
        ("a.pdf", b"%PDF-1.7 x", "is a PDF, no statement"),
        ("a.zip", b"PK\x03\x04rest", "is an archive, no statement"),
        ("a.csv", b"", "is empty, no statement"),
        ("a.txt", b"hello", "no layout fits"),
    ],
)
def test_what_is_no_statement_is_called_what_it_is(tmp_path: Path, name: str, content: bytes, why: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(StatementRefused, match=why):
        drawn(path, [load_profile(one) for one in shipped_profiles()])


# -- wallets -----------------------------------------------------------------------------------------------------------


@given(amounts=st.lists(st.integers(-(10**6), 10**6).filter(bool), min_size=1, max_size=8))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
def test_the_fund_flow_of_a_wechat_merchant_reads_as_the_sandbox_writes_it(tmp_path: Path, amounts: list[int]) -> None:
    frame = pd.DataFrame({
        "amount_minor": amounts, "value_date": pd.Timestamp(2026, 4, 1),
        "reference": pd.Series([f"T{number}" for number in range(len(amounts))], dtype="str"),
    })  # fmt: skip
    path = BankAccount("WX-1", "CNY", 10_000_000).write_wallet(tmp_path / "flow.csv", frame)
    profiles = [load_profile(name) for name in shipped_profiles()]
    (found,) = read(path, profiles)
    assert found.entries["amount_minor"].tolist() == amounts
    assert (found.form, found.opening_minor) == ("cn-wechat-fundflow@1", 10_000_000)
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace(f"`{len(amounts)},`", f"`{len(amounts) + 1},`"), encoding="utf-8")
    with pytest.raises(StatementRefused, match="the line below the table says"):
        read(path, profiles)


def test_the_entries_of_an_alipay_merchant_are_read_from_gb18030(tmp_path: Path) -> None:
    path = tmp_path / "alipay.csv"
    path.write_bytes(
        "#支付宝账务明细查询\r\n#账号：[20885612345678900156]\r\n#-----账务明细列表-----\r\n"
        "账务流水号,业务流水号,商户订单号,商品名称,发生时间,对方账号,收入金额（+元）,支出金额（-元）,账户余额（元）,"
        "交易渠道,业务类型,备注\r\n"
        "1\t,2\t,T1\t,回款,2026-04-02 10:00:00,\t,10.00,0.00,110.00,,在线支付,\r\n"
        "3\t,4\t,T2\t,回款,2026-04-03 10:00:00,\t,0.00,-1.00,109.00,,收费,\r\n"
        "#-----账务明细列表结束-----\r\n#支出合计：1笔，共-1.00元\r\n".encode("gb18030")
    )
    (found,) = read(path, [load_profile(name) for name in shipped_profiles()])
    assert (found.account, found.opening_minor, found.closing_minor) == ("20885612345678900156", 10_000, 10_900)
    assert found.entries["reference"].tolist() == ["T1 回款 在线支付", "T2 回款 收费"]
