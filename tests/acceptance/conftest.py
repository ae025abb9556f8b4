"""What the acceptance tests share: the program as people call it, and a lender set up by documented commands."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

CONTRACT = """\
currency = "{currency}"
tail_days = 30
bank_references = ["{reference}"]

[[tier]]
rate = "0.20"
"""


@dataclass(frozen=True)
class Said:
    """What the program answered."""

    exit_code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one JSON object on stdout."""
        return json.loads(self.out)


@dataclass
class Consign:
    """`consign` in a home of its own, as a subprocess; each call is checked to end with the exit code expected."""

    folder: Path
    engine: str = "direct"
    env: dict[str, str] = field(default_factory=dict)
    talk: list[Said] = field(default_factory=list)

    @property
    def home(self) -> Path:
        """Where it keeps everything."""
        return self.folder / "var"

    def __call__(
        self, *words: object, exits: int = 0, actor: str = "chen.yu", timeout: float = 300, **env: str
    ) -> Said:
        """Run `consign WORDS` and return what it said."""
        done = subprocess.run(
            [sys.executable, "-m", "console.cli.main", *map(str, words)],
            cwd=self.folder,
            env=os.environ
            | {
                "CONSIGN_HOME": str(self.home),
                "CONSIGN_ENGINE": self.engine,
                "CONSIGN_ACTOR": actor,
                "PYTHONPATH": str(ROOT),
            }
            | self.env
            | env,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        said = Said(done.returncode, done.stdout, done.stderr)
        self.talk.append(said)
        assert done.returncode == exits, (
            f"consign {' '.join(map(str, words))}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        )
        return said


ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def consign(tmp_path: Path) -> Consign:
    """The program, with nothing set up yet."""
    folder = tmp_path / "lender"
    folder.mkdir()
    return Consign(folder)


@pytest.fixture
def contract(tmp_path: Path) -> Callable[..., Path]:
    """A function: a file with the terms of a contract."""

    def write(reference: str, currency: str = "CNY") -> Path:
        path = tmp_path / f"{reference}.toml"
        path.write_text(CONTRACT.format(currency=currency, reference=reference), encoding="utf-8")
        return path

    return write


BLOCK = re.compile(r"<!-- runs: ([\w-]+) -->\n```sh\n(.*?)```", re.DOTALL)


@dataclass(frozen=True)
class Followed:
    """A page of the documentation whose commands were run: where, and what each block said on stdout."""

    folder: Path
    said: dict[str, str]


@pytest.fixture(scope="session")
def page() -> Callable[..., Followed]:
    """A function: the named blocks of a how-to, run as they stand, one after the other in one shell."""

    def follow(name: str, blocks: tuple[str, ...], folder: Path, **settings: str) -> Followed:
        written = dict(BLOCK.findall((ROOT / "docs" / "how-to" / name).read_text(encoding="utf-8")))
        assert tuple(written) == blocks
        script = "".join(f"exec > {block}.said\n{commands}\n" for block, commands in written.items())
        done = subprocess.run(
            ["sh", "-e", "-c", script],
            cwd=folder,
            env=os.environ
            | {
                "CONSIGN_ENGINE": "direct",
                "COLUMNS": "120",
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            }
            | settings,
            capture_output=True,
            text=True,
            timeout=850,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return Followed(folder, {block: (folder / f"{block}.said").read_text(encoding="utf-8") for block in written})

    return follow
