"""The fault matrix: nothing is lost and nothing doubled, whatever breaks, and whoever counts can count.

In `make test` a sample, in which every kind of fault and every family of kills appears; whole by `make torture`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parent.parent.parent
SEED, MOST = 3, 75
KINDS = {"kill -9", "connection cut", "connection reset", "connection black-holed", "connection throttled",
         "server: out of space", "server: read-only", "server: restarted", "server: host key changed",
         "server: refuses renames", "server: slow to list", "two workers", "a worker overtaken",
         "the clock jumps on", "the clock jumps back", "kill -9, then the clock jumps back"}  # fmt: skip
"""Every fault that the issue names, and more of its kind."""


def tortured(tmp_path: Path, *options: str, talk: bool = False) -> tuple[dict[str, Any], str, int]:
    """What the matrix counted, what it said, and its exit code."""
    counts = tmp_path / "counts.json"
    done = subprocess.run(
        [sys.executable, "-m", "tests.torture.run", "--json", str(counts), *options],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, text=True, check=False,
        stdout=subprocess.PIPE, stderr=None if talk else subprocess.PIPE,
    )  # fmt: skip
    assert counts.exists(), done.stdout + (done.stderr or "")
    return json.loads(counts.read_text()), done.stdout, done.returncode


def holds(told: dict[str, Any], said: str, code: int) -> None:
    """Faults were injected, nothing came of them, and what is broken on purpose was found out."""
    total = told["total"]
    assert (total["files_lost"], total["files_doubled"], total["lines_lost"], total["lines_doubled"]) == (0,) * 4, said
    assert told["failures"] == [], said
    assert told["holds"], said
    assert code == 0, said
    assert len(told["found_out"]) >= 5
    assert all(told["found_out"].values()), said
    assert total["injected"] >= 0.9 * (total["cases"] - total["skipped"]), said
    assert {line["kind"] for line in told["kinds"]} >= KINDS


@pytest.mark.timeout(600)
def test_a_sample_of_all_faults_loses_nothing_and_doubles_nothing(
    tmp_path: Path, needs: Callable[[str], Path], record_property: Callable[[str, object], None]
) -> None:
    needs("sshd")
    told, said, code = tortured(tmp_path, "--sample", str(SEED), "--most", str(MOST), "--jobs", "1", "--quiet")
    record_property("counts", said)
    holds(told, said, code)


@pytest.mark.postgres
@pytest.mark.timeout(600)
def test_on_postgresql_a_sample_loses_nothing_and_doubles_nothing(
    tmp_path: Path,
    needs: Callable[[str], Path],
    postgres_cluster: Any,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> None:
    needs("sshd")
    monkeypatch.setenv("TORTURE_POSTGRES", postgres_cluster.url("postgres"))
    kinds = "kill -9,two workers,a worker overtaken"
    told, said, code = tortured(
        tmp_path, "--sample", str(SEED), "--most", "12", "--kinds", kinds, "--jobs", "1", "--quiet"
    )
    record_property("counts", said)
    assert told["failures"] == [], said
    assert (code, {line["kind"] for line in told["kinds"]}) == (0, set(kinds.split(",")))


@pytest.mark.torture
@pytest.mark.slow
@pytest.mark.timeout(14_400)
def test_every_fault_at_every_phase_loses_nothing_and_doubles_nothing(
    tmp_path: Path,
    needs: Callable[[str], Path],
    capfd: pytest.CaptureFixture[str],
    pytestconfig: pytest.Config,
) -> None:
    needs("sshd")
    with capfd.disabled():
        told, said, code = tortured(tmp_path, talk=True)
        print(f"\n{said}")
    if kept := pytestconfig.getoption("--torture-json", default=None):
        Path(kept).write_text(json.dumps(told, indent=1) + "\n")
    holds(told, said, code)
