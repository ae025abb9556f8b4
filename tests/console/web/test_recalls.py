"""Portfolios, holds, placements and recalls at the console."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import func, insert, select

from flows.jobs import work_off
from infra.store import bulk
from models.tables import Hold, Placement, Portfolio, Recall, RecallObjection

if TYPE_CHECKING:
    from infra.wiring import Desk

PLACEMENTS, RECALLS = bulk.table_of(Placement), bulk.table_of(Recall)
OBJECTIONS, HOLDS, PORTFOLIOS = bulk.table_of(RecallObjection), bulk.table_of(Hold), bulk.table_of(Portfolio)
SCRIPT = "<script>alert(1)</script>"


def out_of(desk: Desk, count: int) -> list[int]:
    """Placements that are with an agency."""
    with desk.database.read() as connection:
        found = connection.execute(
            select(PLACEMENTS.c.placement_id).where(PLACEMENTS.c.state.in_(("placed", "acknowledged"))).limit(count)
        )
        return list(found.scalars())


def states_of(desk: Desk, ids: list[int]) -> set[str]:
    with desk.database.read() as connection:
        return set(connection.execute(select(PLACEMENTS.c.state).where(PLACEMENTS.c.placement_id.in_(ids))).scalars())


def test_ticked_placements_are_previewed_and_recalled_for_a_reason(browse: Any, desk: Desk) -> None:
    manager = browse("portfolio_manager")
    ids = out_of(desk, 3)
    assert f'name="placement" value="{ids[0]}"' in manager.get("/placements").text
    preview = manager.send("/recalls/preview", at="/placements", placement=[str(one) for one in ids])
    assert "3 would be recalled" in preview.text
    assert states_of(desk, ids) <= {"placed", "acknowledged"}
    ticked = {"placement": [str(one) for one in ids]}
    assert manager.send("/recalls", at="/placements", **ticked).status_code == 422
    assert manager.send("/recalls", at="/placements", reason="vengeance", **ticked).status_code == 422
    assert states_of(desk, ids) <= {"placed", "acknowledged"}
    done = manager.send("/recalls", at="/placements", reason="performance", **ticked)
    assert done.status_code == 303
    assert states_of(desk, ids) == {"recalled"}
    assert work_off(desk) == 1
    with desk.database.read() as connection:
        rows = connection.execute(select(RECALLS).where(RECALLS.c.placement_id.in_(ids))).all()
    assert {(row.reason, row.requested_by) for row in rows} == {("performance", "chen.yu")}
    assert "Performance" in manager.get("/recalls?reason=performance").text
    again = manager.send("/recalls/preview", at="/placements", **ticked)
    assert "None of these is out any more" in again.text
    for wrong in ({}, {"placement": "x"}, {"placement": [str(one) for one in range(1, 600)]}):
        assert manager.send("/recalls/preview", at="/placements", **wrong).status_code == 422


def test_what_is_due_is_counted_before_it_is_recalled_by_a_job(browse: Any, desk: Desk) -> None:
    manager = browse("portfolio_manager")
    ids = out_of(desk, 1)
    with desk.database.write() as connection:
        row = connection.execute(select(PLACEMENTS).where(PLACEMENTS.c.placement_id == ids[0])).one()
        connection.execute(
            insert(HOLDS).values(debtor_id=row.debtor_id, reason="dispute", since=desk.today(), placed_by="chen.yu")
        )
    assert "Dispute" in manager.get("/recalls/due").text
    assert manager.send("/recalls/due", at="/recalls/due").headers["location"].startswith("/jobs/")
    work_off(desk)
    assert states_of(desk, ids) == {"recalled"}


def test_an_objection_is_upheld_until_a_day_or_dismissed(browse: Any, desk: Desk) -> None:
    manager = browse("portfolio_manager")
    ids = out_of(desk, 2)
    manager.send("/recalls", at="/placements", reason="request", placement=[str(one) for one in ids])
    with desk.database.write() as connection:
        for line, one in enumerate(ids, 1):
            agency = connection.execute(
                select(PLACEMENTS.c.agency).where(PLACEMENTS.c.placement_id == one)
            ).scalar_one()
            connection.execute(
                insert(OBJECTIONS).values(
                    file_id=1, line=line, agency=agency, placement_id=one, reason=SCRIPT, keep_until=desk.today(),
                    state="open",
                )
            )  # fmt: skip
        first, second = connection.execute(
            select(OBJECTIONS.c.objection_id)
            .where(OBJECTIONS.c.placement_id.in_(ids))
            .order_by(OBJECTIONS.c.objection_id)
        ).scalars()
    page = manager.get("/recalls/objections").text
    assert SCRIPT not in page
    assert "&lt;script&gt;" in page
    at = "/recalls/objections"
    assert manager.send(f"{at}/{first}", at=at, verdict="uphold").status_code == 422
    assert manager.send(f"{at}/{first}", at=at, verdict="uphold", keep_until="2020-01-01").status_code == 422
    assert manager.send(f"{at}/{first}", at=at, verdict="shrug").status_code == 422
    assert manager.send(f"{at}/{first}", at=at, verdict="uphold", keep_until="2026-04-01").status_code == 303
    assert manager.send(f"{at}/{second}", at=at, verdict="dismiss").status_code == 303
    with desk.database.read() as connection:
        states = connection.execute(select(OBJECTIONS.c.state).where(OBJECTIONS.c.placement_id.in_(ids))).scalars()
        assert sorted(states) == ["dismissed", "upheld"]
    assert manager.send(f"{at}/{second}", at=at, verdict="dismiss").status_code == 422


def test_a_hold_is_put_on_by_account_number_which_stands_nowhere(browse: Any, desk: Desk) -> None:
    manager = browse("portfolio_manager")
    number = "6222020202020202"
    wrong = manager.send("/holds", at="/holds", lender="harbour", account=number, reason="dispute")
    assert wrong.status_code == 422
    assert number not in wrong.text
    assert manager.send("/holds", at="/holds", lender="harbour", account="x", reason="spite").status_code == 422
    unknown = manager.send("/placements/find", at="/placements", lender="harbour", number=number)
    assert unknown.status_code == 422
    assert number not in unknown.text
    with desk.database.write() as connection:
        debtor = connection.execute(select(func.min(PLACEMENTS.c.debtor_id))).scalar_one()
        hold_id = connection.execute(
            insert(HOLDS)
            .values(debtor_id=debtor, reason="fraud", since=desk.today(), placed_by="chen.yu")
            .returning(HOLDS.c.hold_id)
        ).scalar_one()
    assert "Fraud" in manager.get("/holds?reason=fraud").text
    assert browse("finance").send(f"/holds/{hold_id}/lift", at="/holds").status_code == 403
    assert manager.send(f"/holds/{hold_id}/lift", at="/holds").status_code == 303
    assert "lifted" in manager.get("/holds?tab=ended&reason=fraud").text


def test_a_large_portfolio_is_counted_when_somebody_asks(browse: Any, desk: Desk) -> None:
    manager = browse("portfolio_manager")
    with desk.database.write() as connection:
        newest = connection.execute(select(func.max(PORTFOLIOS.c.portfolio_id))).scalar_one()
        connection.execute(PORTFOLIOS.update().where(PORTFOLIOS.c.portfolio_id == newest).values(rows_read=900_000))
    page = manager.get(f"/portfolios/{newest}")
    assert "Its accounts are being counted" in page.text
    part = manager.get(
        f"/portfolios/{newest}/counted", headers={"HX-Request": "true", "HX-Request-Type": "partial"}
    ).text
    assert "<html" not in part
    assert "Free to be placed" in part
    assert manager.get(f"/portfolios/{newest}/counted").headers["location"] == f"/portfolios/{newest}?tab=segments"
    assert "Free to be placed" in manager.get(f"/portfolios/{newest}").text
    assert manager.get("/portfolios/999").status_code == 422


def test_filters_that_make_no_sense_are_refused_and_not_guessed(browse: Any) -> None:
    manager = browse("portfolio_manager")
    for path in (
        "/placements?tab=lost", "/placements?back_by=soon", "/placements?account=me", "/placements?after=%25%25",
        "/recalls?tab=lost", "/portfolios/1?tab=lost", "/holds?tab=lost", "/exchanges?tab=lost",
        "/agencies/quayside?tab=x",
        "/exchanges/sent/99999", "/exchanges/came/99999", "/agencies/nobody", "/scorecards?run=999",
        "/scorecards?run=x",
    ):  # fmt: skip
        assert manager.get(path).status_code == 422, path
    assert "No placement meets the filter" in manager.get("/placements?agency=nobody").text
