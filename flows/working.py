"""The worker's own process: registers every flow of the catalogue, runs what is due, ends when its input closes.

`consign up` starts it as `python -m flows.working` and holds its standard input open: the pipe closes with its holder,
however that ends. Its first line of output is one JSON object that says what was registered.
"""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from flows.catalogue import entries

if TYPE_CHECKING:
    from prefect.client.orchestration import PrefectClient
    from prefect.runner import Runner

    from flows.catalogue import Entry

AT_ONCE: Final = 3
"""Runs at the same time: each is a process of some 150 MB."""
POLL_SECONDS: Final = 5.0
HEARTBEAT_SECONDS: Final = 30
SILENT_SECONDS: Final = 4 * HEARTBEAT_SECONDS
"""A run that has not been heard of for so long is crashed."""
ZOMBIES: Final = "consign: a run that fell silent has crashed"


async def work() -> None:
    """Serve the catalogue until standard input closes."""
    from prefect.client.orchestration import get_client
    from prefect.runner import Runner

    runner = Runner(
        name="consign",
        query_seconds=POLL_SECONDS,
        heartbeat_seconds=HEARTBEAT_SECONDS,
        limit=AT_ONCE,
        pause_on_shutdown=False,
    )
    registered = [await register(runner, entry) for entry in entries()]
    async with get_client() as client:
        await watch_for_zombies(client)
    serving = asyncio.create_task(runner.start())
    sys.stdout.write(json.dumps({"deployments": registered}) + "\n")
    sys.stdout.flush()
    closed = asyncio.create_task(asyncio.to_thread(sys.stdin.buffer.read))
    await asyncio.wait([serving, closed], return_when=asyncio.FIRST_COMPLETED)
    if runner.started:
        await runner.astop()
    with suppress(asyncio.CancelledError):
        await serving


async def register(runner: Runner, entry: Entry) -> dict[str, Any]:
    """The entry is a deployment; its name, and its schedule in words."""
    from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
    from prefect.schedules import Cron
    from prefect.types.entrypoint import EntrypointType

    from flows.deployed import flow_of

    when = entry.schedule
    only_one = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW)
    deployment = await flow_of(entry.verb).ato_deployment(
        "consign",
        schedules=[Cron(when.cron, timezone=when.timezone)] if when else [],
        concurrency_limit=only_one if entry.alone else None,
        description=entry.help,
        entrypoint_type=EntrypointType.MODULE_PATH,
    )
    # added by itself and not with its flow: a run is a fresh process that loads flows.deployed.<name>
    deployment_id = await runner.aadd_deployment(deployment)
    return {
        "id": str(deployment_id),
        "deployment": f"{entry.name}/consign",
        "entrypoint": deployment.entrypoint,
        "schedule": when.cron if when else None,
        "timezone": when.timezone if when else None,
    }


async def watch_for_zombies(client: PrefectClient) -> None:
    """The server calls a run crashed when its heartbeats stop, as they do when its machine is gone."""
    from prefect.client.schemas.objects import StateType
    from prefect.events.actions import ChangeFlowRunState
    from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture

    if await client.read_automations_by_name(ZOMBIES):
        return
    ends = ("Completed", "Failed", "Cancelled", "Crashed")
    await client.create_automation(
        AutomationCore(
            name=ZOMBIES,
            trigger=EventTrigger(
                after={"prefect.flow-run.heartbeat"},
                expect={"prefect.flow-run.heartbeat", *(f"prefect.flow-run.{end}" for end in ends)},
                match={"prefect.resource.id": ["prefect.flow-run.*"]},
                for_each={"prefect.resource.id"},
                posture=Posture.Proactive,
                threshold=1,
                within=timedelta(seconds=SILENT_SECONDS),
            ),
            actions=[ChangeFlowRunState(state=StateType.CRASHED, message="It has not been heard of any more.")],
        )
    )


if __name__ == "__main__":
    from flows import serving as _serving

    _serving.prepare()
    with suppress(KeyboardInterrupt):
        asyncio.run(work())
