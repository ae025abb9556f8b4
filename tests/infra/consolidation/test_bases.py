"""Nobody is linked without a basis of both lenders that a second person approved and that counts on the day."""

from __future__ import annotations

import json
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select
from typer.testing import CliRunner

from console.cli.main import app
from infra import consolidation
from infra.roles import RoleMissing
from infra.store import bulk, shredding
from infra.store import consolidation as store
from models.errors import RefusedByPolicy, UsageError
from models.lives import IllegalMove
from models.tables import AuditEvent, Debtor

if TYPE_CHECKING:
    from pathlib import Path

TODAY = date(2026, 3, 2)
ANNA, BEN, CARL = "11010519491231002X", "440524188001010014", "110105199001011234"


def test_a_person_is_linked_when_both_lenders_bases_are_approved(house: Any) -> None:
    mine, theirs = house.know("harbour", ANNA, BEN), house.know("lotus", BEN, ANNA)
    house.base("harbour")
    second = house.propose("lotus")
    assert house.linked() == set()
    told = consolidation.approve(house.as_("li.wei"), second)
    assert told.linked == 4
    assert house.linked() == {*mine, *theirs}
    assert house.partners("harbour") == {mine[0]: {theirs[1]}, mine[1]: {theirs[0]}}


def test_spelling_does_not_matter_and_a_wrong_number_links_nobody(house: Any) -> None:
    mine = house.know("harbour", "110105491231002", CARL, None, "123")
    house.know("lotus", "１１０１０５ 19491231 002x", CARL, None, "123")
    house.base("harbour")
    house.base("lotus")
    assert house.partners("harbour").keys() == {mine[0]}


def test_a_lender_outside_the_circle_and_another_circle_link_nobody(house: Any) -> None:
    for lender in ("harbour", "lotus", "willow"):
        house.know(lender, ANNA)
    house.base("harbour")
    house.base("lotus")
    house.base("willow", "other")
    assert len(house.linked()) == 2
    assert house.linked("other") == set()
    assert house.partners("willow") == {}


def test_a_basis_counts_from_its_first_to_its_last_day(house: Any) -> None:
    mine, _ = house.know("harbour", ANNA), house.know("lotus", ANNA)
    last = TODAY + timedelta(days=9)
    house.base("harbour", valid_until=last)
    house.base("lotus", valid_from=TODAY + timedelta(days=3))
    assert house.linked() == set()
    house.clock.turn(TODAY + timedelta(days=3))
    assert consolidation.consolidate(house.desk).linked == 2
    assert set(house.partners("harbour", last)) == set(mine)
    assert house.partners("harbour", last + timedelta(days=1)) == {}, "what asks is told so before anybody tidies up"
    house.clock.turn(last + timedelta(days=1))
    assert consolidation.consolidate(house.desk).unlinked == 2
    assert house.linked() == set()


def test_a_withdrawn_basis_unlinks_at_once_and_says_why(house: Any) -> None:
    house.know("harbour", ANNA)
    house.know("lotus", ANNA)
    house.base("harbour")
    number = house.base("lotus")
    with pytest.raises(UsageError):
        consolidation.withdraw(house.as_("li.wei"), number, " ")
    assert consolidation.withdraw(house.as_("li.wei"), number, "the agreement ended").unlinked == 2
    with pytest.raises(IllegalMove):
        consolidation.withdraw(house.as_("li.wei"), number, "again")
    with pytest.raises(IllegalMove):
        consolidation.approve(house.as_("li.wei"), number)


def test_who_proposed_cannot_approve_and_only_compliance_may(house: Any) -> None:
    house.appoint(li_wei="compliance", wang_fang="finance")
    number = house.propose("harbour")
    with pytest.raises(RoleMissing):
        consolidation.approve(house.as_("wang.fang"), number)
    mine = consolidation.propose(
        house.as_("li.wei"), "delta", "lotus", scope="external", basis="PIPL art. 13", evidence="e", valid_from=TODAY
    )
    with pytest.raises(RefusedByPolicy, match=r"li\.wei proposed basis 2, and cannot approve it"):
        consolidation.approve(house.as_("li.wei"), mine.basis_id or 0)
    consolidation.approve(house.as_("li.wei"), number)
    with pytest.raises(RoleMissing):
        consolidation.withdraw(house.as_("wang.fang"), number, "no")
    with pytest.raises(RoleMissing):
        consolidation.divided(house.as_("wang.fang"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"scope": "everywhere"}, {"basis": " "}, {"basis": "x" * 501}, {"evidence": ""}, {"split_order": "largest"},
        {"valid_until": date(2026, 1, 1)}, {"evidence": "ö"},
    ],
)  # fmt: skip
def test_a_basis_that_says_nothing_is_refused(house: Any, wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        house.propose("harbour", **wrong)


def test_a_circle_has_one_scope_and_one_order_and_a_lender_one_basis(house: Any) -> None:
    number = house.propose("harbour")
    with pytest.raises(UsageError, match=f"basis {number} of harbour waits"):
        house.propose("harbour")
    with pytest.raises(UsageError, match="splits by oldest_first"):
        house.propose("lotus", split_order="pro_rata")
    with pytest.raises(UsageError, match="is external"):
        house.propose("lotus", scope="internal")
    consolidation.approve(house.as_("li.wei"), number)
    again = house.propose("harbour")
    with pytest.raises(RefusedByPolicy, match=f"harbour has basis {number}"):
        consolidation.approve(house.as_("li.wei"), again)
    with pytest.raises(UsageError, match="there is no lender"):
        house.propose("nobody")


def test_who_is_erased_or_corrected_is_linked_no_more(house: Any) -> None:
    mine, theirs = house.know("harbour", ANNA, BEN), house.know("lotus", ANNA, BEN)
    house.base("harbour")
    house.base("lotus")
    with house.desk.database.write() as connection:
        shredding.erase_debtor(connection, mine[0], house.desk.now())
        store.relink(connection, theirs[1], None)
    table = bulk.table_of(Debtor)
    with house.desk.database.read() as connection:
        left = connection.execute(select(table.c.linkage).where(table.c.debtor_id.in_([mine[0], theirs[1]]))).scalars()
        assert list(left) == [None, None]
    assert house.partners("harbour") == {}
    consolidation.consolidate(house.desk)
    assert house.linked() == set()


def test_every_step_is_on_record_without_a_persons_value(house: Any) -> None:
    house.know("harbour", ANNA)
    house.know("lotus", ANNA)
    house.base("harbour")
    consolidation.withdraw(house.as_("li.wei"), house.base("lotus"), "ended")
    table = bulk.table_of(AuditEvent)
    with house.desk.database.read() as connection:
        events = connection.execute(select(table.c.action, table.c.details).order_by(table.c.seq)).all()
        links = connection.execute(select(bulk.table_of(Debtor).c.linkage)).scalars().all()
    mine = [row.action for row in events if row.action.startswith("consolidation.")]
    assert mine == [f"consolidation.{what}" for what in ("proposed", "approved", "proposed", "approved", "linked",
                                                         "withdrawn", "linked")]  # fmt: skip
    told = "".join(row.details for row in events)
    assert ANNA not in told
    assert not any(link in told for link in links)


def test_from_the_proposal_to_the_withdrawal_as_people_type_it(
    house: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = tmp_path / "agreement.pdf"
    document.write_bytes(b"%PDF")

    def typed(*words: str, code: int = 0, actor: str = "chen.yu") -> Any:
        monkeypatch.setattr(house.desk, "actor", actor)
        result = CliRunner().invoke(app, ["consolidate", *words, "--json"])
        assert result.exit_code == code, result.output
        return json.loads(result.stdout) if code in {0, 3} else None

    house.know("harbour", ANNA)
    house.know("lotus", ANNA)
    asked = ("--scope", "external", "--basis", "PIPL art. 13(1)(1)", "--document", str(document), "--order", "pro_rata")
    assert typed("propose", "delta", "harbour", *asked, "--dry-run")["basis_id"] is None
    linked = []
    for lender in ("harbour", "lotus"):
        number = str(typed("propose", "delta", lender, *asked)["basis_id"])
        typed("approve", number, code=6)
        linked.append(typed("approve", number, actor="li.wei")["linked"])
    assert linked == [0, 2]
    rows = typed("list")["items"]
    assert {row["lender"]: (row["counts"], row["linked_debtors"]) for row in rows} == {
        "harbour": (True, 1), "lotus": (True, 1),
    }  # fmt: skip
    assert len(rows[0]["evidence_sha256"]) == 64
    assert typed("link")["linked"] == 0
    assert typed("divided")["count"] == 0
    assert typed("shares")["count"] == 0
    assert typed("withdraw", "1", "--reason", "ended", actor="li.wei")["unlinked"] == 2
    typed("withdraw", "9", "--reason", "ended", code=2)


class TestOnPostgreSQL:
    """The same rows on the other store."""

    @pytest.fixture
    def store_url(self, empty_postgres_url: str) -> str:
        return empty_postgres_url

    def test_people_are_linked_and_unlinked(self, house: Any) -> None:
        mine, theirs = house.know("harbour", ANNA, BEN), house.know("lotus", ANNA)
        house.base("harbour")
        number = house.base("lotus")
        assert house.partners("harbour") == {mine[0]: {theirs[0]}}
        with house.desk.database.write() as connection:
            assert store.barred(connection, "harbour", TODAY, ["quay"], lambda _: ["quay"]).empty
            assert store.apart(connection, 1, "harbour", TODAY) == 0
            assert not store.ended_since(connection, "harbour", house.desk.now(), TODAY)
            assert store.links(
                connection, bulk.read(connection, select(store.LINKED.c.debtor_id))["debtor_id"], TODAY
            ).shape == (2, 2)
            assert store.shares(connection).empty
            assert store.divided(connection, TODAY).empty
        house.clock.turn(TODAY, 15)
        consolidation.withdraw(house.as_("li.wei"), number, "ended")
        with house.desk.database.read() as connection:
            assert store.ended_since(connection, "harbour", house.clock.now.replace(hour=3), TODAY)
        assert house.partners("harbour") == {}
