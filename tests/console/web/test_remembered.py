"""Figures that took long are kept a while; nobody waits for one that somebody else is counting, once there was one."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from console.web.remembered import Remembered
from infra.settings import Settings
from infra.wiring import Desk

if TYPE_CHECKING:
    from pathlib import Path


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


def test_while_one_counts_others_get_the_figure_before(tmp_path: Path) -> None:
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
