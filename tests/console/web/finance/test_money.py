"""Recoveries, statements, the close, payments, banks and the books, as finance works on them without scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from flows import jobs
from flows.statement import state_period
from infra.sandbox.bank import BankAccount
from infra.store import worklist
from infra.store.bulk import table_of
from infra.wiring import Desk, seated
from models.tables import (
    AccountingPeriod,
    AgencyContract,
    BankReceipt,
    BankStatement,
    PaymentRun,
    PeriodAcceptance,
    Statement,
)

if TYPE_CHECKING:
    from pathlib import Path

MONTH = "2026-04"
PAYEE = '\n[payee]\nname = "Theirs"\naccount = "DE89370400440532013000"\nbic = "COBADEFFXXX"\n'


def rows(desk: Desk, row: Any) -> list[Any]:
    """Every row of a table."""
    with desk.database.read() as connection:
        return list(connection.execute(select(table_of(row))))


@pytest.fixture
def stated(desk: Desk, month: tuple[str, str, Any]) -> Desk:
    """The month is stated to every agency."""
    with seated(desk):
        state_period(month[0], MONTH)
    return desk


PAGES = ("/recoveries", "/recoveries?open=1", "/statements", "/closing?period=2026-04", "/payments", "/bank", "/ledger",
         "/ledger?period=2026-04", "/ledger/entries?ledger=1200")  # fmt: skip


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_page_is_there_for_everybody_of_the_house_and_for_no_agency(browse: Any, language: str) -> None:
    finance, agency = browse("finance", language=language), browse("agency", language=language)
    for path in PAGES:
        assert finance.get(path).status_code == 200, path
        assert agency.get(path).status_code == 403, path


def test_recoveries_of_every_state_are_listed_and_explained(desk: Desk, browse: Any) -> None:
    browser = browse("finance")
    for state in worklist.LINE_STATES:
        answer = browser.get(f"/recoveries?state={state}")
        assert answer.status_code == 200
        with desk.database.read() as connection:
            found = worklist.recoveries(connection, state, rows=1).rows
        if found:
            opened = browser.get(f"/recoveries?state={state}&open={found[0]['line_id']}")
            assert 'class="drawer"' in opened.text
    assert browser.get("/recoveries?state=gone").status_code == 422
    assert browser.get("/recoveries?open=x").status_code == 422


def test_a_month_is_stated_as_a_job(desk: Desk, browse: Any, month: tuple[str, str, Any]) -> None:
    answer = browse("finance").send("/statements", lender=month[0], period=MONTH)
    assert answer.headers["location"].startswith("/jobs/")
    jobs.work_off(desk)
    assert rows(desk, Statement)
    assert browse("finance").send("/statements", lender=month[0], period="04/2026").status_code == 422
    assert browse("portfolio_manager").send("/statements", lender=month[0], period=MONTH).status_code == 403


def test_a_statements_files_are_the_bytes_that_were_stated(stated: Desk, browse: Any) -> None:
    one, browser = rows(stated, Statement)[0], browse("finance")
    listed = browser.get(f"/statements?period={MONTH}&agency={one.agency}").text
    assert f"/statements/{one.statement_id}" in listed
    assert one.sha256 in browser.get(f"/statements/{one.statement_id}").text
    for form in ("pdf", "xlsx", "csv"):
        got = browser.get(f"/statements/{one.statement_id}/file?form={form}")
        assert got.content == (stated.settings.home / getattr(one, f"{form}_path")).read_bytes()
        assert got.headers["content-disposition"].startswith("attachment")
    assert browser.get(f"/statements/{one.statement_id}/file?form=../x").status_code == 422
    (stated.settings.home / one.pdf_path).write_bytes(b"another")
    assert browser.get(f"/statements/{one.statement_id}/file?form=pdf").status_code == 409
    (stated.settings.home / one.pdf_path).unlink()
    assert browser.get(f"/statements/{one.statement_id}/file?form=pdf").status_code == 409
    assert browser.get("/statements/999999").status_code == 422


def test_a_month_is_closed_when_everything_is_let_pass_and_opened_again_by_two(
    stated: Desk, browse: Any, month: tuple[str, str, Any]
) -> None:
    here = {"lender": month[0], "period": MONTH}
    browser, other = browse("finance"), browse("second")
    assert browser.send("/closing/close", **here).status_code == 409
    assert browser.send("/closing/accept", **here, finding="unapplied", why="no").status_code == 422
    for finding in ("bank_gap", "breaks_overdue", "unapplied", "invoices_waiting"):
        browser.send("/closing/accept", **here, finding=finding, why="looked at one by one in October")
    assert {one.accepted_by for one in rows(stated, PeriodAcceptance)} == {"m.rossi"}
    assert browser.send("/closing/close", **here).headers["location"].startswith("/jobs/")
    jobs.work_off(stated)
    assert [one.state for one in rows(stated, AccountingPeriod)] == ["closed"]
    text = browser.get(f"/closing?lender={month[0]}&period={MONTH}").text
    assert "m.rossi" in text
    assert browser.send("/closing/reopen", **here, why="a statement of the bank came late").status_code == 303
    assert browser.send("/closing/reopenings/1/approve", **here).status_code == 403
    assert other.send("/closing/reopenings/1/approve", **here).status_code == 303
    assert [one.state for one in rows(stated, AccountingPeriod)] == ["open"]


def payable(desk: Desk) -> None:
    """Every agency's contract says where it is paid."""
    table = table_of(AgencyContract)
    with desk.database.write() as connection:
        for row in connection.execute(select(table.c.contract_id, table.c.terms)).all():
            told = table.update().where(table.c.contract_id == row.contract_id)
            connection.execute(told.values(terms=row.terms + PAYEE))


def test_agencies_are_paid_by_two_persons_and_one_file(stated: Desk, browse: Any, month: tuple[str, str, Any]) -> None:
    payable(stated)
    stated.settings = stated.settings.model_copy(update={"payment_two_approvers": 10**12})
    browser, other = browse("finance"), browse("second")
    assert "Theirs" in browser.get("/payments").text
    form = {"lender": month[0], "currency": "CNY", "account": "DE75512108001245126199", "bank": "COBADEFFXXX"}
    assert browser.send("/payments", **form, on="tomorrow").status_code == 422
    answer = browser.send("/payments", **form)
    (run,) = rows(stated, PaymentRun)
    assert answer.headers["location"] == f"/payments/{run.run_id}"
    assert browser.send(f"/payments/{run.run_id}/approve").status_code == 403
    assert browser.send(f"/payments/{run.run_id}/export").status_code == 403
    assert other.send(f"/payments/{run.run_id}/approve").status_code == 303
    got = browser.send(f"/payments/{run.run_id}/export")
    assert (got.status_code, got.content[:5]) == (200, b"<?xml")
    assert browser.send(f"/payments/{run.run_id}/export").content == got.content
    assert rows(stated, PaymentRun)[0].state == "exported"
    assert browser.send(f"/payments/{run.run_id}/withdraw").status_code in {403, 422}
    for state in ("", "proposed", "exported"):
        assert browser.get(f"/payments?state={state}").status_code == 200
    assert "DE89370400440532013000" not in browser.get(f"/payments/{run.run_id}").text


def test_a_run_is_withdrawn_by_whoever_proposed_it(stated: Desk, browse: Any, month: tuple[str, str, Any]) -> None:
    payable(stated)
    browser = browse("finance")
    browser.send("/payments", lender=month[0], currency="CNY", account="DE75512108001245126199", bank="COBADEFFXXX",
                 agency="gamma")  # fmt: skip
    (run,) = rows(stated, PaymentRun)
    assert run.payments == 1
    assert browser.send(f"/payments/{run.run_id}/withdraw").status_code == 303
    assert rows(stated, PaymentRun)[0].state == "withdrawn"
    assert browse("portfolio_manager").send(f"/payments/{run.run_id}/approve").status_code == 403


def test_a_banks_file_is_taken_in_as_a_job_under_no_name_of_its_own(
    desk: Desk, browse: Any, month: tuple[str, str, Any], tmp_path: Path
) -> None:
    import pandas as pd

    entries = pd.DataFrame([
        {"value_date": pd.Timestamp(2026, 9, 1), "amount_minor": 500, "reference": "X", "payer_account": "A",
         "is_reversal": False}
    ])  # fmt: skip
    path = BankAccount("LENDER-9", "CNY").write(tmp_path / "s.xml", entries, month[2].replace(day=1), month[2])
    before = len(rows(desk, BankReceipt))
    browser = browse("finance")
    browser.get("/bank")
    fields = {"_form": browser.word, "lender": month[0], "new_account": "1"}
    answer = browser.post("/bank", data=fields, files={"file": ("../../../evil.xml", path.read_bytes())})
    assert answer.headers["location"].startswith("/jobs/"), answer.text
    assert jobs.work_off(desk) == 1
    assert len(rows(desk, BankReceipt)) == before + 1
    assert not list(desk.settings.home.rglob("evil*"))
    assert not list(desk.folder("uploads").iterdir())
    empty = browser.post("/bank", data=fields, files={"file": ("x.xml", b"")})
    assert empty.status_code == 422
    assert browse("portfolio_manager").send("/bank", lender=month[0]).status_code == 403


def test_the_trial_balance_comes_to_nothing_and_leads_to_its_entries(browse: Any) -> None:
    browser = browse("finance")
    text = browser.get("/ledger").text
    assert "0.00" in text.rpartition("<tfoot>")[2]
    assert "/ledger/entries?" in text
    assert browser.get("/ledger?period=April").status_code == 422


def test_an_account_is_put_into_the_register_once_and_shown_by_its_end(
    browse: Any, month: tuple[str, str, Any]
) -> None:
    browser = browse("finance")
    form = {"number": "6222 0000 1111 9876", "currency": "cny", "lender": month[0]}
    assert browser.send("/bank/accounts", at="/bank", **form).headers["location"] == "/bank"
    assert browser.send("/bank/accounts", at="/bank", **form).status_code == 303, "the same again changes nothing"
    page = browser.get("/bank").text
    assert page.count("…9876") == 1
    assert "1111" not in page
    other = browser.send("/bank/accounts", at="/bank", **form | {"ledger": "1020"})
    assert other.status_code == 422
    assert "already, as something else" in other.text
    assert browse("portfolio_manager").send("/bank/accounts", at="/bank", **form).status_code == 403


def test_a_table_that_names_no_account_is_taken_for_the_one_that_is_typed(
    desk: Desk, browse: Any, month: tuple[str, str, Any], tmp_path: Path
) -> None:
    import pandas as pd

    entries = pd.DataFrame([
        {"value_date": pd.Timestamp(2026, 4, 3), "amount_minor": 700, "reference": "X", "payer_account": "A",
         "is_reversal": False}
    ])  # fmt: skip
    path = BankAccount("WX-7", "CNY").write_wallet(tmp_path / "flow.csv", entries)
    browser = browse("finance")
    browser.send("/bank/accounts", at="/bank", number="WX-7", currency="CNY", lender=month[0])

    def taken(account: str) -> str:
        browser.get("/bank")
        fields = {"_form": browser.word, "lender": month[0], "layout": "cn-wechat-fundflow", "account": account}
        answer = browser.post("/bank", data=fields, files={"file": ("flow.csv", path.read_bytes())})
        assert jobs.work_off(desk) == 1
        return str(browser.get(answer.headers["location"]).text)

    assert "does not say which account" in taken("")
    assert "does not say which account" not in taken(" WX-7 ")
    with desk.database.read() as connection:
        accounts = set(connection.execute(select(table_of(BankStatement).c.bank_account)).scalars())
    assert "WX-7" in accounts
