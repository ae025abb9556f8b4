"""What was a command's alone for long: forgetting one debtor, removing a backup, asking for an escrow, client keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyrage
import pytest
from sqlalchemy import func, select, text, update

from console.web.pages.operations import BY_HAND
from flows import jobs as working
from infra import backups, escrow, jobs, shredding
from infra.indexes import accounts_of
from infra.propensity import switching
from infra.reidentification import opened_for_subject
from infra.sandbox.staff import SECOND, STAFF
from infra.store import bulk, keeping
from keys.errors import KeyDestroyed
from models.tables import Account, AuditEvent, Placement

if TYPE_CHECKING:
    from infra.wiring import Desk
    from tests.console.web.conftest import As, Ask, PageAs


WHY = "case 2026-12 of the city court"
AT = "/retention?tab=shreddings"


def number_of(desk: Desk) -> tuple[str, int]:
    """An account's number as its lender has it, and the debtor's; the debtor has that account alone."""
    accounts = bulk.table_of(Account)
    with desk.database.read() as connection:
        alone = select(accounts.c.debtor_id).where(accounts.c.lender == "harbour").group_by(accounts.c.debtor_id)
        row = connection.execute(
            select(accounts.c.account_id, accounts.c.debtor_id)
            .where(accounts.c.debtor_id.in_(alone.having(func.count() == 1)))
            .order_by(accounts.c.account_id)
        ).first()
    assert row is not None
    (told,) = opened_for_subject(desk.acting(STAFF["compliance"]), [row.account_id], WHY)
    return str(told["account_ref"]), row.debtor_id


def ran(desk: Desk, number: int) -> Any:
    """The job, once it was worked off."""
    working.work_off(desk)
    return jobs.found(desk, number)


def returned(desk: Desk) -> None:
    """No agency has an account any more."""
    with desk.database.write() as connection:
        connection.execute(update(bulk.table_of(Placement)).values(state="closed"))


def recorded(desk: Desk, action: str) -> list[tuple[str, str]]:
    """Who did that, and with which details."""
    events = bulk.table_of(AuditEvent)
    with desk.database.read() as connection:
        rows = connection.execute(select(events.c.actor, events.c.details).where(events.c.action == action))
        return [(row.actor, row.details) for row in rows]


# --- forgetting one debtor --------------------------------------------------------------------------------------------


def test_a_debtor_is_forgotten_when_a_second_person_agrees_and_the_number_is_kept_nowhere(
    browse: As, desk: Desk
) -> None:
    number, debtor = number_of(desk)
    officer, second = browse("compliance"), browse("second")
    unknown = officer.send("/retention/debtors", at=AT, lender="harbour", who="no-such-number", why=WHY)
    assert (unknown.status_code, "no-such-number" in unknown.text, WHY in unknown.text) == (422, False, True)
    assert officer.send("/retention/debtors", at=AT, lender="harbour", who=number, why="").status_code == 422
    asked = officer.send("/retention/debtors", at=AT, lender="harbour", who=number, why=WHY)
    assert (asked.status_code, number in asked.headers["location"]) == (303, False)
    page = officer.get(AT).text
    assert (f"Debtor {debtor} of" in page, number in page) == (True, False)
    assert officer.send("/retention/shreddings/1/approve", at=AT).status_code == 403
    assert second.send("/retention/shreddings/1/approve", at=AT).status_code == 403, "an agency has the account"
    returned(desk)
    location = second.send("/retention/shreddings/1/approve", at=AT).headers["location"]
    job = ran(desk, int(location.removeprefix("/jobs/")))
    assert (job.state, job.error) == ("done", "")
    with desk.database.read() as connection:
        (row,) = keeping.shreddings(connection).rows
        assert accounts_of(connection, desk.keyring, "harbour", number) == []
    assert (row["kind"], row["state"], row["accounts"], row["debtors"]) == ("debtor", "done", 1, 1)
    assert (row["asked_by"], row["approved_by"]) == (STAFF["compliance"], SECOND)
    assert "Done" in officer.get(AT).text
    refused = browse("finance").send("/retention/debtors", at="/", lender="harbour", who=number, why=WHY)
    assert refused.status_code == 403


def test_a_debtor_is_forgotten_through_the_api_by_two(ask: Ask, desk: Desk) -> None:
    number, _ = number_of(desk)
    body = {"lender": "harbour", "who": number, "why": WHY}
    assert ask(STAFF["finance"], "POST", "/shreddings/debtors", body).status_code == 403
    assert ask(STAFF["compliance"], "POST", "/shreddings/debtors", body | {"who": "nobody"}).status_code == 422
    made = ask(STAFF["compliance"], "POST", "/shreddings/debtors", body)
    assert (made.status_code, made.json()) == (201, {"shredding_id": 1})
    listed = ask(STAFF["compliance"], "GET", "/shreddings?state=waiting").json()["items"]
    assert [(one["kind"], one["lender"]) for one in listed] == [("debtor", "harbour")]
    returned(desk)
    assert ask(STAFF["compliance"], "POST", "/shreddings/1/approve").status_code == 403
    job = ask(SECOND, "POST", "/shreddings/1/approve").json()["job_id"]
    assert ran(desk, job).state == "done"
    with desk.database.read() as connection:
        assert accounts_of(connection, desk.keyring, "harbour", number) == []


# --- backups and the keyring ------------------------------------------------------------------------------------------


def test_a_backup_is_removed_with_a_reason_but_never_the_newest(browse: As, ask: Ask, desk: Desk) -> None:
    names = [backups.make(desk).name for _ in range(3)]
    administrator = browse("administrator")
    page = administrator.get("/backups").text
    assert f'<option value="{names[0]}">' in page
    assert f'<option value="{names[2]}">' not in page
    for wrong in ({"name": names[0], "why": ""}, {"name": "../keyring", "why": WHY}):
        assert administrator.send("/backups/remove", at="/backups", **wrong).status_code == 422
    newest = administrator.send("/backups/remove", at="/backups", name=names[2], why=WHY)
    assert (newest.status_code, "the newest one" in newest.text) == (403, True)
    assert browse("operations").send("/backups/remove", at="/backups", name=names[0], why=WHY).status_code == 403
    assert administrator.send("/backups/remove", at="/backups", name=names[0], why=WHY).status_code == 303
    me = STAFF["administrator"]
    assert ask(STAFF["operations"], "POST", f"/backups/{names[1]}/remove", {"why": WHY}).status_code == 403
    assert ask(me, "POST", f"/backups/{names[2]}/remove", {"why": WHY}).status_code == 403
    assert ask(me, "POST", f"/backups/{names[1]}/remove", {"why": "\u6848\u4ef6"}).status_code == 422
    assert ask(me, "POST", f"/backups/{names[1]}/remove", {"why": WHY}).status_code == 204
    assert [one.name for one in backups.listed(desk)] == [names[2]]
    assert [(actor, WHY in details) for actor, details in recorded(desk, "backup.removed")] == [(me, True)] * 2
    with pytest.raises(KeyDestroyed):
        desk.keyring.backup_identity(names[0])


def test_an_escrow_is_asked_for_in_the_browser_and_nothing_of_the_keyring_comes_through_it(
    browse: As, ask: Ask, desk: Desk
) -> None:
    recipient = str(pyrage.x25519.Identity.generate().to_public())
    administrator = browse("administrator")
    given = {"holder": "the notary", "recipient": recipient, "why": "by resolution 7 of March"}
    for wrong in ({"recipient": "AGE-SECRET-KEY-1NOTONE"}, {"holder": " "}, {"why": "because"}):
        answer = administrator.send("/backups/keyring", at="/backups", **given | wrong)
        assert (answer.status_code, "There is a problem" in answer.text) == (422, True)
        assert "AGE-SECRET-KEY" not in answer.text
    assert administrator.send("/backups/keyring", at="/backups", **given).status_code == 303
    assert "by resolution 7 of March" in administrator.get("/backups").text
    assert browse("operations").send("/backups/keyring", at="/backups", **given).status_code == 403
    me = STAFF["administrator"]
    assert ask(STAFF["operations"], "POST", "/escrows", given).status_code == 403
    assert ask(me, "POST", "/escrows", given | {"recipient": "age1nobody"}).status_code == 422
    made = ask(me, "POST", "/escrows", given)
    assert (made.status_code, made.json()) == (201, {"escrow_id": 2})
    rows = escrow.listed(desk)
    assert [(row["kind"], row["state"], row["asked_by"], row["recipient"]) for row in rows] == [
        ("export", "waiting", me, recipient)
    ] * 2


# --- how an agency's server is reached --------------------------------------------------------------------------------


def test_client_keys_are_made_listed_confirmed_and_retired_through_the_api(ask: Ask) -> None:
    me, at = STAFF["operations"], "/agencies/quayside/credentials"
    first = ask(me, "POST", at)
    assert (first.status_code, first.json()["line"].startswith("ssh-ed25519 ")) == (201, True)
    second = ask(me, "POST", at).json()
    listed = ask(me, "GET", at).json()["items"]
    assert [one["generation"] for one in listed][:2] == [second["generation"], first.json()["generation"]]
    assert "secret" not in str(listed).lower()
    retired = {"generation": first.json()["generation"]}
    assert ask(me, "POST", f"{at}/retire", retired).status_code == 403, "no other one was let in"
    assert ask(me, "POST", f"{at}/retire", retired | {"anyway": True}).json()["state"] == "revoked"
    assert ask(STAFF["finance"], "POST", at).status_code == 403
    assert ask(me, "POST", "/agencies/nobody/credentials").status_code == 422


@pytest.mark.parametrize(("path", "verb"), [("host-keys/scan", "scan_host"), ("credentials/confirm", "confirm_login")])
def test_a_server_is_looked_at_by_a_job_that_the_api_asks_for(ask: Ask, desk: Desk, path: str, verb: str) -> None:
    answer = ask(STAFF["operations"], "POST", f"/agencies/quayside/{path}")
    assert (answer.status_code, answer.json()["verb"]) == (202, verb)
    assert jobs.found(desk, answer.json()["job_id"]).actor == STAFF["operations"]
    assert ask(STAFF["operations"], "POST", f"/agencies/nobody/{path}").status_code == 422
    assert ask(STAFF["compliance"], "POST", f"/agencies/quayside/{path}").status_code == 403


def test_a_circuit_is_reset_through_the_api(ask: Ask) -> None:
    at = "/agencies/quayside/circuit/reset"
    assert ask(STAFF["portfolio_manager"], "POST", at).json() == {"reset": False}
    assert ask(STAFF["finance"], "POST", at).status_code == 403
    assert ask(STAFF["operations"], "POST", "/agencies/nobody/circuit/reset").status_code == 422


# --- what runs by itself, and the books -------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", BY_HAND)
def test_what_runs_by_itself_is_run_now_by_a_job(browse: As, desk: Desk, verb: str) -> None:
    operator = browse("operations")
    assert f'<option value="{verb}">' in operator.get("/operations").text
    location = operator.send("/operations/run", at="/operations", verb=verb).headers["location"]
    job = ran(desk, int(location.removeprefix("/jobs/")))
    assert (job.verb, job.state, job.error) == (verb, "done", "")
    assert operator.get(location).status_code == 200


def test_only_operations_runs_it_and_nothing_else_than_that(browse: As) -> None:
    assert browse("operations").send("/operations/run", at="/operations", verb="place").status_code == 422
    administrator = browse("administrator")
    assert "/operations/run" not in administrator.get("/operations").text
    assert administrator.send("/operations/run", at="/operations", verb="watch").status_code == 403


def test_every_law_of_the_books_is_checked_by_a_job_and_a_crooked_entry_is_found(browse: As, desk: Desk) -> None:
    clerk = browse("finance")
    location = clerk.send("/ledger/verify", at="/ledger").headers["location"]
    job = ran(desk, int(location.removeprefix("/jobs/")))
    assert (job.state, job.error) == ("done", "")
    with desk.database.write() as connection:
        guards = select(text("name")).select_from(text("sqlite_master")).where(text("type = 'trigger'"))
        for name in connection.execute(guards.where(text("tbl_name = 'journal_line'"))).scalars().all():
            connection.execute(text(f"DROP TRIGGER {name}"))
        connection.execute(text("UPDATE journal_line SET amount_minor = amount_minor + 1 WHERE journal_line_id = 1"))
    location = clerk.send("/ledger/verify", at="/ledger").headers["location"]
    job = ran(desk, int(location.removeprefix("/jobs/")))
    assert (job.state, "the books do not hold" in job.error) == ("failed", True)


# --- a data breach ----------------------------------------------------------------------------------------------------


def test_a_data_breach_is_drafted_printed_and_its_debtors_listed_and_that_is_on_record(browse: As, desk: Desk) -> None:
    officer = browse("compliance")
    assert officer.get("/assessments").text.count("/assessments/breach") == 1
    assert "GDPR-33" not in officer.get("/assessments/breach").text
    page = officer.get("/assessments/breach?agency=quayside&known=2026-02-27T09:30").text
    assert ("GDPR art. 33" in page or "33" in page, "PIPL" in page) == (True, True)
    assert "2026" in page
    for wrong in ("begins=soon", "known=soon", "begins=2031-01-01", "file=nothing.age"):
        assert officer.get(f"/assessments/breach?agency=quayside&{wrong}").status_code == 422, wrong
    assert officer.get("/assessments/breach?agency=nobody").status_code == 422
    printed = officer.get("/assessments/breach/draft.html?agency=quayside")
    assert printed.text.startswith("<!")
    assert officer.get("/assessments/breach/draft.csv?agency=quayside").text.count("\n") > 1
    assert officer.get("/assessments/breach/draft.exe?agency=quayside").status_code == 422
    listed = officer.send("/assessments/breach/pseudonyms.csv", at="/assessments/breach", agency="quayside")
    lines = listed.text.splitlines()
    assert (lines[0], len(lines) > 2) == ("debtor,generation", True)
    assert [actor for actor, _ in recorded(desk, "report.pseudonyms")] == [STAFF["compliance"]]
    assert officer.send("/assessments/breach/pseudonyms.csv", at="/assessments", agency="nobody").status_code == 422
    assert browse("operations").get("/assessments/breach").status_code == 403


def test_drafts_come_through_the_api_too(ask: Ask, desk: Desk) -> None:
    me = STAFF["compliance"]
    for kind in ("impact", "processing", "agencies"):
        told = ask(me, "GET", f"/reports/{kind}").json()
        assert (told["kind"], told["audit_head"] != "", len(told["sections"]) > 0) == (kind, True, True)
    given = {"agency": "quayside", "known_at": "2026-02-27T09:30:00+00:00"}
    draft = ask(me, "POST", "/reports/breach", given).json()
    assert [one["name"] for one in draft["sections"]] == ["affected", "files", "clocks"]
    assert draft["scope"]["known_at"].startswith("2026-02-27T09:30")
    assert ask(me, "POST", "/reports/breach", given | {"known_at": "2026-02-27T09:30:00"}).status_code == 422
    listed = ask(me, "POST", "/reports/breach/pseudonyms", {"agency": "quayside"}).json()["items"]
    assert len(listed) == len({(one["debtor"], one["generation"]) for one in listed}) > 0
    assert len(recorded(desk, "report.pseudonyms")) == 1
    assert ask(STAFF["finance"], "GET", "/reports/impact").status_code == 403
    assert ask(STAFF["finance"], "POST", "/reports/breach/pseudonyms", {"agency": "quayside"}).status_code == 403


# --- what else the API had not ----------------------------------------------------------------------------------------


def test_the_books_come_through_the_api_and_their_balances_come_to_nothing(ask: Ask) -> None:
    me = STAFF["finance"]
    rows = ask(me, "GET", "/ledger?lender=harbour").json()["items"]
    sums: dict[str, int] = {}
    for row in rows:
        sums[row["currency"]] = sums.get(row["currency"], 0) + row["balance_minor"]
    assert (len(rows) > 3, set(sums.values())) == (True, {0})
    bank = next(row for row in rows if row["ledger"] == "1010")
    entries = ask(me, "GET", "/ledger/entries?lender=harbour&ledger=1010").json()["items"]
    assert sum(one["debit_minor"] - one["credit_minor"] for one in entries) == bank["balance_minor"]
    assert ask(me, "GET", "/ledger?lender=harbour&period=soon").status_code == 422


def test_a_payment_run_is_proposed_through_the_api_from_what_is_due(ask: Ask) -> None:
    me = STAFF["finance"]
    due = [one for one in ask(me, "GET", "/payments/due?lender=harbour").json()["items"] if one["why_not"] is None]
    given = {"lender": "harbour", "currency": due[0]["currency"], "account": "6222000011112222333",
             "bank": "102100099996", "agencies": [due[0]["agency"]]}  # fmt: skip
    assert ask(STAFF["compliance"], "POST", "/payment-runs", given).status_code == 403
    assert ask(me, "POST", "/payment-runs", given | {"currency": "cny"}).status_code == 422
    made = ask(me, "POST", "/payment-runs", given)
    assert made.status_code == 201, made.text
    (run,) = ask(me, "GET", "/payment-runs?state=proposed").json()["items"]
    assert (run["run_id"], run["lender"], run["proposed_by"]) == (made.json()["run_id"], "harbour", me)


def test_what_is_not_there_is_taken_back_by_nobody_through_the_api(ask: Ask) -> None:
    me = STAFF["finance"]
    for path in ("/reopenings/99/withdraw", "/resolutions/99/withdraw"):
        assert ask(me, "POST", path).status_code == 422, path
        assert ask(STAFF["operations"], "POST", path).status_code == 403, path
    officer = STAFF["compliance"]
    for path, body in (
        ("/complaints/99/take", {}), ("/subject-requests/99/answer", {}),
        ("/subject-requests/99/evidence", {"why": WHY}),
        ("/subject-requests/99/correct", {"field": "phone", "value": None}),
    ):  # fmt: skip
        assert ask(officer, "POST", path, body).status_code == 422, path
        assert ask(me, "POST", path, body).status_code == 403, path


def test_a_debtors_request_is_corrected_proved_and_answered_through_the_api_as_on_its_page(
    browse: As, ask: Ask, desk: Desk
) -> None:
    number, _ = number_of(desk)
    me = STAFF["compliance"]
    given = {"lender": "harbour", "who": number, "kind": "correction", "fields": ["phone"]}
    request = ask(me, "POST", "/subject-requests", given).json()["request_id"]
    at = f"/subject-requests/{request}"
    ask(me, "POST", f"{at}/verify", {"proof": "came in person"})
    assert ask(me, "POST", f"{at}/correct", {"field": "name", "value": "x"}).status_code == 422
    corrected = ask(me, "POST", f"{at}/correct", {"field": "phone", "value": "13800138000"})
    assert (corrected.status_code, "13800138000" in corrected.text) == (200, False)
    officer = browse("compliance")
    page = officer.send(f"/requests/{request}/evidence", at=f"/requests/{request}", why=WHY)
    assert f"request-{request}-evidence.json" in page.headers["content-disposition"]
    evidence = ask(me, "POST", f"{at}/evidence", {"why": WHY}).json()
    assert evidence.keys() == page.json().keys()
    assert officer.send(f"/requests/{request}/evidence", at=f"/requests/{request}", why="").status_code == 422
    working.work_off(desk)
    answered = ask(me, "POST", f"{at}/answer", {})
    assert (answered.status_code, "waits for" in answered.json()["detail"]) == (403, True)


def test_what_the_gate_saw_and_who_asked_come_through_the_api(browse: As, ask: Ask) -> None:
    me = STAFF["compliance"]
    looks = ask(me, "GET", "/gate/files").json()["items"]
    assert len(looks) > 5
    one = ask(me, "GET", f"/gate/files/{looks[0]['name']}").json()
    assert (one["verdict"], one["name"]) == (looks[0]["verdict"], looks[0]["name"])
    assert ask(me, "GET", "/gate/files/nothing.age").status_code == 422
    assert ask(me, "GET", "/disclosures/asked").json()["items"] == []
    browse("compliance").send("/disclosures", at="/disclosures", who="nobody", of="lender:harbour", why=WHY)
    assert [one["actor"] for one in ask(me, "GET", "/disclosures/asked").json()["items"]] == [me]


def test_agencies_are_told_of_a_pair_of_ours_through_the_api(ask: Ask, desk: Desk) -> None:
    me = STAFF["operations"]
    made = ask(me, "POST", "/keys", {"suite": "age", "announce": False}).json()["items"]
    newest = max((one for one in made if one["owner"] == "age"), key=lambda one: int(one["generation"]))
    told = ask(me, "POST", "/keys/announce", {"suite": "age", "generation": newest["generation"]})
    assert (told.status_code, len(told.json()["agencies"]) > 0) == (200, True)
    sends = jobs.newest(desk, "deliver", {})
    assert sends is not None
    assert sends.actor == me
    assert ask(STAFF["finance"], "POST", "/keys/announce", {"suite": "age", "generation": "1"}).status_code == 403


# --- looked at --------------------------------------------------------------------------------------------------------


@pytest.mark.browser
@pytest.mark.parametrize(
    ("language", "size", "dark"), [("en", (1440, 900), False), ("zh", (390, 844), True)], ids=["desk", "phone"]
)
def test_these_pages_pass_axe_with_everything_open_in_both_languages(
    page_as: PageAs, desk: Desk, language: str, size: tuple[int, int], *, dark: bool
) -> None:
    number, _ = number_of(desk)
    shredding.ask_debtor(desk.acting(STAFF["compliance"]), "harbour", number, WHY)
    switching.propose(desk.acting(STAFF["portfolio_manager"]), "shown", WHY)
    for _ in range(2):
        backups.make(desk)
    window = page_as("second", language, size, dark=dark)
    for path in (AT, "/backups", "/propensity", "/operations", "/assessments/breach?agency=quayside", "/ledger"):
        page = window.go(path)
        page.evaluate("document.querySelectorAll('main details').forEach(part => { part.open = true })")
        window.look()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
