from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.bank.camt import statements
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
        ((entry("1", currency="eur"),), "no currency"),
        (
            (entry("1"), "<TxsSummry><TtlNtries><NbOfNtries>2</NbOfNtries></TtlNtries></TxsSummry>"),
            "has 2 entries, and has 1",
        ),
        (
            (entry("1"), "<TxsSummry><TtlCdtNtries><Sum>2</Sum></TtlCdtNtries></TxsSummry>"),
            "is 200, its entries sum to 100",
        ),
        ((entry("1"), entry("1", currency="USD")), "several currencies: EUR, USD"),
        ((entry("1").replace("2026-04-01", "2026-02-30"),), "date"),
        ((entry("1").replace("2026-04-01", ""),), "neither a booking date"),
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
    path.write_text(f"<Document {SPACE.replace('.02', '.15')}><A><Stmt>{entry('1')}</Stmt></A></Document>")
    with pytest.raises(StatementRefused, match="version from 1 to 14"):
        statements(path)
    path.write_text(f"<Document><Stmts>{entry('1')}</Stmts></Document>")
    with pytest.raises(StatementRefused, match="outside of any statement"):
        statements(path)
    path.write_text(f"<Document>\n<A><Stmt>\n{entry('1')}\n\n{entry('2')}\n</Oops></A></Document>")
    with pytest.raises(StatementRefused, match=r"not well-formed XML \(line 6\)"):
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


FORMS = [
    entry("10.00", detail("", "A &amp; B", "<Ustrd>one</Ustrd><Ustrd> two </Ustrd>")),
    entry("7", detail("5", "P") + detail("2.00", "Q"), more="<RvslInd>false</RvslInd>"),
    entry("3", "<Btch><PmtInfId>P1</PmtInfId></Btch>" + detail("1", "X") + detail("1", "Y"), side="DBIT"),
    entry(
        "8",
        detail("5", "P") + detail("4", "Q"),
        more="<Chrgs><TtlChrgsAndTaxAmt Ccy='EUR'>1</TtlChrgsAndTaxAmt></Chrgs>",
    ),
    entry("0.01").replace("BOOK", "<Cd>PDNG</Cd>"),
    entry("4", detail("", "\u00dcber \u4e2d\u6587", "<RtrInf/>"), more="<NtryRef>N</NtryRef>").replace(
        "<Dt>", "<DtTm>"
    ),
    entry("2", detail("", "NOTPROVIDED", "") + "<Other a='b'/>"),
    entry("2", detail("", "R", "").replace("<RmtInf>", "<RtrInf><Rsn><Cd>AC04</Cd></Rsn></RtrInf><RmtInf>")),
]


@given(
    chosen=st.lists(st.sampled_from(FORMS), max_size=6),
    block=st.integers(9, 400),
    indent=st.sampled_from(["", "\n  "]),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=12, deadline=None)
def test_however_the_file_is_cut_and_whoever_reads_it_the_entries_are_the_same(
    tmp_path: Path, chosen: list[str], block: int, indent: str
) -> None:
    path = tmp_path / "one.xml"
    body = (
        "".join(chosen)
        .replace("><", f">{indent}<")
        .replace("<DtTm>2026-04-01</Dt>", "<DtTm>2026-04-01T09:30:00</DtTm>")
    )
    stmt = f"<Stmt><Id>S1</Id><Acct><Id><IBAN>DE02</IBAN></Id></Acct>{body}</Stmt>"
    found = []
    for head in ("", "<!-- now libxml2 reads all of it -->"):
        path.write_text(f"{head}<Document {SPACE}><A>{stmt}{stmt.replace('S1', 'S2')}</A></Document>", encoding="utf-8")
        for size in (1 << 20, block):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("connectors.bank.camt.BLOCK", size)
                found.append(statements(path))
    for one in found:
        assert [each.number for each in one] == ["S1", "S2"]
        for each in one:
            pd.testing.assert_frame_equal(each.entries, found[0][0].entries)


def test_an_entry_in_a_comment_a_section_or_an_attribute_is_none(said: Said) -> None:
    hidden = f"<!-- {entry('9')} --><Note><![CDATA[{entry('9')}]]></Note>"
    assert said(entry("1"), hidden, entry("2")).entries["amount_minor"].tolist() == [100, 200]
    assert said(entry("1").replace("<Sts>", "<!-- <Sts>PDNG</Sts> --><Sts>")).entries["amount_minor"].tolist() == [100]


def test_a_batch_net_of_its_charges_is_taken_apart_with_them(said: Said) -> None:
    charges = "<Chrgs><Rcrd><Amt Ccy='EUR'>0.40</Amt></Rcrd><Rcrd><Amt Ccy='EUR'>0.10</Amt></Rcrd></Chrgs>"
    found = said(entry("10.50", detail("6", "A") + detail("5", "B"), more=charges)).entries
    assert found["amount_minor"].tolist() == [600, 500, -50]
    assert found["of_entry"].tolist() == [0, 0, 0]
    assert found["reference"].tolist() == ["A", "B", "charges of the batch"]


def test_a_payment_in_another_currency_keeps_what_was_ordered_beside_what_was_booked(said: Said) -> None:
    ordered = "<AmtDtls><InstdAmt><Amt Ccy='USD'>11.50</Amt></InstdAmt></AmtDtls><RmtInf>"
    charged = "<Chrgs><TtlChrgsAndTaxAmt Ccy='EUR'>0.75</TtlChrgsAndTaxAmt></Chrgs>"
    row = said(entry("10", charged + detail("", "A").replace("<RmtInf>", charged + ordered))).entries.iloc[0]
    assert (row["amount_minor"], row["currency"]) == (1_000, "EUR")
    assert (row["instructed_minor"], row["instructed_currency"], row["charges_minor"]) == (1_150, "USD", 75)


def test_a_return_keeps_its_reason(said: Said) -> None:
    back = detail("", "A").replace("<RmtInf>", "<RtrInf><Rsn><Cd>AC04</Cd></Rsn></RtrInf><RmtInf>")
    assert said(entry("10", back, side="DBIT")).entries["return_reason"].tolist() == ["AC04"]


def test_the_pages_of_a_long_statement_open_and_close_at_interim_balances(said: Said) -> None:
    page = "<StmtPgntn><PgNb>{}</PgNb><LastPgInd>{}</LastPgInd></StmtPgntn>"
    first = said(page.format(1, "false"), balance("OPBD", "5"), balance("ITBD", "6"), entry("1"))
    second = said(page.format(2, "true"), balance("ITBD", "6"), balance("CLBD", "8"), entry("2"))
    assert (first.opening_minor, first.closing_minor, first.number) == (500, 600, "S1")
    assert (second.opening_minor, second.closing_minor, second.number) == (600, 800, "S1/2")
