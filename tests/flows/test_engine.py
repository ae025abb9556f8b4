"""Verbs and steps: the same body, called here; what may cross a boundary, and what a failure may tell."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows import catalogue, engine
from flows.engine import ParameterRefused, Schedule, StepFailed, run, step, verb
from infra.settings import Settings
from infra.wiring import Desk, desk, seated
from models.errors import RemoteError, RemoteRefused, UsageError

MARKER = "Zhang San 13800138000"


@dataclass(frozen=True)
class Report:
    plan_id: int
    files: int


@step
def send(agency: str, times: int = 1) -> int:
    """Send something."""
    return len(agency) * times


@verb(schedule=Schedule("0 6 * * *"))
def place(plan_id: int, agencies: tuple[str, ...] = ("north", "east")) -> Report:
    """Place a plan."""
    return Report(plan_id, sum(send.map(agencies, 2)))


@pytest.fixture(autouse=True)
def at(tmp_path: Path) -> Iterator[Desk]:
    with seated(Desk(Settings(home=tmp_path, engine="direct", agencies_at_once=2))) as desk:
        yield desk


def test_a_verb_is_a_plain_call() -> None:
    assert place(7) == run(place, plan_id=7) == Report(7, 18)
    assert (place.name, place.__doc__, place.schedule) == ("place", "Place a plan.", Schedule("0 6 * * *"))


def test_results_come_in_the_items_order_however_long_each_takes() -> None:
    @step
    def slow(seconds: float) -> float:
        time.sleep(seconds)
        return seconds

    assert slow.map([0.05, 0.0, 0.02]) == [0.05, 0.0, 0.02]
    assert slow.map([]) == []


def test_no_more_agencies_than_the_setting_says_are_served_at_once() -> None:
    running, most, lock = 0, 0, threading.Lock()

    @step
    def count(_item: int) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.01)
        with lock:
            running -= 1

    count.map(range(8))
    assert most == 2


def test_every_item_runs_and_then_the_first_failure_is_raised() -> None:
    ran = []

    @step
    def fail_on_odd(item: int) -> None:
        ran.append(item)
        if item % 2:
            raise UsageError(f"item {item}")

    with pytest.raises(UsageError, match="item 1"):
        fail_on_odd.map([0, 1, 2, 3])
    assert sorted(ran) == [0, 1, 2, 3]


def test_what_is_current_in_a_verb_is_current_in_its_steps() -> None:
    current: ContextVar[str] = ContextVar("current", default="nothing")

    @step
    def look(_item: int) -> str:
        return current.get()

    current.set("something")
    assert look.map([1, 2]) == ["something", "something"]


def test_whoever_watches_is_told_of_each_item() -> None:
    seen: list[tuple[str, int, int]] = []
    with engine.watched(lambda *told: seen.append(told)):
        place(7)
    assert seen == [("send", 1, 2), ("send", 2, 2)]


@pytest.mark.parametrize(("error", "calls"), [(RemoteError, 3), (RemoteRefused, 1), (ValueError, 1), (UsageError, 1)])
def test_only_what_may_mend_is_tried_again(error: type[Exception], calls: int) -> None:
    made = []

    @step(retries=2, backoff=0.001)
    def deliver(agency: str) -> None:
        made.append(agency)
        raise error(MARKER)

    with pytest.raises(error):
        deliver("north")
    assert made == ["north"] * calls


def test_a_delivery_that_succeeds_the_second_time_is_delivered(capsys: pytest.CaptureFixture[str]) -> None:
    made = []

    @step(retries=2, backoff=0.001)
    def deliver(agency: str) -> str:
        made.append(agency)
        if len(made) == 1:
            raise RemoteError(MARKER)
        return agency

    assert deliver.map(["north"]) == ["north"]
    assert MARKER not in "".join(capsys.readouterr())


def test_a_step_without_retries_is_not_tried_again() -> None:
    made = []

    @step
    def deliver() -> None:
        made.append(1)
        raise RemoteError("away")

    with pytest.raises(RemoteError):
        deliver()
    assert made == [1]


@pytest.mark.parametrize(
    "value",
    [
        7,
        True,
        None,
        "north",
        "2026-11",
        "a/b.zip",
        "1,2,3",
        date(2026, 1, 2),
        Path("委外/名单.xlsx"),
        [1, 2],
        ("a", "b"),
    ],
)
def test_identifiers_cross_a_boundary(value: object) -> None:
    engine.check({"which": value})


@pytest.mark.parametrize(
    "value",
    [
        "Zhang San",
        "张三",
        "13800138000",
        "id:110101199003078515",
        "",
        "x" * 201,
        1.5,
        b"x",
        {"a": 1},
        object(),
        [[1]],
        list(range(101)),
    ],
)
def test_anything_else_is_refused_by_name_and_not_quoted(value: object) -> None:
    with pytest.raises(ParameterRefused) as refused:
        run(place, plan_id=value)
    assert str(refused.value) == "parameter plan_id is no identifier"


@given(st.text())
def test_what_a_failure_tells_never_depends_on_the_errors_text(words: str) -> None:
    told = StepFailed("send", "ValueError", 1, "ref")
    assert str(told) == "send failed: ValueError (exit code 1, fault ref)"
    assert engine.told("send", ValueError(words)).args[:3] == ("send", "ValueError", 1)


def test_a_failure_is_noted_once_on_its_way_up(at: Desk) -> None:
    error = ValueError(MARKER)
    first, second = engine.told("send", error), engine.told("place", error)
    (noted,) = (at.settings.home / "faults").iterdir()
    assert first.reference == second.reference == noted.stem
    assert MARKER not in noted.read_text()


def test_where_nothing_can_be_noted_the_failure_is_told_all_the_same(at: Desk) -> None:
    (at.settings.home / "faults").write_text("in the way")
    assert engine.told("send", ValueError(MARKER)).reference == "not noted"


def test_every_entry_of_the_catalogue_that_is_there_is_a_verb_that_explains_itself() -> None:
    entries = list(catalogue.entries())
    assert {"place", "collect", "recall", "erase"} <= {entry.name for entry in entries}
    for entry in entries:
        assert isinstance(entry.verb, engine.Verb), entry.name
        assert entry.verb.__doc__
        assert entry.help.endswith(".")


def test_what_runs_by_itself_needs_to_be_told_nothing() -> None:
    scheduled = {entry.name for entry in catalogue.entries() if entry.schedule}
    assert scheduled >= {"collect", "recall", "erase"}
    assert "place" not in scheduled


def test_a_flow_that_is_not_there_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="sing"):
        catalogue.entry_named("sing")
    assert "| `collect` |" in catalogue.page()


def test_the_desk_is_the_one_that_was_taken(at: Desk) -> None:
    assert desk() is at
