"""Strategies at the console: rules that two put in force, tried out, moves and recalls that a second person accepts."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest
import python_calamine
from sqlalchemy import func, select, update

from flows.jobs import work_off
from infra import strategy
from infra.store import bulk
from infra.store import strategy as store
from models.packaged import text
from models.tables import AccountStage, AuditEvent, Placement, Plan, RecallProposal, StageMove, StrategyRun
from tests.console.web.conftest import half_comes_back

if TYPE_CHECKING:
    from infra.wiring import Desk

LENDER = "harbour"
PLACEMENTS, RUNS, MOVES = bulk.table_of(Placement), bulk.table_of(StrategyRun), bulk.table_of(StageMove)
STAGES, PROPOSALS, PLANS = bulk.table_of(AccountStage), bulk.table_of(RecallProposal), bulk.table_of(Plan)
PART = {"HX-Request": "true", "HX-Request-Type": "partial"}
SCRIPT = "<script>alert(1)</script>"
OURS = (
    text("models.strategy", "shipped", "cn-soft-first")
    .replace('name = "cn-soft-first"', f'name = "ours"\nlenders = ["{LENDER}"]')
    .replace("no_activity_days = 30", "no_activity_days = 5")
)


@pytest.fixture
def desk(desk: Desk) -> Desk:
    """Half of what was placed has come back unpaid: there is something to move."""
    return half_comes_back(desk)


def rows(desk: Desk, table: Any, **where: Any) -> list[Any]:
    with desk.database.read() as connection:
        chosen = select(table).where(*(table.c[name] == value for name, value in where.items()))
        return list(connection.execute(chosen))


def put_up(browser: Any, toml: str) -> Any:
    return browser.send("/strategies", at="/strategies", toml=toml)


def in_force(browse: Any, toml: str = OURS) -> None:
    """The rules were proposed by one and approved by the other."""
    assert put_up(browse("portfolio_manager"), toml).status_code == 303
    done = browse("second").send("/strategies/ours/1/approve", at="/strategies/ours?version=1")
    assert done.status_code == 303


def ran(browse: Any, desk: Desk) -> Any:
    """The run that a portfolio manager asked for, once it is done."""
    asked = browse("portfolio_manager").send("/strategy-runs", at="/strategies", lender=LENDER)
    assert asked.headers["location"].startswith("/jobs/")
    assert work_off(desk) == 1
    return rows(desk, RUNS, lender=LENDER, state="proposed")[0]


# --- rules ------------------------------------------------------------------------------------------------------------


def test_the_page_says_who_goes_by_which_strategy_and_draws_the_stages(browse: Any) -> None:
    page = browse("finance").get(f"/strategies?lender={LENDER}").text
    assert 'href="/strategies/cn-soft-first"' in page
    assert "stage-drawing" in page
    assert f'href="/placements?lender={LENDER}"' in page
    assert browse("finance").get("/strategies?lender=nobody").status_code == 422


def test_every_rule_is_told_in_the_reader_s_language(browse: Any) -> None:
    english = browse("compliance").get("/strategies/cn-soft-first").text
    assert "days past due from 180 on, balance from 10,000 on, round from 4 on" in english
    assert "no payment in 90 days" in english
    chinese = browse("compliance", language="zh").get("/strategies/cn-soft-first").text
    assert "逾期天数 180 及以上" in chinese
    assert "90 天内无还款" in chinese
    for wrong in ("/strategies/nothing", "/strategies/..%2Fx", "/strategies/cn-soft-first?version=9"):
        assert browse("compliance").get(wrong).status_code in {404, 422}, wrong


def test_a_version_is_put_up_compared_and_put_in_force_by_a_second_person(browse: Any, desk: Desk) -> None:
    manager, second = browse("portfolio_manager"), browse("second")
    made = put_up(manager, OURS)
    assert made.headers["location"] == "/strategies/ours?version=1"
    assert "wait" in manager.get("/strategies").text
    refused = manager.send("/strategies/ours/1/approve", at="/strategies/ours?version=1")
    assert refused.status_code == 403
    assert "cannot approve it" in refused.text
    assert "Put in force" not in manager.get("/strategies/ours?version=1").text
    assert "Put in force" in second.get("/strategies/ours?version=1").text
    assert second.send("/strategies/ours/1/approve", at="/strategies/ours").status_code == 303
    newer = OURS.replace('version = "1"', 'version = "2"').replace("no_payment_days = 90", "held_days = 7")
    assert put_up(manager, newer).status_code == 303
    compared = second.get("/strategies/ours?version=2&against=1").text
    assert "primary-without-payment" in compared
    assert "held for 7 days" in compared
    taken = manager.send("/strategies/ours/2/withdraw", at="/strategies/ours?version=2", reason="too soon")
    assert taken.status_code == 303
    assert "too soon" in manager.get("/strategies/ours?version=2").text
    with desk.database.read() as connection:
        assert strategy.of(connection, desk, LENDER).name == "ours"


@pytest.mark.parametrize(
    ("good", "wrong"),
    [
        ("soft_first = true", "soft_first = maybe"),
        ('buckets = ["M0", "M1"]', 'buckets = "M0"'),
        ('to = "legal"', 'to = "court"'),
        ('by = "in_house"', 'by = "nobody"'),
        ("held_days = 120", "held_days = 0"),
        ("least_days = 15", "least_day = 15"),
    ],
)
def test_a_text_that_cannot_work_is_shown_with_the_line_that_is_wrong(browse: Any, good: str, wrong: str) -> None:
    answer = put_up(browse("portfolio_manager"), OURS.replace(good, wrong))
    assert answer.status_code == 422
    marked = answer.text.split('class="wrong-line"')[1].split("</li>")[0]
    assert wrong.replace('"', "&#34;") in marked


def test_what_is_no_text_is_refused_and_markup_comes_back_as_text(browse: Any) -> None:
    manager = browse("portfolio_manager")
    assert put_up(manager, "").status_code == 422
    shown = put_up(manager, f'name = "{SCRIPT}"\n').text
    assert SCRIPT not in shown
    assert "&lt;script&gt;" in shown
    manager.get("/strategies")
    for content in (b"\xff\xfe", b"#" * (1 << 19)):
        file = {"file": ("rules.toml", content)}
        answer = manager.post("/strategies", data={"_form": manager.word}, files=file)
        assert answer.status_code == 422


def test_who_has_not_the_role_neither_proposes_nor_accepts(browse: Any, desk: Desk) -> None:
    finance, compliance = browse("finance"), browse("compliance")
    assert put_up(finance, OURS).status_code == 403
    assert finance.send("/strategy-runs", at="/strategies").status_code == 403
    assert put_up(compliance, OURS).status_code == 303
    assert compliance.send("/strategies/ours/1/approve", at="/strategies").status_code == 403
    run = ran(browse, desk)
    assert compliance.send(f"/strategy-runs/{run.run_id}/approve", at="/strategies").status_code == 403
    assert browse("agency").get("/strategies").status_code == 403


def test_every_code_of_the_rules_has_its_words() -> None:
    from console.web import rulewords
    from models.instalments import judging, limits
    from models.strategy import moves, rules

    assert judging.CODES == rulewords.CODES
    assert moves.WORDS == rulewords.WHY
    assert set(moves.LEFT) <= set(rulewords.LEFT)
    assert set(rules.REASONS) == set(rulewords.REASONS)
    assert {*rules.LEVELS, rules.LEGAL, rules.EXHAUSTED, "none"} == set(rulewords.LEVELS)
    assert set(judging.LIMITED) == set(rulewords.LIMITS)
    assert set(judging.NEVER) == set(rulewords.NEVER)
    assert set(limits.POINTS) == set(rulewords.SIGNS)
    assert set(limits.GRADES) == set(rulewords.GRADES)


# --- trying out -------------------------------------------------------------------------------------------------------


def test_a_preview_counts_moves_recalls_and_who_is_left_and_keeps_nothing(browse: Any, desk: Desk) -> None:
    put_up(browse("portfolio_manager"), OURS)
    page = browse("portfolio_manager").get(f"/strategies/ours/preview?version=1&lender={LENDER}").text
    assert "Nothing is kept" in page
    assert "not-worked" in page
    assert "its mandate" in page
    assert f'href="/strategies/cn-soft-first/preview?lender={LENDER}"' in page
    assert rows(desk, RUNS) == []
    chinese = browse("finance", language="zh").get(f"/strategies/ours/preview?version=1&lender={LENDER}").text
    assert "其委托权限" in chinese
    part = browse("finance").get(f"/strategies/ours/preview/counted?version=1&lender={LENDER}", headers=PART).text
    assert "<html" not in part
    assert "Would come back" in part
    whole = browse("finance").get(f"/strategies/ours/preview/counted?version=1&lender={LENDER}")
    assert whole.headers["location"].startswith("/strategies/ours/preview")


def test_very_many_accounts_are_counted_when_the_page_asks_for_the_part(
    browse: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from console.web.pages import strategies

    monkeypatch.setattr(strategies, "COUNTED_AT_ONCE", 0)
    page = browse("finance").get(f"/strategies/reminders-then-phone/preview?lender={LENDER}").text
    assert "/strategies/reminders-then-phone/preview/counted?" in page
    assert "Moves by stage and rule" not in page


# --- runs -------------------------------------------------------------------------------------------------------------


def test_a_run_is_proposed_looked_at_and_accepted_by_a_second_person(browse: Any, desk: Desk) -> None:
    run = ran(browse, desk)
    path = f"/strategy-runs/{run.run_id}"
    manager, second = browse("portfolio_manager"), browse("second")
    assert path in manager.get(f"/strategy-runs?lender={LENDER}&state=proposed").text
    page = manager.get(path).text
    assert "Accept the moves" not in page
    assert "flow-drawing" in page
    move = rows(desk, MOVES, run_id=run.run_id)[0]
    group = f"from_stage={move.from_stage}&to_stage={move.to_stage}&rule={move.rule}&why={move.why}"
    listed = manager.get(f"{path}?tab=moves&{group}").text
    assert f'href="/stages/accounts/{move.account_id}"' in listed
    assert f"Rule {move.rule}:" in listed
    assert "No account moves so" in manager.get(f"{path}?tab=moves&rule=nothing").text
    assert manager.send(f"{path}/approve", at=path, content=run.content_sha256).status_code == 403
    assert second.send(f"{path}/approve", at=path, content="0" * 64).status_code == 422
    done = second.send(f"{path}/approve", at=path, content=run.content_sha256)
    assert done.headers["location"].startswith("/jobs/")
    work_off(desk)
    assert rows(desk, RUNS, run_id=run.run_id)[0].state == "approved"
    assert len(rows(desk, STAGES, lender=LENDER)) == run.moves
    assert "Plans drafted" in second.get(path).text
    stage = rows(desk, STAGES, lender=LENDER)[0]
    there = manager.get(f"/stages?lender={LENDER}&stage={stage.stage}").text
    assert f"/stages/accounts/{stage.account_id}" in there
    story = manager.get(f"/stages/accounts/{stage.account_id}").text
    assert "l.wang" in story
    assert path in story
    assert second.send(f"{path}/refuse", at=path, because="too late").status_code == 403


def test_a_run_is_declined_with_a_reason_and_exported(browse: Any, desk: Desk) -> None:
    run = ran(browse, desk)
    path, second = f"/strategy-runs/{run.run_id}", browse("second")
    book = second.get(f"{path}/export")
    sheets = python_calamine.load_workbook(io.BytesIO(book.content))
    assert sheets.sheet_names == ["Moves", "Left where they are", "Who may work it"]
    assert b"<f>" not in book.content
    assert second.send(f"{path}/refuse", at=path, because=" ").status_code == 422
    assert second.send(f"{path}/refuse", at=path, because=SCRIPT).status_code == 303
    shown = second.get(path).text
    assert SCRIPT not in shown
    assert "&lt;script&gt;" in shown
    assert rows(desk, RUNS, run_id=run.run_id)[0].state == "refused"
    assert second.get("/strategy-runs/99999").status_code == 422
    assert second.get("/strategy-runs?state=lost").status_code == 422


def test_a_run_over_data_that_changed_expires_instead_of_moving_anything(browse: Any, desk: Desk) -> None:
    run = ran(browse, desk)
    with desk.database.write() as connection:
        connection.execute(update(PLACEMENTS).where(PLACEMENTS.c.placement_id % 4 == 0).values(state="acknowledged"))
    path = f"/strategy-runs/{run.run_id}"
    browse("second").send(f"{path}/approve", at=path, content=run.content_sha256)
    work_off(desk)
    assert rows(desk, RUNS, run_id=run.run_id)[0].state == "expired"
    assert rows(desk, STAGES) == []
    assert "its data changed" in browse("second").get(path).text


# --- recalls ----------------------------------------------------------------------------------------------------------


def test_proposed_recalls_are_listed_and_recalled_by_a_job_when_a_second_person_agrees(browse: Any, desk: Desk) -> None:
    in_force(browse)
    ran(browse, desk)
    proposal = rows(desk, PROPOSALS, lender=LENDER, state="proposed")[0]
    path, manager, second = f"/proposed-recalls/{proposal.proposal_id}", browse("portfolio_manager"), browse("second")
    assert path in manager.get("/proposed-recalls").text
    page = manager.get(path).text
    assert "no activity in 5 days" in page
    assert "Recall these placements" not in page
    assert manager.send(f"{path}/approve", at=path).status_code == 403
    with desk.database.read() as connection:
        line = store.proposal_lines(connection, proposal.proposal_id).iloc[0]
    narrowed = manager.get(f"{path}?agency={line['agency']}&rule={line['rule']}").text
    assert f"#{line['account_id']}" in narrowed
    assert second.send(f"{path}/approve", at=path).headers["location"].startswith("/jobs/")
    work_off(desk)
    with desk.database.read() as connection:
        recalled = connection.execute(
            select(func.count()).where(PLACEMENTS.c.state == "recalled", PLACEMENTS.c.lender == LENDER)
        ).scalar_one()
    assert recalled == proposal.placements
    assert "Accepted" in second.get(path).text


def test_proposed_recalls_are_declined_with_a_reason(browse: Any, desk: Desk) -> None:
    in_force(browse)
    ran(browse, desk)
    proposal = rows(desk, PROPOSALS, lender=LENDER, state="proposed")[0]
    path, second = f"/proposed-recalls/{proposal.proposal_id}", browse("second")
    assert second.send(f"{path}/refuse", at=path, because="").status_code == 422
    assert second.send(f"{path}/refuse", at=path, because="they are about to pay").status_code == 303
    assert "they are about to pay" in second.get("/proposed-recalls?state=refused").text
    events = [event.actor for event in rows(desk, bulk.table_of(AuditEvent), action="strategy.recalls_refused")]
    assert events == ["l.wang"]
    assert second.get("/proposed-recalls/99999").status_code == 422


def test_what_waits_for_a_second_person_is_on_the_first_page_of_that_person_alone(browse: Any, desk: Desk) -> None:
    run = ran(browse, desk)
    assert f'href="/strategy-runs/{run.run_id}"' in browse("finance").get("/strategies").text
    assert "/strategy-runs?state=proposed" in browse("second").get("/").text
    assert "/strategy-runs?state=proposed" not in browse("portfolio_manager").get("/").text
    assert "/strategy-runs?state=proposed" not in browse("finance").get("/").text
