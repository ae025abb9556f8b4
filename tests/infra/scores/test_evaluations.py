"""The end of a cycle: proposed from a run, looked at by a second person, kept; the yearly one becomes evidence."""

from __future__ import annotations

import json
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from sqlalchemy import select, update
from typer.testing import CliRunner

from console.cli.evaluate import app
from flows import evaluate as flow
from flows.score import score, show
from infra import diligence, evaluations, roles
from infra.settings import Settings
from infra.store.bulk import table_of
from infra.wiring import Desk, seated
from models.errors import RefusedByPolicy, UsageError
from models.lives import IllegalMove
from models.planning.spec import PlanSpec
from models.tables import Agency, AuditEvent, Evaluation

NOW = datetime(2026, 7, 1, 8, tzinfo=UTC)
AS_OF = date(2026, 7, 1)


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory, fill: object) -> Path:
    """A home whose store holds 1,200 placements, their agencies live, and one score run with its pages."""
    home = tmp_path_factory.mktemp("home")
    desk = Desk(Settings(home=home, engine="direct"), clock=lambda: NOW, actor="chen.yu")
    fill(desk.database, 1200)  # type: ignore[operator]  # the fixture's function
    with desk.database.write() as connection:
        connection.execute(update(table_of(Agency)).values(state="live"))
    with seated(desk):
        score(None, AS_OF)
    desk.database.close()
    return home


@pytest.fixture
def desk(stored: Path, tmp_path: Path) -> Iterator[Desk]:
    """chen.yu's desk over a copy of that home."""
    shutil.copytree(stored, tmp_path / "home")
    desk = Desk(Settings(home=tmp_path / "home", engine="direct"), clock=lambda: NOW, actor="chen.yu")
    with seated(desk):
        yield desk
    desk.database.close()


def other(desk: Desk, actor: str = "li.na") -> Desk:
    return replace(desk, actor=actor)


def proposed(desk: Desk, kind: evaluations.Kind = "periodic") -> int:
    return evaluations.propose(desk, show(), kind)[0]


def test_a_proposal_rests_on_the_newest_scores_and_is_made_once(desk: Desk) -> None:
    number, fresh = evaluations.propose(desk, show())
    assert fresh
    assert evaluations.propose(desk, show()) == (number, False)
    with desk.database.read() as connection:
        told = evaluations.find(connection, number)
    assert told.state == "proposed"
    assert sum(one["proposed"] for one in told.content["shares"]) == pytest.approx(1)
    assert set(told.content["agencies"]) == {"hengxin", "lotus", "northgate", "quayside"}
    assert told.content["agencies"]["quayside"]["recovery"]["value"] > 1
    now = {one["agency"]: one["now"] for one in told.content["shares"]}
    assert now["hengxin"] == pytest.approx(0.25, abs=0.05)


def test_what_conduct_and_evidence_say_is_in_it(desk: Desk) -> None:
    content = flow.show(proposed(desk)).content
    lotus = next(one for one in content["shares"] if one["agency"] == "lotus")
    assert (lotus["proposed"], lotus["why"]) == (0.0, "serious_breach")
    codes = {(one["agency"], one["code"]) for one in content["reviews"]}
    assert ("lotus", "serious_breach") in codes
    assert ("northgate", "service") in codes


def test_an_agency_that_is_suspended_gets_nothing(desk: Desk) -> None:
    with desk.database.write() as connection:
        agencies = table_of(Agency)
        connection.execute(update(agencies).where(agencies.c.agency == "quayside").values(state="suspended"))
    told = {one["agency"]: one for one in flow.preview()["shares"]}
    assert (told["quayside"]["proposed"], told["quayside"]["why"]) == (0.0, "suspended")


def test_nobody_approves_what_they_proposed(desk: Desk) -> None:
    number = proposed(desk)
    with pytest.raises(RefusedByPolicy, match=r"chen\.yu proposed evaluation"):
        evaluations.approve(desk, number)
    told = evaluations.approve(other(desk), number)
    assert (told.state, told.decided_by) == ("approved", "li.na")
    with pytest.raises(IllegalMove):
        evaluations.approve(other(desk), number)


def test_an_approval_is_of_what_was_looked_at(desk: Desk) -> None:
    number = proposed(desk)
    with pytest.raises(RefusedByPolicy, match="not the one that was looked at"):
        evaluations.approve(other(desk), number, "0000")
    with desk.database.write() as connection:
        table = table_of(Evaluation)
        connection.execute(update(table).values(content=table.c.content + " "))
    with pytest.raises(RefusedByPolicy, match="not what was proposed"):
        evaluations.approve(other(desk), number)


def test_roles_decide_who_approves_which(desk: Desk) -> None:
    periodic, yearly = proposed(desk), proposed(desk, "yearly")
    roles.first_administrator(other(desk, "root.chief"))
    for actor, role in (("li.na", "portfolio_manager"), ("wu.fang", "compliance")):
        roles.grant(other(desk, "root.chief"), actor, role)
    with pytest.raises(roles.RoleMissing, match="portfolio_manager"):
        evaluations.approve(other(desk, "wu.fang"), periodic)
    with pytest.raises(roles.RoleMissing, match="compliance"):
        evaluations.approve(other(desk), yearly)
    assert evaluations.approve(other(desk), periodic).state == "approved"
    assert evaluations.approve(other(desk, "wu.fang"), yearly).state == "approved"


def test_approved_shares_are_what_a_plan_is_asked_for(desk: Desk) -> None:
    with desk.database.read() as connection:
        assert evaluations.shares(connection, "birch") == {}
    number = proposed(desk)
    told = evaluations.approve(other(desk), number)
    with desk.database.read() as connection:
        found = evaluations.shares(connection, "birch")
    assert found == {one["agency"]: one["proposed"] for one in told.content["shares"]}
    spec = (evaluations.write(desk, told) / "shares.toml").read_text("utf-8")
    terms = PlanSpec.of({"lender": "birch", "name": "next", "seed": 1, **tomllib.loads(spec)}).agencies
    assert "lotus" not in terms
    assert float(terms["quayside"].share or 0) == pytest.approx(found["quayside"], abs=1e-4)


def test_a_rejection_says_why_and_a_newer_proposal_takes_the_place_of_one_that_waits(desk: Desk) -> None:
    number = proposed(desk)
    with pytest.raises(UsageError, match="needs a reason"):
        evaluations.reject(other(desk), number, " ")
    assert evaluations.reject(other(desk), number, "too early in the quarter").reason == "too early in the quarter"
    again = proposed(desk)
    assert again != number
    with desk.database.write() as connection:
        agencies = table_of(Agency)
        connection.execute(update(agencies).where(agencies.c.agency == "hengxin").values(state="suspended"))
    newer = proposed(desk)
    assert [(row["evaluation_id"], row["state"]) for row in flow.listed()] == [
        (newer, "proposed"), (again, "superseded"), (number, "rejected"),
    ]  # fmt: skip


def test_every_step_is_in_the_trail_with_the_hash(desk: Desk) -> None:
    number = proposed(desk)
    told = evaluations.approve(other(desk), number)
    with desk.database.read() as connection:
        events = table_of(AuditEvent)
        rows = connection.execute(
            select(events).where(events.c.subject == f"evaluation:{number}").order_by(events.c.seq)
        ).all()
    assert [(row.actor, row.action) for row in rows] == [
        ("chen.yu", "evaluation.proposed"), ("li.na", "evaluation.approved"),
    ]  # fmt: skip
    assert {json.loads(row.details)["sha256"] for row in rows} == {told.content_sha256}


@pytest.mark.skipif(not shutil.which("pdftotext"), reason="no pdftotext (Debian: poppler-utils)")
def test_a_yearly_evaluation_becomes_evidence_that_names_no_other_agency(desk: Desk) -> None:
    number = proposed(desk, "yearly")
    with desk.database.read() as connection:
        assert diligence.listed(connection).empty
    evaluations.approve(other(desk), number)
    with desk.database.read() as connection:
        kept = diligence.listed(connection)
    assert kept[["agency", "kind", "added_by"]].to_numpy().tolist() == [
        [agency, "evaluation", "li.na"] for agency in ("hengxin", "lotus", "northgate", "quayside")
    ]
    assert {str(day)[:10] for day in kept["valid_from"]} == {"2026-07-01"}
    names = {"hengxin": "恒信资产", "lotus": "Lotus Credit", "northgate": "Northgate", "quayside": "Quayside"}
    for agency, path in zip(kept["agency"], kept["stored_path"], strict=True):
        file = desk.settings.home / path
        shown = subprocess.run(["pdftotext", "-layout", file, "-"], capture_output=True, check=True, text=True).stdout
        assert names[agency] in shown
        assert "li.na" in shown
        assert not [name for other_, name in names.items() if other_ != agency and name in shown]


def test_the_command_line_evaluates_shows_and_decides(desk: Desk) -> None:
    runner = CliRunner()
    seen = runner.invoke(app, ["run", "--dry-run", "--json"])
    assert seen.exit_code == 0, seen.output
    assert sum(one["proposed"] for one in json.loads(seen.stdout)["shares"]) == pytest.approx(1)
    assert not flow.listed()
    ran = runner.invoke(app, ["run", "--as-of", "2026-07-01", "--json"])
    assert ran.exit_code == 0, ran.output
    report = json.loads(ran.stdout)
    names = {path.name for path in Path(report["folder"]).iterdir()}
    assert names == {"shares.toml", *(f"evaluation.{code}.{kind}" for code in ("en", "zh") for kind in ("html", "pdf"))}
    number = str(report["evaluation_id"])
    assert "Shares of new debtors" in runner.invoke(app, ["show", number]).stdout
    assert json.loads(runner.invoke(app, ["show", number, "--json"]).stdout)["content"]["run"] == report["run_id"]
    with seated(other(desk)):
        done = runner.invoke(app, ["approve", number, "--content", report["content_sha256"][:8], "--json"])
    assert json.loads(done.stdout)["state"] == "approved"
    assert json.loads(runner.invoke(app, ["list", "--json"]).stdout)["items"][0]["state"] == "approved"
    assert Path(json.loads(runner.invoke(app, ["pages", number, "--json"]).stdout)["folder"]).is_dir()
    again = runner.invoke(app, ["run", "--as-of", "2026-07-01", "--json"])
    assert json.loads(again.stdout)["fresh"] is False


def test_the_pages_say_who_gets_more_and_why_in_both_languages(desk: Desk) -> None:
    folder = evaluations.write(desk, flow.show(proposed(desk)))
    english, chinese = ((folder / f"evaluation.{code}.html").read_text("utf-8") for code in ("en", "zh"))
    assert "a serious breach was upheld" in english
    assert "严重违规已认定" in chinese
    assert "Quayside &lt;Recoveries&gt;" in english
    before = (folder / "evaluation.en.pdf").read_bytes()
    evaluations.write(desk, flow.show(proposed(desk)))
    assert (folder / "evaluation.en.pdf").read_bytes() == before


def test_an_unknown_kind_or_number_is_refused(desk: Desk) -> None:
    with pytest.raises(UsageError, match="no 'weekly' evaluation"):
        flow.evaluate(kind="weekly")
    with pytest.raises(UsageError, match="no evaluation 99"):
        flow.show(99)
    with pytest.raises(UsageError, match="no evaluation 99"):
        evaluations.approve(desk, 99)
