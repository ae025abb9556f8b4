"""Agencies are paid what statements say: proposed, approved by others, given to the bank, seen on its statement."""

from __future__ import annotations

import csv
import io
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest
from lxml import etree

from flows.statement import state_period
from infra.payments import runs
from infra.payments.messages import NAMESPACE, MessageInvalid, Run, pain001
from infra.store import payments
from infra.wiring import Desk, seated
from models.errors import RefusedByPolicy, UsageError
from models.lives import IllegalMove
from models.payments import BankAccount, Transfer
from models.tables import AgencyPayment, PaymentRun, Statement

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.infra.recon.conftest import Books

TERMS = """
currency = "CNY"
vat_rate = "0.06"
payer_accounts = ["CN-ALPHA"]
[payee]
name = "恒信资产"
account = "6222020200012345678"
cnaps = "102100099996"
[[tier]]
rate = "0.10"
"""
ACCOUNT, BANK = "CN0010000012345678", "104100000004"
PAY_ON = date(2026, 6, 2)
P = {"p": NAMESPACE}


@contextmanager
def acting(books: Books, actor: str) -> Iterator[Desk]:
    """Somebody else at the same desk."""
    at = replace(books.desk, actor=actor)
    at.__dict__.update(database=books.database, keyring=books.desk.keyring)
    with seated(at):
        yield at


def state(books: Books, period: str) -> dict[str, Any]:
    with seated(books.desk):
        state_period(books.lender, period)
    books.check()
    return dict(books.table(Statement).set_index("period").loc[period])


def proposed(books: Books) -> int:
    return runs.propose(books.desk, books.lender, "CNY", ACCOUNT, BANK, PAY_ON)


def exported(books: Books, run_id: int, form: str = "pain001") -> bytes:
    out = books.folder / f"{run_id}.{form}"
    with acting(books, "eve") as at:
        runs.export(at, run_id, form, out)
    return out.read_bytes()


def sent(books: Books) -> str:
    """A run of everything due, at the bank; the end-to-end id of its only payment."""
    run_id = proposed(books)
    with acting(books, "bob") as at:
        runs.approve(at, run_id)
    exported(books, run_id)
    return str(books.table(AgencyPayment)["end_to_end_id"].iloc[-1])


@pytest.fixture
def owing(stating: Books) -> Books:
    """10.60 is owed to alpha by the statement of April."""
    stating.agree("alpha", TERMS, date(2026, 2, 1))
    stating.remit("alpha", [{"gross_minor": 10_000, "account_id": 1, "agency_txn_id": "T1"}])
    state(stating, "2026-04")
    return stating


def test_a_run_pays_what_the_statement_says_as_a_message_that_the_schema_holds(owing: Books) -> None:
    run_id = proposed(owing)
    with acting(owing, "bob") as at:
        assert runs.approve(at, run_id) == "approved"
    content = exported(owing, run_id)
    assert exported(owing, run_id) == content  # the bank knows the message by its id, and the bytes are the same
    tree = etree.fromstring(content)

    def told(path: str) -> str:
        return str(tree.findtext(f".//p:{path.replace('/', '/p:')}", namespaces=P))

    assert (told("GrpHdr/NbOfTxs"), told("GrpHdr/CtrlSum"), told("CdtTrfTxInf/Amt/InstdAmt")) == ("1", "10.60", "10.60")
    assert told("CdtrAgt/FinInstnId/ClrSysMmbId/ClrSysId/Cd") == "CNAPS"
    assert told("CdtrAgt/FinInstnId/ClrSysMmbId/MmbId") == "102100099996"
    assert (told("CdtrAcct/Id/Othr/Id"), told("Cdtr/Nm")) == ("6222020200012345678", "恒信资产")
    payment = owing.table(AgencyPayment).iloc[0]
    assert told("CdtTrfTxInf/PmtId/EndToEndId") == payment["end_to_end_id"]
    assert told("GrpHdr/MsgId") == owing.table(PaymentRun)["message_id"].item()
    (row,) = csv.DictReader(io.StringIO(exported(owing, run_id, "csv").decode("utf-8-sig")))
    assert (row["amount"], row["payee_account"], row["payee_bank"]) == ("10.60", "6222020200012345678", "102100099996")


def test_nothing_is_proposed_twice_while_it_is_under_way(owing: Books) -> None:
    first = proposed(owing)
    with pytest.raises(UsageError, match="nothing is due"):
        proposed(owing)
    runs.withdraw(owing.desk, first)
    assert proposed(owing) > first


def test_who_proposes_does_not_approve_and_above_the_limit_two_others_do(owing: Books) -> None:
    run_id = proposed(owing)
    with pytest.raises(RefusedByPolicy, match="ann proposed payment run"):
        runs.approve(owing.desk, run_id)
    with pytest.raises(IllegalMove):
        exported(owing, run_id)
    owing.desk.settings.payment_two_approvers = 1_000
    with acting(owing, "bob") as at:
        assert runs.approve(at, run_id) == "proposed"
        with pytest.raises(RefusedByPolicy, match="bob approved payment run"):
            runs.approve(at, run_id)
    with acting(owing, "eve") as at:
        assert runs.approve(at, run_id) == "approved"


def test_the_banks_statement_shows_a_payment_paid_and_the_next_statement_has_it(owing: Books) -> None:
    reference = sent(owing)
    entry = {"amount_minor": -1_060, "reference": reference, "payer_account": None, "value_date": "2026-05-05"}
    owing.bank([entry], date(2026, 5, 31))
    owing.reconcile(date(2026, 5, 31))
    assert owing.table(AgencyPayment)["state"].tolist() == ["paid"]
    assert owing.receipts["state"].tolist() == ["matched"]
    assert owing.ledger.get("2100") is None
    assert owing.breaks.empty
    told = state(owing, "2026-05")
    assert (told["opening_minor"], told["paid_minor"], told["closing_minor"]) == (1_060, 1_060, 0)
    owing.reconcile(date(2026, 5, 31))
    assert len(owing.table(AgencyPayment)) == 1


def test_a_payment_that_comes_back_is_owed_again(owing: Books) -> None:
    reference = sent(owing)
    usual = {"reference": reference, "payer_account": None, "value_date": "2026-05-05"}
    owing.bank([usual | {"amount_minor": -1_060}, usual | {"amount_minor": 1_060}], date(2026, 5, 31))
    owing.reconcile(date(2026, 5, 31))
    assert owing.table(AgencyPayment)["state"].tolist() == ["returned"]
    assert owing.ledger.get("2100") == -1_060
    assert state(owing, "2026-05")["closing_minor"] == 1_060
    assert proposed(owing) == 2


def test_another_amount_under_a_payments_reference_is_left_to_a_person(owing: Books) -> None:
    reference = sent(owing)
    owing.bank(
        [{"amount_minor": -1_061, "reference": reference, "payer_account": None, "value_date": "2026-05-05"}],
        date(2026, 5, 31),
    )
    owing.reconcile(date(2026, 5, 31))
    assert owing.table(AgencyPayment)["state"].tolist() == ["sent"]


def test_what_cannot_be_offset_is_invoiced_to_the_agency_and_its_payment_known(owing: Books) -> None:
    reference = sent(owing)
    owing.bank(
        [{"amount_minor": -1_060, "reference": reference, "payer_account": None, "value_date": "2026-05-05"}],
        date(2026, 5, 31),
    )
    owing.reconcile(date(2026, 5, 31))
    owing.remit(
        "alpha",
        [
            {"gross_minor": -10_000, "account_id": 1, "original_txn_id": "T1", "value_date": "2026-05-06"},
            {"gross_minor": 100, "account_id": 2, "value_date": "2026-05-07"},
        ],
    )
    told = state(owing, "2026-05")
    assert (told["paid_minor"], told["closing_minor"]) == (1_060, -1_049)
    assert (owing.ledger.get("1350"), owing.ledger.get("2100")) == (1_049, None)
    with owing.database.read() as connection:
        (demand,) = payments.demands(connection, owing.lender).to_dict("records")
    assert demand["amount_minor"] == 1_049
    owing.bank(
        [{"amount_minor": 1_000, "reference": demand["reference"], "value_date": "2026-05-20"}], date(2026, 6, 1)
    )
    owing.reconcile(date(2026, 5, 31))
    assert owing.ledger.get("1350") == 49
    owing.remit("alpha", [{"gross_minor": 20_000, "account_id": 3, "value_date": "2026-06-01"}])
    told = state(owing, "2026-06")
    assert (told["paid_minor"], told["closing_minor"]) == (-1_000, -49 + 2_120)
    assert (owing.ledger.get("1350"), owing.ledger.get("2100")) == (None, -2_071)


def test_an_agency_without_a_payee_is_named_and_not_paid(stating: Books) -> None:
    stating.remit("alpha", [{"gross_minor": 10_000, "account_id": 1}])
    state(stating, "2026-04")
    (row,) = runs.proposed(stating.desk, stating.lender, PAY_ON).to_dict("records")
    assert (row["to_pay_minor"], row["why_not"]) == (1_060, "its contract names no payee")
    with pytest.raises(UsageError, match="nothing is due"):
        proposed(stating)


@pytest.mark.parametrize(
    "payee",
    [
        BankAccount("Quayside", "DE89370400440532013000"),
        BankAccount("Quayside", "GB29NWBK60161331926819", "NWBKGB2L"),
        BankAccount("鼎盛 & Söhne <法务>", "0987654321", "102100099996"),
    ],
)
@pytest.mark.parametrize("currency", ["CNY", "EUR", "JPY", "KWD"])
def test_every_kind_of_account_and_currency_is_valid_by_the_schema(
    owing: Books, payee: BankAccount, currency: str
) -> None:
    run = Run("CSG-1", owing.desk.now(), PAY_ON, currency, BankAccount("Harbour", "DE89370400440532013000"), [
        Transfer("CSG-P-1-1", 123_456, payee, "statement 7")
    ])  # fmt: skip
    amount = etree.fromstring(pain001(run)).findtext(".//p:InstdAmt", namespaces=P)
    assert amount == {"CNY": "1234.56", "EUR": "1234.56", "JPY": "123456", "KWD": "123.456"}[currency]


def test_what_the_schema_does_not_hold_is_not_let_out(owing: Books, tmp_path: Path) -> None:
    bad = BankAccount("x", "0" * 35, "102100099996")
    run = Run("CSG-1", owing.desk.now(), PAY_ON, "CNY", bad, [Transfer("CSG-P-1-1", 1, bad, "x")])
    with pytest.raises(MessageInvalid) as refused:
        pain001(run)
    assert "0" * 35 not in str(refused.value)
    assert not list(tmp_path.glob("*.pain001"))


def test_months_settle_and_are_paid_alike_on_either_database(stating_anywhere: Books) -> None:
    books = stating_anywhere
    books.agree(
        "alpha",
        TERMS.replace("[payee]", 'basis = "mixed"\ncase_fee_minor = 100\naccount_cap_minor = 2_500\n[payee]')
        + 'steps = [{ from_minor = 10_000, rate = "0.20" }]\n',
        date(2026, 2, 1),
    )
    books.remit(
        "alpha",
        [
            {"gross_minor": 8_000, "account_id": 1},
            {"gross_minor": 12_000, "account_id": 2, "agency_txn_id": "T2"},
            {"gross_minor": 100, "account_id": 3, "value_date": "2026-03-02"},
        ],
    )
    # 20,100 at a mean rate of 3,020 / 20,100, and five cases
    april = state(books, "2026-04")
    assert (april["adjusted_commission_minor"], april["closing_minor"]) == (1_010 + 500, 3_731)
    reference = sent(books)
    entry = {"amount_minor": -3_731, "reference": reference, "payer_account": None, "value_date": "2026-05-05"}
    books.bank([entry], date(2026, 5, 31))
    books.reconcile(date(2026, 5, 31))
    books.remit(
        "alpha", [{"gross_minor": -12_000, "account_id": 2, "original_txn_id": "T2", "value_date": "2026-05-02"}]
    )
    told = state(books, "2026-05")
    assert (told["paid_minor"], told["closing_minor"]) == (3_731, -1_911)
    assert books.ledger.get("1350") == 1_911
