"""Requests of one process take turns; what takes long, or changes something, keeps nobody waiting."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from console.web import turns
from console.web.turns import InTurn

Told = list[tuple[str, str]]


def asked(path: str, method: str = "GET") -> dict[str, Any]:
    return {"type": "http", "method": method, "path": path}


async def nothing() -> dict[str, Any]:
    return {}


async def unheard(message: Any) -> None:
    del message


def taking(told: Told, seconds: dict[str, float]) -> Callable[..., Awaitable[None]]:
    """An application that says when it begins and ends, and takes as long as it is told for each path."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        del receive, send
        told.append(("begun", scope["path"]))
        await asyncio.sleep(seconds.get(scope["path"], 0.001))
        told.append(("ended", scope["path"]))
        if scope["path"] == "/fails":
            raise ValueError

    return app


async def ask(app: InTurn, *scopes: dict[str, Any]) -> list[object]:
    """Ask for all of them at once."""
    return await asyncio.gather(*(app(scope, nothing, unheard) for scope in scopes), return_exceptions=True)


def test_pages_are_made_one_after_the_other_in_the_order_in_which_they_were_asked_for() -> None:
    told: Told = []
    paths = [f"/{number}" for number in range(5)]
    asyncio.run(ask(InTurn(taking(told, {})), *map(asked, paths)))
    assert told == [(what, path) for path in paths for what in ("begun", "ended")]


def test_what_takes_long_keeps_the_others_waiting_for_one_turn_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "LONGEST", 0.05)
    told: Told = []
    began = time.monotonic()
    asyncio.run(ask(InTurn(taking(told, {"/long": 1.0})), asked("/long"), asked("/one"), asked("/two")))
    assert told == [
        ("begun", "/long"), ("begun", "/one"), ("ended", "/one"), ("begun", "/two"), ("ended", "/two"),
        ("ended", "/long"),
    ]  # fmt: skip
    assert time.monotonic() - began >= 1.0


@pytest.mark.parametrize("beside", [asked("/plans", "POST"), asked("/healthz/live"), asked("/static/consign.css")])
def test_what_changes_something_or_costs_nothing_waits_for_no_turn(
    beside: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "LONGEST", 5.0)
    told: Told = []
    asyncio.run(ask(InTurn(taking(told, {"/breaks": 0.2})), asked("/breaks"), beside))
    assert told.index(("ended", beside["path"])) < told.index(("ended", "/breaks"))


def test_a_page_that_fails_or_that_nobody_waits_for_any_more_gives_its_turn_on() -> None:
    told: Told = []

    async def all_of_it() -> list[object]:
        app = InTurn(taking(told, {"/first": 0.02}))
        first = asyncio.ensure_future(app(asked("/first"), nothing, unheard))
        gone = asyncio.ensure_future(app(asked("/gone"), nothing, unheard))
        await asyncio.sleep(0)
        gone.cancel()
        found = await ask(app, asked("/fails"), asked("/last"))
        await first
        return found

    failed, last = asyncio.run(asyncio.wait_for(all_of_it(), 10))
    assert isinstance(failed, ValueError)
    assert last is None
    assert [path for what, path in told if what == "ended"] == ["/first", "/fails", "/last"]
