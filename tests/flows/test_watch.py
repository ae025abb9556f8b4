"""The verb `watch`, what people are told of it, and `consign watch` and `consign doctor` as a person types them."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from console.cli.main import app
from flows.engine import run
from flows.watch import watch
from infra import exceptions, health
from infra.settings import Settings
from infra.store import schema
from infra.wiring import Desk, seated

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Clock:
    """A clock that is turned by hand."""

    now = datetime(2026, 1, 12, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """Monday morning in Shanghai."""
    return Clock()


@pytest.fixture
def heard() -> Iterator[list[Any]]:
    """What a webhook was told; the first entry is its address, and while it holds `None` it answers 500."""
    came: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            deaf = None in came
            if not deaf:
                came.append(json.loads(body))
            self.send_response(500 if deaf else 204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        came.append(f"http://127.0.0.1:{server.server_port}/")
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield came
        server.shutdown()
        thread.join()


@pytest.fixture
def desk(tmp_path: Path, clock: Clock, heard: list[Any]) -> Iterator[Desk]:
    """A desk whose news go to the webhook."""
    settings = Settings(home=tmp_path / "home", engine="direct", notify_webhook=SecretStr(heard[0]), notify_attempts=2)
    at = Desk(settings, clock=clock, actor="chen.yu")
    schema.ensure(at.database)
    with seated(at):
        yield at
    at.database.close()


def opened(desk: Desk, code: str, subject: str) -> None:
    with desk.database.write() as connection:
        exceptions.open_exception(connection, desk, code, agency="quayside", subject=subject)


def test_what_is_new_is_told_once_and_again_when_its_time_is_over(desk: Desk, clock: Clock, heard: list[Any]) -> None:
    for number in (1, 2):
        opened(desk, "file_refused", f"file:{number}")
    first = run(watch)
    assert (first.unresolved, first.overdue, first.notices) == (2, 0, 1)
    assert run(watch).notices == 0
    assert heard[1:] == [
        {
            "from": "consign", "at": "2026-01-12T01:00:00+00:00", "unresolved": 2, "overdue": [],
            "new": [{"code": "file_refused", "count": 2, "severity": "high"}],
        }
    ]  # fmt: skip
    clock.now += timedelta(days=2)
    report = run(watch)
    assert (report.overdue, report.notices) == (2, 1)
    assert heard[2]["overdue"] == [{"code": "file_refused", "count": 2, "severity": "high"}]
    assert heard[2]["new"] == []
    assert run(watch).notices == 0


def test_what_a_deaf_webhook_missed_is_told_at_the_next_look(desk: Desk, heard: list[Any]) -> None:
    opened(desk, "file_refused", "file:1")
    heard.append(None)
    report = run(watch)
    assert (report.notices, report.notice_failed) == (0, True)
    heard.remove(None)
    assert run(watch).notices == 1
    assert len(heard) == 2


def test_a_notice_holds_codes_and_counts_and_no_name_of_a_file(desk: Desk, heard: list[Any]) -> None:
    opened(desk, "file_refused", "file:13800138000")
    run(watch)
    assert "13800138000" not in json.dumps(heard[1:])


def test_every_unresolved_code_is_a_warning_in_the_journal(desk: Desk) -> None:
    opened(desk, "file_refused", "file:1")
    run(watch)
    lines = (desk.settings.home / "logs" / "consign.log").read_text().splitlines()
    (warned,) = [one for one in map(json.loads, lines) if one["event"] == "exceptions are unresolved"]
    assert (warned["level"], warned["code"], warned["count"]) == ("warning", "file_refused", 1)


def test_the_command_ends_with_three_while_something_is_unresolved(desk: Desk) -> None:
    assert CliRunner().invoke(app, ["watch", "--json"]).exit_code == 0
    opened(desk, "unconfirmed_recall", "transmission:1")
    dry = CliRunner().invoke(app, ["watch", "--dry-run", "--json"])
    assert (dry.exit_code, json.loads(dry.stdout)["items"]) == (0, [])
    result = CliRunner().invoke(app, ["watch", "--json"])
    assert result.exit_code == 0  # nothing is outstanding any more: it was resolved
    opened(desk, "file_refused", "file:1")
    result = CliRunner().invoke(app, ["watch", "--json"])
    assert result.exit_code == 3
    assert json.loads(result.stdout)["codes"] == [{"code": "file_refused", "unresolved": 1, "overdue": 0}]


def test_the_doctor_speaks_of_what_is_overdue(desk: Desk, clock: Clock) -> None:
    def said() -> list[tuple[str, str]]:
        return [(one.state, one.check) for one in health.exceptions(desk)]

    assert said() == [("ok", "exceptions"), ("ok", "calendars")]
    opened(desk, "file_refused", "file:1")
    assert said()[0] == ("ok", "exceptions")
    clock.now += timedelta(days=2)
    assert said()[0] == ("warn", "exceptions")
    clock.now = datetime(2031, 3, 1, tzinfo=UTC)
    assert said()[1] == ("warn", "calendars")
