"""Compliance's pages: policies, the register, debtors' requests, erasures, complaints, conduct, the audit trail."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pandas as pd
import pytest
from sqlalchemy import select

from infra import conduct
from infra.evidence import files
from infra.packages import account_pseudonyms
from infra.store import bulk
from infra.store.conduct import BREACHES
from infra.store.gates import GATES
from models import packaged
from models.tables import Placement, RegisterQuestion, Reidentification, ReleasePolicy, SubjectRequest

if TYPE_CHECKING:
    from infra.wiring import Desk
    from tests.console.web.conftest import As, Browser

PAGES = (
    "/policies", "/policies/cn-default", "/policies/simulate?account=1", "/disclosures", "/identities", "/requests",
    "/requests?tab=ended", "/erasures", "/erasures?tab=certified", "/complaints", "/complaints?tab=closed&overdue=1",
    "/breaches", "/breaches?tab=upheld&severity=serious", "/rules", "/audit", "/audit?action=plan.", "/assessments",
    "/assessments?kind=processing", "/assessments?kind=agencies",
)  # fmt: skip
WHY = "the debtor's letter of 1 March asks for it"
NAUGHTY = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"


def rows(desk: Desk, row: type) -> list[dict[str, object]]:
    with desk.database.read() as connection:
        return [dict(one) for one in connection.execute(select(bulk.table_of(row))).mappings()]


def account_of(desk: Desk, browser: Browser) -> tuple[str, str]:
    """A placed account: its lender, and the lender's own number for it, as a person finds it out."""
    placed = rows(desk, Placement)[0]
    agency, lender = str(placed["agency"]), str(placed["lender"])
    known_as = account_pseudonyms(desk.keyring.pseudonym_key(agency), pd.Series([placed["account_id"]])).iloc[0]
    shown = browser.send(
        "/identities", at="/identities", who=known_as, of=f"agency:{agency}", why=WHY, fields="account_ref", whole="1"
    )
    assert shown.status_code == 200
    found = re.search(r"account_ref</dt><dd>([^<]+)</dd>", shown.text)
    assert found
    return lender, found[1]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_page_of_compliance_opens(browse: As, language: str) -> None:
    browser = browse("compliance", language=language)
    for page in PAGES:
        assert browser.get(page).status_code == 200, page


def test_who_was_told_what_is_answered_once_and_the_question_is_on_record(browse: As, desk: Desk) -> None:
    browser = browse("compliance")
    lender, number = account_of(desk, browser)
    answer = browser.send("/disclosures", at="/disclosures", who=number, lender=lender, why=WHY)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert "balance" in answer.text
    asked = rows(desk, RegisterQuestion)[-1]
    assert (asked["actor"], asked["why"]) == ("sun.li", WHY)
    assert number not in browser.get("/disclosures").text
    told = json.loads(browser.send("/disclosures/evidence", at="/disclosures", who=number, lender=lender, why=WHY).text)
    assert files.check(json.dumps(told).encode()).ok
    table = browser.send("/disclosures/table", at="/disclosures", who=number, lender=lender, why=WHY)
    assert table.text.splitlines()[0].startswith("agency,kind,file")


def test_a_question_without_a_reason_is_refused_and_what_was_typed_is_not_repeated(browse: As) -> None:
    answer = browse("compliance").send(
        "/disclosures", at="/disclosures", who="6217000010001234567", lender="dongfang", why="x"
    )
    assert answer.status_code == 422
    assert "the reason says nothing" in answer.text
    assert "6217000010001234567" not in answer.text


def test_an_identity_is_masked_unless_the_whole_is_asked_for_and_either_is_on_record(browse: As, desk: Desk) -> None:
    browser = browse("compliance")
    lender, number = account_of(desk, browser)
    fields = {"who": number, "of": f"lender:{lender}", "why": WHY, "fields": ["name", "phone"]}
    masked = browser.send("/identities", at="/identities", **fields)
    assert "****" in masked.text
    assert number not in masked.text
    outcomes = [(one["actor"], one["outcome"], bool(one["whole"])) for one in rows(desk, Reidentification)]
    assert outcomes == [("sun.li", "shown", True), ("sun.li", "shown", False)]


def test_a_debtor_s_request_goes_from_letter_to_answer(browse: As, desk: Desk) -> None:
    browser = browse("compliance")
    lender, number = account_of(desk, browser)
    opened = browser.send("/requests", at="/requests", who=number, lender=lender, kind="access", ref="L-17")
    where = opened.headers["location"]
    assert opened.status_code == 303
    assert "L-17" in browser.get(where).text
    assert number not in browser.get(where).text
    early = browser.send(f"{where}/answer", at=where, how="access")
    assert early.status_code == 403
    assert browser.send(f"{where}/verify", at=where, proof="passport seen in person").status_code == 303
    answer = browser.send(f"{where}/answer", at=where, how="access")
    assert answer.headers["content-disposition"].startswith("attachment")
    assert files.check(answer.content).ok
    assert rows(desk, SubjectRequest)[0]["state"] == "answered"


def test_a_complaint_is_registered_taken_and_closed_and_its_text_cannot_script(browse: As, desk: Desk) -> None:
    browser = browse("compliance")
    lender, number = account_of(desk, browser)
    agency = str(rows(desk, Placement)[0]["agency"])
    form = {"ref": "C-1", "agency": agency, "lender": lender, "account": number, "category": "threat"}
    where = browser.send("/complaints", at="/complaints", **form).headers["location"]
    assert browser.send("/complaints", at="/complaints", **form).headers["location"] == "/complaints"
    assert browser.send(f"{where}/take", at=where).status_code == 303
    refused = browser.send(f"{where}/close", at=where, outcome="upheld", reason="")
    assert refused.status_code == 422
    browser.send(f"{where}/close", at=where, outcome="upheld", reason=NAUGHTY)
    page = browser.get(where).text
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert "C-1" in browser.get("/complaints?tab=closed").text


def test_a_policy_is_proposed_by_one_and_put_in_force_by_another(browse: As, desk: Desk) -> None:
    text = packaged.text("models", "policies", "cn-default").replace('name = "cn-default"', 'name = "ours"')
    mine, other = browse("compliance"), browse("second")
    mine.get("/policies")
    sent = mine.post("/policies", data={"_form": mine.word}, files={"file": ("ours.toml", text.encode())})
    where = sent.headers["location"]
    version = str(rows(desk, ReleasePolicy)[-1]["version"])
    assert "waits for a second person" in other.get("/policies").text
    assert mine.send(f"/policies/ours/{version}/approve", at=where).status_code == 403
    assert other.send(f"/policies/ours/{version}/approve", at=where).status_code == 303
    assert "In force" in mine.get("/policies/ours").text
    assert mine.send(f"/policies/ours/{version}/withdraw", at=where, reason="a try").status_code == 303
    assert {row["name"]: row["state"] for row in rows(desk, ReleasePolicy)}["ours"] == "withdrawn"


def test_a_file_that_is_no_policy_is_refused_with_what_is_wrong(browse: As) -> None:
    browser = browse("compliance")
    browser.get("/policies")
    for content in (b"\xff\xfe", b"name = ", b"x" * (2 << 20)):
        answer = browser.post("/policies", data={"_form": browser.word}, files={"file": ("../../x.toml", content)})
        assert answer.status_code == 422, content[:10]
        assert "What to do:" in answer.text


def test_breaches_are_heard_and_a_gate_is_lifted_by_two(browse: As, desk: Desk) -> None:
    planted(desk)
    conduct.audit_conduct(desk, everything=True)
    browser, other = browse("compliance"), browse("second")
    with desk.database.read() as connection:
        found = connection.execute(select(BREACHES.c.breach_id).order_by(BREACHES.c.breach_id)).scalars().first()
    page = browser.get("/breaches")
    assert f"/breaches/{found}" in page.text
    assert (
        browser.send(f"/breaches/{found}/decide", at=f"/breaches/{found}", there="upheld", reason="").status_code == 422
    )
    browser.send(f"/breaches/{found}/decide", at=f"/breaches/{found}", there="upheld", reason="the agency was heard")
    assert "the agency was heard" in browser.get(f"/breaches/{found}").text
    with desk.database.write() as connection:
        agency = rows(desk, Placement)[0]
        gate_id = connection.execute(
            GATES.insert()
            .values(
                agency=agency["agency"], lender=agency["lender"], pack="cn", gate="complaints", state="closed",
                measured=9, bound=5, since=desk.now(),
                looked_at=desk.now(), detail="",
            )
            .returning(GATES.c.gate_id)
        ).scalar_one()  # fmt: skip
    where = f"/gates/{gate_id}"
    assert browser.send(f"{where}/ask", at=where, until="2026-03-09", reason="they hired").status_code == 303
    assert browser.send(f"{where}/grant", at=where).status_code == 403
    assert other.send(f"{where}/grant", at=where).status_code == 303
    assert "Lifted" in browser.get(where).text or "lifted" in browser.get(where).text


def planted(desk: Desk) -> None:
    """A contact in the middle of the night stands in the store."""
    from infra.store.conduct import ACTIVITY

    with desk.database.write() as connection:
        one = connection.execute(select(ACTIVITY.c.activity_id).limit(1)).scalar_one()
        night = connection.execute(select(ACTIVITY.c.at).where(ACTIVITY.c.activity_id == one)).scalar_one()
        connection.execute(
            ACTIVITY.update().where(ACTIVITY.c.activity_id == one).values(at=night.replace(hour=19, minute=30))
        )


def test_the_trail_is_verified_proved_and_searched_and_a_rewritten_one_says_so(browse: As, desk: Desk) -> None:
    browser = browse("compliance")
    whole = browser.send("/audit/verify", at="/audit")
    assert whole.status_code == 200
    assert "The trail is whole" in whole.text
    proof = json.loads(browser.get("/audit/3/proof.json").text)
    assert proof["event"]["seq"] == 3
    assert "plan.approved" in browser.get("/audit?action=plan.approved").text
    assert "No such event." in browser.get("/audit?actor=nobody").text
    with desk.database.write() as connection:
        connection.exec_driver_sql("DROP TRIGGER audit_event_refuses_update")
        connection.exec_driver_sql("UPDATE audit_event SET actor = 'x' WHERE seq = 2")
    desk.settings.folder("audit").joinpath("verified.json").unlink()
    broken = browser.send("/audit/verify", at="/audit")
    assert broken.status_code == 409
    assert "The audit trail is broken" in broken.text


def test_only_compliance_asks_about_debtors(browse: As) -> None:
    for role in ("portfolio_manager", "finance", "operations", "administrator", "agency"):
        browser = browse(role)
        for page in ("/disclosures", "/identities", "/requests", "/audit", "/assessments"):
            assert browser.get(page).status_code == 403, (role, page)
