"""The console in several processes: each gets its share, one that dies is replaced, and what is counted adds up."""

from __future__ import annotations

import http.client
import re
import signal
import sys
import time
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from console.web import crew, serving
from infra.journaling import close_journal, open_journal
from infra.settings import Settings
from infra.wiring import Desk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

TOKEN = "read-me"
ROUTE = "/healthz/live"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("crew")


@pytest.fixture(scope="module")
def crews() -> list[crew.Crew]:
    """Those that were made, to look at what a caller does not see."""
    return []


@pytest.fixture(scope="module")
def port(home: Path, crews: list[crew.Crew]) -> Iterator[int]:
    """The port of a console of two processes."""
    desk = Desk(Settings(home=home))

    def noted(*given: Any) -> crew.Crew:
        crews.append(_Crew(*given))
        return crews[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONSIGN_METRICS_TOKEN", TOKEN)
        patch.setattr(crew, "Crew", noted)
        open_journal(home)
        with crew.served_by_crew(desk, 0, 2) as running:
            taken = urlsplit(running.url).port or 0
            yield taken
            kept = http.client.HTTPConnection("127.0.0.1", taken, timeout=30)  # a browser that stays holds nobody up
            _ask(kept)
        kept.close()
        assert [member.process.returncode for member in crews[0].members] == [0, 0]
        close_journal()
    desk.database.close()


_Crew = crew.Crew


def _open(port: int, stack: ExitStack) -> http.client.HTTPConnection:
    return stack.enter_context(closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)))


def _ask(connection: http.client.HTTPConnection, path: str = ROUTE, **headers: str) -> str:
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    text = answer.read().decode()
    assert answer.status == http.client.OK, text
    return text


def _answered(connection: http.client.HTTPConnection) -> int:
    text = _ask(connection, "/metrics", authorization=f"Bearer {TOKEN}")
    found = re.search(rf'consign_requests_total{{method="GET",route="{ROUTE}",status="200"}} ([0-9.]+)', text)
    return int(float(found[1])) if found else 0


def _until(is_so: Callable[[], Any]) -> None:
    until = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_each_process_gets_its_share_and_the_counts_add_up(port: int, crews: list[crew.Crew]) -> None:
    members = crews[0].members
    with ExitStack() as stack:
        reader = _open(port, stack)
        before = _answered(reader)
        open_ = [_open(port, stack) for _ in range(7)]
        for connection in open_:
            _ask(connection)
        assert sorted(member.connections for member in members) == [4, 4]
        for connection in open_:
            _ask(connection)
        assert _answered(reader) == before + 14
    with ExitStack() as stack:  # what was closed is told of, and not counted any more
        _until(lambda: not any(member.connections for member in members))  # the crew listens while it waits
        _ask(_open(port, stack))


def test_one_that_dies_is_started_again_and_its_counts_are_kept(port: int, crews: list[crew.Crew], home: Path) -> None:
    with ExitStack() as stack:
        before = _answered(_open(port, stack))
        _ask(_open(port, stack))
    victim = crews[0].members[0].process
    victim.send_signal(signal.SIGKILL)
    _until(lambda: victim.returncode is not None)  # the crew has seen it
    with ExitStack() as stack:
        _ask(_open(port, stack))  # somebody answers all the while
    _until(lambda: crews[0].members[0].process is not victim and crews[0].is_ready)
    with ExitStack() as stack:
        assert _answered(_open(port, stack)) == before + 2
    assert "a process of the console ended and is started again" in (home / "logs" / "consign.log").read_text()


def test_where_the_port_is_taken_it_says_so(port: int, tmp_path: Path) -> None:
    desk = Desk(Settings(home=tmp_path))
    with pytest.raises(serving.ConsoleFailed, match="nothing can listen"), crew.served_by_crew(desk, port, 2):
        pass
    desk.database.close()


def test_processes_that_never_answer_are_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew, "LOOK_EVERY", 0.01)
    desk = Desk(Settings(home=tmp_path))
    program = (sys.executable, "-S", "-c", "raise SystemExit(3)")
    with pytest.raises(serving.ConsoleFailed, match="did not start"), crew.served_by_crew(desk, 0, 1, program):
        pass
    desk.database.close()


def test_one_process_alone_answers_in_this_one(tmp_path: Path) -> None:
    desk = Desk(Settings(home=tmp_path, web_processes=1, web_port=0))
    with crew.console(desk, 0) as running, ExitStack() as stack:
        assert _ask(_open(urlsplit(running.url).port or 0, stack)) == '{"live":true}'
    close_journal()
    desk.database.close()
