"""What the demo promises of its seed: fresh keys each time, and the same months all the same."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.acceptance, pytest.mark.slow]


def told(folder: Path, seed: int) -> dict[str, Any]:
    """What a small demo sums up, without the seconds that it took."""
    words = ["demo", "--direct", "--accounts", "200", "--months", "2", "--seed", str(seed), "--start", "2026-01-01"]
    done = subprocess.run(
        [sys.executable, "-m", "console.cli.main", *words, "--home", str(folder), "--json"],
        capture_output=True,
        check=True,
        text=True,
        timeout=600,
    )
    summed: dict[str, Any] = json.loads(done.stdout)
    del summed["seconds"]
    return summed


def test_the_same_seed_makes_the_same_months_and_another_makes_others(tmp_path: Path) -> None:
    first = told(tmp_path / "first", 7)
    assert told(tmp_path / "second", 7) == first
    assert told(tmp_path / "third", 8) != first
