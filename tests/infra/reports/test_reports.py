"""Reports are drafted from what is configured and recorded: change that, and they change."""

from __future__ import annotations

import csv
import json
import tomllib
from datetime import UTC, date, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from lxml import html as lxml_html
from sqlalchemy import text
from typer.testing import CliRunner

from console.cli.main import app
from infra import audit
from infra.packages import debtor_pseudonyms
from infra.reports import drafts, pages
from models.errors import UsageError
from models.tables import Erasure, GateCheck

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.reports.report import Report
    from infra.sandbox.world import World

runner = CliRunner()


def codes(report: Report) -> set[str]:
    return {point.code for point in report.points}


def change(world: World, *statements: str) -> None:
    with world.desk.database.write() as connection:
        for statement in statements:
            connection.execute(text(statement))


def rows(report: Report, section: str) -> list[dict[str, Any]]:
    return [dict(row) for row in report.section(section).rows]


def test_an_impact_assessment_says_what_policies_release_and_what_the_register_has(world: World) -> None:
    report = drafts.impact(world.desk)
    assert [row["policy"] for row in rows(report, "purposes")] == ["cn-default"]
    assert {"phone", "balance"} <= {row["field"] for row in rows(report, "released")}
    assert {row["field"]: row["lines"] for row in rows(report, "disclosed")} == {"account": 3, "name": 3, "phone": 3}
    held = {row["agency"]: (row["accounts_held"], row["debtors_held"]) for row in rows(report, "recipients")}
    assert held == {"quayside": (3, 2), "hengxin": (0, 0)}
    assert report.section("withheld").rows


def test_an_impact_assessment_changes_with_the_policy_that_is_named(world: World) -> None:
    own = world.desk.settings.home / "own.toml"
    own.write_text(
        'name = "own"\nversion = "1"\njurisdiction = "CN"\n[purposes.collection]\nbasis = "contract"\n'
        'verified = "unverified"\nerase_after_days = 7\n[[release]]\npurpose = "collection"\nstages = ["phone"]\n'
        'channels = ["phone"]\n[release.fields]\nphone = "release"\nname = { how = "drop", because = "not needed" }\n'
    )
    report = drafts.impact(world.desk, policy=str(own))
    assert [(row["field"], row["treatment"]) for row in rows(report, "released")] == [("phone", "release")]
    assert [(row["field"], row["because"]) for row in rows(report, "withheld")] == [("name", "not needed")]
    assert rows(report, "purposes")[0]["erase_after_days"] == 7
    assert "basis_unverified" in codes(report)
    own.write_text(own.read_text().replace('phone = "release"', 'email = "release"'))
    assert [row["field"] for row in rows(drafts.impact(world.desk, policy=str(own)), "released")] == ["email"]


def test_a_policy_that_changed_since_its_plans_is_an_open_point(world: World) -> None:
    assert "policy_changed" not in codes(drafts.impact(world.desk))
    change(world, "UPDATE plan SET policy_sha256 = 'other'")
    assert "policy_changed" in codes(drafts.impact(world.desk))
    change(world, "DELETE FROM plan")
    assert "no_policy" in codes(drafts.impact(world.desk))


def test_what_has_left_and_may_no_longer_leave_is_an_open_point(world: World) -> None:
    assert "no_longer_released" not in codes(drafts.impact(world.desk))
    change(world, "UPDATE disclosure SET field = 'score_band' WHERE field = 'phone'")
    (point,) = [one for one in drafts.impact(world.desk).points if one.code == "no_longer_released"]
    assert point.told == {"policy": "cn-default", "field": "score_band"}


def test_a_setting_that_is_switched_off_shows_as_a_measure_and_as_an_open_point(world: World) -> None:
    before = rows(drafts.impact(world.desk), "measures")
    world.desk.settings.two_people = not world.desk.settings.two_people
    after = rows(drafts.impact(world.desk), "measures")
    assert [row["measure"] for row in before] == [row["measure"] for row in after]
    assert [one["measure"] for one, other in zip(before, after, strict=True) if one != other] == ["two_people"]
    world.desk.settings.two_people = False
    assert {"setting": "two_people"} in [one.told for one in drafts.impact(world.desk).points]


def test_overdue_erasures_are_counted_and_an_open_point(world: World) -> None:
    with world.desk.database.session() as session:
        for number in (1, 2):
            session.add(
                Erasure(
                    erasure_id=number, placement_id=100 + number, agency="quayside", requested_on=date(2025, 12, 1),
                    due_on=date(2025, 12, 31), erased_at=world.desk.now() if number == 1 else None,
                )
            )  # fmt: skip
    report = drafts.impact(world.desk)
    assert rows(report, "erasures") == [{"agency": "quayside", "requested": 2, "certified": 1, "overdue": 1}]
    assert "erasure_overdue" in codes(report)


def test_the_record_of_processing_names_controllers_purposes_and_recipients(world: World) -> None:
    report = drafts.processing(world.desk)
    assert [row["lender"] for row in rows(report, "controllers")] == ["harbour"]
    assert len(rows(report, "recipients")) == 2
    change(world, "UPDATE lender SET name = 'Harbour Finance'")
    assert rows(drafts.processing(world.desk), "controllers")[0]["name"] == "Harbour Finance"
    assert rows(drafts.processing(world.desk, "nobody"), "disclosed") == []


def test_the_list_for_publication_has_working_agencies_and_nothing_of_their_business(world: World) -> None:
    report = drafts.agency_list(world.desk)
    assert {row["agency"] for row in rows(report, "agencies")} == {"hengxin", "quayside"}
    assert set(rows(report, "agencies")[0]) == set(drafts.PUBLISHED)
    change(world, "UPDATE agency SET state = 'suspended' WHERE agency = 'hengxin'")
    assert [row["agency"] for row in rows(drafts.agency_list(world.desk), "agencies")] == ["quayside"]


def test_a_breach_counts_accounts_and_debtors_by_field_and_starts_the_clocks(world: World) -> None:
    known = datetime(2026, 1, 6, 12, tzinfo=UTC)
    report = drafts.breach(world.desk, "quayside", known_at=known)
    assert rows(report, "affected") == [
        {"value_class": value, "field": field, "treatment": how, "files": 1, "accounts": 3, "debtors": 2}
        for value, field, how in (
            ("contact", "phone", "release"), ("identity", "name", "release"), ("pseudonym", "account", "pseudonym"),
        )
    ]  # fmt: skip
    assert (report.scope["accounts"], report.scope["debtors"], report.scope["erased"]) == (3, 2, 0)
    due = {row["rule"]: row["due_at"] for row in rows(report, "clocks")}
    assert due == {"PIPL-57": known, "GDPR-33": known + timedelta(hours=72), "GDPR-34": known}
    change(world, "DELETE FROM disclosure_account WHERE account_id = 3")
    assert drafts.breach(world.desk, "quayside").scope["debtors"] == 1


def test_a_breach_is_of_those_days_or_that_file_alone(world: World) -> None:
    day = date(2026, 1, 5)
    assert drafts.breach(world.desk, "quayside", begins=day, ends=day).scope["accounts"] == 3
    assert drafts.breach(world.desk, "quayside", file="harbour-1.zip.age").scope["accounts"] == 3
    for agency, more in (
        ("quayside", {"begins": day + timedelta(days=1)}), ("quayside", {"ends": day - timedelta(days=1)}),
        ("quayside", {"file": "other"}), ("hengxin", {}), ("nobody", {}),
    ):  # fmt: skip
        with pytest.raises(UsageError):
            drafts.breach(world.desk, agency, **more)


def test_the_pseudonyms_affected_are_the_agencys_own_and_asking_for_them_is_audited(world: World) -> None:
    import pandas as pd

    desk = world.desk
    asked = drafts.affected_pseudonyms(desk, "quayside")
    key = desk.keyring.pseudonym_key("quayside")
    assert sorted(asked["debtor"]) == sorted(debtor_pseudonyms(key, pd.Series([1, 3])))
    with desk.database.read() as connection:
        told = connection.execute(text("SELECT action, details FROM audit_event ORDER BY seq DESC LIMIT 1")).one()
    assert tuple(told) == ("report.pseudonyms", '{"debtors":2}')


def every(world: World) -> Iterator[Report]:
    yield drafts.impact(world.desk)
    yield drafts.processing(world.desk)
    yield drafts.agency_list(world.desk)
    yield drafts.breach(world.desk, "quayside")


def test_each_report_is_dated_and_stands_on_a_signed_head_that_verifies(world: World) -> None:
    for report in every(world):
        assert report.made_at == world.desk.now()
        with world.desk.database.read() as connection:
            assert audit.head(connection) == report.audit_head
            assert audit.verify(connection, world.desk.keyring.audit_publics().values()).root == report.audit_root


@pytest.mark.parametrize("code", pages.LANGUAGES)
def test_each_report_is_a_page_in_either_language_that_needs_nothing_else(world: World, code: str) -> None:
    for report in every(world):
        page = pages.html(report, code)
        tree = lxml_html.fromstring(page)
        assert tree.get("lang") == {"en": "en", "zh": "zh-Hans"}[code]
        assert report.audit_head in page
        assert len(tree.findall(".//h2")) == len(report.sections) + 1
        assert "http" not in page.replace("http-equiv", "")
        assert pages.words(code)("title", report.kind) in page


def test_both_languages_say_the_same_things() -> None:
    english, chinese = (
        tomllib.loads(files("infra.reports").joinpath("words", f"{code}.toml").read_text("utf-8"))
        for code in pages.LANGUAGES
    )
    assert {part: set(words) - {"known_at"} for part, words in english.items()} == {
        part: set(words) - {"known_at"} for part, words in chinese.items()
    }


def test_a_hostile_name_is_neither_markup_nor_a_formula(world: World) -> None:
    change(world, "UPDATE agency SET name = '=<script>1</script>' WHERE agency = 'quayside'")
    report = drafts.agency_list(world.desk)
    assert "<script>" not in pages.html(report, "en")
    assert not any(cell.startswith("=") for row in csv.reader(pages.csv(report).splitlines()) for cell in row)


def test_reports_are_written_to_new_files_as_their_ending_says(world: World, tmp_path: Path) -> None:
    for name in ("list.html", "list.json", "list.csv"):
        result = runner.invoke(app, ["report", "agencies", "--language", "zh", "--out", str(tmp_path / name), "--json"])
        assert result.exit_code == 0, result.output
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
    assert "合作催收机构名单" in (tmp_path / "list.html").read_text("utf-8")
    assert json.loads((tmp_path / "list.json").read_text("utf-8"))["kind"] == "agencies"
    assert (tmp_path / "list.csv").read_text("utf-8").splitlines()[0] == ",".join(drafts.PUBLISHED)
    assert runner.invoke(app, ["report", "agencies", "--out", str(tmp_path / "list.csv")]).exit_code == 2
    assert runner.invoke(app, ["report", "agencies", "--out", str(tmp_path / "list.doc")]).exit_code == 2
    assert world.desk.actor


def test_reports_are_shown_where_no_file_is_named(world: World, tmp_path: Path) -> None:
    for words in (["impact"], ["processing", "--language", "zh"], ["agencies"], ["breach", "--agency", "quayside"]):
        assert runner.invoke(app, ["report", *words]).exit_code == 0
        assert json.loads(runner.invoke(app, ["report", *words, "--json"]).stdout)["kind"] == words[0]
    listed = tmp_path / "who.csv"
    words = ["report", "breach", "--agency", "quayside", "--from", "2026-01-05", "--pseudonyms", str(listed)]
    assert runner.invoke(app, [*words, "--known-at", "2026-01-06T12:00"]).exit_code == 0
    assert len(listed.read_text().splitlines()) == 3
    assert world.desk.actor


def test_the_gate_s_figures_stand_in_the_impact_assessment_and_lines_alone_are_an_open_point(world: World) -> None:
    before = drafts.impact(world.desk)
    assert not before.section("telling_apart").rows
    assert "no_risk_figures" in codes(before)
    with world.desk.database.session() as session:
        session.add(
            GateCheck(
                transmission_id=1, verdict="passed", checked_at=world.desk.now(), checked_by="sandbox", rows=3,
                cells=30, stopping=0, quasi='["region"]', k_before=1, k_after=2, l_before=1, l_after=1,
                unique_before=2, unique_after=1, suppressed=1,
            )
        )  # fmt: skip
    report = drafts.impact(world.desk)
    assert rows(report, "telling_apart") == [
        {"agency": "quayside", "files": 1, "lines": 3, "k_before": 1, "k_after": 2, "l_after": 1, "unique_before": 2,
         "unique_after": 1, "suppressed": 1},
    ]  # fmt: skip
    assert "no_risk_figures" not in codes(report)
    assert {"agency": "quayside", "count": 1} in [one.told for one in report.points if one.code == "told_apart"]
    for language in ("en", "zh"):
        assert "quayside" in pages.html(report, language)
