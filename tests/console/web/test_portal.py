"""The agency's portal: its own files, keys, statements and scorecard, and not one byte of another's."""

from __future__ import annotations

import io
import re
import zipfile
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from infra.sandbox.staff import CLERK
from infra.store import bulk
from infra.store.exchange import AGENCIES, FILES
from models.kinds import KINDS
from models.tables import AuditEvent, KeyRequest, Person, Statement

if TYPE_CHECKING:
    from infra.wiring import Desk
    from tests.console.web.conftest import As, Browser

PAGES = (
    "/portal", "/portal/keys", "/portal/check", "/portal/files", "/portal/files?tab=sent", "/portal/statements",
    "/portal/scorecard", "/portal/scorecard/style.css", "/portal/erasures", "/portal/erasures?tab=certified",
)  # fmt: skip
COLUMNS = [field.name for field in KINDS["remittance"].fields]


def remittance(**cells: str) -> bytes:
    """A table of one line; what is not said is empty."""
    line = ",".join('"' + cells.get(name, "").replace('"', '""') + '"' for name in COLUMNS)
    return (",".join(COLUMNS) + "\n" + line + "\n").encode()


def others(desk: Desk) -> tuple[str, list[str]]:
    """The clerk's agency, and the codes and names of every other."""
    people = bulk.table_of(Person)
    with desk.database.read() as connection:
        own = connection.execute(select(people.c.agency).where(people.c.actor == CLERK)).scalar_one()
        rows = connection.execute(select(AGENCIES.c.agency, AGENCIES.c.name)).all()
    return str(own), [word for row in rows if row.agency != own for word in (row.agency, row.name)]


def numbers(desk: Desk, table: Any, key: str, agency: str, *, own: bool) -> list[int]:
    columns = table.c
    whose = columns.agency == agency if own else columns.agency != agency
    with desk.database.read() as connection:
        return list(connection.execute(select(columns[key]).where(whose)).scalars())


def checked(browser: Browser, content: bytes, name: str, kind: str = "", path: str = "/portal/check") -> Any:
    browser.get("/portal/check")
    return browser.post(path, data={"_form": browser.word, "kind": kind}, files={"file": (name, content)})


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_page_of_the_portal_opens_and_names_no_other_agency(browse: As, desk: Desk, language: str) -> None:
    own, foreign = others(desk)
    browser = browse("agency", language=language)
    assert browser.get("/").headers["location"] == "/portal"
    files = numbers(desk, FILES, "file_id", own, own=True)
    for page in (*PAGES, *(f"/portal/files/{number}" for number in files[:3])):
        answer = browser.get(page)
        assert answer.status_code == 200, page
        assert not [word for word in foreign if re.search(rf"\b{re.escape(word)}\b", answer.text)], page


def test_what_is_another_agency_s_does_not_exist(browse: As, desk: Desk) -> None:
    own, foreign = others(desk)
    browser = browse("agency")
    theirs = numbers(desk, FILES, "file_id", own, own=False)
    stated = numbers(desk, bulk.table_of(Statement), "statement_id", own, own=False)
    assert theirs
    assert stated
    walked = [f"/portal/files/{number}" for number in theirs[:20]]
    walked += [f"/portal/files/{number}/rejects.xlsx" for number in theirs[:20]]
    walked += [f"/portal/statements/{number}/file?form={form}" for number in stated for form in ("pdf", "csv", "xlsx")]
    for page in walked:
        answer = browser.get(page)
        assert answer.status_code == 404, page
        assert not [word for word in foreign if word in answer.text], page


def test_the_lender_s_people_have_no_portal(browse: As) -> None:
    for role in ("portfolio_manager", "administrator", "second"):
        assert browse(role).get("/portal").status_code == 403


def test_a_file_is_checked_and_neither_stored_nor_delivered(browse: As, desk: Desk) -> None:
    browser = browse("agency")
    bad = remittance(
        account="psn_x", agency_txn_id="HR-1", type="recovery", gross="1.250,00", net="9.00", currency="CNY",
        value_date="2026-02-01",
    )  # fmt: skip
    before = sorted(path.name for path in desk.folder("scratch").iterdir())
    answer = checked(browser, bad, "remittance.csv", "remittance")
    assert answer.status_code == 200
    text = answer.text
    assert "There is a problem" in text
    assert "1.250,00" in text
    assert sorted(path.name for path in desk.folder("scratch").iterdir()) == before
    zh = checked(browse("agency", language="zh"), bad, "remittance.csv", "remittance").text
    assert "有问题" in zh


def test_what_a_file_holds_is_shown_as_text_and_reported_without_formulas(browse: As) -> None:
    browser = browse("agency")
    bad = remittance(
        account="psn_x", agency_txn_id="<script>alert(1)</script>", type="=1+1", gross="=cmd()", net="<b>",
        currency="CNY", value_date="2026-02-01",
    )  # fmt: skip
    page = checked(browser, bad, '"><img src=x>.csv', "remittance").text
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    made = checked(browser, bad, "remittance.csv", "remittance", "/portal/check/report")
    with zipfile.ZipFile(io.BytesIO(made.content)) as book:
        sheet = book.read("xl/worksheets/sheet1.xml").decode()
        strings = book.read("xl/sharedStrings.xml").decode()
    assert "<f>" not in sheet
    assert "=cmd()" in strings


def test_a_bomb_and_a_name_that_climbs_are_told_as_what_they_are(browse: As, desk: Desk) -> None:
    browser = browse("agency")
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("remittance.csv", b"0" * (64 << 20))
        packed.writestr("datapackage.json", b"{}")
    answer = checked(browser, bomb.getvalue(), "../../../../etc/remittance.zip")
    assert answer.status_code in {200, 422}
    assert "There is a problem" in answer.text
    assert not list(desk.folder("scratch").rglob("remittance*"))


def test_keys_that_an_agency_hands_in_wait_however_the_house_is_set(browse: As, desk: Desk) -> None:
    own, _ = others(desk)
    with desk.database.read() as connection:
        suite = connection.execute(select(AGENCIES.c.suite).where(AGENCIES.c.agency == own)).scalar_one()
    public = desk.keyring.public_keys(suite, desk.now())
    browser = browse("agency")
    sent = browser.send("/portal/keys", at="/portal/keys", encrypt=public["encrypt"], verify=public["verify"])
    assert sent.status_code == 303, sent.text
    with desk.database.read() as connection:
        asked = connection.execute(select(bulk.table_of(KeyRequest))).all()
    assert [(row.agency, row.state, row.asked_by) for row in asked] == [(own, "waiting", CLERK)]
    assert browser.send("/portal/keys", at="/portal/keys", encrypt="no key").status_code in {400, 403, 422}
    compared = {"fingerprint": public["fingerprint"], "encrypt_fingerprint": public["encrypt_fingerprint"]}
    assert browser.send("/portal/keys/compared", at="/portal/keys", **compared).status_code == 303
    assert browser.send("/portal/keys/compared", at="/portal/keys", fingerprint="other").status_code == 422
    with desk.database.read() as connection:
        events = bulk.table_of(AuditEvent)
        last = connection.execute(select(events.c.action, events.c.actor).order_by(events.c.seq.desc()).limit(1)).one()
    assert tuple(last) == ("agency.our_keys_compared", CLERK)


def test_a_statement_s_own_files_come_back_as_they_were_stated(browse: As, desk: Desk) -> None:
    own, _ = others(desk)
    browser = browse("agency")
    stated = numbers(desk, bulk.table_of(Statement), "statement_id", own, own=True)
    assert stated
    answer = browser.get(f"/portal/statements/{stated[0]}/file?form=pdf")
    assert answer.content.startswith(b"%PDF")
    assert browser.get(f"/portal/statements/{stated[0]}/file?form=../../x").status_code == 422
