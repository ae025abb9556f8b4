"""Every bank file of the public sample set is read rightly, or refused with a reason (R3).

Rightly: as the expectations that lie beside the samples say (MT940 as YAML, six Swiss banks' tables as LaTeX, camt as
Python literals), and so that entries sum to the statement's own balances. The files are not ours to give away: the
tests are skipped where they are not there.
"""

from __future__ import annotations

import ast
import base64
import re
import tarfile
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # no stubs for the one test that reads YAML

from connectors.bank import mt940
from connectors.bank.profiles import Profile, load_profile, shipped_profiles
from connectors.bank.reading import drawn, read
from connectors.bank.statement import BankStatementFile, StatementRefused

ARCHIVES = ("camt", "csv_swiss_6banks", "hledger_csv", "mt940", "ofx", "paypal_sheet_csv")
FILES = 386
"""in all of them, but the schemas"""
NAMED = {
    "csv_postfinance_example_format1_20121101-B": "ch-postfinance-bare",
    "csv_example_format1_20080304": "ch-raiffeisen-bare",
}
"""tables without a header, which somebody must name"""
READ = {"camt": 61, "mt940": 18, "csv_swiss_6banks": 63}
"""how many of each archive are read; of the others none: no layout of theirs comes with Consign"""
SPOILED = {
    "csv_ubs_example_format1_20160908": "a spreadsheet wrote the parts as -71.700.000.000: the entry stays whole",
    "csv_ubs_example_format1_20180831": "line 2444: it has more cells than the header",
}
"""What the expectations have and no careful reader can."""


@pytest.fixture(scope="session")
def bank(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with every archive of bank files unpacked in a folder of its own."""
    folder = tmp_path_factory.mktemp("bank")
    for name in ARCHIVES:
        with tarfile.open(shared_data / "bank" / f"{name}.tar.gz") as archive:
            archive.extractall(folder / name, filter="data")
    return folder


@pytest.fixture(scope="session")
def profiles() -> list[Profile]:
    return [load_profile(name) for name in shipped_profiles()]


def files_in(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file() and "testexpected" not in path.parts)


def layout_of(path: Path, profiles: Sequence[Profile]) -> Profile | None:
    named = next((layout for name, layout in NAMED.items() if path.stem.endswith(name)), None)
    return next((one for one in profiles if one.name == named), None)


@pytest.mark.slow
def test_every_file_has_an_answer_and_what_is_read_adds_up(bank: Path, profiles: Sequence[Profile]) -> None:
    answers: Counter[str] = Counter()
    for path in files_in(bank):
        archive = path.relative_to(bank).parts[0]
        try:
            found = read(path, profiles, layout_of(path, profiles))
        except StatementRefused as refused:  # anything else is a fault
            answers[f"{archive} {'refused' if str(refused) and refused.fix else 'without a reason'}"] += 1
            continue
        answers[archive] += 1
        for one in found:
            assert one.entries["amount_minor"].dtype == "int64"
            if one.opening_minor is not None and one.closing_minor is not None:
                assert one.opening_minor + one.entries["amount_minor"].sum() == one.closing_minor, path.name
    assert answers.total() == FILES
    assert {name: answers[name] for name in READ} == READ
    assert {name for name in answers if not name.endswith("refused")} == set(READ)


# -- camt --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["camt053-txdtls", "camt054"])
def test_camt_reads_as_the_expected_literals_say(bank: Path, profiles: Sequence[Profile], name: str) -> None:
    prefix = "OCA__bank-statement-import__"
    currency, account, (expected,) = ast.literal_eval((bank / "camt" / f"{prefix}golden-{name}.pydata").read_text())
    (found,) = read(bank / "camt" / f"{prefix}test-{name}", profiles)
    assert (found.currency, found.account, found.number) == (currency, account, expected["name"])
    told = zip(found.entries["amount_minor"], found.entries["payer_account"], found.entries["reference"], strict=True)
    for (minor, payer, reference), one in zip(told, expected["transactions"], strict=True):
        assert (minor, payer) == (round(one["amount"] * 100), one["account_number"])
        assert one["ref"] in reference


def test_a_camt_that_its_own_expectation_contradicts_is_refused(bank: Path, profiles: Sequence[Profile]) -> None:
    prefix = "OCA__bank-statement-import__"
    _, _, (expected,) = ast.literal_eval((bank / "camt" / f"{prefix}golden-camt053.pydata").read_text())
    moved = sum(one["amount"] for one in expected["transactions"])
    assert round(expected["balance_start"] + moved - expected["balance_end_real"], 2) != 0
    with pytest.raises(StatementRefused, match="entries -1299 is not closing"):
        read(bank / "camt" / f"{prefix}test-camt053", profiles)


# -- MT940 -------------------------------------------------------------------------------------------------------------


def under(node: yaml.Node | None, *keys: str) -> Any:
    for key in keys:
        if not isinstance(node, yaml.MappingNode):
            return None
        node = next((value for name, value in node.value if name.value == key), None)
    return node


def decimal_in(node: Any) -> Decimal:
    while isinstance(node, yaml.MappingNode):
        node = under(node, "amount")
    return Decimal(node.value[0].value)


def day_in(node: Any) -> date:
    text = node.value[0]
    raw = base64.b64decode(text.value) if "binary" in text.tag else text.value.encode("latin-1")
    return date(raw[0] * 256 + raw[1], raw[2], raw[3])


def expected_entries(path: Path) -> list[tuple[Decimal, str, date, date | None]]:
    transactions = under(yaml.compose(path.read_text()), "transactions")
    found = []
    for one in transactions.value if transactions is not None else []:
        if under(one, "data", "amount") is None:
            continue
        booked = under(one, "data", "entry_date")
        found.append((
            abs(decimal_in(under(one, "data", "amount"))), under(one, "data", "status").value,
            day_in(under(one, "data", "date")), day_in(booked) if booked is not None else None,
        ))  # fmt: skip
    return found


def test_mt940_reads_as_the_expected_yaml_says(bank: Path) -> None:
    compared = 0
    for expectation in sorted((bank / "mt940").glob("*.yml")):
        sample = next((one for one in expectation.parent.glob(f"{expectation.stem}.*") if one != expectation), None)
        if sample is None or sample.stem.endswith("sepa_snippet_broken"):  # names its account twice: refused
            continue
        raw = sample.read_bytes()
        try:
            text = raw.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = raw.decode("cp1252", "replace")
        expected = expected_entries(expectation)
        try:
            found = [entry for message in mt940.messages(text) for entry in message.entries]
        except StatementRefused:
            assert expected == []
            continue
        assert len(found) == len(expected), sample.name
        for entry, (amount, mark, value, booked) in zip(found, expected, strict=True):
            assert Decimal(entry.amount.replace(",", ".").rstrip(".")) == amount, sample.name
            assert (entry.mark, entry.value) == (mark, value), sample.name
            assert booked in {None, entry.booked}, sample.name
        compared += len(found)
    assert compared == 210


# -- tables ------------------------------------------------------------------------------------------------------------


def minor_in(text: str) -> int:
    plain = text.replace("'", "").replace("+", "").strip()
    return int((Decimal(plain) * 100).to_integral_value()) if plain not in {"", "-"} else 0


def is_number(text: str) -> bool:
    return text in {"", "-"} or re.fullmatch(r"[-+]?[\d'.]+", text) is not None


def expected_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of the LaTeX table: `day`, `value`, `minor` (credit positive), `part` (D a part, S the sum of some)."""
    rows: list[dict[str, Any]] = []
    head: list[str] = []
    for line in path.read_text().splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)&", line.removesuffix("\\\\"))]
        if cells[0] == "Date":
            head = cells
        elif head and line.endswith("\\\\") and re.match(r"\d{4}-?\d\d-?\d\d", cells[0]):
            part = cells.pop() if head[-1] == "IsDetail" else ""
            last = [name for name in head if name != "IsDetail"][-2:]
            if is_number(cells[-1]) and is_number(cells[-2]):
                amounts = dict(zip(last, map(minor_in, cells[-2:]), strict=True))
            else:
                amounts = {"Income": minor_in(cells[-1])}
            rows.append({
                "day": re.sub(r"(\d{4})-?(\d\d)-?(\d\d)", r"\1-\2-\3", cells[0]),
                "value": cells[1] if head[1] == "DateValue" else "",
                "minor": amounts.get("Income", 0) - amounts.get("Expenses", 0),
                "part": part,
            })  # fmt: skip
    return rows


def apart(rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """What entries are made of: the parts where they sum to their entry, else the entry."""
    at = 0
    while at < len(rows):
        end = at
        while end < len(rows) and rows[end]["part"] in {"S", "D"}:
            end += 1
        if end == at:
            yield rows[at]
            at += 1
            continue
        run = rows[at:end] if rows[at]["part"] == "D" else rows[at:end][::-1]
        at, parts = end, []
        for row in run:
            if row["part"] == "D":
                parts.append(row)
                continue
            sign = 1 if row["minor"] > 0 else -1
            if sum(one["minor"] for one in parts) == row["minor"]:
                yield from parts
            elif parts and sum(abs(one["minor"]) for one in parts) == abs(row["minor"]):
                yield from ({**one, "minor": abs(one["minor"]) * sign} for one in parts)
            else:
                yield row
            parts = []


def entries_of(found: list[BankStatementFile], day: str) -> Counter[tuple[str, int]]:
    return Counter(
        (str(when)[:10], int(minor))
        for one in found
        for when, minor in zip(one.entries[day], one.entries["amount_minor"], strict=True)
    )


@pytest.mark.slow
def test_swiss_tables_read_as_the_expected_tables_say(bank: Path, profiles: Sequence[Profile]) -> None:
    compared = 0
    for path in files_in(bank / "csv_swiss_6banks"):
        name = path.name.split("testcases__")[1].removesuffix(".csv")
        (expectation,) = (bank / "csv_swiss_6banks" / "testexpected").glob(f"*test__{name}.txt")
        if name in SPOILED:
            continue
        found = drawn(path, profiles, layout_of(path, profiles))
        rows = [row for row in apart(expected_rows(expectation)) if row["minor"]]
        by_value = all(re.fullmatch(r"20\d\d-\d\d-\d\d", row["value"]) for row in rows)
        expected = Counter((row["value" if by_value else "day"], row["minor"]) for row in rows)
        told = entries_of(found, "value_date" if by_value else "booked_on")
        assert Counter({key: count for key, count in told.items() if key[1]}) == expected, name
        compared += len(rows)
    assert compared == 11_976


def test_a_table_whose_text_holds_a_delimiter_is_refused_with_its_line(bank: Path, profiles: Sequence[Profile]) -> None:
    (path,) = (bank / "csv_swiss_6banks").rglob("*testcases__csv_ubs_example_format1_20180831.csv")
    with pytest.raises(StatementRefused, match=re.escape(SPOILED["csv_ubs_example_format1_20180831"])):
        drawn(path, profiles)
