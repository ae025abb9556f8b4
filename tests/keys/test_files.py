"""A file is whole or not there, and what a killed process left can be swept."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from keys.files import remove_leftovers, replacing, system_fault

ROOT = Path(__file__).resolve().parents[2]
KILLED_WHILE_WRITING = """
import os, signal, sys
from pathlib import Path
from keys.files import replacing
with replacing(Path(sys.argv[1])) as unfinished:
    unfinished.write_bytes(b"plaintext")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_target_appears_whole_or_keeps_what_it_was(tmp_path: Path) -> None:
    with replacing(tmp_path / "target") as unfinished:
        unfinished.write_bytes(b"first")
        assert not (tmp_path / "target").exists()
    with pytest.raises(TypeError), replacing(tmp_path / "target") as unfinished:
        unfinished.write_bytes(b"second" + None)  # type: ignore[operator]  # it raises once the file is begun
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("target", b"first")]


def test_what_a_killed_process_left_is_swept_and_a_living_one_s_is_not(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED_WHILE_WRITING, str(tmp_path / "target")], cwd=ROOT, check=False)
    (left,) = tmp_path.iterdir()
    with replacing(tmp_path / "mine"):
        assert remove_leftovers(tmp_path) == [left]
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize(
    ("said", "number"),
    [("No space left on device (os error 28)", 28), ("gpg: error writing to 'x': No space left on device", 28)],
)
def test_the_system_s_faults_are_known_by_their_words(said: str, number: int) -> None:
    fault = system_fault(said, Path("target"))
    assert fault is not None
    assert fault.errno == number
    assert system_fault("decryption error", Path("target")) is None
