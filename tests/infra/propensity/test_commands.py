"""`consign propensity`, as a portfolio manager and the one beside her use it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

from console.cli.propensity import app
from flows.propensity import foretell
from infra.propensity import jumps, versions
from infra.wiring import Desk, seated
from models.errors import UsageError
from models.propensity.thresholds import TooFewAtThreshold

As = Callable[..., Desk]


def told(*words: str) -> Any:
    """What a command says as JSON."""
    done = CliRunner().invoke(app, [*words, "--json"], catch_exceptions=False)
    assert done.exit_code == 0
    return json.loads(done.stdout)


def said(*words: str) -> str:
    """What a command says to a person."""
    done = CliRunner().invoke(app, list(words), catch_exceptions=False)
    assert done.exit_code == 0
    return done.output


@pytest.mark.usefixtures("desk")
def test_from_fitting_to_an_accounts_reasons(as_: As) -> None:
    assert told("fit", "harbour")["state"] == "proposed"
    with seated(as_("li.wei")):
        assert told("approve", "1")["state"] == "in_use"
    assert told("score")["accounts"] == 3_000
    assert [one["state"] for one in told("list")["items"]] == ["in_use"]
    found = told("explain", "#2500")["explained"]
    assert {one["fact"] for one in found["reasons"]} <= {"balance", "dpd", "months_open", "product"}
    shown = said("explain", "#2500")
    assert "× usual" in shown
    assert "the average account" in shown
    assert "still fits" in said("drift", "harbour") or "should look" in said("drift", "harbour")
    assert told("withdraw", "1", "--reason", "tried")["state"] == "withdrawn"


def test_the_report_says_the_same_in_both_languages_and_names_no_debtor(desk: Desk) -> None:
    versions.fit(desk, "harbour")
    folder = Path(told("report", "1")["folder"])
    english, chinese = (folder / f"report.{code}.html" for code in ("en", "zh"))
    assert "Do chances come true?" in english.read_text(encoding="utf-8")
    assert "概率是否兑现" in chinese.read_text(encoding="utf-8")
    assert "Age bands were not released" in english.read_text(encoding="utf-8")
    reliability = pd.read_csv(folder / "reliability.csv")
    assert reliability["placements"].sum() == 444
    for row in reliability.itertuples():
        assert f"{row.observed:.1%}" in english.read_text(encoding="utf-8")
    coefficients = pd.read_csv(folder / "coefficients.csv")
    assert set(coefficients["fact"]) == {"balance", "dpd", "months_open", "product"}
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    told("report", "1")
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


def test_the_morning_run_does_nothing_while_models_are_off(as_: As) -> None:
    with seated(as_(propensity="off")):
        report = foretell()
    assert (report.switched, report.accounts, report.models_warned) == ("off", 0, 0)


def test_the_facts_are_listed() -> None:
    assert [one["fact"] for one in told("facts")["items"]][:2] == ["balance", "dpd"]


# --- thresholds -------------------------------------------------------------------------------------------------------


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    """Cases whose outcome jumps by 40 at 100, with a column of texts that does not."""
    value = [float(number) for number in range(200)]
    frame = pd.DataFrame({"value": value, "outcome": [one * 0.5 + 40 * (one >= 100) + one % 7 for one in value]})
    path = tmp_path / "cases.csv"
    frame.assign(sort=["a" if one % 3 else "b" for one in range(200)]).to_csv(path, index=False)
    return path


@pytest.mark.usefixtures("desk")
def test_a_files_threshold_is_studied(cases: Path) -> None:
    words = ["threshold", str(cases), "--value", "value", "--outcome", "outcome", "--at", "100", "--within", "50"]
    found = told(*words, "--check", "sort")
    assert found["gain"]["low"] <= 40 <= found["gain"]["high"]
    assert found["sound"]
    assert set(found["checks"]) == {"sort"}
    assert "placebo at 50" in said(*words)


def test_the_stores_placements_are_studied_too(desk: Desk) -> None:
    found = jumps.in_store(desk, "harbour", "dpd", 150, 60, 90)
    assert found.gain.holds_zero
    assert set(found.checks) == {"balance", "months_open"}
    assert jumps.in_store(desk, "harbour", "balance", 8_000, 4_000, 90).gain.below > 50


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--value", "value"), "no column of what came"),
        (("--value", "nothing", "--outcome", "outcome"), "cannot be read"),
        (("--value", "sort", "--outcome", "outcome"), "column sort holds texts"),
    ],
)
@pytest.mark.usefixtures("desk")
def test_what_cannot_be_studied_is_said(cases: Path, words: tuple[str, ...], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        said("threshold", str(cases), *words, "--at", "100", "--within", "50")


def test_a_window_without_cases_is_said(desk: Desk, cases: Path) -> None:
    with pytest.raises(TooFewAtThreshold):
        jumps.in_table(cases, "value", "outcome", 1_000, 10)
    with pytest.raises(UsageError, match="nothing begins by"):
        jumps.in_store(desk, "harbour", "age", 50, 10, 90)
    with pytest.raises(UsageError, match="neither a file nor a lender"):
        said("threshold", "--at", "100", "--within", "50")
