"""`consign people`, and what `consign web` says."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from infra.people import signing_in
from infra.wiring import Desk, seated

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PASSWORD = "a sentence nobody guesses"


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """An initialised house, whose administrator sits at the desk."""
    from console.cli.main import app
    from infra.settings import Settings

    monkeypatch.setenv("CONSIGN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CONSIGN_ACTOR", "boss")
    monkeypatch.setenv("CONSIGN_NEW_PASSWORD", PASSWORD)
    made = Desk(Settings())
    with seated(made):
        assert CliRunner().invoke(app, ["init"]).exit_code == 0
        yield made
    made.database.close()


def consign(*words: str) -> tuple[int, Any]:
    """The exit code and what was said as JSON."""
    from console.cli.main import app

    done = CliRunner().invoke(app, [*words, "--json"])
    return done.exit_code, json.loads(done.stdout) if done.stdout.strip() else None


def test_a_person_is_added_listed_given_a_password_disabled_and_let_in_again(desk: Desk) -> None:
    assert consign("people", "add", "li.wei")[1]["actor"] == "li.wei"
    assert [row["actor"] for row in consign("people", "list")[1]["items"]] == ["li.wei"]
    assert consign("people", "add", "li.wei")[0] == 2
    assert consign("people", "add", "q.clerk", "--agency", "nowhere")[0] == 2
    cookie = signing_in.sign_in(desk, "li.wei", PASSWORD, address="10.0.0.1", browser="b").cookie
    assert cookie
    assert [row["address"] for row in consign("people", "sessions", "li.wei")[1]["items"]] == ["10.0.0.1"]
    assert consign("people", "sessions", "li.wei", "--end")[1]["items"] == []
    assert consign("people", "disable", "li.wei")[1]["state"] == "disabled"
    with pytest.raises(signing_in.NotSignedIn):
        signing_in.sign_in(desk, "li.wei", PASSWORD, address="a", browser="b")
    assert consign("people", "enable", "li.wei")[0] == 0
    assert consign("people", "password", "li.wei")[0] == 0
    told = consign("people", "totp", "li.wei", "--forget")[1]
    assert told == {"actor": "li.wei", "authenticator": False, "recovery_codes": 0}
    assert consign("people", "totp", "nobody")[0] == 2


def test_whoever_is_no_administrator_adds_nobody(desk: Desk) -> None:
    with seated(desk.acting("li.wei")):
        assert consign("people", "add", "zhao.lei")[0] == 6


def test_a_weak_password_is_refused(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    for weak in ("short", "li.wei li.wei li.wei", "password1234567", "aaaaaaaaaaaaaaaa"):
        monkeypatch.setenv("CONSIGN_NEW_PASSWORD", weak)
        assert consign("people", "add", "li.wei")[0] == 2, weak
    assert desk.actor == "boss"


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_web_answers_until_it_is_asked_to_stop(desk: Desk, how: signal.Signals, tmp_path: Path) -> None:
    desk.database.close()
    process = subprocess.Popen(
        [sys.executable, "-m", "console.cli.main", "web", "--port", "0", "--json"],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        url = json.loads(process.stdout.readline())["url"]
        with urllib.request.urlopen(url + "/healthz") as answer:  # noqa: S310 - our own, on loopback
            assert json.load(answer) == {"ready": True}
        process.send_signal(how)
        assert process.wait(60) == 0
        assert not list(tmp_path.glob("consign-*")), "nothing is left behind"
    finally:
        process.kill()
        process.communicate()


def test_a_port_that_is_taken_is_said(desk: Desk) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        assert consign("web", "--port", str(server.getsockname()[1]))[0] == 4
    assert desk.actor == "boss"
