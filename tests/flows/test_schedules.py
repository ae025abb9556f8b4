"""Schedules under a real Prefect server: told with their next runs, paused and resumed by a person, on record."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from flows import schedules, serving
from flows.catalogue import entry_named
from infra.settings import Settings
from infra.store import bulk, schema
from infra.wiring import Desk, seated
from models.errors import UsageError
from models.tables import AuditEvent

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("engine"), pytest.mark.timeout(300)]


async def registered(name: str) -> None:
    """The flow is a deployment, as the worker of `consign up` makes it."""
    from prefect.runner import Runner

    from flows.working import register

    await register(Runner(name="consign"), entry_named(name))


def test_a_schedule_is_told_paused_and_resumed(tmp_path: Path) -> None:
    with seated(Desk(Settings(home=tmp_path / "home", engine="prefect"), actor="chen.yu")) as at:
        schema.ensure(at.database)
        before = schedules.board()
        assert before.page_url is None
        assert {one.paused for one in before.schedules} == {None}
        with pytest.raises(serving.ServerFailed, match="no server"):
            schedules.pause("recall")
        with serving.server(at.settings) as api_url:
            from flows.deployed import attached

            with attached(api_url):
                asyncio.run(registered("recall"))
            told = {one.name: one for one in schedules.board().schedules}
            assert told["recall"].paused is False
            assert len(told["recall"].next_runs) == schedules.RUNS_SHOWN
            schedules.pause("recall")
            paused = next(one for one in schedules.board().schedules if one.name == "recall")
            assert paused.paused is True
            assert paused.next_runs == ()
            schedules.resume("recall")
            assert next(one for one in schedules.board().schedules if one.name == "recall").paused is False
            with pytest.raises(UsageError):
                schedules.pause("place")
            with pytest.raises(serving.ServerFailed, match="does not know"):
                schedules.pause("deliver")
        events = bulk.table_of(AuditEvent)
        with at.database.read() as connection:
            said = connection.execute(select(events.c.action, events.c.actor, events.c.subject)).all()
        assert [tuple(row) for row in said if row.action.startswith("schedule.")] == [
            ("schedule.paused", "chen.yu", "flow:recall"),
            ("schedule.resumed", "chen.yu", "flow:recall"),
        ]
