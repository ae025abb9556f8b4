"""The audit of conduct over a store: each breach found once, with its clause and its line."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from infra import conduct
from infra.store import bulk
from infra.store import conduct as store
from models.errors import UsageError
from models.lives import IllegalMove
from models.tables import Breach, ExchangeException, Hold, InboundFile

if TYPE_CHECKING:
    from tests.infra.conduct.conftest import Books

NIGHT = {"CBA2026-hours": 1, "GBT45251-hours": 1}


def test_a_call_in_the_night_breaks_both_texts_and_each_names_its_clause(books: Books) -> None:
    (one,) = books.place(1)
    file_id = books.report((one, "2026-03-05 21:59"), (one, "2026-03-05 22:00"), (one, "2026-03-06 08:00"))
    report = conduct.audit_conduct(books.desk)
    assert (report.files, report.contacts, report.found, report.serious) == (1, 3, 2, 2)
    assert books.breaches() == NIGHT
    with books.desk.database.read() as connection:
        found = store.listed(connection)
    assert set(found["evidence"]) == {f"activity:{file_id}:2"}
    assert set(found["zone"]) == {"Asia/Shanghai"}
    assert set(found["pack_version"]) == {"2026.1"}
    assert all("22:00" in one or "5.3" in one or "hours" in one for one in found["clause"])


def test_running_it_again_adds_nothing(books: Books) -> None:
    (one,) = books.place(1)
    books.report((one, "2026-03-05 23:00"))
    conduct.audit_conduct(books.desk)
    again = conduct.audit_conduct(books.desk)
    everything = conduct.audit_conduct(books.desk, everything=True)
    assert (again.files, again.contacts, again.found) == (0, 0, 0)
    assert (everything.contacts, everything.found, everything.withdrawn) == (1, 0, 0)
    assert books.breaches() == NIGHT


def test_a_dry_run_says_it_and_keeps_nothing(books: Books) -> None:
    (one,) = books.place(1)
    books.report((one, "2026-03-05 23:00"))
    tried = conduct.audit_conduct(books.desk, dry_run=True)
    assert (tried.run_id, tried.found, tried.by_rule) == (None, 2, NIGHT)
    assert books.breaches() == {}
    assert conduct.audit_conduct(books.desk).found == 2


def test_a_rule_does_not_reach_back_before_its_first_day(books: Books) -> None:
    (one,) = books.place(1, placed_on=date(2026, 1, 1))
    books.report((one, "2026-01-30 23:00"), (one, "2026-01-31 23:00"))
    conduct.audit_conduct(books.desk)
    assert books.breaches() == {"CBA2026-hours": 1, "GBT45251-hours": 2}


def test_calls_are_counted_across_files_and_across_the_accounts_of_one_debtor(books: Books) -> None:
    (one,) = books.place(1)
    (two,) = books.place(1, debtor=one)
    books.report(*((one, f"2026-03-05 1{hour}:00", "connected") for hour in range(3)))
    assert conduct.audit_conduct(books.desk).found == 0
    late = books.report((two, "2026-03-05 15:00", "promise"), (two, "2026-03-06 15:00", "connected"))
    assert conduct.audit_conduct(books.desk).by_rule == {"GBT45251-calls": 1}
    assert books.evidence("GBT45251-calls") == [f"activity:{late}:1"]


def test_a_file_that_comes_late_with_earlier_calls_makes_the_later_ones_breaches(books: Books) -> None:
    (one,) = books.place(1)
    first = books.report(*((one, f"2026-03-05 1{hour}:00", "connected") for hour in range(4)))
    conduct.audit_conduct(books.desk)
    assert books.evidence("GBT45251-calls") == [f"activity:{first}:4"]
    books.report((one, "2026-03-05 09:00", "connected"))
    assert conduct.audit_conduct(books.desk).found == 1
    assert books.evidence("GBT45251-calls") == [f"activity:{first}:3", f"activity:{first}:4"]


def test_attempts_are_counted_by_contact_point_and_only_where_one_is_named(books: Books) -> None:
    (one,) = books.place(1)
    books.report(
        *((one, f"2026-03-05 1{n}:00", "no_answer", "phone", "p1") for n in range(7)),
        *((one, f"2026-03-05 1{n}:30", "busy", "phone", "p2") for n in range(6)),
        *((one, f"2026-03-06 1{n}:30", "no_answer", "phone", None) for n in range(9)),
    )
    report = conduct.audit_conduct(books.desk)
    assert report.by_rule == {"CBA2026-dials": 1}
    assert any("9 calls name no contact point" in note for note in report.notes)


def test_a_third_party_may_be_called_after_three_failures_and_a_late_file_can_show_them(books: Books) -> None:
    one, two, three = books.place(3)
    books.report(
        *((one, f"2026-03-05 1{n}:00") for n in range(3)), (one, "2026-03-05 15:00", "third_party"),
        (two, "2026-03-05 10:00", "invalid"), (two, "2026-03-05 11:00", "third_party"),
        (three, "2026-03-05 10:00"), (three, "2026-03-05 11:00"), (three, "2026-03-05 15:00", "third_party"),
    )  # fmt: skip
    conduct.audit_conduct(books.desk)
    assert books.breaches() == {"CBA2026-third": 1}
    books.report((three, "2026-03-05 09:00"))
    assert conduct.audit_conduct(books.desk).withdrawn == 1
    assert books.breaches() == {}
    assert books.breaches("withdrawn") == {"CBA2026-third": 1}


def test_being_reached_begins_the_failures_anew(books: Books) -> None:
    (one,) = books.place(1)
    books.report(
        *((one, f"2026-03-05 1{n}:00") for n in range(3)), (one, "2026-03-05 14:00", "refused"),
        (one, "2026-03-05 15:00", "third_party"),
    )  # fmt: skip
    conduct.audit_conduct(books.desk)
    assert books.breaches() == {"CBA2026-third": 1}


def test_a_channel_outside_the_mandate_is_a_breach_whatever_the_mandate_becomes(books: Books) -> None:
    (one,) = books.place(1)
    books.report((one, "2026-03-05 10:00", "not_met", "field"), (one, "2026-03-05 11:00", "sent", "sms"))
    conduct.audit_conduct(books.desk)
    assert books.breaches() == {"PIPL-21-channel": 1}
    from models.tables import Agency

    books.set(Agency, Agency.agency == "quayside", channels="field")
    conduct.audit_conduct(books.desk, everything=True)
    assert books.breaches() == {"PIPL-21-channel": 1}


def test_contact_after_a_recall_counts_from_its_delivery_and_the_grace(books: Books) -> None:
    one, two = books.place(2)
    books.report(*((p, f"2026-03-{day:02} 10:00") for p in (one, two) for day in (4, 6)))
    conduct.audit_conduct(books.desk)
    assert books.breaches() == {}
    # the delivery is learnt of after the contacts were audited
    books.recall(one, datetime(2026, 3, 4, 1, tzinfo=UTC))
    books.recall(two, datetime(2026, 3, 4, 1, tzinfo=UTC), "complaint")
    books.set(InboundFile, InboundFile.file_id > 0, accepted_at=datetime(2026, 3, 3, tzinfo=UTC))  # nothing is returned
    assert conduct.audit_conduct(books.desk, everything=True).by_rule == {"PIPL-21-hold": 1, "PIPL-21-recall": 1}


def test_a_recall_that_was_delivered_since_the_last_run_is_looked_at(books: Books) -> None:
    (one,) = books.place(1)
    conduct.audit_conduct(books.desk)
    books.report((one, "2026-03-15 10:00"))
    books.turn(date(2026, 3, 16))
    conduct.audit_conduct(books.desk)
    books.recall(one, datetime(2026, 3, 16, 4, tzinfo=UTC))
    books.report((one, "2026-03-19 10:00"))
    books.turn(date(2026, 3, 20))
    assert conduct.audit_conduct(books.desk).by_rule == {"PIPL-21-recall": 1}


def test_an_agency_that_asked_for_the_hold_knows_of_it(books: Books) -> None:
    (one,) = books.place(1)
    with books.desk.database.session() as session:
        session.add(Hold(debtor_id=one, reason="dispute", since=date(2026, 3, 4), placed_by="quayside"))
    books.report((one, "2026-03-04 16:00"), (one, "2026-03-05 16:00"), (one, "2026-03-06 10:00"))
    conduct.audit_conduct(books.desk)
    assert books.breaches() == {"PIPL-21-hold": 1}


def test_before_placement_and_after_return_each_placement_of_an_account_counts_for_its_own_days(books: Books) -> None:
    (one,) = books.place(1, ended_on=date(2026, 3, 4))
    (two,) = books.place(1, placed_on=date(2026, 3, 8), accounts=[one], debtor=one)
    # an agency's file names the account: collecting ties it to the newest placement
    file_id = books.report(
        (two, "2026-02-28 10:00"), (two, "2026-03-03 10:00"), (two, "2026-03-04 10:00"), (two, "2026-03-06 10:00"),
        (two, "2026-03-08 10:00"),
    )  # fmt: skip
    conduct.audit_conduct(books.desk)
    assert books.evidence("PIPL-21-before") == [f"activity:{file_id}:1"]
    assert books.evidence("PIPL-21-after") == [f"activity:{file_id}:4"]
    assert sum(books.breaches().values()) == 2


def test_missing_records_are_breaches_when_reports_are_overdue_and_excused_when_they_come(books: Books) -> None:
    one, two, three = books.place(3)
    books.remit(two, datetime(2026, 3, 20, 4, tzinfo=UTC))
    for month, day in ((3, 5), (3, 25), (4, 10)):
        books.report((three, f"2026-{month:02}-{day:02} 10:00"))
    books.turn(date(2026, 4, 13))
    conduct.audit_conduct(books.desk)
    assert books.breaches() == {"CFC2024-records-remittance": 1}
    books.turn(date(2026, 4, 14))
    conduct.audit_conduct(books.desk)
    assert books.breaches() == {"CFC2024-records-remittance": 1, "CFC2024-records-silent": 2}
    conduct.audit_conduct(books.desk)
    books.report((one, "2026-03-20 10:00"), (two, "2026-03-19 10:00"))
    assert conduct.audit_conduct(books.desk).withdrawn == 3
    assert books.breaches() == {}


def test_a_gap_in_the_records_is_one_breach_from_its_first_day_on(books: Books) -> None:
    (one,) = books.place(1)
    books.report((one, "2026-03-02 10:00"))
    books.turn(date(2026, 4, 15))
    conduct.audit_conduct(books.desk)
    assert books.breaches() == {}
    books.turn(date(2026, 4, 16))
    conduct.audit_conduct(books.desk)
    books.turn(date(2026, 5, 17))
    conduct.audit_conduct(books.desk)
    assert books.evidence("CFC2024-records-gap") == ["gap:harbour:quayside:2026-03-03"]
    books.report((one, "2026-03-20 10:00"))
    conduct.audit_conduct(books.desk)
    assert books.evidence("CFC2024-records-gap") == ["gap:harbour:quayside:2026-03-21"]


def test_breaches_of_a_file_that_is_refused_later_stand_no_longer(books: Books) -> None:
    (one,) = books.place(1)
    kept = books.report(*((one, f"2026-03-05 1{n}:00", "connected") for n in range(3)))
    gone = books.report((one, "2026-03-05 08:30", "connected"), (one, "2026-03-05 23:00"))
    conduct.audit_conduct(books.desk)
    assert books.evidence("GBT45251-calls") == [f"activity:{kept}:3"]
    books.refuse(gone)
    assert conduct.audit_conduct(books.desk).withdrawn == 3
    assert books.breaches() == {}
    books.set(InboundFile, InboundFile.file_id == gone, state="accepted")
    conduct.audit_conduct(books.desk)
    assert books.breaches() == {**NIGHT, "GBT45251-calls": 1}


def test_in_the_united_states_the_state_says_what_time_it_is(books: Books) -> None:
    books.country("US", "America/New_York")
    ny, ca, texas, nowhere = (books.place(1, region=region)[0] for region in ("NY", "CA", "US-TX", None))
    # half past ten in New York, half past seven in California
    books.report((ny, "2026-03-05 15:30"), (ca, "2026-03-05 15:30"), offset=0)
    # 02:30 UTC: half past nine and half past six in the evening before; Texas is 20:30 or 19:30
    books.report((ny, "2026-03-06 02:30"), (ca, "2026-03-06 02:30"), (texas, "2026-03-06 02:30"), offset=0)
    # 03:30 UTC: Texas is 21:30 or 20:30, and only what both forbid is a breach; 04:30 both do
    books.report((texas, "2026-03-07 03:30"), (texas, "2026-03-08 04:30"), offset=0)
    # nobody knows where: the offset that the agency reported counts
    books.report((nowhere, "2026-03-05 21:30"), offset=-300)
    report = conduct.audit_conduct(books.desk)
    assert report.by_rule == {"FDCPA-1692c": 4}
    assert any("1 contacts were judged by the offset" in note for note in report.notes)
    with books.desk.database.read() as connection:
        found = store.listed(connection)
    assert set(found["zone"]) == {
        "America/New_York", "America/Los_Angeles", "America/Chicago|America/Denver", "offset",
    }  # fmt: skip


def test_seven_calls_in_seven_days_and_a_week_of_quiet_after_a_conversation(books: Books) -> None:
    books.country("US", "America/New_York")
    one, two = books.place(2, region="NY")
    (three,) = books.place(1, region="NY", debtor=two)
    books.report(
        *((one, f"2026-03-{day:02} 12:00") for day in range(1, 9)),  # eight in eight days: seven in any seven
        (one, "2026-03-08 13:00"), (one, "2026-03-08 14:00", "busy"),  # the eighth; and one that never connected
        (two, "2026-03-02 12:00", "connected"), (two, "2026-03-08 12:00"), (two, "2026-03-09 12:00"),
        (three, "2026-03-03 12:00"),  # the same person, another debt
        offset=-300,
    )  # fmt: skip
    conduct.audit_conduct(books.desk)
    assert books.breaches() == {"REGF-14b-7": 1, "REGF-14b-after": 1}


def test_the_report_says_what_reported_activity_cannot_show(books: Books) -> None:
    report = conduct.audit_conduct(books.desk)
    told = {one["rule_id"]: one["why"] for one in report.not_judged}
    assert told["GBT45251-third"] == "needs recordings"
    assert "CBA2026-hours" not in told


def test_serious_breaches_open_one_exception_per_agency(books: Books) -> None:
    one, two = books.place(2)
    books.report((one, "2026-03-05 23:00"), (two, "2026-03-05 23:00"))
    conduct.audit_conduct(books.desk)
    conduct.audit_conduct(books.desk)
    table = bulk.table_of(ExchangeException)
    with books.desk.database.read() as connection:
        found = connection.execute(select(table.c.code, table.c.agency, table.c.detail)).all()
    assert [(row.code, row.agency) for row in found if row.code == "conduct_breach"] == [("conduct_breach", "quayside")]
    assert '"GBT45251-hours:2"' in next(row.detail for row in found if row.code == "conduct_breach")


def test_a_person_upholds_or_dismisses_and_the_audit_leaves_it(books: Books) -> None:
    books.with_keys()
    (one,) = books.place(1)
    books.report((one, "2026-03-05 23:00"))
    conduct.audit_conduct(books.desk)
    with books.desk.database.read() as connection:
        first, second = (int(number) for number in store.listed(connection)["breach_id"])
    conduct.decide(books.desk, first, "upheld", "the agency's own recording shows it")
    conduct.decide(books.desk, second, "dismissed", "agreed in writing")
    conduct.audit_conduct(books.desk, everything=True)
    assert sum(books.breaches("upheld").values()) == sum(books.breaches("dismissed").values()) == 1
    with pytest.raises(IllegalMove):
        conduct.decide(books.desk, first, "upheld", "again")
    with pytest.raises(UsageError):
        conduct.decide(books.desk, 999, "upheld", "none")
    whole = conduct.whole(books.desk, first)
    assert whole["account"]
    assert whole["debtor"]
    assert "account_id" not in whole
    assert whole["text"]


def test_a_lender_may_go_by_several_packs(books: Books) -> None:
    (one,) = books.place(1, region="NY")
    assert conduct.use_packs(books.desk, "harbour", ["cn", "us"]) == ["cn", "us"]
    books.report((one, "2026-03-05 23:00"))
    assert conduct.audit_conduct(books.desk).by_rule == {**NIGHT}
    with pytest.raises(UsageError):
        conduct.use_packs(books.desk, "harbour", ["xx"])
    assert conduct.use_packs(books.desk, "harbour", []) == ["cn"]


def test_agencies_are_counted_apart(books: Books) -> None:
    (one,) = books.place(1)
    (two,) = books.place(1, "lantern", debtor=one)
    for agency, placement in (("quayside", one), ("lantern", two)):
        books.report(*((placement, f"2026-03-05 1{n}:00", "connected") for n in range(3)), agency=agency)
    assert conduct.audit_conduct(books.desk).found == 0


def test_small_shards_find_the_same(books: Books) -> None:
    books.desk.settings.shard_rows = 2
    placements = books.place(7)
    books.report(*((one, "2026-03-05 23:00") for one in placements))
    assert conduct.audit_conduct(books.desk).by_rule == {"CBA2026-hours": 7, "GBT45251-hours": 7}


@pytest.mark.postgres
class TestOnPostgreSQL:
    """What the queries depend on, on the other store."""

    @pytest.fixture
    def store_url(self, request: pytest.FixtureRequest) -> str:
        url: str = request.getfixturevalue("empty_postgres_url")
        return url

    def test_the_audit_finds_the_same(self, books: Books) -> None:
        one, two, three = books.place(3)
        books.remit(two, datetime(2026, 3, 12, 4, tzinfo=UTC))
        books.report((one, "2026-03-05 23:00"), *((one, f"2026-03-06 1{n}:00", "connected") for n in range(4)))
        books.recall(three, datetime(2026, 3, 6, 4, tzinfo=UTC), "complaint")
        books.report((three, "2026-03-09 10:00"))
        books.turn(date(2026, 3, 11) + timedelta(days=60))
        found = conduct.audit_conduct(books.desk)
        assert found.by_rule == {
            **NIGHT, "CFC2024-records-gap": 1, "CFC2024-records-remittance": 1, "CFC2024-records-silent": 1,
            "GBT45251-calls": 1, "PIPL-21-hold": 1,
        }  # fmt: skip
        assert conduct.audit_conduct(books.desk, everything=True).found == 0
        table = bulk.table_of(Breach)
        with books.desk.database.read() as connection:
            assert len(bulk.read(connection, select(table.c.breach_id))) == 7
