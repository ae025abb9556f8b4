from __future__ import annotations

import contextlib
import tarfile
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.bank.camt053 import CHUNK_ENTRIES, statements
from connectors.bank.statement import BankStatementFile, StatementRefused
from infra.sandbox.bank import BankAccount

SPACE = 'xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.02"'
Said = Callable[..., BankStatementFile]


def balance(kind: str, amount: str, side: str = "CRDT") -> str:
    return (
        f"<Bal><Tp><CdOrPrtry><Cd>{kind}</Cd></CdOrPrtry></Tp><Amt Ccy='EUR'>{amount}</Amt>"
        f"<CdtDbtInd>{side}</CdtDbtInd></Bal>"
    )


def entry(amount: str, details: str = "", side: str = "CRDT", more: str = "", currency: str = "EUR") -> str:
    return (
        f"<Ntry><Amt Ccy='{currency}'>{amount}</Amt><CdtDbtInd>{side}</CdtDbtInd>{more}<Sts>BOOK</Sts>"
        f"<BookgDt><Dt>2026-04-01</Dt></BookgDt>{f'<NtryDtls>{details}</NtryDtls>' if details else ''}</Ntry>"
    )


def detail(amount: str = "", reference: str = "", free: str = "", side: str = "") -> str:
    stated = f"<AmtDtls><TxAmt><Amt Ccy='EUR'>{amount}</Amt></TxAmt></AmtDtls>" if amount else ""
    return (
        f"<TxDtls><Refs><EndToEndId>{reference}</EndToEndId></Refs>{stated}"
        f"{f'<CdtDbtInd>{side}</CdtDbtInd>' if side else ''}<RmtInf>{free}</RmtInf></TxDtls>"
    )


@pytest.fixture
def said(tmp_path: Path) -> Said:
    """The one statement that is made of these balances and entries."""

    def read(*parts: str, head: str = "", space: str = SPACE, account: str = "<IBAN>DE02</IBAN>") -> BankStatementFile:
        path = tmp_path / "statement.xml"
        path.write_text(
            f"{head}<Document {space}><BkToCstmrStmt><Stmt><Id>S1</Id><Acct><Id>{account}</Id></Acct>"
            f"{''.join(parts)}</Stmt></BkToCstmrStmt></Document>"
        )
        (one,) = statements(path)
        return one

    return read


def test_the_sign_comes_from_the_side_and_a_reversal_is_only_flagged(said: Said) -> None:
    found = said(entry("10.00"), entry("2.50", side="DBIT"), entry("1", side="DBIT", more="<RvslInd>true</RvslInd>"))
    assert found.entries["amount_minor"].tolist() == [1_000, -250, -100]
    assert found.entries["is_reversal"].tolist() == [False, False, True]


def test_a_batch_is_taken_apart_where_its_details_sum_to_it(said: Said) -> None:
    parts = detail("6", "A") + detail("5", "B") + detail("1", "C", side="DBIT")
    found = said(entry("10", parts), entry("3", detail("", "D")))
    assert found.entries["amount_minor"].tolist() == [600, 500, -100, 300]
    assert found.entries["reference"].tolist() == ["A", "B", "C", "D"]


def test_a_batch_whose_details_do_not_sum_to_it_stays_whole(said: Said) -> None:
    batch = "<Btch><PmtInfId>P1</PmtInfId></Btch>"
    for parts in (detail("6", "A") + detail("5", "B"), detail("10", "A") + detail("", "B")):
        found = said(entry("10", batch + parts))
        assert (found.entries["amount_minor"].tolist(), found.entries["reference"].tolist()) == ([1_000], ["P1"])


def test_a_reference_is_everything_the_payer_wrote_once(said: Said) -> None:
    strd = "<Strd><CdtrRefInf><Ref>R1</Ref></CdtrRefInf></Strd>"
    free = "<Ustrd>april </Ustrd><Ustrd>T7</Ustrd>"
    found = said(
        entry("1", detail("", "NOTPROVIDED", strd + free)),
        entry("1", detail("", "R1", "<Ustrd>R1</Ustrd>")),
        entry("1", more="<NtryRef>N1</NtryRef>"),
        entry("1"),
    )
    assert found.entries["reference"].fillna("").tolist() == ["R1 april T7", "R1", "N1", ""]


def test_what_is_not_booked_yet_is_left_out(said: Said) -> None:
    found = said(entry("10"), entry("oops").replace("BOOK", "PDNG"), entry("7").replace("BOOK", "<Cd>BOOK</Cd>"))
    assert found.entries["amount_minor"].tolist() == [1_000, 700]


@pytest.mark.parametrize(
    ("parts", "why"),
    [
        ((balance("OPBD", "1"), balance("CLBD", "3"), entry("1")), "does not add up: opening 100 \\+ entries 100"),
        ((entry("-1"),), "entry 1: its amount"),
        ((entry("1"), entry("1.005")), "entry 2: its amount"),
        ((entry("1,00"),), "entry 1: its amount"),
        ((entry("1", side="CREDIT"),), "credit or debit"),
        ((entry("1", currency=""),), "no currency"),
        ((entry("1"), entry("1", currency="USD")), "several currencies: EUR, USD"),
        ((entry("1").replace("2026-04-01", "2026-02-30"),), "date"),
        ((entry("1").replace("2026-04-01", ""),), "neither a booking date"),
        ((entry("1", detail("", "A\ue000B")),), "private-use character"),
        ((), "names no currency"),
    ],
)
def test_a_statement_that_cannot_be_counted_on_is_refused_with_the_reason(
    said: Said, parts: tuple[str, ...], why: str
) -> None:
    with pytest.raises(StatementRefused, match=why):
        said(*parts)


def test_yen_have_no_digits_and_dinars_three(said: Said) -> None:
    assert said(entry("10.00", currency="JPY")).entries["amount_minor"].tolist() == [10]
    assert said(entry("1.005", currency="KWD")).entries["amount_minor"].tolist() == [1_005]


def test_entities_and_document_types_are_refused(said: Said, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("TOP")
    for head in (
        f'<!DOCTYPE d [<!ENTITY x SYSTEM "file://{secret}">]>',
        '<!DOCTYPE d [<!ENTITY a "aaaa"><!ENTITY x "&a;&a;&a;&a;&a;&a;&a;&a;">]>',
        '<!DOCTYPE d SYSTEM "http://127.0.0.1:9/d.dtd">',
    ):
        with pytest.raises(StatementRefused, match="document type"):
            said(entry("1", detail("", "&x;" if "ENTITY" in head else "x")), head=head)


def test_a_file_beyond_the_limit_a_cut_one_and_another_kind_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "statement.xml"
    path.write_text(f"<Document {SPACE}><BkToCstmrStmt><Stmt><Id>S1</Id>")
    with pytest.raises(StatementRefused, match="not well-formed"):
        statements(path)
    with pytest.raises(StatementRefused, match="more than the 10 allowed"):
        statements(path, size_limit=10)
    path.write_text(f"<Document><Notified><Ntfctn>{entry('1')}</Ntfctn></Notified></Document>")
    with pytest.raises(StatementRefused, match=r"camt\.054"):
        statements(path)
    path.write_text("<Document/>")
    with pytest.raises(StatementRefused, match="no bank statement"):
        statements(path)


def test_a_file_without_a_namespace_or_with_a_prefix_reads_the_same(said: Said, tmp_path: Path) -> None:
    plain = said(entry("10.00", detail("", "A")), space="")
    path = tmp_path / "prefixed.xml"
    text = (tmp_path / "statement.xml").read_text().replace("<", "<p:").replace("<p:/", "</p:")
    path.write_text(text.replace("<p:Document ", f"<p:Document {SPACE.replace('xmlns', 'xmlns:p')} "))
    (prefixed,) = statements(path)
    assert prefixed.entries.equals(plain.entries)


@given(
    amounts=st.lists(st.integers(-(10**12), 10**12).filter(bool), max_size=8),
    currency=st.sampled_from(["CNY", "JPY", "KWD"]),
    version=st.sampled_from([2, 8]),
    opening=st.integers(-(10**6), 10**9),
    reference=st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Co", "Z")), max_size=30),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_what_the_sandbox_bank_writes_is_what_is_read(
    tmp_path: Path, amounts: list[int], currency: str, version: int, opening: int, reference: str
) -> None:
    frame = pd.DataFrame({
        "amount_minor": pd.Series(amounts, dtype="int64"),
        "value_date": pd.Series([pd.Timestamp(2026, 4, 1)] * len(amounts), dtype="datetime64[us]"),
        "reference": pd.Series([f"R<{number}>&{reference}" for number in range(len(amounts))], dtype="str"),
        "payer_account": pd.Series(["CN 1"] * len(amounts), dtype="str"),
        "payer": pd.Series(["Alpha & Co"] * len(amounts), dtype="str"),
    })  # fmt: skip
    account = BankAccount("LENDER-1", currency, opening)
    path = account.write(tmp_path / "one.xml", frame, date(2026, 4, 1), date(2026, 4, 30), version=version)
    (found,) = statements(path)
    assert found.entries["amount_minor"].tolist() == amounts
    assert found.entries["reference"].tolist() == frame["reference"].tolist()
    assert (found.entries["payer_account"] == "CN1").all()
    assert (found.opening_minor, found.closing_minor, found.currency) == (opening, opening + sum(amounts), currency)
    assert (found.account, found.from_on, found.to_on) == ("LENDER-1", date(2026, 4, 1), date(2026, 4, 30))


def test_chunks_do_not_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = pd.DataFrame({"amount_minor": range(1, 12), "value_date": pd.Timestamp(2026, 4, 1), "reference": "R"})
    account = BankAccount("LENDER-1", "CNY")
    path = account.write(tmp_path / "one.xml", frame.astype({"reference": "str"}), date(2026, 4, 1), date(2026, 4, 1))
    (whole,) = statements(path)
    monkeypatch.setattr("connectors.bank.camt053.CHUNK_ENTRIES", 3)
    (chunked,) = statements(path)
    assert chunked.entries.equals(whole.entries)
    assert CHUNK_ENTRIES > 11


def test_every_real_file_is_read_whole_or_refused_with_a_reason(shared_data: Path, tmp_path: Path) -> None:
    with tarfile.open(shared_data / "bank" / "camt.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    read: dict[str, Any] = {}
    for path in sorted(tmp_path.iterdir()):
        with contextlib.suppress(StatementRefused):  # anything else is a fault
            read[path.name] = statements(path)
    assert len(read) >= 18
    for found in read.values():
        for one in found:
            if one.opening_minor is not None and one.closing_minor is not None:
                assert one.opening_minor + one.entries["amount_minor"].sum() == one.closing_minor
    refused = {path.name for path in tmp_path.iterdir()} - set(read)
    assert not {name for name in refused if name.startswith(("tryton", "BananaAccounting__Universal__2023-02-01_C053"))}
