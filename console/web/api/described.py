"""The API described in a file: `python -m console.web.api.described docs/reference/openapi.json` writes it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, cast

from console.web.api.app import create_api
from infra.wiring import Desk


def described() -> str:
    """The description as JSON text; no store is asked for it."""
    made: dict[str, Any] = create_api(cast("Desk", None)).openapi()
    return json.dumps(made, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(described(), encoding="utf-8")
