"""Runs one verb and dies at the n-th moment that matters: a transaction's begin or end, a file's opening or rename.

    python killed.py HOME VERB ARGUMENTS_JSON NOW MOMENT

MOMENT 0 lets it finish and prints how many moments there were. Run as a process of its own: the death is SIGKILL.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
from datetime import datetime
from pathlib import Path

from sqlalchemy import event

from infra.settings import Settings
from infra.wiring import Desk, seated


def main() -> None:
    """See the module."""
    home, verb, arguments, now, moment = sys.argv[1:]
    passed = 0
    watching = False

    def pass_one(*_: object) -> None:
        nonlocal passed
        if not watching:
            return
        passed += 1
        if passed == int(moment):
            os.kill(os.getpid(), signal.SIGKILL)

    def hook(name: str, given: tuple[object, ...]) -> None:
        if name in {"os.rename", "os.remove"} or (name == "open" and isinstance(given[1], str) and "w" in given[1]):
            pass_one()

    sys.addaudithook(hook)
    desk = Desk(
        Settings(home=Path(home), engine="direct", agencies_at_once=1),  # the store: CONSIGN_DATABASE
        clock=lambda: datetime.fromisoformat(now),
        actor="sandbox",
    )
    event.listen(desk.database.engine, "begin", pass_one)
    event.listen(desk.database.engine, "commit", pass_one)
    function = getattr(importlib.import_module(f"flows.{verb}"), verb)
    with seated(desk):
        watching = True
        function(**json.loads(arguments))
        watching = False
    print(passed)


if __name__ == "__main__":
    main()
