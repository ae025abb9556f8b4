"""`consign agency probe` and `consign agency drop`, as a person types them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from console.cli.main import app
from infra.sandbox.world import Cast, World, open_world

USAGE = 2


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """An agency that shares a folder with the lender."""
    with open_world(
        tmp_path / "home", seed=3, start=date(2026, 1, 5), cast=(Cast("quayside", "Quayside"),),
        lenders={"harbour": "Harbour"}, sftp=False, engine="direct",
    ) as opened:  # fmt: skip
        yield opened


def typed(*words: str, code: int = 0) -> Any:
    result = CliRunner().invoke(app, [*words, "--json"])
    assert result.exit_code == code, result.output
    return json.loads(result.stdout) if code == 0 else result.output


def test_a_probe_is_shown_kept_and_compared(world: World) -> None:
    assert world is not None
    assert "never probed" in typed("agency", "probe", "quayside", "--kept", code=USAGE)
    found = typed("agency", "probe", "quayside")
    assert found["rename_never_replaces"] is True
    assert found["changed"] == {}
    assert typed("agency", "probe", "quayside", "--kept")["probed_at"] == found["probed_at"]


def test_a_drop_may_have_limits_of_its_own(world: World, tmp_path: Path) -> None:
    assert world is not None
    root = tmp_path / "elsewhere"
    words = ("agency", "drop", "quayside", "--kind", "folder", "--root", str(root))
    assert typed(*words, "--limit", "max_names=50", "--limit", "settle_seconds=1")["max_names"] == 50
    assert "is no limit" in typed(*words, "--limit", "speed=9", code=USAGE)
