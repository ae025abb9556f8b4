"""Figures that took long are kept a while; nobody waits for one that somebody else is counting, once there was one."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

import pytest

from console.web import remembered
from console.web.remembered import Remembered
from infra.settings import Settings
from infra.wiring import Desk

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.console.web.conftest import As

T = TypeVar("T")


def test_a_figure_that_cost_nothing_is_counted_anew_and_one_that_cost_is_kept(tmp_path: Path) -> None:
    desk, figures, asked = Desk(Settings(home=tmp_path)), Remembered(), []

    def slow() -> int:
        asked.append(1)
        time.sleep(0.05)
        return len(asked)

    assert [figures.count(desk, "slow", slow).value for _ in range(3)] == [1, 1, 1]
    assert figures.count(desk, "other", slow).value == 2
    known = figures.find(desk, "slow")
    assert known is not None
    assert known.value == 1
    assert figures.find(desk, "never") is None


def test_of_another_store_it_says_nothing(tmp_path: Path) -> None:
    figures = Remembered()
    here, there = Desk(Settings(home=tmp_path / "here")), Desk(Settings(home=tmp_path / "there"))
    figures.count(here, "key", lambda: 1)
    assert figures.find(there, "key") is None


def test_while_one_counts_others_get_the_figure_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered, "WORTH", 0.0)
    desk, figures = Desk(Settings(home=tmp_path)), Remembered()
    begun, go_on = threading.Event(), threading.Event()
    assert figures.count(desk, "key", lambda: 1).value == 1

    def wait() -> int:
        begun.set()
        assert go_on.wait(5)
        return 2

    counting = threading.Thread(target=lambda: figures.count(desk, "key", wait))
    counting.start()
    assert begun.wait(5)
    assert figures.count(desk, "key", lambda: 3).value == 1
    go_on.set()
    counting.join()
    found = figures.find(desk, "key")
    assert found is not None
    assert found.value == 2


def test_what_one_process_counted_another_one_knows_and_so_does_the_next_start(tmp_path: Path) -> None:
    desk = Desk(Settings(home=tmp_path))
    told = {"open": 3, "closed": 40}

    def slow() -> dict[str, int]:
        time.sleep(0.12)
        return told

    first = Remembered().count(desk, "tabs", slow, dict[str, int])
    other = Remembered()
    assert other.find(desk, "tabs") is None
    assert other.count(desk, "tabs", dict, dict[str, int]) == first
    assert other.find(desk, "tabs") == first
    assert Remembered().find(desk, ("tabs", "harbour"), dict[str, int]) is None


def _slowly(value: T, seconds: float) -> Callable[[], T]:
    """Counts the value, and takes its time."""

    def make() -> T:
        time.sleep(seconds)
        return value

    return make


def test_a_file_that_another_version_wrote_is_counted_anew(tmp_path: Path) -> None:
    desk = Desk(Settings(home=tmp_path))
    Remembered().count(desk, "key", _slowly("a word", 0.12), str)
    assert Remembered().count(desk, "key", lambda: 7, int).value == 7


def test_what_would_not_come_back_as_it_went_stays_in_its_process(tmp_path: Path) -> None:
    desk, figures = Desk(Settings(home=tmp_path)), Remembered()

    def slow() -> dict[str, object]:
        time.sleep(0.12)
        return {"on": (1, 2)}  # a list, when it comes back

    assert figures.count(desk, "key", slow, dict[str, object]).value == {"on": (1, 2)}
    assert Remembered().find(desk, "key", dict[str, object]) is None


def test_a_figure_that_takes_long_is_shown_as_it_was_and_counted_behind_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remembered, "LONG", 0.05)
    monkeypatch.setattr(remembered, "WORTH", 0.0)
    desk, figures = Desk(Settings(home=tmp_path)), Remembered()
    go_on, counted = threading.Event(), threading.Event()

    def first() -> int:
        time.sleep(0.06)
        return 1

    def second() -> int:
        assert go_on.wait(5)
        counted.set()
        return 2

    assert figures.count(desk, "key", first).value == 1
    assert figures.count(desk, "key", second).value == 1
    go_on.set()
    assert counted.wait(5)
    until = time.monotonic() + 5
    while (found := figures.find(desk, "key")) is None or found.value != 2:
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.mark.parametrize(("took", "late", "shown"), [
    (0.01, 0.0, False),  # counted anew at once
    (0.1, 5.0, True),  # good for six seconds, and shown for six more while it is counted
    (0.1, 7.0, False),
    (2.0, 7.0, True),
])  # fmt: skip
def test_how_long_a_figure_is_shown_while_it_is_counted_anew(took: float, late: float, *, shown: bool) -> None:
    figure = remembered.Figure(1, datetime.now(UTC), time.time() - late, took)
    assert figure.will_do is shown
    assert not figure.is_good


def test_what_cannot_be_counted_behind_a_page_is_told_to_the_journal_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remembered, "LONG", 0.05)
    monkeypatch.setattr(remembered, "WORTH", 0.0)
    desk, figures, tried = Desk(Settings(home=tmp_path)), Remembered(), []

    def fail() -> int:
        tried.append(1)
        raise ValueError

    assert figures.count(desk, "key", _slowly(1, 0.06)).value == 1
    until = time.monotonic() + 5
    while len(tried) < 2:
        assert time.monotonic() < until
        assert figures.count(desk, "key", fail).value == 1
        time.sleep(0.01)


def test_every_figure_that_processes_share_comes_back_from_its_file_as_it_went(
    browse: As, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remembered, "WORTH_A_FILE", 0.0)
    browser, lost = browse("second"), []
    for path in (
        "/breaks", "/closing", "/ledger", "/plans/new", "/portfolios/1", "/placements", "/recalls", "/recalls/due",
        "/agencies", "/breaches", "/erasures", "/assessments", "/assessments?kind=processing",
    ):  # fmt: skip
        before = set(desk.folder("figures").glob("*.json"))
        assert browser.get(path).status_code == 200
        if set(desk.folder("figures").glob("*.json")) == before:
            lost.append(path)
    assert not lost
