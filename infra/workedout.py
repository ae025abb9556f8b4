"""What a job has worked out and a page shows: a JSON file each below home, for a job's row holds identifiers alone.

Counts, codes and minor units alone go in; whoever asks again gets a new answer in the place of the old one.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from keys.files import write_private
from models.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.wiring import Desk

FOLDER: Final = "worked-out"
NAME: Final = re.compile(r"[a-z0-9-]{1,80}")
KEPT: Final = timedelta(days=30)
"""After so long a file is gone: it can be worked out again."""


def keep(desk: Desk, name: str, found: Mapping[str, Any]) -> None:
    """What was found lies under that name, with when and for whom; what has lain there too long is gone."""
    if not NAME.fullmatch(name):
        raise UsageError("a result's name is of a-z, 0-9 and -", fix="report it: a fault of ours")
    folder = desk.folder(FOLDER)
    for file in folder.glob("*.json"):
        if datetime.fromtimestamp(file.stat().st_mtime, UTC) < desk.now() - KEPT:
            file.unlink(missing_ok=True)
    told = {"found": found, "at": desk.now().isoformat(), "by": desk.actor}
    write_private(folder / f"{name}.json", json.dumps(told, ensure_ascii=False, default=str).encode())


def find(desk: Desk, name: str) -> dict[str, Any] | None:
    """`found`, `at` and `by` of that name; None where nothing was worked out, or long ago."""
    path = desk.folder(FOLDER) / f"{name}.json"
    if not NAME.fullmatch(name) or not path.exists():
        return None
    told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return told | {"at": datetime.fromisoformat(told["at"])}
