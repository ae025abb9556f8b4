"""Collecting together at the console: bases by two people, persons by numbers alone, joint payments and their split."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from sqlalchemy import func, select, update

from flows.jobs import work_off
from infra.indexes import linkage_pseudonyms
from infra.packages import account_pseudonyms
from infra.store import bulk, joint
from models.tables import Account, AuditEvent, ConsolidationBasis, Debtor, JointPayment, LinkedDebtor, Placement

if TYPE_CHECKING:
    from infra.wiring import Desk
    from tests.console.web.conftest import Console, PageAs

BASES, DEBTORS, LINKED = bulk.table_of(ConsolidationBasis), bulk.table_of(Debtor), bulk.table_of(LinkedDebtor)
PLACEMENTS, ACCOUNTS, PAYMENTS = bulk.table_of(Placement), bulk.table_of(Account), bulk.table_of(JointPayment)
EVENTS = bulk.table_of(AuditEvent)
AT = "/consolidation"
ANNA = "11010519491231002X"
TERMS = {
    "circle": "delta", "scope": "external", "basis": "PIPL art. 13(1)(1), agreement of 1 March 2026",
    "evidence": "register 7/2026", "split_order": "oldest_first",
}  # fmt: skip


def same_person(desk: Desk, agency: str = "quayside", *, other_agency: str = "") -> dict[str, int]:
    """One debtor of each lender is the same person, with the agency; by lender. other_agency: has lotus's accounts."""
    found = {}
    with desk.database.write() as connection:
        for lender, wanted in (("harbour", agency), ("lotus", other_agency or agency)):
            debtor = connection.execute(
                select(func.min(PLACEMENTS.c.debtor_id)).where(
                    PLACEMENTS.c.lender == lender, PLACEMENTS.c.agency == wanted,
                    PLACEMENTS.c.state.in_(("placed", "acknowledged")),
                )
            ).scalar_one()  # fmt: skip
            lines = pd.DataFrame({"id_number": pd.Series([ANNA], dtype="str")})
            linkage = linkage_pseudonyms(desk.keyring, lender, lines).iloc[0]
            connection.execute(update(DEBTORS).where(DEBTORS.c.debtor_id == debtor).values(linkage=linkage))
            found[lender] = int(debtor)
    return found


def in_force(browse: Any, desk: Desk, **more: Any) -> None:
    """Both lenders have a basis that a second person approved, and links were looked up."""
    manager, compliance = browse("portfolio_manager"), browse("compliance")
    for lender in ("harbour", "lotus"):
        where = manager.send(AT, at=AT, lender=lender, **(TERMS | more)).headers["location"]
        assert compliance.send(f"{where}/approve", at=where).headers["location"].startswith("/jobs/")
    work_off(desk)


def test_a_basis_is_proposed_by_one_person_and_counts_when_another_of_compliance_approves(
    browse: Any, desk: Desk
) -> None:
    manager, compliance = browse("portfolio_manager"), browse("compliance")
    same_person(desk)
    assert "nobody's accounts are collected together" in manager.get(AT).text
    where = manager.send(AT, at=AT, lender="harbour", **TERMS).headers["location"]
    assert manager.send(f"{where}/approve", at=where).status_code == 403
    assert browse("finance").send(f"{where}/withdraw", at=where, reason="no").status_code == 403
    own = compliance.send(AT, at=AT, lender="lotus", **TERMS).headers["location"]
    assert compliance.send(f"{own}/approve", at=own).status_code == 403, "one's own"
    assert compliance.send(f"{where}/approve", at=where).status_code == 303
    assert browse("second").send(f"{own}/approve", at=own).status_code == 303
    with desk.database.read() as connection:
        states = connection.execute(select(BASES.c.state)).scalars().all()
        assert connection.execute(select(func.count()).select_from(LINKED)).scalar_one() == 0
    assert states == ["in_force", "in_force"]
    work_off(desk)
    with desk.database.read() as connection:
        assert connection.execute(select(func.count()).select_from(LINKED)).scalar_one() == 2
    assert compliance.send(f"{where}/withdraw", at=where, reason=" ").status_code == 422
    assert compliance.send(f"{where}/withdraw", at=where, reason="the agreement ended").status_code == 303
    assert "the agreement ended" in manager.get(where).text
    work_off(desk)
    with desk.database.read() as connection:
        assert connection.execute(select(func.count()).select_from(LINKED)).scalar_one() == 0


def test_words_that_make_no_basis_are_refused_and_what_was_typed_stays(browse: Any, desk: Desk) -> None:
    manager = browse("portfolio_manager")
    for wrong in (
        {"circle": "Not A Name"}, {"scope": "planet"}, {"basis": " "}, {"evidence": ""}, {"split_rank": "0"},
        {"valid_from": "soon"}, {"valid_from": "2026-05-01", "valid_until": "2026-04-01"}, {"split_order": "by luck"},
        {"lender": "nobody"},
    ):  # fmt: skip
        answer = manager.send(AT, at=AT, **({"lender": "harbour"} | TERMS | wrong))
        assert answer.status_code == 422, wrong
        assert "PIPL art. 13" in answer.text or wrong == {"basis": " "}
    with desk.database.read() as connection:
        assert connection.execute(select(func.count()).select_from(BASES)).scalar_one() == 0
    with_document = manager.post(
        AT, data={"_form": manager.word, "lender": "harbour", **TERMS}, files={"document": ("a.pdf", b"%PDF-1.7 x")}
    )
    assert "Hash of the document" in manager.get(with_document.headers["location"]).text
    assert manager.get(f"{AT}/bases/99").status_code == 422


def test_compliance_alone_sees_persons_by_numbers_and_that_it_looked_is_on_record(browse: Any, desk: Desk) -> None:
    debtors = same_person(desk, other_agency="lantern")
    compliance = browse("compliance")
    assert "nobody is linked" in compliance.get(f"{AT}/people").text
    in_force(browse, desk)
    page = compliance.get(f"{AT}/people").text
    for debtor in debtors.values():
        assert f'<span class="code">{debtor}</span>' in page
    assert "with several agencies" in page
    assert str(debtors["harbour"]) in compliance.get(f"{AT}/people?divided=1").text
    with desk.database.read() as connection:
        links = connection.execute(select(LINKED.c.link)).scalars().all()
        looked = connection.execute(select(EVENTS.c.actor).where(EVENTS.c.action == "consolidation.looked")).scalars()
        assert set(looked) == {"sun.li"}
    assert links
    assert not any(link in page for link in links)
    assert browse("portfolio_manager").get(f"{AT}/people").status_code == 403
    assert compliance.get(f"{AT}/people?circle=nobody").status_code == 422


def test_persons_are_paged_by_key_and_none_is_left_out_or_told_twice(browse: Any, desk: Desk) -> None:
    in_force(browse, desk)
    with desk.database.write() as connection:
        own = {
            lender: connection.execute(
                select(DEBTORS.c.debtor_id).where(DEBTORS.c.lender == lender).order_by(DEBTORS.c.debtor_id)
            ).scalars().all()
            for lender in ("harbour", "lotus")
        }  # fmt: skip
        pairs = list(zip(own["harbour"][:57], own["lotus"][:57], strict=True))
        rows = pd.DataFrame([
            {"circle": "delta", "debtor_id": debtor, "lender": lender, "link": f"{number:064x}"}
            for number, pair in enumerate(pairs) for lender, debtor in zip(own, pair, strict=True)
        ])  # fmt: skip
        bulk.append(connection, LINKED, rows.assign(linked_at=pd.Timestamp(desk.now())))
    seen, after = [], None
    with desk.database.read() as connection:
        while True:
            page = joint.persons(connection, "delta", desk.today(), after)
            seen += page.rows
            if (after := page.after) is None:
                break
        divided = joint.persons(connection, "delta", desk.today(), divided=True)
    assert [row["debtor_id"] for row in seen] == sorted(min(pair) for pair in pairs)
    assert {tuple(one["debtor_id"] for one in row["members"]) for row in seen} == set(pairs)
    assert [row["debtor_id"] for row in divided.rows] == [row["debtor_id"] for row in seen if row["divided"]]
    assert 0 < len(divided.rows) < len(seen)


@pytest.fixture
def owing(browse: Any, desk: Desk) -> dict[str, int]:
    """The person of both lenders with quayside, bases in force."""
    debtors = same_person(desk)
    in_force(browse, desk)
    return debtors


def test_a_list_is_checked_then_split_and_each_split_explains_itself(
    browse: Any, desk: Desk, owing: dict[str, int]
) -> None:
    finance = browse("finance")
    at = f"{AT}/payments"
    with desk.database.read() as connection:
        account, owed = connection.execute(
            select(ACCOUNTS.c.account_id, ACCOUNTS.c.balance_minor).where(ACCOUNTS.c.debtor_id == owing["lotus"])
        ).first() or (0, 0)
    name = account_pseudonyms(desk.keyring.pseudonym_key("quayside"), pd.Series([account])).iloc[0]
    listed = f"payment_ref,account,currency,amount,paid_on\nP-1,{name},CNY,{owed // 100 + 10}.00,2026-03-01\n".encode()
    finance.get(at)

    def sent(content: bytes, **more: str) -> Any:
        data = {"_form": finance.word, "agency": "quayside", **more}
        return finance.post(at, data=data, files={"file": ("list.csv", content)})

    assert "Nothing has been kept" in sent(listed, check="1").text
    assert "No joint payment has come yet" in finance.get(at).text
    wrong = sent(listed.replace(b"2026-03-01", b"soon"))
    assert (wrong.status_code, "line 1: paid_on is no day" in wrong.text) == (409, True)
    assert sent(b"").status_code == 422
    assert sent(listed).status_code == 303
    assert sent(listed).status_code == 303, "the same list again changes nothing"
    with desk.database.read() as connection:
        (payment,) = connection.execute(select(PAYMENTS)).all()
        shares = joint.split_of(connection, joint.payment(connection, payment.payment_id))
    assert sum(one["amount_minor"] for one in shares) + payment.surplus_minor == payment.amount_minor
    page = finance.get(f"{at}/{payment.payment_id}").text
    assert "what fell due first, first" in page
    assert [page.index(one["share_ref"]) for one in shares] == sorted(page.index(one["share_ref"]) for one in shares)
    lines = list(csv.DictReader(io.StringIO(finance.get(f"{at}/{payment.payment_id}/advice").text)))
    assert {line["agency_txn_id"] for line in lines} == {one["share_ref"] for one in shares}
    assert name in {line["account"] for line in lines}
    told = browse("portfolio_manager").get(f"{AT}/shares?lender=lotus").text
    assert "Not remitted yet" in told
    assert "P-1" not in told, "nothing tells which shares were one payment"
    assert browse("portfolio_manager").get(at).status_code == 403
    assert browse("compliance").send(at, at=at).status_code == 403
    assert finance.get(f"{at}/99").status_code == 422


@pytest.mark.browser
@pytest.mark.parametrize(("language", "size"), [("en", (1440, 900)), ("zh", (390, 844))])
def test_two_people_put_a_basis_in_force_in_chromium(
    page_as: PageAs, running: Console, language: str, size: tuple[int, int]
) -> None:
    propose, approve = {"en": ("Propose", "Approve"), "zh": ("提出", "批准")}[language]
    same_person(running.desk)
    mine, theirs = page_as("portfolio_manager", language, size), page_as("compliance", language, size)
    for lender in ("harbour", "lotus"):
        page = mine.go(AT)
        if page.locator("details.card").get_attribute("open") != "":
            page.locator("details.card summary").click()
        page.locator("[name=circle]").fill(f"delta-{language}")
        page.locator("[name=lender]").select_option(lender)
        page.locator("[name=basis]").fill(TERMS["basis"])
        page.locator("[name=evidence]").fill(TERMS["evidence"])
        mine.look()
        page.get_by_role("button", name=propose, exact=True).click()
        page.wait_for_url("**/consolidation/bases/*")
        mine.look()
        other = theirs.go(page.url.removeprefix(mine.url))
        other.get_by_role("button", name=approve, exact=True).click()
        other.locator("[data-ended]").wait_for(timeout=60_000)
    for path in (f"{AT}/people?circle=delta-{language}", f"{AT}/payments", f"{AT}/shares"):
        page = theirs.go(path)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
