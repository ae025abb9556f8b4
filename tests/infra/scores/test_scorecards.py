"""Scorecards: what an agency may see, in two languages, without anything fetched or run."""

from __future__ import annotations

import html as html_
import re
import shutil
import string
import subprocess
import tomllib
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from importlib.resources import files as resources
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from lxml import etree, html

from infra.scorecards import files
from infra.scorecards.charts import Estimate, curve, forest, nice_ticks
from infra.scorecards.language import language
from infra.scorecards.pages import Book, overview, scorecard
from infra.store import scores
from infra.store.database import Database
from infra.store.scores import Run
from models.scoring.assessment import assess

NOW = datetime(2026, 7, 1, 8, tzinfo=UTC)
LANGUAGES = ("en", "zh")
KINDS = ("html", "pdf", "xlsx")


def parsed(page: str) -> Any:
    """The page's tree; lxml's own types know of no text_content."""
    return html.fromstring(page)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, fill: object, as_of: date) -> Iterator[Run]:
    database = Database(f"sqlite:///{tmp_path_factory.mktemp('scores') / 'consign.sqlite'}")
    fill(database, 1200)  # type: ignore[operator]  # the fixture's function
    with database.write() as connection:
        drawn = scores.inputs(connection, None, as_of, 2)
        run_id = scores.keep(connection, None, as_of, "m/1", 7, drawn.sha256(), assess(drawn, as_of, 7), NOW)
        found = scores.load(connection, run_id)
    assert found is not None
    yield found
    database.close()


@pytest.mark.parametrize("code", LANGUAGES)
def test_an_agency_is_shown_no_other_agency(run: Run, code: str) -> None:
    for agency in run.names:
        page = parsed(scorecard(run, agency, code)).text_content() + scorecard(run, agency, code)
        others = {other: name for other, name in run.names.items() if other != agency}
        assert not [other for other, name in others.items() if other in page or name in page]


def test_the_lender_is_shown_all(run: Run) -> None:
    text = parsed(overview(run, "en")).text_content()
    assert all(name in text for name in run.names.values())


@pytest.mark.parametrize("code", LANGUAGES)
def test_pages_run_nothing_and_fetch_nothing(run: Run, code: str) -> None:
    for page in (overview(run, code), scorecard(run, "quayside", code)):
        tree = parsed(page)
        assert not tree.xpath("//script | //link | //img | //iframe | //@onclick")
        assert not re.findall(r"url\(|@import|https?://", page)
        assert all("/" not in link for link in tree.xpath("//a/@href"))


@pytest.mark.parametrize("code", LANGUAGES)
def test_every_chart_says_what_it_shows(run: Run, code: str) -> None:
    for page in (overview(run, code), scorecard(run, "quayside", code)):
        tree = parsed(page)
        assert tree.get("lang") == {"en": "en", "zh": "zh-Hans"}[code]
        charts = tree.xpath("//svg[@role='img']")
        assert charts
        for chart in charts:
            named = chart.get("aria-labelledby").split()
            assert [one.get("id") for one in chart.xpath("./title | ./desc")] == named
        ids = tree.xpath("//@id")
        assert len(ids) == len(set(ids))
        assert tree.xpath("//details//table")


@pytest.mark.parametrize("code", LANGUAGES)
def test_charts_hold_numbers_only(run: Run, code: str) -> None:
    for page in (overview(run, code), scorecard(run, "hengxin", code)):
        assert "nan" not in page.lower().replace("finance", "")
        assert "None" not in page
        for chart in parsed(page).xpath("//svg"):
            etree.fromstring(etree.tostring(chart, with_tail=False))


def test_names_are_escaped(run: Run) -> None:
    assert "Quayside &lt;Recoveries&gt;" in scorecard(run, "quayside", "en")
    assert "<Recoveries>" not in overview(run, "en")


def test_few_others_are_not_given_away(run: Run) -> None:
    """The range of one other agency would be that agency's figure."""
    told = run.summary | {"peers_shown": 4}
    shown, hidden = Book(run), Book(replace(run, summary=told))
    assert shown.peers(shown.cards[0], "recovery") is not None
    assert hidden.peers(hidden.cards[0], "recovery") is None
    page = parsed(scorecard(replace(run, summary=told), "quayside", "en")).text_content()
    assert "would give them away" in page


def test_a_shut_gate_is_said_at_the_top(run: Run) -> None:
    components = run.components.copy()
    components.loc[(components["component"] == "complaint_gate") & (components["agency"] == "lotus"), "note"] = "shut"
    page = parsed(scorecard(replace(run, components=components), "lotus", "en"))
    assert "gate is shut" in page.xpath("string(//p[contains(@class, 'banner')])")


def test_the_folder_holds_pages_and_tables(run: Run, tmp_path: Path) -> None:
    folder = files.write(tmp_path, run)
    names = {path.name for path in folder.iterdir()}
    assert names == {
        "components.csv",
        *(f"{agency}.{code}.{kind}" for agency in [*run.names, "overview"] for code in LANGUAGES for kind in KINDS),
    }
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert files.write(tmp_path, run) == folder
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.fixture(scope="module")
def folder(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return files.write(tmp_path_factory.mktemp("cards"), run)


def text_of(path: Path) -> str:
    """All that a file holds, whatever is packed in it."""
    if path.suffix == ".pdf":
        # a font without Chinese sets each letter's code; names and figures are looked for in what a reader shows
        shown = subprocess.run(["pdftotext", "-layout", path, "-"], capture_output=True, check=True, text=True).stdout
        return shown + path.read_bytes().decode("latin-1")
    if path.suffix == ".xlsx":
        with zipfile.ZipFile(path) as parts:
            return html_.unescape("".join(parts.read(name).decode() for name in parts.namelist()))
    return path.read_text("utf-8")


def figures_of(run: Run, agency: str) -> set[str]:
    """What only this agency's figures are, as people and as machines write them."""
    own = run.summary["agencies"][agency]["totals"]["CNY"]
    amounts = [own[name] for name in ("placed_minor", "recovered_minor", "commission_minor")]
    words = language("en")
    whole = run.components[run.components["segment"] == "all"]
    values = whole.loc[whole["agency"] == agency, ["value", "low", "high", "expected", "actual"]].to_numpy().ravel()
    long = {f"{value:.16g}" for value in values if not np.isnan(value) and len(f"{value:.16g}") > 8}
    return {words.money(minor, "CNY") for minor in amounts} | {f"{minor / 100:.16g}" for minor in amounts} | long


@pytest.mark.skipif(not shutil.which("pdftotext"), reason="no pdftotext (Debian: poppler-utils)")
@pytest.mark.parametrize("kind", ["html", "pdf", "xlsx"])
@pytest.mark.parametrize("code", LANGUAGES)
def test_no_agency_s_file_holds_another_s_name_or_figure(run: Run, folder: Path, code: str, kind: str) -> None:
    figures = {agency: figures_of(run, agency) for agency in run.names}
    shared = {figure for one in figures for figure in figures[one] for other in figures if other != one
              and figure in figures[other]}  # fmt: skip
    for agency, name in run.names.items():
        text = text_of(folder / f"{agency}.{code}.{kind}")
        assert html_.escape(name).split()[0] in text or name.split()[0] in text
        own = {figure for figure in figures[agency] if figure in text}
        assert own
        others = [other for other in run.names if other != agency]
        assert not [other for other in others if other in text or run.names[other] in text]
        assert not {figure for other in others for figure in figures[other] - shared if figure in text}


@pytest.mark.skipif(not shutil.which("pdftotext"), reason="no pdftotext (Debian: poppler-utils)")
def test_the_printed_card_says_what_the_page_says(folder: Path) -> None:
    shown = text_of(folder / "quayside.en.pdf")
    for said in ("Scorecard · Quayside <Recoveries>", "Recovered against expected", "Month on book", "Page 1 of",
                 "By segment", "Questions about how the score came about", "Data as of 1 Jul 2026"):  # fmt: skip
        assert said in shown
    assert "谁的回款高于预期" in text_of(folder / "overview.zh.pdf")


def test_the_workbook_keeps_numbers_as_numbers(run: Run, folder: Path) -> None:
    sheets = pd.read_excel(folder / "lotus.en.xlsx", sheet_name=None, header=None, engine="calamine")
    assert list(sheets) == [
        "Summary",
        "Money",
        "Components",
        "Curve",
        "Segments",
        "Left out",
        "Questions",
        "How to read",
    ]
    components = sheets["Components"].set_index(0)
    assert components.loc["Recovered against expected", 1] == pytest.approx(
        run.components.query("agency == 'lotus' and component == 'recovery' and segment == 'all'")["value"].iloc[0]
    )
    assert sheets["Money"].iloc[1, 1] == run.summary["agencies"]["lotus"]["totals"]["CNY"]["placed_minor"] / 100


def test_what_is_flagged_is_asked_of_the_lender_and_of_the_agency_alone(run: Run) -> None:
    flag = {"agency": "lotus", "pattern": "early_returns", "observed": 0.4, "peers": 0.02, "count": 90, "p": 1e-9,
            "q": 2e-8, "flagged": True, "vintage": "2026-03"}  # fmt: skip
    told = replace(run, summary=run.summary | {"flags": [flag]})
    assert "Lotus Credit: Accounts given up within 30 days, those placed in 2026-03" in overview(told, "en")
    mine = parsed(scorecard(told, "lotus", "en")).text_content()
    assert "those placed in 2026-03" in mine
    assert "40.0%" in mine
    assert "2.0%" in mine
    assert "2026-03" not in parsed(scorecard(told, "quayside", "en")).text_content()
    alone = told.summary | {"peers_shown": 4}
    hidden = parsed(scorecard(replace(told, summary=alone), "lotus", "en")).text_content()
    assert "hidden" in hidden


def test_both_languages_say_the_same_things() -> None:
    told = {}
    for code in LANGUAGES:
        words = tomllib.loads(resources("infra.scorecards").joinpath("words", f"{code}.toml").read_text("utf-8"))
        told[code] = {
            f"{section}.{key}": {field for _, field, _, _ in string.Formatter().parse(text) if field}
            for section, entries in words.items()
            if isinstance(entries, dict)
            for key, text in entries.items()
        }
    assert told["en"].keys() == told["zh"].keys()
    assert {key for key in told["en"] if told["en"][key] != told["zh"][key]} == set()


def test_figures_are_written_in_the_readers_way() -> None:
    words = language("en")
    assert words.money(3_820_411_020, "CNY") == "38,204,110.20"
    assert words.money(3_820, "JPY") == "3,820"
    assert words.money(-5, "KWD") == "-0.005"
    assert words.percent(0.1234, 1) == "12.3%"
    assert words.percent(-0.00001, 1) == "0.0%"
    assert words.number(None) == "–"
    assert words.chance(0.9999) == ">99%"
    assert words.chance(0.0) == "0%"
    assert words.day(date(2026, 11, 22)) == "22 Nov 2026"
    assert language("zh").day(date(2026, 11, 22)) == "2026年11月22日"


def test_ticks_are_round_and_hold_all() -> None:
    assert nice_ticks(0, 0.047) == [0, 0.01, 0.02, 0.03, 0.04, 0.05]
    assert nice_ticks(-0.3, 1.0)[0] <= -0.3


def test_before_the_first_month_there_is_no_curve() -> None:
    assert curve([], [], [], []) is None
    assert forest([]) is None


def test_twice_and_half_are_equally_far_from_one() -> None:
    chart = forest([Estimate("a", 2, 1, 3), Estimate("b", 0.5, 0.3, 1)])
    assert chart is not None
    assert chart.bars[0].dot - chart.one == pytest.approx(chart.one - chart.bars[1].dot, abs=0.2)
