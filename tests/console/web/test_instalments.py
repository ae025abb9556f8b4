"""Instalment plans at the console: judged limit by limit, agreed by one or by two, followed; and their limits."""

from __future__ import annotations

import io
import re
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import python_calamine
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert, select, update

from console.web.api.app import create_api
from console.web.pages.instalments import due_by_due
from flows.jobs import work_off
from infra.people import tokens
from infra.sandbox.staff import CLERK, SECOND
from infra.store import agreements, bulk
from infra.store import instalments as store
from models.packaged import text
from models.tables import Account, Hold, InboundFile, Placement

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.wiring import Desk

LENDER = "harbour"
PLACEMENTS, ACCOUNTS, FILES = bulk.table_of(Placement), bulk.table_of(Account), bulk.table_of(InboundFile)
SCRIPT = "<script>alert(1)</script>"
OURS = text("models.instalments", "shipped", "cn-default").replace(
    'name = "cn-default"', f'name = "ours"\nlenders = ["{LENDER}"]'
)


class Proposals:
    """Puts instalment plans into the store as an agency's file would."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.number = 0

    def __call__(
        self, agency: str = "", *, months: int = 2, state: str = "proposed", first: date | None = None, **more: Any
    ) -> int:
        """A plan of so many months over the whole balance; its number."""
        self.number += 1
        first = first or self.desk.today() + timedelta(days=10)
        with self.desk.database.write() as connection:
            free = connection.execute(
                select(PLACEMENTS, ACCOUNTS.c.balance_minor.label("owed"))
                .join(ACCOUNTS, ACCOUNTS.c.account_id == PLACEMENTS.c.account_id)
                .where(PLACEMENTS.c.lender == LENDER, PLACEMENTS.c.state == "acknowledged")
                .where(*([PLACEMENTS.c.agency == agency] if agency else []), ACCOUNTS.c.balance_minor > 100_000)
                .order_by(PLACEMENTS.c.placement_id)
                .offset(self.number - 1)
                .limit(1)
            ).one()
            file_id = connection.execute(select(FILES.c.file_id).limit(1)).scalar_one()
            amount = free.owed // months
            amounts = [amount] * (months - 1) + [free.owed - amount * (months - 1)]
            days = [first + timedelta(days=30 * month) for month in range(months)]
            values = {
                "instalment_plan_id": self.number, "agency": free.agency, "lender": LENDER,
                "plan_ref": f"P-{self.number}", "placement_id": free.placement_id, "currency": free.currency,
                "total_minor": free.owed, "instalments": months, "first_due_on": days[0],
                "last_due_on": days[-1], "state": state, "file_id": file_id,
                "proposed_at": datetime(2026, 3, 1, 9, tzinfo=UTC), "income_band": "medium", **more,
            }  # fmt: skip
            connection.execute(insert(store.PLANS).values(**values))
            connection.execute(
                insert(store.INSTALMENTS),
                [
                    {"instalment_plan_id": self.number, "number": place, "due_on": day, "amount_minor": due}
                    for place, (day, due) in enumerate(zip(days, amounts, strict=True), 1)
                ],
            )
        return self.number

    def row(self, plan_id: int) -> Any:
        """The plan as it is now."""
        with self.desk.database.read() as connection:
            return store.one(connection, plan_id)


@pytest.fixture
def proposed(desk: Desk) -> Proposals:
    return Proposals(desk)


@pytest.fixture
def client(desk: Desk) -> Iterator[TestClient]:
    with TestClient(create_api(desk)) as made:
        yield made


def headers(desk: Desk, actor: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens.make(desk.acting(actor), actor, 'tests').token}"}


# --- one plan ---------------------------------------------------------------------------------------------------------


def test_a_plan_within_the_limits_is_agreed_by_one_and_the_agency_is_told(
    browse: Any, desk: Desk, proposed: Proposals
) -> None:
    plan = proposed(months=3)
    path, manager = f"/instalments/{plan}", browse("portfolio_manager")
    page = manager.get(path).text
    assert "within the limits" in page
    assert "Smallest instalment" in page
    assert len(re.findall(r"still to come", page)) == 3
    assert f'href="{path}"' in manager.get("/instalments").text
    assert manager.send(f"{path}/approve", at=path).status_code == 303
    row = proposed.row(plan)
    assert (row.state, row.decided_by, row.agreed_on) == ("approved", "chen.yu", desk.today())
    work_off(desk)
    shown = manager.get(path).text
    assert f'href="/exchanges/sent/{proposed.row(plan).answered_id}"' in shown
    assert f'href="{path}"' in manager.get("/instalments?tab=agreed").text
    assert manager.send(f"{path}/approve", at=path).status_code == 403


def test_beyond_the_limits_two_people_must_agree(browse: Any, desk: Desk, proposed: Proposals) -> None:
    plan = proposed(months=14)
    path, manager, second = f"/instalments/{plan}", browse("portfolio_manager"), browse("second")
    assert "after you a second person must agree" in manager.get(path).text
    first = manager.send(f"{path}/approve", at=path)
    assert first.status_code == 303
    assert proposed.row(plan).state == "awaiting_second"
    assert "You approved it first" in manager.get(path).text
    assert manager.send(f"{path}/approve", at=path).status_code == 403
    assert f'href="{path}"' in second.get("/instalments").text
    assert second.send(f"{path}/approve", at=path).status_code == 303
    row = proposed.row(plan)
    assert (row.state, row.first_by, row.decided_by) == ("approved", "chen.yu", SECOND)
    with desk.database.read() as connection:
        hold = bulk.table_of(Hold)
        assert connection.execute(select(hold.c.reason).where(hold.c.hold_id == row.hold_id)).scalar_one()


def test_what_is_beyond_all_limits_cannot_be_agreed_and_says_which_limit(browse: Any, proposed: Proposals) -> None:
    plan = proposed(months=70)
    path, second = f"/instalments/{plan}", browse("second")
    page = second.get(path).text
    assert "beyond all limits" in page
    assert "too_long" in page
    assert "Agree on fewer months." in page
    refused = second.send(f"{path}/approve", at=path)
    assert refused.status_code == 403
    assert "cannot be approved" in refused.text
    assert "请缩短期限。" in browse("second", language="zh").get(path).text


def test_a_plan_is_declined_with_a_reason_that_stays_here(browse: Any, desk: Desk, proposed: Proposals) -> None:
    plan = proposed()
    path, manager = f"/instalments/{plan}", browse("portfolio_manager")
    assert manager.send(f"{path}/refuse", at=path, because=" ").status_code == 422
    assert manager.send(f"{path}/refuse", at=path, because="收入不明").status_code == 422
    assert manager.send(f"{path}/refuse", at=path, because="income not shown").status_code == 303
    assert (proposed.row(plan).state, proposed.row(plan).codes) == ("refused", "declined")
    assert f'href="{path}"' in manager.get("/instalments?tab=refused").text
    work_off(desk)
    assert proposed.row(plan).answered_as == "refused"
    assert manager.send("/instalments/999/approve", at="/instalments").status_code == 422
    assert manager.get("/instalments/999").status_code == 422


def test_only_a_portfolio_manager_decides_and_everybody_sees(browse: Any, proposed: Proposals) -> None:
    plan = proposed()
    path = f"/instalments/{plan}"
    for role in ("finance", "compliance", "operations"):
        browser = browse(role)
        assert ">Approve<" not in browser.get(path).text
        for form in ("approve", "refuse"):
            assert browser.send(f"{path}/{form}", at=path, because="x").status_code == 403
        assert browser.send("/instalments/follow", at=path).status_code == 403
    assert proposed.row(plan).state == "proposed"


def test_tabs_part_what_is_agreed_by_how_it_is_kept(browse: Any, desk: Desk, proposed: Proposals) -> None:
    begun = desk.today() - timedelta(days=3)
    late = proposed(state="approved", first=begun, agreed_on=begun, limits="cn-default@1", verdict="within")
    kept = proposed(state="approved", first=begun, agreed_on=begun, limits="cn-default@1", verdict="within")
    coming = proposed(state="approved", agreed_on=begun, limits="cn-default@1", verdict="within")
    broken, over = proposed(state="broken"), proposed(state="fulfilled")
    with desk.database.write() as connection:
        connection.execute(update(store.PLANS).where(store.PLANS.c.instalment_plan_id == kept).values(paid_minor=10**9))
    with desk.database.read() as connection:
        found = {
            tab: {
                row["instalment_plan_id"]
                for row in agreements.listed(connection, agreements.Wanted(tab), desk.today()).rows
            }
            for tab in agreements.STATES
        }
        counted = agreements.counted(connection, agreements.Wanted(), desk.today())
    assert found == {
        "asked": set(), "agreed": {coming}, "kept": {kept}, "late": {late}, "broken": {broken}, "finished": {over},
        "refused": set(),
    }  # fmt: skip
    assert counted == {tab: len(plans) for tab, plans in found.items()}
    manager = browse("portfolio_manager")
    assert f"/instalments/{late}" in manager.get(f"/instalments?tab=late&lender={LENDER}").text
    assert "No plan meets the filter" in manager.get("/instalments?tab=late&lender=lotus").text
    assert manager.get("/instalments?tab=lost").status_code == 422


@given(st.lists(st.integers(1, 10_000), min_size=1, max_size=24), st.integers(-5_000, 300_000))
def test_payments_fill_instalments_in_their_order_and_none_is_filled_twice(amounts: list[int], paid: int) -> None:
    import pandas as pd

    first = pd.Timestamp("2026-01-31")
    schedule = pd.DataFrame({
        "number": range(1, len(amounts) + 1), "amount_minor": amounts,
        "due_on": [first + pd.Timedelta(days=30 * place) for place in range(len(amounts))],
    })  # fmt: skip
    told = due_by_due(schedule, paid, date(2026, 6, 1))
    assert sum(line["paid_minor"] for line in told) == max(0, min(paid, sum(amounts)))
    stands = [line["stands"] == "paid" for line in told]
    assert stands == sorted(stands, reverse=True)
    assert all(line["stands"] != "late" or line["due_on"] < pd.Timestamp("2026-06-01") for line in told)


def test_plans_go_out_as_workbooks_without_formulas(browse: Any, proposed: Proposals) -> None:
    plan = proposed()
    manager = browse("portfolio_manager")
    for path, sheets in (
        (f"/instalments/{plan}/export", ["Instalments", "Payments made", "Limits"]),
        ("/instalments/export", ["To decide"]),
    ):  # fmt: skip
        book = manager.get(path)
        read = python_calamine.load_workbook(io.BytesIO(book.content))
        assert read.sheet_names == sheets
        assert b"<f>" not in book.content
        assert len(read.get_sheet_by_name(sheets[0]).to_python()) >= 2


def test_following_is_a_job_that_declines_what_nobody_may_approve(browse: Any, desk: Desk, proposed: Proposals) -> None:
    plan = proposed(months=70)
    asked = browse("portfolio_manager").send("/instalments/follow", at="/instalments")
    assert asked.headers["location"].startswith("/jobs/")
    work_off(desk)
    assert proposed.row(plan).state == "refused"
    assert proposed.row(plan).codes.startswith("too_long")


# --- limits -----------------------------------------------------------------------------------------------------------


def test_limits_are_put_up_compared_and_put_in_force_by_a_second_person(browse: Any, proposed: Proposals) -> None:
    manager, second = browse("portfolio_manager"), browse("second")
    at = "/instalments/limits"
    assert "cn-default" in manager.get(at).text
    assert "30" in manager.get(f"{at}/cn-default").text
    made = manager.send(at, at=at, toml=OURS)
    assert made.headers["location"] == f"{at}/ours?version=1"
    assert manager.send(f"{at}/ours/1/approve", at=at).status_code == 403
    assert second.send(f"{at}/ours/1/approve", at=at).status_code == 303
    stricter = OURS.replace('version = "1"', 'version = "2"').replace(
        "within = { max_months = 12,", "within = { max_months = 1,"
    )
    assert manager.send(at, at=at, toml=stricter).status_code == 303
    compared = second.get(f"{at}/ours?version=2&against=1").text
    assert "within.max_months" in compared
    assert second.send(f"{at}/ours/2/approve", at=at).status_code == 303
    plan = proposed(months=4)
    assert "ours 2" in manager.get(f"/instalments/{plan}").text
    assert manager.send(f"{at}/ours/2/withdraw", at=at, reason="too strict").status_code == 303
    assert "too strict" in manager.get(f"{at}/ours?version=2").text


def test_limits_that_cannot_work_are_shown_with_the_line_and_not_taken(browse: Any) -> None:
    manager, at = browse("portfolio_manager"), "/instalments/limits"
    wrong = manager.send(at, at=at, toml=OURS.replace("grace_days = 5", 'grace_days = "five"'))
    assert wrong.status_code == 422
    assert "grace_days" in wrong.text.split('class="wrong-line"')[1].split("</li>")[0]
    assert manager.send(at, at=at, toml=OURS.replace('"ours"', '"cn-default"')).status_code == 422
    shown = manager.send(at, at=at, toml=SCRIPT).text
    assert SCRIPT not in shown
    assert browse("finance").send(at, at=at, toml=OURS).status_code == 403
    assert browse("compliance").send(at, at=at, toml=OURS).status_code == 303


# --- the portal, and the API ------------------------------------------------------------------------------------------


def test_an_agency_sees_its_own_plans_and_answers_and_no_other_s(browse: Any, desk: Desk, proposed: Proposals) -> None:
    proposed("quayside", state="refused", codes="too_long", answered_as="refused", answered_id=1)
    with desk.database.read() as connection:
        others = select(PLACEMENTS.c.agency).where(PLACEMENTS.c.agency != "quayside", PLACEMENTS.c.lender == LENDER)
        other = connection.execute(others.limit(1)).scalar_one()
    proposed(other, plan_ref="THEIRS-1")
    page = browse("agency").get("/portal/instalments").text
    assert "P-1" in page
    assert "Agree on fewer months." in page
    assert "THEIRS-1" not in page
    assert other not in page
    assert "No plan meets the filter" in browse("agency").get("/portal/instalments?state=broken").text
    assert browse("agency").get("/portal/instalments?state=lost").status_code == 422
    assert browse("second").get("/portal/instalments").status_code == 403
    assert browse("agency").get("/instalments").status_code == 403


def test_the_api_judges_agrees_and_lists_as_the_pages_do(desk: Desk, client: TestClient, proposed: Proposals) -> None:
    plan, far = proposed("quayside", months=3), proposed(months=14)
    first, second, clerk = (headers(desk, actor) for actor in ("chen.yu", SECOND, CLERK))
    whole = client.get(f"/instalments/{plan}", headers=first).json()
    assert [line["verdict"] for line in whole["weighed"]] == ["within"] * 5
    assert [line["stands"] for line in whole["schedule"]] == ["to_come"] * 3
    assert client.post(f"/instalments/{plan}/approve", headers=first).json()["state"] == "approved"
    assert client.post(f"/instalments/{far}/approve", headers=first).json()["state"] == "awaiting_second"
    assert client.post(f"/instalments/{far}/approve", headers=first).status_code == 403
    refused = client.post(f"/instalments/{far}/refuse", json={"because": "no"}, headers=second)
    assert (refused.json()["state"], refused.json()["codes"]) == ("refused", "declined")
    listed = client.get("/instalments?tab=agreed", headers=second).json()
    assert [row["instalment_plan_id"] for row in listed["items"]] == [plan]
    own = client.get("/own/instalments", headers=clerk).json()["items"]
    assert {row["plan_ref"] for row in own} <= {"P-1", "P-2"}
    assert "ability" not in own[0]
    assert client.get("/instalments", headers=clerk).status_code == 403


def test_rules_are_put_up_and_approved_through_the_api_by_two(desk: Desk, client: TestClient) -> None:
    first, second = headers(desk, "chen.yu"), headers(desk, SECOND)
    strategy = text("models.strategy", "shipped", "cn-soft-first").replace(
        'name = "cn-soft-first"', f'name = "ours"\nlenders = ["{LENDER}"]'
    )
    for path, toml in (("/strategies", strategy), ("/instalment-limits", OURS)):
        tried = client.post(path, json={"toml": toml, "dry_run": True}, headers=first)
        assert (tried.status_code, tried.json()["name"]) == (201, "ours")
        assert client.post(path, json={"toml": "name = "}, headers=first).status_code == 422
        assert client.post(path, json={"toml": toml}, headers=first).status_code == 201
        assert client.post(f"{path}/ours/1/approve", headers=first).status_code == 403
        assert client.post(f"{path}/ours/1/approve", headers=second).status_code == 204
        assert client.get(f"{path}/ours", headers=first).json()["toml"] == toml
        newer = toml.replace('version = "1"', 'version = "2"', 1).replace("days = 5\n", "days = 6\n", 1)
        newer = newer.replace("no_activity_days = 30", "no_activity_days = 31")
        assert client.post(path, json={"toml": newer}, headers=first).status_code == 201
        told = client.get(f"{path}/ours/difference?version=2&against=1", headers=first).json()["items"]
        assert [line["id"] for line in told] in (["not-worked"], ["grace_days"])
        states = {
            row["version"]: row["state"] for row in client.get(f"{path}/ours/versions", headers=first).json()["items"]
        }
        assert states == {"1": "in_force", "2": "proposed"}
        gone = client.post(f"{path}/ours/2/withdraw", json={"reason": "too soon"}, headers=first)
        assert gone.status_code == 204


def test_a_run_is_asked_for_looked_at_and_accepted_through_the_api(desk: Desk, client: TestClient) -> None:
    with desk.database.write() as connection:
        connection.execute(
            update(PLACEMENTS)
            .where(PLACEMENTS.c.placement_id % 2 == 0)
            .values(state="closed", end_reason="term", ended_on=desk.today())
        )
    first, second = headers(desk, "chen.yu"), headers(desk, SECOND)
    preview = client.get(f"/strategies/cn-soft-first/preview?lender={LENDER}", headers=first).json()
    assert client.post("/strategy-runs", json={"lender": LENDER}, headers=first).status_code == 202
    assert client.post("/strategy-runs", json={"lender": "nobody"}, headers=first).status_code == 422
    work_off(desk)
    (run,) = client.get(f"/strategy-runs?lender={LENDER}", headers=first).json()["items"]
    whole = client.get(f"/strategy-runs/{run['run_id']}", headers=first).json()
    assert whole["movement"] == preview["movement"]
    moves = client.get(f"/strategy-runs/{run['run_id']}/moves", headers=first).json()
    assert len(moves["items"]) == min(50, run["moves"])
    content = {"content": run["content_sha256"]}
    path = f"/strategy-runs/{run['run_id']}"
    assert client.post(f"{path}/approve", json=content, headers=first).status_code == 403
    assert client.post(f"{path}/approve", json=content, headers=second).status_code == 202
    work_off(desk)
    counted = client.get(f"/stages?lender={LENDER}", headers=first).json()["items"]
    assert sum(row["accounts"] for row in counted) == run["moves"]
    account = moves["items"][0]["account_id"]
    assert client.get(f"/accounts/{account}/stages", headers=first).json()["items"][0]["decided_by"] == SECOND
