"""What was a command's alone for long: forgetting one debtor, removing a backup, asking for an escrow, client keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyrage
import pytest
from sqlalchemy import func, select, update
from starlette.testclient import TestClient

from console.web.app import create_app
from flows import jobs as working
from infra import backups, escrow, jobs
from infra.indexes import accounts_of
from infra.people import tokens
from infra.reidentification import opened_for_subject
from infra.sandbox.staff import SECOND, STAFF
from infra.store import bulk, keeping
from keys.errors import KeyDestroyed
from models.tables import Account, AuditEvent, Placement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from infra.wiring import Desk
    from tests.console.web.conftest import As

    Ask = Callable[..., Any]

WHY = "case 2026-12 of the city court"
AT = "/retention?tab=shreddings"


@pytest.fixture
def ask(desk: Desk) -> Iterator[Ask]:
    """`ask("chen.yu", "GET", "/plans")` is what that person's token gets."""
    given: dict[str, str] = {}
    with TestClient(create_app(desk), raise_server_exceptions=False) as client:

        def call(actor: str, method: str, path: str, body: Any = None) -> Any:
            if actor not in given:
                given[actor] = tokens.make(desk.acting(actor), actor, "tests").token
            headers = {"Authorization": f"Bearer {given[actor]}"}
            return client.request(method, f"/api/v1{path}", json=body, headers=headers)

        yield call


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
