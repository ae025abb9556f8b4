"""What a command prints: one JSON object for machines, tables for people."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from pathlib import Path

import pandas as pd
import pytest

from console.cli import output
from models.tables import Lender

NOW = datetime(2026, 11, 22, 8, 30, tzinfo=UTC)


class Colour(Enum):
    RED = "red"


@dataclass(frozen=True)
class Report:
    plan_id: int
    accounts: int
    placed_minor: int
    currency: str
    agencies: tuple[dict[str, object], ...] = ()


@pytest.fixture
def machine() -> Iterator[None]:
    output._json.set(True)
    yield
    output._json.set(False)


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (Colour.RED, "red"),
        (Decimal("0.150"), "0.150"),
        (Fraction(1, 4), "1/4"),
        (Path("a/b"), "a/b"),
        (date(2026, 1, 2), "2026-01-02"),
        (NOW, "2026-11-22T08:30:00+00:00"),
        (float("nan"), None),
        (float("inf"), None),
        (pd.NaT, None),
        (pd.NA, None),
        (pd.Timestamp("2026-01-02"), "2026-01-02"),
        (pd.Series([1, 2]).sum(), 3),
        (pd.Series([1, 2]), [1, 2]),
        ({"b", "a"}, ["a", "b"]),
        ({1: (True, None)}, {"1": [True, None]}),
        (pd.DataFrame({"n": pd.array([1, None], dtype="Int64")}), [{"n": 1}, {"n": None}]),
    ],
)
def test_every_value_of_ours_is_plain_json(value: object, plain: object) -> None:
    assert output.jsonable(value) == plain
    json.dumps(output.jsonable(value), allow_nan=False)


@pytest.mark.parametrize("value", [b"sealed", object(), {"cell": b"sealed"}])
def test_sealed_cells_and_strange_things_are_not_for_people(value: object) -> None:
    with pytest.raises(TypeError, match="not for people"):
        output.jsonable(value)


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize(
    ("result", "said"),
    [
        (
            Report(7, 2, 150, "CNY"),
            {"plan_id": 7, "accounts": 2, "placed_minor": 150, "currency": "CNY", "agencies": []},
        ),
        ([{"a": 1}], {"items": [{"a": 1}], "count": 1}),
        ([], {"items": [], "count": 0}),
        (pd.DataFrame({"a": [1]}), {"items": [{"a": 1}], "count": 1}),
        (3, {"result": 3}),
    ],
)
def test_a_machine_gets_one_object(result: object, said: object, capsys: pytest.CaptureFixture[str]) -> None:
    output.emit(result, title="Plan")
    printed = capsys.readouterr()
    assert (json.loads(printed.out), printed.err, printed.out.count("\n")) == (said, "", 1)


def test_a_person_gets_amounts_with_their_currency(capsys: pytest.CaptureFixture[str]) -> None:
    output.emit(Report(1234, 20_000, 123_456_789, "CNY", ({"agency": "north", "lines": 3_000},)), title="Plan")
    said = capsys.readouterr().out
    for words in ("plan id   1234", "20,000", "1,234,567.89 CNY", "north", "3,000"):
        assert words in said


def test_the_exponent_is_the_currencys(capsys: pytest.CaptureFixture[str]) -> None:
    output.emit([{"paid_minor": 1500, "currency": "JPY"}, {"paid_minor": 1500, "currency": "KWD"}])
    said = capsys.readouterr().out
    assert ("1,500 JPY" in said, "1.500 KWD" in said) == (True, True)


def test_a_table_shows_the_columns_asked_for_and_markup_is_only_text(capsys: pytest.CaptureFixture[str]) -> None:
    output.emit([{"a": "[red]x[/red]", "b": "hidden"}], columns=["a"])
    said = capsys.readouterr().out
    assert ("[red]x[/red]" in said, "hidden" in said) == (True, False)


def test_nothing_found_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    output.emit([], title="Plans")
    assert capsys.readouterr().out == "Plans: none\n"


def test_a_row_of_the_store_is_shown_like_anything_else(capsys: pytest.CaptureFixture[str]) -> None:
    output.emit(Lender(lender="north", name="North", created_at=NOW))
    assert "Asia/Shanghai" in capsys.readouterr().out


def test_talk_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    output.say("[bold]almost[/bold] done")
    with output.progress("placing", total=3) as bar:
        bar.advance()
        bar.update(done=3, description="placed")
    assert capsys.readouterr() == ("", "[bold]almost[/bold] done\n")


def test_where_nobody_is_there_to_answer_the_answer_is_no(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert not output.confirmed("Erase it all?")
    assert output.confirmed("Erase it all?", yes=True)
    assert "--yes" in capsys.readouterr().err
