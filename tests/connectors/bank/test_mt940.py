from __future__ import annotations

from datetime import date
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.bank.mt940 import is_mt940, messages, statements
from connectors.bank.reading import read
from connectors.bank.statement import BankStatementFile, StatementRefused
from infra.sandbox.bank import BankAccount


def message(*lines: str, opening: str = "C260401EUR100,00", closing: str = "") -> str:
    ends = [f":62F:{closing}"] if closing else []
    return "\r\n".join([":20:S1", ":25:DE02/123", ":28C:00012/001", f":60F:{opening}", *lines, *ends, "-", ""])


def one(*lines: str, opening: str = "C260401EUR100,00", closing: str = "") -> BankStatementFile:
    (found,) = statements(message(*lines, opening=opening, closing=closing))
    return found


@pytest.mark.parametrize(
    ("line", "minor", "is_reversal"),
    [
        ("2604020402C10,00NTRFR1", 1_000, False),
        ("2604020402CR10,NTRFR1", 1_000, False),
        ("260402D3,5NTRFR1", -350, False),
        ("2604020402RC10,00NTRFR1", -1_000, True),
        ("2604020402RCR10,00NTRFR1", -1_000, True),
        ("2604020402RD7,00NTRFR1", 700, True),
        ("260402    DD212,39NMSCNONREF", -21_239, False),
        ("2604020402CR\r\n30,00N062NONREF", 3_000, False),
        ("260402C000000000000030,00NTRFR1", 3_000, False),
    ],
)
def test_the_mark_and_the_amount_of_an_entry_as_banks_write_them(line: str, minor: int, is_reversal: bool) -> None:
    (row,) = one(f":61:{line}").entries.itertuples()
    assert (row.amount_minor, row.is_reversal) == (minor, is_reversal)


@pytest.mark.parametrize(
    ("line", "value", "booked"),
    [
        ("2512300102C1,NTRF", date(2025, 12, 30), date(2026, 1, 2)),
        ("2601021230C1,NTRF", date(2026, 1, 2), date(2025, 12, 30)),
        ("260402C1,NTRF", date(2026, 4, 2), date(2026, 4, 2)),
        ("2602300301C1,NTRF", date(2026, 2, 28), date(2026, 3, 1)),
        ("9912310103C1,NTRF", date(1999, 12, 31), date(2000, 1, 3)),
    ],
)
def test_a_booking_day_without_a_year_lies_next_to_the_value_date(line: str, value: date, booked: date) -> None:
    row = one(f":61:{line}").entries
    assert (row["value_date"].dt.date.tolist(), row["booked_on"].dt.date.tolist()) == ([value], [booked])


@pytest.mark.parametrize(
    ("lines", "reference", "payer"),
    [
        ((":61:260402C1,NTRFNONREF", ":86:BATCH 7 of\r\nALPHA"), "BATCH 7 of ALPHA", None),
        ((":61:260402C1,NTRFT7", ":86:166?00GUTSCHRIFT?20EREF+E-1?21SVWZ+april remit?22tance?31DE99?32Alpha"),
         "T7 E-1 april remittance", "DE99"),
        ((":61:260402C1,NTRFEREF", ":86:/EREF/E-2/IBAN/NL70ABNA/REMI/april/NAME/Alpha"), "E-2 april", "NL70ABNA"),
        ((":61:260402C1,S05168790452", ":NS:01Purpose 1\r\n02Purpose 2\r\n15Payer\r\n204711"),
         "68790452 Purpose 1 Purpose 2", None),
        ((":61:260402C1,NTRFNONREF", ":86:166?20EREF+NOTPROVIDED?21SVWZ+april"), "april", None),
    ],
)  # fmt: skip
def test_what_the_payer_said_in_each_of_the_ways_that_banks_write_it(
    lines: tuple[str, ...], reference: str, payer: str | None
) -> None:
    row = one(*lines).entries.iloc[0]
    assert (row["reference"], row["payer_account"] if payer else None) == (reference, payer)


def test_the_banks_own_reference_is_behind_the_slashes_and_a_return_keeps_its_reason() -> None:
    back = one(":61:260402D1,NTRFR1//B-77", ":86:108?20EREF+E-1?21RTRN+AC04 closed").entries.iloc[0]
    assert (back["bank_ref"], back["return_reason"]) == ("B-77", "AC04")


def test_a_long_statement_has_a_page_from_each_balance_to_the_next() -> None:
    first = message(":61:260402C1,NTRF", closing="").replace("\r\n-\r\n", "\r\n:62M:C260402EUR101,00\r\n-\r\n")
    second = message(":61:260403C2,NTRF", closing="C260403EUR103,00").replace("/001", "/002").replace(":60F:", ":60M:")
    pages = statements(first + second.replace("C260401EUR100,00", "C260402EUR101,00"))
    assert [(page.number, page.opening_minor, page.closing_minor) for page in pages] == [
        ("00012", 10_000, 10_100), ("00012/2", 10_100, 10_300),
    ]  # fmt: skip


def test_a_report_within_the_day_is_one_and_is_held_against_its_sums() -> None:
    text = ":20:S\n:25:DE02\n:28C:1\n:34F:EURD0,\n:13D:2604020900+0100\n:61:260402C5,NTRF\n:90C:1EUR5,00\n-\n"
    (report,) = statements(text)
    assert (report.form, report.is_advance, report.currency) == ("mt942", True, "EUR")
    with pytest.raises(StatementRefused, match="90C says 1 entries of 600"):
        statements(text.replace("5,00", "6,00"))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (
            message(":61:260402C1,NTRF", closing="C260430EUR102,00"),
            "does not add up: opening 10000 \\+ entries 100 is not",
        ),
        (message(":61:26040C1,NTRF"), "entry 1: its tag 61"),
        (message(":61:261302C1,NTRF"), "entry 1: its tag 61"),
        (message(":61:2604021399C1,NTRF"), "no such booking day"),
        (message(":61:260402C1,005NTRF"), "more digits than EUR"),
        (message(opening="X1"), "balance :60F: is not written as one"),
        (message().replace(":25:DE02/123\r\n", ""), "names no account"),
        (message().replace(":28C:", ":25:DE03\r\n:28C:"), "names its account twice"),
        (message(closing="C260430USD100,00"), "several currencies: EUR, USD"),
        (":20:S\n:25:DE02\n-\n", "neither entries nor balances"),
        ("nothing of it", "holds no MT940"),
    ],
)
def test_a_message_that_cannot_be_counted_on_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(StatementRefused, match=why):
        statements(text)


def test_an_envelope_and_lines_before_it_are_no_part_of_the_message() -> None:
    text = "ABNANL2A\r\n940\r\n{1:F01X}{2:O940}{4:\r\n" + message(closing="C260430EUR100,00").replace(
        "-\r\n", "-}{5:}\r\n"
    )
    assert [found.account for found in statements(text)] == ["DE02/123"]
    assert is_mt940(text)
    assert not is_mt940("Datum;Text;Betrag\n:20:;x;1\n")


@given(
    amounts=st.lists(st.integers(-(10**9), 10**9).filter(bool), max_size=6),
    currency=st.sampled_from(["CNY", "JPY", "KWD"]),
    reference=st.text(st.characters(min_codepoint=48, max_codepoint=90), min_size=1, max_size=12),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
def test_what_the_sandbox_bank_writes_is_what_is_read(
    tmp_path: Path, amounts: list[int], currency: str, reference: str
) -> None:
    frame = pd.DataFrame({
        "amount_minor": pd.Series(amounts, dtype="int64"),
        "value_date": pd.Series([pd.Timestamp(2026, 4, 1)] * len(amounts), dtype="datetime64[us]"),
        "reference": pd.Series([f"R{number}" for number in range(len(amounts))], dtype="str"),
        "text": pd.Series([reference] * len(amounts), dtype="str"),
    })  # fmt: skip
    path = BankAccount("LENDER-1", currency, 5_000).write_mt940(tmp_path / "one.sta", frame, date(2026, 4, 30))
    (found,) = read(path, [])
    assert found.entries["amount_minor"].tolist() == amounts
    assert (found.opening_minor, found.closing_minor, found.form) == (5_000, 5_000 + sum(amounts), "mt940")
    assert all(said.startswith(f"R{number}") for number, said in enumerate(found.entries["reference"]))
    assert len(messages(path.read_text())) == 1
