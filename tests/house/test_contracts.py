"""The import contracts hold on this tree, and each of them notices when it is broken."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import NamedTuple

import pytest

from keys.reidentify import CALLERS

ROOT = Path(__file__).resolve().parents[2]
LINTER = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
ROOMS: list[str] = LINTER["root_packages"]
NAMES: dict[str, str] = {contract["id"]: contract["name"] for contract in LINTER["contracts"]}


class Plant(NamedTuple):
    """A line put into a module where it does not belong, and the contracts that must say so."""

    module: str
    line: str
    breaks: frozenset[str]


def plant(module: str, line: str, *breaks: str) -> Plant:
    return Plant(module, line, frozenset(breaks))


PLANTS = [
    # an arrow goes to the right only
    plant("models.planted", "import keys", "layers"),
    plant("models.planted", "import connectors", "layers"),
    plant("models.planted", "import infra", "layers"),
    plant("keys.planted", "import infra", "layers"),
    plant("connectors.planted", "import infra", "layers"),
    plant("infra.planted", "import flows", "layers"),
    plant("flows.planted", "import console", "layers"),
    plant("connectors.planted", "import keys", "layers"),
    plant("keys.planted", "import connectors", "layers"),
    plant("keys.planted", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import infra", "layers"),
    # Prefect
    plant("console.planted", "import prefect", "prefect"),
    plant("infra.planted", "from prefect import flow", "prefect"),
    plant("connectors.planted", "def late():\n    import prefect", "prefect"),
    plant("keys.planted", "import prefect.client", "prefect"),
    plant("models.planted", "import prefect", "prefect", "models"),
    # what the business must not know
    plant("models.planted", "from sqlmodel import Session", "models"),
    plant("models.planted", "from sqlalchemy.orm import Session", "models"),
    plant("models.planted", "import paramiko", "models"),
    plant("models.planted", "import time", "models"),
    plant("models.planted", "from pathlib import Path", "models"),
    plant("models.tables.planted", "import os", "models"),
    # keys
    plant("console.web.planted", "import keys", "web"),
    plant("console.planted", "from keys import __doc__", "web"),
    plant("console.cli.planted", "import keys.reidentify", "reidentify"),
    plant("flows.planted", "from keys import reidentify", "reidentify"),
    plant("keys.planted", "import keys.reidentify", "reidentify"),
]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the six rooms, with the doors that a plant needs even where they are not built yet."""
    copy = tmp_path_factory.mktemp("house")
    for room in ROOMS:
        shutil.copytree(
            ROOT / room, copy / room, ignore=lambda folder, names: {n for n in names if not keep(Path(folder) / n)}
        )
    shutil.copy(ROOT / "pyproject.toml", copy)
    for package in ("console/cli", "console/web", "models/tables"):
        (copy / package).mkdir(exist_ok=True)
        (copy / package / "__init__.py").touch()
    (copy / "keys" / "reidentify.py").touch()
    return copy


def keep(path: Path) -> bool:
    return path.suffix == ".py" or (path.is_dir() and path.name not in {"__pycache__", "static"})


def broken(tree: Path) -> set[str]:
    """The ids of the contracts that import-linter finds broken; fails where it could not look."""
    ran = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-logo"],
        cwd=tree, capture_output=True, text=True, check=False,
    )  # fmt: skip
    found = {id_ for id_, name in NAMES.items() if f"{name} BROKEN" in ran.stdout}
    kept = {id_ for id_, name in NAMES.items() if f"{name} KEPT" in ran.stdout}
    assert found | kept == set(NAMES), ran.stdout + ran.stderr
    assert ran.returncode == (1 if found else 0)
    return found


def test_the_tree_keeps_every_contract() -> None:
    assert broken(ROOT) == set()


def test_the_linter_lets_nobody_re_identify_whom_the_door_does_not_name() -> None:
    allowed = next(contract["allowed_importers"] for contract in LINTER["contracts"] if contract["id"] == "reidentify")
    assert {*allowed} <= {*CALLERS}


def test_every_contract_is_proved_by_a_plant() -> None:
    assert set().union(*(plant.breaks for plant in PLANTS)) == set(NAMES)


def test_a_healthy_copy_is_found_healthy(tree: Path) -> None:
    assert broken(tree) == set()


@pytest.mark.parametrize("planted", PLANTS, ids=lambda p: f"{p.module}: {p.line.splitlines()[-1].strip()}")
def test_a_planted_violation_is_found(tree: Path, planted: Plant) -> None:
    module = tree.joinpath(*planted.module.split(".")).with_suffix(".py")
    module.write_text(f"{planted.line}\n")
    try:
        assert broken(tree) == planted.breaks
    finally:
        module.unlink()
