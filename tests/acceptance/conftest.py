"""What the acceptance tests share: the program as people call it, and a lender set up by documented commands."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
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
        self,
        *words: object,
        exits: int = 0,
        actor: str = "chen.yu",
        timeout: float = 300,
        stdin: str | None = None,
        **env: str,
    ) -> Said:
        """Run `consign WORDS` and return what it said; `stdin` is what it is given to read."""
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
            input=stdin,
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


@dataclass
class Lived:
    """A lender and its agencies three weeks into a plan: commands act as people, `agencies` as the other side."""

    consign: Consign
    world: Any
    raw: Any

    def agencies(self, *acts: str) -> None:
        """Each agency opens what came, and does these things today."""
        now = datetime.now(UTC)
        for agency in self.world.agencies.values():
            agency.open_mail(now)
            for act in acts:
                getattr(agency, act)(now.date(), now)


@pytest.fixture
def lived(consign: Consign) -> Iterator[Lived]:
    """Thirty accounts of a lender's file, placed with two agencies three weeks ago; some returned and certified since.

    What happened before today was done in this process with a clock of its own; the commands come after it.
    """
    from flows.collect import collect
    from flows.erase import erase
    from flows.intake import intake
    from flows.place import place
    from flows.plan import draft
    from flows.recall import recall_placements
    from infra.sandbox import debtors
    from infra.sandbox.world import Cast, open_world
    from infra.store import plans
    from models.planning.spec import PlanSpec

    today = datetime.now(ZoneInfo("Asia/Shanghai")).date()
    start = today - timedelta(days=21)
    cast = (Cast("quayside", "Quayside Recoveries", share=0.5), Cast("lantern", "Lantern Credit", share=0.5))
    with open_world(
        consign.home, seed=5, start=start, cast=cast, lenders={"harbour": "Harbour"}, sftp=False, engine="direct"
    ) as world:
        raw = debtors.portfolio(5, 30, "harbour", start)
        source = consign.folder / "accounts.csv"
        raw.to_csv(source, index=False)
        intake(source=str(source), profile="consign", lender="harbour", as_of=start, threshold="0")
        plan_id = draft(PlanSpec(lender="harbour", name="first", seed=1)).plan_id
        assert plan_id is not None
        with world.desk.database.write() as connection:
            plans.submit(connection, plan_id, "chen.yu", world.desk.now())
            plans.approve(connection, plan_id, "li.wei", world.desk.now())
        place(plan_id)
        told = Lived(consign, world, raw)
        for days, acts in ((1, ("acknowledge",)), (8, ("give_back",)), (9, ("erase",))):
            world.clock.turn(start + timedelta(days=days))
            if acts == ("give_back",):
                recall_placements("1,2,3", "performance")
            for agency in world.agencies.values():
                agency.open_mail(world.clock.now)
                for act in acts:
                    getattr(agency, act)(world.clock.now.date(), world.clock.now)
            collect()
            erase()
        consign.env |= {
            "CONSIGN_DURABLE": "false", "CONSIGN_TWO_PEOPLE": "false", "CONSIGN_REQUIRE_CERTIFICATE": "false",
            "CONSIGN_REQUIRE_DILIGENCE": "false", "CONSIGN_SETTLE_SECONDS": "0",
        }  # fmt: skip
        yield told


# -- the search for values in files ---------------------------------------------------------------------------------

PREFIX = 6
"""The shortest form that is looked for: four bytes are found in random ones by accident."""


def forms(value: str) -> dict[str, bytes]:
    """How a value might stand in a file, by the name of the form."""
    plain = {
        "utf-8": value.encode(), "utf-16-le": value.encode("utf-16-le"), "utf-16-be": value.encode("utf-16-be"),
        "gb18030": value.encode("gb18030"),
    }  # fmt: skip
    coded = {"hex": plain["utf-8"].hex().encode(), "HEX": plain["utf-8"].hex().upper().encode()}
    for shift in range(3):  # base64 of a text that holds the value, wherever in it the value begins
        whole = base64.b64encode(b"\0" * shift + plain["utf-8"])
        end = -4 if (len(plain["utf-8"]) + shift) % 3 else None
        coded[f"base64+{shift}"] = whole[4 if shift else 0 : end]
    escaped = {"json": value.encode("unicode_escape")}
    return {name: form for name, form in (plain | coded | escaped).items() if len(form) >= PREFIX}


class Search:
    """Looks for many values at once: windows of six bytes first, then the whole form."""

    def __init__(self, values: Iterable[str]) -> None:
        self.forms = sorted({(form, value, name) for value in set(values) for name, form in forms(value).items()})
        self.heads = np.array([_head(form) for form, _, _ in self.forms], dtype=np.uint64)

    def found(self, content: bytes) -> set[tuple[str, str]]:
        """Value and form of what the content holds."""
        if len(content) < PREFIX or not self.forms:
            return set()
        bytes_ = np.frombuffer(content, dtype=np.uint8).astype(np.uint64)
        windows = np.zeros(len(bytes_) - PREFIX + 1, dtype=np.uint64)
        for place in range(PREFIX):
            windows = windows << np.uint64(8) | bytes_[place : place + len(windows)]
        there = set(np.unique(windows[np.isin(windows, self.heads)]).tolist())
        return {
            (value, name)
            for head, (form, value, name) in zip(self.heads.tolist(), self.forms, strict=True)
            if head in there and form in content
        }

    def below(self, folder: Path) -> dict[str, set[str]]:
        """Files below the folder, archives opened too, that hold any of the values; and in which forms."""
        hits: dict[str, set[str]] = {}
        for path in sorted(folder.rglob("*")):
            if not path.is_file():
                continue
            for name, content in contents(path):
                if found := self.found(content):
                    hits[name] = {form for _, form in found}
        return hits


def _head(form: bytes) -> int:
    return int.from_bytes(form[:PREFIX], "big")


def contents(path: Path) -> Iterator[tuple[str, bytes]]:
    """A file's bytes, and of an archive its members' too."""
    content = path.read_bytes()
    yield str(path), content
    if zipfile.is_zipfile(BytesIO(content)):
        with zipfile.ZipFile(BytesIO(content)) as archive:
            for name in archive.namelist():
                yield f"{path}!{name}", archive.read(name)


@pytest.fixture(scope="session")
def search() -> type[Search]:
    """What looks for values in files, in every form in which they might stand there."""
    return Search


@pytest.fixture(scope="session")
def forms_of() -> Callable[[str], dict[str, bytes]]:
    """A function: how a value might stand in a file, by the name of the form."""
    return forms
