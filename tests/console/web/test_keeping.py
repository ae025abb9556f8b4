"""Keeping and forgetting, rule packs, the gate, the doctor, backups, the keyring; and what waits for whom."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyrage
import pytest
from sqlalchemy import select, update
from starlette.testclient import TestClient

from console.web.app import create_app
from console.web.pages.home import TASKS
from console.web.remembered import FIGURES
from flows import jobs as working
from infra import allowances, backups, contracts, escrow, jobs, retention, shredding
from infra.people import tokens
from infra.sandbox.staff import SECOND, STAFF
from infra.store import bulk, keeping, tasks
from infra.store import contracts as contract_rows
from models.contract.writing import changed
from models.permissions import ACTIONS
from models.tables import AuditEvent, Identity, Lender, Placement

if TYPE_CHECKING:
    from infra.wiring import Desk
    from tests.console.web.conftest import As, StillClock


def ran(desk: Desk, location: str) -> Any:
    """The job that an answer led to, once it was worked off."""
    assert location.startswith("/jobs/")
    working.work_off(desk)
    return jobs.found(desk, int(location.removeprefix("/jobs/")))


def actions_on_record(desk: Desk, beginning: str) -> list[tuple[str, str]]:
    """Who did what of that kind."""
    events = bulk.table_of(AuditEvent)
    with desk.database.read() as connection:
        rows = connection.execute(select(events.c.actor, events.c.action).where(events.c.action.startswith(beginning)))
        return [(row.actor, row.action) for row in rows]


# --- keeping ----------------------------------------------------------------------------------------------------------


def test_what_is_due_is_looked_at_before_it_is_deleted_and_no_more_than_that(browse: As, desk: Desk) -> None:
    for name in ("one.log", "two.log"):
        old = desk.folder("logs") / name
        old.write_text("codes and counts")
        os.utime(old, (datetime(2025, 1, 5, tzinfo=UTC).timestamp(),) * 2)
    officer = browse("compliance")
    assert "The store is being looked through" in officer.get("/retention").text
    assert officer.get("/retention/due").headers["location"] == "/retention"
    page = officer.get("/retention").text
    (seen,) = re.findall(r'name="seen" value="(\d+)"', page)
    assert int(seen) == 2
    stale = officer.send("/retention/run", at="/retention", seen=str(int(seen) + 1))
    assert (stale.status_code, "has changed since you looked" in stale.text) == (422, True)
    job = ran(desk, officer.send("/retention/run", at="/retention", seen=seen).headers["location"])
    assert (job.state, job.error) == ("done", "")
    assert (STAFF["compliance"], "retention.deleted") in actions_on_record(desk, "retention.")
    told = officer.get("/retention?tab=deleted").text
    assert "6 months" in told
    assert not list(desk.folder("logs").glob("one.log"))


def test_the_schedule_says_how_long_each_class_is_kept_in_both_languages(browse: As) -> None:
    page = browse("compliance").get("/retention?tab=schedule").text
    assert ("90 days" in page, "5 years" in page, "PIPL" in page, "In force for" in page) == (True,) * 4
    chinese = browse("compliance", language="zh").get("/retention?tab=schedule&schedule=us").text
    assert ("没有出借人适用" in chinese, "年</strong>" in chinese) == (True, True)
    assert browse("compliance").get("/retention?tab=schedule&schedule=nowhere").status_code == 422
    assert browse("finance").get("/retention").status_code == 403


def test_a_legal_hold_is_placed_by_one_and_lifted_by_another(browse: As, desk: Desk) -> None:
    officer, second = browse("compliance"), browse("second")
    given = {"scope": "lender", "lender": "harbour", "number": "", "record_class": "", "until": "",
             "why": "case 2026-114 of the city court"}  # fmt: skip
    assert officer.send("/retention/holds", at="/retention?tab=holds", **given).status_code == 303
    page = officer.get("/retention?tab=holds").text
    assert ("case 2026-114" in page, "somebody else lifts it" in page) == (True, True)
    assert officer.send("/retention/holds/1/lift", at="/retention?tab=holds").status_code == 403
    assert second.send("/retention/holds/1/lift", at="/retention?tab=holds").status_code == 303
    assert "No legal hold is in force" in second.get("/retention?tab=holds").text
    assert "case 2026-114" in second.get("/retention?tab=holds&ended=1").text
    assert [actor for actor, _ in actions_on_record(desk, "retention.lifted")] == [SECOND]


@pytest.mark.parametrize(
    "wrong",
    [{"why": ""}, {"scope": "galaxy"}, {"scope": "debtor"}, {"lender": "nobody"}, {"until": "soon"},
     {"scope": "portfolio", "number": "999"}, {"record_class": "socks"}],
)  # fmt: skip
def test_a_hold_that_makes_no_sense_is_refused_with_what_was_typed(browse: As, wrong: dict[str, str]) -> None:
    given = {"scope": "lender", "lender": "harbour", "why": "case 2026-114 of the city court"} | wrong
    answer = browse("compliance").send("/retention/holds", at="/retention?tab=holds", **given)
    assert (answer.status_code, "There is a problem" in answer.text) == (422, True)
    assert given["why"] in answer.text


def test_a_portfolio_is_forgotten_when_a_second_person_agrees(browse: As, desk: Desk) -> None:
    officer, second = browse("compliance"), browse("second")
    page = "/retention?tab=shreddings"
    with desk.database.read() as connection:
        sealed = connection.execute(select(bulk.table_of(Identity).c.portfolio_id).limit(1)).scalar_one()
    asked = {"number": str(sealed), "why": "sold on 30 June"}
    assert officer.send("/retention/shreddings", at=page, number="", why="sold on 30 June").status_code == 422
    assert officer.send("/retention/shreddings", at=page, **asked).status_code == 303
    assert officer.send("/retention/shreddings/1/approve", at=page).status_code == 403
    blocked = second.send("/retention/shreddings/1/approve", at=page)
    assert (blocked.status_code, "There is a problem" in blocked.text) == (403, True)
    placements = bulk.table_of(Placement)
    with desk.database.write() as connection:
        connection.execute(update(placements).values(state="closed"))
    job = ran(desk, second.send("/retention/shreddings/1/approve", at=page).headers["location"])
    assert (job.state, job.error) == ("done", "")
    with desk.database.read() as connection:
        (row,) = keeping.shreddings(connection).rows
    assert (row["state"], row["asked_by"], row["approved_by"]) == ("done", STAFF["compliance"], SECOND)
    assert row["accounts"] > 0
    assert officer.send("/retention/shreddings", at=page, number="1", why="sold on 30 June").status_code == 303
    assert officer.send("/retention/shreddings/2/withdraw", at=page).status_code == 303
    assert "Withdrawn" in officer.get(page).text


def test_holds_and_shreddings_are_paged_by_their_keys(desk: Desk) -> None:
    for number in range(60):
        retention.hold(desk, "lender", f"case {number} of the city court", lender="harbour")
    with desk.database.read() as connection:
        first = keeping.holds(connection, desk.today())
        then = keeping.holds(connection, desk.today(), after=first.after)
    assert (len(first.rows), len(then.rows), then.after) == (50, 10, None)
    assert [row["legal_hold_id"] for row in first.rows + then.rows] == list(range(60, 0, -1))


# --- rule packs and the gate ------------------------------------------------------------------------------------------


def test_the_rule_packs_of_a_lender_are_chosen_by_compliance(browse: As, desk: Desk) -> None:
    officer = browse("compliance")
    page = officer.get("/rules").text
    assert ("PIPL" in page, "not judged: it needs" in page, "Gates" in page) == (True, True, True)
    officer.get("/rules")
    answer = officer.post("/rules/harbour", data={"_form": officer.word, "packs": ["cn", "us"]})
    assert answer.status_code == 303
    lenders = bulk.table_of(Lender)
    with desk.database.read() as connection:
        kept = connection.execute(select(lenders.c.rule_packs).where(lenders.c.lender == "harbour")).scalar_one()
    assert kept == "cn,us"
    for lender, packs in (("nobody", ["cn"]), ("harbour", ["no-such-pack"])):
        assert officer.post(f"/rules/{lender}", data={"_form": officer.word, "packs": packs}).status_code == 422
    assert browse("finance").send("/rules/harbour", at="/rules", packs="cn").status_code == 403


def test_what_the_gate_found_is_shown_without_a_value(browse: As) -> None:
    operator = browse("operations")
    page = operator.get("/gate").text
    name, number = re.findall(r'data-row="([^"]+)".*?/gate/files/(\d+)', page, re.DOTALL)[0]
    one = operator.get(f"/gate/files/{number}").text
    assert (name in one, "cells were read" in one or "cell was read" in one) == (True, True)
    assert "Nothing was stopped" in operator.get("/gate?stopped=1").text
    assert operator.get("/gate/files/99999").status_code == 422


def test_a_false_alarm_is_let_pass_by_two_and_ended_by_one(browse: As, desk: Desk) -> None:
    officer, second = browse("compliance"), browse("second")
    until = (desk.today() + timedelta(days=30)).isoformat()
    given = {
        "kind": "placement",
        "column": "product",
        "identifier": "phone",
        "reason": "a code of a product",
        "until": until,
    }
    assert officer.send("/gate/allowances", at="/gate", **given).status_code == 303
    assert officer.send("/gate/allowances/1/approve", at="/gate").status_code == 403
    assert second.send("/gate/allowances/1/approve", at="/gate").status_code == 303
    assert "May pass" in officer.get("/gate").text
    assert officer.send("/gate/allowances/1/withdraw", at="/gate").status_code == 303
    for wrong in ({"until": ""}, {"kind": "pizza"}, {"column": "colour"}, {"identifier": "soul"}, {"reason": ""}):
        assert officer.send("/gate/allowances", at="/gate", **(given | wrong)).status_code == 422, wrong


# --- operations -------------------------------------------------------------------------------------------------------


def test_the_doctor_s_findings_are_grouped_and_remembered(browse: As, desk: Desk) -> None:
    operator = browse("operations")
    page = operator.get("/operations").text
    assert ("What is fine" in page, "agencies work without one" in page, "No server runs" in page) == (True,) * 3
    known = FIGURES.find(desk, "operations")
    assert known is not None
    operator.get("/operations")
    assert FIGURES.find(desk, "operations") is known


def test_a_job_that_nobody_takes_is_told(browse: As, desk: Desk, clock: StillClock) -> None:
    jobs.ask(desk, "score", {})
    operator = browse("operations")
    assert "nobody takes it" not in operator.get("/operations").text
    clock.pass_(minutes=5)
    assert "nobody takes it" in operator.get("/operations").text


def test_a_backup_is_made_and_looked_into_by_jobs(browse: As, desk: Desk) -> None:
    operator = browse("operations")
    assert "There is no backup yet" in operator.get("/backups").text
    assert ran(desk, operator.send("/backups", at="/backups").headers["location"]).state == "done"
    (made,) = backups.listed(desk)
    assert "nobody has looked" in operator.get("/backups").text
    location = operator.send("/backups/check", at="/backups", name=made.name).headers["location"]
    assert ran(desk, location).state == "done"
    assert "sound" in operator.get("/backups").text
    sealed = desk.settings.backups_path / f"{made.name}{backups.SEALED}"
    sealed.write_bytes(sealed.read_bytes()[:-7] + b"tampers")
    location = operator.send("/backups/check", at="/backups", name=made.name).headers["location"]
    assert ran(desk, location).state == "failed"
    assert "not sound" in operator.get("/backups").text
    assert operator.send("/backups/check", at="/backups", name="../keyring").status_code == 422
    assert browse("finance").get("/backups").status_code == 403


def test_the_keyring_leaves_only_when_a_second_administrator_types_the_recipient(browse: As, desk: Desk) -> None:
    recipient = str(pyrage.x25519.Identity.generate().to_public())
    administrator, second = browse("administrator"), browse("second")
    number = escrow.ask_export(desk.acting(STAFF["administrator"]), "the notary", recipient, "by resolution 7 of March")
    path = f"/backups/keyring/{number}"
    assert administrator.send(f"{path}/approve", at="/backups", said=recipient).status_code == 403
    assert second.send(f"{path}/approve", at="/backups", said="age1another").status_code == 403
    assert second.send(f"{path}/approve", at="/backups", said=recipient).status_code == 303
    assert "Approved" in second.get("/backups").text
    assert administrator.send(f"{path}/withdraw", at="/backups").status_code == 303
    assert recipient not in second.get("/backups").text


# --- what waits -------------------------------------------------------------------------------------------------------


def test_everything_that_a_second_person_decides_is_named_on_the_first_page() -> None:
    named = {kind.action for kind in tasks.kinds("x", ["compliance"])}
    second = {action.id for action in ACTIONS.values() if action.second_person}
    assert second - named == {"retention.lift"}  # a hold waits for nobody: it stays until somebody wants it lifted
    assert {kind.code for kind in tasks.kinds("x", [])} == set(TASKS)
    assert named <= set(ACTIONS)


def test_what_waits_is_shown_to_who_may_decide_it_and_not_to_who_asked(browse: As, desk: Desk) -> None:
    desk.settings = desk.settings.model_copy(update={"two_people": True})
    officer = desk.acting(STAFF["compliance"])
    shredding.ask_portfolio(officer, 1, "sold on 30 June")
    until = desk.today() + timedelta(days=30)
    allowances.ask(officer, allowances.Asked("placement", "product", "phone", "a product's code", until))
    escrow.ask_export(
        desk.acting(STAFF["administrator"]), "the notary", str(pyrage.x25519.Identity.generate().to_public()),
        "by resolution 7 of March",
    )  # fmt: skip
    with desk.database.read() as connection:
        terms = str(contract_rows.one(connection, "harbour", "quayside", desk.today()).terms)
    contracts.propose(
        desk.acting(STAFF["portfolio_manager"]), "quayside", "harbour", changed(terms, {"vat_rate": "0.09"}),
        desk.today() + timedelta(days=40), "renewed, letter of 12 May",
    )  # fmt: skip
    titles = ("To be forgotten for good", "False alarms to let pass", "Requests about the keyring", "Terms to approve")

    def waiting(who: str) -> set[str]:
        shown = browse(who).get("/").text.split("<details>")[0]
        return {title for title in titles if title in shown}

    assert waiting("second") == set(titles)
    assert waiting("finance") == {"Terms to approve"}
    assert waiting("compliance") == waiting("administrator") == waiting("operations") == set()
    assert "Nothing waits for you" in browse("operations").get("/").text


# --- the API ----------------------------------------------------------------------------------------------------------


def test_a_program_does_the_same_with_a_token(desk: Desk) -> None:
    def token(actor: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {tokens.make(desk.acting(actor), actor, 'tests', days=3).token}"}

    mine, second = token(STAFF["compliance"]), token(SECOND)
    with TestClient(create_app(desk), base_url="http://testserver/api/v1") as client:
        due = client.get("/retention/due", headers=mine).json()["items"]
        assert {line["record_class"] for line in due} >= {"identity", "audit", "backups"}
        hold = {"scope": "lender", "lender": "harbour", "why": "case 2026-114 of the city court"}
        made = client.post("/legal-holds", json=hold, headers=mine)
        assert made.status_code == 201
        number = made.json()["legal_hold_id"]
        assert client.post(f"/legal-holds/{number}/lift", headers=mine).status_code == 403
        assert client.post(f"/legal-holds/{number}/lift", headers=second).json() == {"lifted": True}
        assert client.post("/legal-holds", json=hold | {"lender": "nobody"}, headers=mine).status_code == 422
        asked = {"lender": "harbour", "period": "2026-02", "changes": {"vat_rate": "0.09"}}
        cost = client.post("/costs", json=asked, headers=second)
        assert cost.status_code == 202
        assert client.get(f"/costs/{cost.json()['cost']}", headers=second).status_code == 404
        assert client.get("/forecast", headers=second).status_code == 404
        assert client.post("/forecast", json={"months": 3}, headers=second).status_code == 202
        assert client.post("/books", json={"lender": "harbour"}, headers=second).status_code == 202
        working.work_off(desk)
        assert client.get(f"/costs/{cost.json()['cost']}", headers=second).json()["totals"][0]["difference_minor"] > 0
        assert client.get("/forecast", headers=second).json()["total"][0]["agency"] == "all"
        (book,) = client.get("/books", headers=second).json()["items"]
        assert len(client.get(f"/books/{book['name']}", headers=second).content) == book["size"]
        assert client.get("/books", headers=mine).status_code == 403
        assert client.get("/findings", headers=second).json()["items"]
