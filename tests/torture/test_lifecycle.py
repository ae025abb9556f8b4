"""Whatever happens in whatever order, every file and every line comes to where it was to go, once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parent.parent.parent


def lived(*options: str) -> str:
    """What the lives were; fails with the shortest story where something went wrong."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.torture.life", *options],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, text=True, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.timeout(300)
def test_some_lives_end_well(record_property: Callable[[str, object], None]) -> None:
    record_property("counts", lived("--examples", "6", "--steps", "10"))


@pytest.mark.torture
@pytest.mark.slow
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("seed", range(1, 5))
def test_many_lives_end_well(seed: int, capfd: pytest.CaptureFixture[str]) -> None:
    told = lived("--examples", "25", "--steps", "25", "--seed", str(seed))
    with capfd.disabled():
        print(f"\nseed {seed}: {told}", end="")
