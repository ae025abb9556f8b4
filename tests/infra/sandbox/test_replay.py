"""Published loans in small: amounts with many decimals, answered by simulated agencies, booked to the cent."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from flows.collect import collect
from flows.intake import intake
from flows.lenders import add_lender
from flows.place import place
from flows.plan import approve, draft, submit
from flows.reconcile import import_statement, reconcile
from infra import onboarding
from infra.sandbox import replay
from infra.settings import Settings
from infra.store import schema
from infra.wiring import Desk, seated
from keys.keyring import Keyring
from models.errors import UsageError
from models.planning.spec import PlanSpec

HEADER = (
    "loan_key,loan_status,purpose,funded_amnt,total_rec_prncp,issue_d,last_pymnt_d,addr_state,grade,recoveries,"
    "collection_recovery_fee"
)
LOANS = """
LC-1,Charged Off,car,5000,1000.000000000001,2009-01-01,2009-08-01,NY,A,122.905,1.11
LC-2,Charged Off,car,5000,4900,2009-01-01,2009-08-01,CA,B,250.004999999999,88.0049999999
LC-3,Fully Paid,car,5000,5000,2009-01-01,2009-08-01,CA,B,0.0,0.0
LC-4,Does not meet the credit policy. Status:Charged Off,wedding,800,0,2009-01-01,,TX,C,0.005,0.0
LC-5,Charged Off,car,1000,1,2009-01-01,2009-08-01,NV,D,0.0,0.0
"""
TERMS = 'currency = "USD"\nremits = "net"\nfees = "per_line"\ntail_days = 30\nbank_references = ["MESA-"]\n'
NOW = datetime(2026, 3, 2, 15, tzinfo=UTC)


@pytest.fixture
def loans(tmp_path: Path) -> Path:
    file = tmp_path / "loans.csv"
    file.write_text(HEADER + LOANS, encoding="utf-8")
    return file


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    at = Desk(
        Settings(home=tmp_path / "home", engine="direct", require_certificate=False), clock=lambda: NOW, actor="chen.yu"
    )
    schema.ensure(at.database)
    at.settings.folder("keys")
    Keyring.create(at.settings.keyring_path, key_file=at.settings.key_file_path).new_own_keys("age", NOW)
    with seated(at):
        yield at
        at.database.close()


def test_amounts_are_rounded_half_up_to_the_cent_and_only_charged_off_loans_count(loans: Path) -> None:
    read = replay.published(loans)
    assert read["loan_key"].tolist() == ["LC-1", "LC-2", "LC-4", "LC-5"]
    assert read["recoveries_minor"].tolist() == [12291, 25000, 1, 0]
    assert read["fees_minor"].tolist() == [111, 8800, 0, 0]


def test_a_file_with_other_words_for_amounts_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "loans.csv"
    file.write_text(HEADER + LOANS.replace("122.905", "much"), encoding="utf-8")
    with pytest.raises(UsageError, match="no amounts"):
        replay.published(file)


def test_a_simulated_agency_made_again_is_the_same(desk: Desk) -> None:
    first, again = replay.make_agency(desk, "mesa", "age"), replay.make_agency(desk, "mesa", "age")
    assert (first.new, again.new) == (True, False)
    assert first.encrypt.read_text() == again.encrypt.read_text()


def test_the_books_end_where_the_data_say_and_the_overpaid_loan_shows(desk: Desk, loans: Path) -> None:
    add_lender("lendingclub", "LendingClub", "US", "America/New_York")
    intake(loans, "lendingclub", "lendingclub", NOW.date())
    with pytest.raises(UsageError, match="placed with a simulated agency"):
        replay.lendingclub(desk, loans, "lendingclub")
    made = replay.make_agency(desk, "mesa", "age")
    onboarding.add(desk, "mesa", "Mesa", channels="phone", remits="net")
    onboarding.set_drop(desk, "mesa", {"kind": "folder", "root": str(made.root)})
    onboarding.trust(desk, "mesa", made.encrypt.read_text(), made.verify.read_text())
    onboarding.contract(desk, "mesa", "lendingclub", TERMS, NOW.date(), 1.0)
    onboarding.become(desk, "mesa", "certified")
    onboarding.become(desk, "mesa", "live")
    plan_id = draft(PlanSpec(lender="lendingclub", name="replay", seed=1, policy="us-default")).plan_id
    assert plan_id is not None
    submit(plan_id)
    desk.actor = "li.wei"
    approve(plan_id)
    place(plan_id)

    done = replay.lendingclub(desk, loans, "lendingclub")
    again = replay.lendingclub(desk, loans, "lendingclub")
    assert (done.loans, done.with_fees, done.gross_minor, done.fees_minor) == (3, 2, 37292, 8911)
    assert (done.already, again.already) == (False, True)
    assert collect().refused == 0
    import_statement(done.bank_statement, "lendingclub", new_account=True)
    reconcile("lendingclub")
    found = replay.compared(desk, loans, "lendingclub")
    assert (found.loans, found.loans_that_differ, found.recovered_minor, found.commission_minor) == (4, 0, 37292, 8911)
    assert (found.overpaid, found.overpayment_breaks, found.other_breaks, found.unreconciled_lines) == (1, 1, 0, 0)
