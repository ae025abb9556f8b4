"""Each class of records goes when its time is over, not a day before; a legal hold keeps it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import func, insert, select, update

from infra import audit, backups, retention, shredding
from infra.store import bulk
from infra.store.portfolios import ACCOUNTS, IDENTITIES
from models.errors import RefusedByPolicy, UsageError
from models.retention import CLASSES, ScheduleInvalid
from models.tables import (
    Activity,
    Complaint,
    Disclosure,
    DisclosureAccount,
    Erasure,
    ExceptionComment,
    ExchangeException,
    InboundFile,
    IntakeReject,
    Placement,
    Recall,
    Reidentification,
    SubjectRequest,
    Transmission,
)

ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
ENDED = date(2026, 1, 10)


@pytest.fixture
def lived(house: Any, raw: pd.DataFrame) -> Any:
    """A house of which account 1 was placed, worked and given back, with a record of every class; it is paid."""
    house.take(raw)
    at = datetime(2026, 1, 5, tzinfo=UTC)
    with house.desk.database.write() as connection:
        debtor = connection.execute(select(ACCOUNTS.c.debtor_id).where(ACCOUNTS.c.account_id == 1)).scalar_one()
        paid = {"status": "paid", "balance_minor": 0, "last_paid_on": ENDED}
        connection.execute(update(ACCOUNTS).where(ACCOUNTS.c.account_id == 1).values(**paid))
        rows: list[tuple[Any, dict[str, Any]]] = [
            (Transmission, {
                "transmission_id": 1, "work_key": "plan:1:quayside", "lender": "harbour", "agency": "quayside",
                "kind": "placement", "sequence": 1, "name": "a.zip.age", "state": "acknowledged",
                "prepared_on": at.date(), "delivered_at": at, "rows": 1,
            }),
            (Placement, {
                "placement_id": 1, "plan_id": 1, "lender": "harbour", "agency": "quayside", "account_id": 1,
                "debtor_id": debtor, "round": 1, "stage": "phone", "segment": "all", "currency": "CNY",
                "balance_minor": 1, "dpd": 1, "bucket": "M1", "placed_on": date(2026, 1, 1), "state": "closed",
                "due_back_on": date(2026, 6, 1), "ended_on": ENDED, "transmission_id": 1, "told_minor": 1,
            }),
            (DisclosureAccount, {"transmission_id": 1, "account_id": 1, "placement_id": 1}),
            (Disclosure, {
                "transmission_id": 1, "agency": "quayside", "field": "name", "treatment": "release",
                "value_class": "identity", "purpose": "collection", "basis": "b", "policy": "p", "policy_version": "1",
                "rows": 1, "disclosed_at": at, "erase_by": ENDED,
            }),
            (Recall, {
                "recall_id": 1, "placement_id": 1, "agency": "quayside", "reason": "paid", "requested_on": ENDED,
                "due_on": ENDED, "requested_by": "x", "confirmed_on": ENDED,
            }),
            (Erasure, {
                "erasure_id": 1, "placement_id": 1, "agency": "quayside", "requested_on": ENDED, "due_on": ENDED,
                "verified_at": at,
            }),
            (Activity, {
                "file_id": 1, "line": 1, "agency": "quayside", "placement_id": 1, "at": at, "offset_minutes": 480,
                "channel": "phone", "outcome": "connected",
            }),
            (Complaint, {
                "agency": "quayside", "complaint_ref": "c-1", "placement_id": 1, "received_on": at.date(),
                "category": "conduct", "state": "closed", "lender": "harbour", "closed_at": at,
            }),
            (IntakeReject, {"portfolio_id": 1, "line": 3, "field": "balance", "code": "amount", "fix": "mend it"}),
            (ExchangeException, {
                "exception_id": 1, "code": "file_refused", "subject": "file:1", "severity": "high",
                "owner": "operations", "state": "resolved", "opened_at": at, "due_at": at, "ended_at": at,
                "resolved_at": at,
            }),
            (SubjectRequest, {
                "request_id": 1, "lender": "harbour", "debtor_id": debtor, "kind": "access", "state": "answered",
                "received_on": at.date(), "due_on": at.date(), "within": "15 days", "clause": "c", "opened_by": "x",
                "opened_at": at, "ended_at": at,
            }),
            (ExceptionComment, {"exception_id": 1, "at": at, "by": "x", "text": "asked them"}),
            (Reidentification, {"actor": "x", "asked_at": at, "why": "w", "fields": "name", "whole": False}),
            (InboundFile, {
                "file_id": 1, "agency": "quayside", "name": "b.zip.age", "state": "accepted", "sealed_sha256": "a" * 64,
                "sealed_size": 3, "stored_path": f"quayside/{'a' * 64}", "rows": 1, "rows_refused": 0,
                "received_at": at, "accepted_at": at,
            }),
        ]  # fmt: skip
        for target, row in rows:
            connection.execute(insert(bulk.table_of(target)).values(**row))
    stored = house.desk.folder("inbox") / "quayside" / ("a" * 64)
    stored.parent.mkdir()
    stored.write_bytes(b"age")
    stored.with_name(stored.name + ".sig").write_bytes(b"sig")
    return house


def due(house: Any) -> dict[str, int]:
    """How much is due, by class, where anything is."""
    with house.desk.database.read() as connection:
        return {line.record_class: line.due for line in retention.due(connection, house.desk) if line.due}


def count(house: Any, *targets: Any) -> list[int]:
    with house.desk.database.read() as connection:
        tables = [bulk.table_of(target) for target in targets]
        return [int(connection.execute(select(func.count()).select_from(table)).scalar_one()) for table in tables]


DAY = timedelta(days=1)
OVER = {
    "identity": (datetime(2026, 4, 10, 9, tzinfo=UTC), 1),
    "intake": (datetime(2026, 9, 29, 9, tzinfo=UTC), 1),
    "exceptions": (datetime(2029, 1, 5, 9, tzinfo=UTC), 1),
    "requests": (datetime(2029, 1, 5, 9, tzinfo=UTC), 1),
    "lookups": (datetime(2029, 1, 5, 9, tzinfo=UTC), 1),
    "contact": (datetime(2031, 1, 10, 9, tzinfo=UTC), 1),
    "complaint": (datetime(2031, 1, 5, 9, tzinfo=UTC), 1),
    "register": (datetime(2031, 1, 5, 9, tzinfo=UTC), 1),
    "files": (datetime(2031, 1, 5, 9, tzinfo=UTC), 1),
}
"""By class: the last instant on which nothing of it is due, and how many are a day later."""


@ON_SQLITE
def test_nothing_is_due_before_its_time_and_all_of_it_the_day_after(lived: Any) -> None:
    for record_class, (last, number) in OVER.items():
        lived.now = last
        assert record_class not in due(lived)
        lived.now = last + DAY
        assert due(lived)[record_class] == number


def test_what_is_due_goes_and_a_second_run_finds_nothing(lived: Any) -> None:
    lived.now = datetime(2031, 6, 1, 9, tzinfo=UTC)
    expected = due(lived)
    assert expected == {**dict.fromkeys(("identity", "contact", "complaint", "register", "intake"), 1),
                        **dict.fromkeys(("exceptions", "lookups", "files", "requests"), 1)}  # fmt: skip
    ran = retention.run(lived.desk)
    assert ran.classes == {**expected, "collection": 1}, "placements go when no contact hangs on them any more"
    assert due(lived) == {}
    assert retention.run(lived.desk).classes == {}
    assert count(
        lived, Placement, Recall, Erasure, Activity, Complaint, Disclosure, DisclosureAccount, ExceptionComment
    ) == [0] * 8  # fmt: skip
    assert not list((lived.desk.folder("inbox") / "quayside").iterdir())
    with lived.desk.database.read() as connection:
        account = connection.execute(select(ACCOUNTS).where(ACCOUNTS.c.account_id == 1)).one()
        assert account.status == "erased"
        assert connection.execute(select(func.count()).select_from(IDENTITIES)).scalar_one() == 59
        told = audit.verify(connection, lived.desk.keyring.audit_publics().values())
        assert told.ok


@ON_SQLITE
def test_the_identity_goes_years_before_the_record(lived: Any) -> None:
    lived.now = datetime(2026, 8, 1, 9, tzinfo=UTC)
    assert retention.run(lived.desk).classes == {"identity": 1}
    assert count(lived, Placement, Activity, Disclosure) == [1, 1, 1]
    with lived.desk.database.read() as connection:
        gone = connection.execute(select(IDENTITIES.c.account_id).where(IDENTITIES.c.account_id == 1)).first()
    assert gone is None


@pytest.mark.parametrize(
    ("scope", "given", "kept"),
    [
        ("everything", {}, {"identity", "intake"}),
        ("lender", {"lender": "harbour"}, {"identity", "intake"}),
        ("class", {"record_class": "identity"}, {"identity"}),
        ("portfolio", {"subject_id": 1}, {"identity"}),
        ("debtor", {"subject_id": 1}, {"identity"}),
    ],
)
@ON_SQLITE
def test_a_legal_hold_keeps_what_it_covers_and_lifting_lets_it_go(
    lived: Any, scope: str, given: dict[str, Any], kept: set[str]
) -> None:
    lived.now = datetime(2026, 10, 1, 9, tzinfo=UTC)
    number = retention.hold(lived.desk, scope, "a suit is pending before the court", **given)
    ran = retention.run(lived.desk)
    assert {"identity", "intake"} - set(ran.classes) == kept
    if scope != "class":
        with pytest.raises(shredding.Blocked) as refused:
            shredding.erase_debtor(lived.desk, 1, "a request of the debtor")
        assert refused.value.because == ("legal_hold",)
    with pytest.raises(RefusedByPolicy, match="placed legal hold"):
        retention.lift(lived.desk, number)
    second = lived.desk.acting("second.person")
    assert retention.lift(second, number)
    assert not retention.lift(second, number)
    assert set(retention.run(lived.desk).classes) == kept


@ON_SQLITE
def test_a_hold_ends_on_its_last_day(lived: Any) -> None:
    lived.now = datetime(2026, 10, 1, 9, tzinfo=UTC)
    retention.hold(lived.desk, "lender", "a suit is pending", lender="harbour", until=date(2026, 10, 3))
    lived.now += 2 * DAY
    assert retention.run(lived.desk).classes == {}
    lived.now += DAY
    assert retention.run(lived.desk).classes == {"identity": 1, "intake": 1}


@ON_SQLITE
@pytest.mark.parametrize(
    ("scope", "given"), [("debtor", {}), ("galaxy", {}), ("class", {"record_class": "socks"}), ("lender", {})]
)
def test_a_hold_says_what_it_is_about(house: Any, scope: str, given: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        retention.hold(house.desk, scope, "a suit is pending", **given)


@ON_SQLITE
def test_an_open_complaint_or_request_or_an_agency_with_the_account_keeps_the_identity(lived: Any) -> None:
    lived.now = datetime(2026, 8, 1, 9, tzinfo=UTC)
    with lived.desk.database.write() as connection:
        connection.execute(update(bulk.table_of(Complaint)).values(state="open"))
    assert "identity" not in due(lived)
    with lived.desk.database.write() as connection:
        connection.execute(update(bulk.table_of(Complaint)).values(state="closed"))
        connection.execute(update(bulk.table_of(SubjectRequest)).values(ended_at=None))
    assert "identity" not in due(lived)
    with lived.desk.database.write() as connection:
        connection.execute(update(bulk.table_of(SubjectRequest)).values(ended_at=lived.now))
        connection.execute(update(bulk.table_of(Placement)).values(state="recalled"))
    assert "identity" not in due(lived)


@ON_SQLITE
def test_an_uncertified_erasure_keeps_the_register_and_the_placement(lived: Any) -> None:
    lived.now = datetime(2031, 6, 1, 9, tzinfo=UTC)
    with lived.desk.database.write() as connection:
        connection.execute(update(bulk.table_of(Erasure)).values(verified_at=None))
    ran = retention.run(lived.desk)
    assert not {"register", "collection"} & set(ran.classes)


@ON_SQLITE
def test_old_backups_go_with_their_keys_and_the_newest_stays(lived: Any) -> None:
    first = backups.make(lived.desk)
    lived.now += timedelta(days=40)
    second = backups.make(lived.desk)
    assert due(lived)["backups"] == 1
    retention.run(lived.desk)
    assert [one.name for one in backups.listed(lived.desk)] == [second.name]
    lived.now += timedelta(days=40)
    assert "backups" not in due(lived)
    gone = next(one for one in lived.desk.keyring.entries() if (one.purpose, one.owner) == ("backup", first.name))
    assert gone.destroyed


@ON_SQLITE
def test_keys_that_a_newer_snapshot_has_emptied_are_destroyed_when_no_backup_needs_them(
    lived: Any, raw: pd.DataFrame
) -> None:
    lived.take(raw, day=date(2026, 7, 1))
    assert retention.run(lived.desk).keys == 0
    lived.now += timedelta(days=37)
    assert retention.run(lived.desk).keys == 4
    data = [one.destroyed for one in lived.desk.keyring.entries() if one.purpose == "data"]
    assert (data.count(True), data.count(False)) == (4, 4)


@ON_SQLITE
def test_a_lenders_own_schedule_counts_and_may_not_be_shorter_than_the_law(lived: Any) -> None:
    folder = lived.desk.settings.home / "retention"
    folder.mkdir()
    own = """
name = "harbour"
version = "1"
jurisdiction = "CN"
base = "cn"
about = "Harbour's own periods."
about_zh = "自有期限。"

[[class]]
id = "identity"
keep = "10 days"
clause = "decision of the data-protection officer, 2026-01"
verified = "text"
set_by = "house"
text = "ten days"
text_zh = "十日"
"""
    (folder / "harbour.toml").write_text(own, encoding="utf-8")
    lived.now = datetime(2026, 1, 22, 9, tzinfo=UTC)
    assert due(lived)["identity"] == 1
    wrong = own.replace('id = "identity"', 'id = "contact"')
    (folder / "harbour.toml").write_text(wrong, encoding="utf-8")
    with pytest.raises(ScheduleInvalid, match="shorter than the duty to keep"):
        due(lived)


@ON_SQLITE
def test_what_only_grows_is_never_due(lived: Any) -> None:
    lived.now = datetime(2090, 1, 1, tzinfo=UTC)
    with lived.desk.database.read() as connection:
        lines = retention.due(connection, lived.desk)
    assert {line.record_class for line in lines if line.due is None} == {"ledger", "audit"}
    assert {line.record_class for line in lines} == set(CLASSES)


@ON_SQLITE
def test_who_lifts_a_hold_needs_the_role(lived: Any) -> None:
    from infra import roles

    number = retention.hold(lived.desk, "lender", "a suit is pending", lender="harbour")
    roles.first_administrator(lived.desk)
    with pytest.raises(RefusedByPolicy):
        retention.lift(lived.desk, number)
