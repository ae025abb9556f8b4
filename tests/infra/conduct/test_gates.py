"""Gates and due diligence: what stops new placements, and the two people it takes to lift it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import insert, select, update

from infra import complaints, conduct, diligence, gates, rulepacks
from infra.store import bulk, plans
from infra.store import conduct as conduct_store
from infra.store import gates as store
from models.errors import RefusedByPolicy, UsageError
from models.lives import IllegalMove
from models.planning.agencies import _why_not
from models.planning.spec import PlanSpec
from models.tables import AgencyContract, AuditEvent, Erasure, ExchangeException, Placement

if TYPE_CHECKING:
    from pathlib import Path

ERASURES, PLACEMENTS = bulk.table_of(Erasure), bulk.table_of(Placement)
SPEC = PlanSpec.of({"lender": "harbour", "name": "n", "seed": 1})
KINDS = ("licence", "whitelist", "evaluation", "contract", "training", "insurance")


def stopped(books: Any) -> dict[str, str]:
    with books.desk.database.read() as connection:
        return store.stopped(connection, "harbour", books.desk.today())


def closed_by_threat(books: Any) -> int:
    """The number of a gate that an upheld threat has closed."""
    (number,) = complaints.add(books.desk, "harbour", "quayside", "C-1", category="threat").complaint_ids
    complaints.close(books.desk, number, "upheld", "the recording shows it")
    assert conduct.audit_conduct(books.desk).gates_closed == 1
    with books.desk.database.read() as connection:
        return int(store.listed(connection, books.desk.today())[0]["gate_id"])


@pytest.fixture
def house(books: Any) -> Any:
    """The books, with keys and accounts out at both agencies."""
    books.with_keys()
    books.place(2)
    books.place(2, "lantern")
    return books


def test_an_upheld_threat_stops_new_placements_and_says_why(house: Any) -> None:
    closed_by_threat(house)
    assert stopped(house) == {"quayside": "third-party-or-threat"}
    with house.desk.database.write() as connection:
        connection.execute(
            insert(bulk.table_of(AgencyContract)).values(
                agency="quayside", lender="harbour", effective_from=date(2026, 1, 1), terms="", sha256="",
                created_by="x", created_at=house.desk.now(),
            )
        )  # fmt: skip
    with house.desk.database.read() as connection:
        facts = {one.agency: one for one in plans.agencies(connection, "harbour", house.desk.today())}
        codes = connection.execute(select(bulk.table_of(ExchangeException).c.code)).scalars().all()
    assert "stopped by third-party-or-threat" in _why_not(facts["quayside"], SPEC, frozenset({"live"}))
    assert facts["lantern"].stopped_by == ""
    assert "gate_closed" in codes


def test_a_gate_that_closed_stays_closed_when_nothing_new_happens(house: Any) -> None:
    closed_by_threat(house)
    house.turn(house.desk.today() + timedelta(days=400))
    assert conduct.audit_conduct(house.desk).gates_opened == 0
    assert stopped(house) == {"quayside": "third-party-or-threat"}


def test_an_overdue_certificate_of_erasure_stops_new_placements_until_it_comes(house: Any) -> None:
    today = house.desk.today()
    with house.desk.database.write() as connection:
        placement = connection.execute(
            select(PLACEMENTS.c.placement_id).where(PLACEMENTS.c.agency == "quayside").limit(1)
        ).scalar_one()
        connection.execute(
            insert(ERASURES).values(
                erasure_id=1, placement_id=placement, agency="quayside", requested_on=today - timedelta(days=50),
                due_on=today - timedelta(days=10),
            )
        )  # fmt: skip
    conduct.audit_conduct(house.desk)
    assert "quayside" not in stopped(house), "ten days are not more than ten"
    house.turn(today + timedelta(days=1))
    conduct.audit_conduct(house.desk)
    assert "erasure-overdue" in stopped(house)["quayside"]
    with house.desk.database.write() as connection:
        connection.execute(update(ERASURES).values(verified_at=house.desk.now()))
    conduct.audit_conduct(house.desk)
    assert "erasure-overdue" not in stopped(house).get("quayside", "")


def test_two_people_lift_a_gate_until_a_day_and_every_step_is_on_record(house: Any) -> None:
    gate = closed_by_threat(house)
    until = house.desk.today() + timedelta(days=10)
    with pytest.raises(IllegalMove):
        gates.grant(house.as_("li.wei"), gate)
    gates.ask(house.as_("chen.yu"), gate, until, "the collector was dismissed")
    assert stopped(house)
    with pytest.raises(RefusedByPolicy):
        gates.grant(house.as_("chen.yu"), gate)
    assert gates.grant(house.as_("li.wei"), gate) == until
    assert stopped(house) == {}
    conduct.audit_conduct(house.desk)
    assert stopped(house) == {}
    house.turn(until + timedelta(days=1))
    assert stopped(house) == {"quayside": "third-party-or-threat"}
    assert conduct.audit_conduct(house.desk).gates_closed == 1
    events = bulk.table_of(AuditEvent)
    with house.desk.database.read() as connection:
        told = connection.execute(
            select(events.c.action, events.c.actor).where(events.c.action.startswith("gate.")).order_by(events.c.seq)
        ).all()
    assert [tuple(row) for row in told] == [
        ("gate.closed", "sandbox"), ("gate.lift_asked", "chen.yu"), ("gate.lifted", "li.wei"),
        ("gate.closed", "sandbox"),
    ]  # fmt: skip


def test_lifting_needs_a_reason_and_a_day_that_is_near(house: Any) -> None:
    gate = closed_by_threat(house)
    today = house.desk.today()
    for until, reason in ((today, " "), (today - timedelta(days=1), "why"), (today + timedelta(days=91), "why")):
        with pytest.raises(UsageError):
            gates.ask(house.desk, gate, until, reason)
    gates.ask(house.desk, gate, today, "why")
    gates.refuse(house.desk, gate)
    assert stopped(house)


def test_rates_stop_only_above_their_limit_and_over_enough(house: Any) -> None:
    placements = house.place(300)
    house.report(*((one, "2026-03-05 10:00") for one in placements for _ in range(2)))
    house.report(*((one, "2026-03-05 23:00") for one in placements[:6]))
    conduct.audit_conduct(house.desk)
    assert stopped(house) == {}
    house.report((placements[6], "2026-03-06 23:00"))  # seven of 607 contacts
    conduct.audit_conduct(house.desk)
    assert stopped(house) == {"quayside": "breach-rate"}


def test_serious_breaches_count_when_they_are_upheld(house: Any) -> None:
    (one, two) = house.place(2)
    house.report((one, "2026-03-05 23:00"), (two, "2026-03-05 23:00"))
    conduct.audit_conduct(house.desk)
    with house.desk.database.read() as connection:
        numbers = [int(number) for number in conduct_store.listed(connection)["breach_id"]]
    for number in numbers[:2]:
        conduct.decide(house.desk, number, "upheld", "so it was")
    conduct.audit_conduct(house.desk)
    assert stopped(house) == {}
    conduct.decide(house.desk, numbers[2], "upheld", "so it was")
    conduct.audit_conduct(house.desk)
    assert stopped(house) == {"quayside": "serious-upheld"}


def test_missing_evidence_stops_an_agency_and_evidence_opens_it_again(house: Any, tmp_path: Path) -> None:
    house.desk.settings.require_diligence = True
    conduct.audit_conduct(house.desk)
    assert stopped(house) == {"lantern": "diligence", "quayside": "diligence"}
    document = tmp_path / "licence.pdf"
    document.write_bytes(b"%PDF licence")
    today = house.desk.today()
    for kind in KINDS:
        told = diligence.add(
            house.desk, "quayside", kind, kinds=KINDS, valid_from=today, document=document,
            valid_until=today + timedelta(days=400),
        )  # fmt: skip
        assert (house.desk.settings.home / str(told.stored_path)).read_bytes() == document.read_bytes()
    report = conduct.audit_conduct(house.desk)
    assert report.gates_opened == 1
    assert stopped(house) == {"lantern": "diligence"}
    table = bulk.table_of(ExchangeException)
    with house.desk.database.read() as connection:
        open_ = connection.execute(
            select(table.c.subject).where(table.c.code == "diligence_due", table.c.state == "open")
        ).scalars().all()  # fmt: skip
    assert sorted(open_) == sorted(f"diligence:lantern:{kind}" for kind in KINDS)


def test_evidence_expires_after_its_own_day_and_after_the_rules_longest(house: Any) -> None:
    pack = rulepacks.find("cn")
    today = date(2026, 3, 11)
    add: dict[str, Any] = {"kinds": KINDS, "reference": "register, March", "valid_from": today}
    diligence.add(house.desk, "quayside", "evaluation", **add)
    diligence.add(house.desk, "quayside", "licence", valid_until=today + timedelta(days=20), **add)
    diligence.add(house.desk, "quayside", "contract", valid_until=date(2026, 12, 31), **add)

    def states(day: date) -> dict[str, str]:
        with house.desk.database.read() as connection:
            return {one.kind: one.state for one in diligence.standing(connection, pack, day)["quayside"]}

    assert states(today) == {
        "licence": "expiring", "whitelist": "missing", "evaluation": "ok", "contract": "ok",
        "pre_expiry_evaluation": "not yet due", "training": "missing", "insurance": "missing",
    }  # fmt: skip
    assert states(date(2026, 4, 1))["licence"] == "expired"
    assert states(date(2026, 10, 3))["pre_expiry_evaluation"] == "missing"
    assert states(date(2027, 3, 10))["evaluation"] == "expiring"
    assert states(date(2027, 3, 11))["evaluation"] == "expired"


def test_evidence_without_document_kind_or_sense_is_refused(house: Any, tmp_path: Path) -> None:
    today = date(2026, 3, 11)
    wrongs: tuple[dict[str, Any], ...] = (
        {"kind": "smile", "reference": "x"}, {"kind": "licence"}, {"kind": "licence", "reference": "13800001234"},
        {"kind": "licence", "document": tmp_path / "none"},
        {"kind": "licence", "reference": "x", "valid_until": today - timedelta(days=1)},
    )  # fmt: skip
    for wrong in wrongs:
        with pytest.raises(UsageError):
            diligence.add(house.desk, "quayside", kinds=KINDS, valid_from=today, **wrong)
    with pytest.raises(UsageError):
        diligence.add(house.desk, "nobody", "licence", kinds=KINDS, valid_from=today, reference="x")


def test_the_clock_of_a_gate_is_the_lenders(house: Any) -> None:
    house.clock.now = datetime(2026, 3, 11, 17, tzinfo=UTC)
    assert house.desk.today() == date(2026, 3, 12)
