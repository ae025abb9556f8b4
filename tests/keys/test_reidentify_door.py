"""There is one door from a pseudonym back to an account, and a named list of those who may use it."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from keys.errors import ForgedPseudonym
from keys.keyring import Keyring
from keys.pseudonyms import pseudonyms
from keys.reidentify import CALLERS, OPENERS, Reidentifier

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("console", "flows", "infra", "connectors", "keys", "models")


def imports(source: str) -> Iterator[str]:
    """Every module, and every name of a module, that a source imports anywhere in it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{name.name}" for name in node.names)


def importers(*doors: str) -> dict[str, Path]:
    """The modules of the house that import one of the doors, or a name from it."""
    found = {}
    for path in (path for room in ROOMS for path in (ROOT / room).rglob("*.py")):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        if any(name == door or name.startswith(f"{door}.") for name in imports(path.read_text()) for door in doors):
            found[module] = path
    return found


def listed(module: str) -> bool:
    return any(module == caller or module.startswith(f"{caller}.") for caller in CALLERS)


def test_only_listed_modules_open_the_door() -> None:
    strangers = [module for module in importers("keys.reidentify") if not listed(module)]
    assert strangers == [], "add a caller to keys.reidentify.CALLERS only with a reason that the officer accepts"


def test_nobody_goes_round_the_door() -> None:
    assert set(importers("keys.pseudonyms.account_ids", "keys.pseudonyms.*")) == {"keys.reidentify"}


def uses(source: str, name: str) -> bool:
    """Whether a source speaks of the name at all: imported, taken from its module, or spelt as a text."""
    return any(
        name in {getattr(node, "id", None), getattr(node, "attr", None), getattr(node, "name", None)}
        or (isinstance(node, ast.Constant) and node.value == name)
        for node in ast.walk(ast.parse(source))
    )


def test_only_listed_modules_open_the_vault_s_cells() -> None:
    openers = set(importers("keys.vault.open_cells", "keys.vault.*"))
    assert openers == set(OPENERS), "add an opener to keys.reidentify.OPENERS only with a reason the officer accepts"
    spoken = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in (path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
        if uses(path.read_text(), "open_cells")
    }
    assert spoken == {*OPENERS, "keys.vault"}


@pytest.mark.parametrize(
    "source",
    [
        "from keys.vault import open_cells as o",
        "import keys.vault\nkeys.vault.open_cells",
        "from keys import vault as v\ndef late():\n    return v.open_cells",
        "import keys.vault as v\ngetattr(v, 'open_cells')",
    ],
)
def test_every_way_to_speak_of_it_is_seen(source: str) -> None:
    assert uses(source, "open_cells")


def test_import_linter_lets_no_one_through_who_is_not_listed() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (door,) = [contract for contract in contracts if contract["id"] == "reidentify"]
    assert [caller for caller in door["allowed_importers"] if not listed(caller)] == []


@pytest.mark.parametrize(
    "source",
    [
        "import keys.reidentify",
        "from keys import reidentify",
        "from keys.reidentify import Reidentifier as R",
        "def late():\n    from keys.reidentify import *",
        "if TYPE_CHECKING:\n    import keys.reidentify as r",
    ],
)
def test_every_way_to_import_it_is_seen(source: str) -> None:
    assert any(name.startswith("keys.reidentify") for name in imports(source))


def test_the_door_opens_the_agency_s_own_pseudonyms_of_all_generations(keyring: Keyring, begun: datetime) -> None:
    first, second = (keyring.new_pseudonym_key("acme", begun) for _ in range(2))
    other = keyring.new_pseudonym_key("bolt", begun)
    door = Reidentifier(keyring)
    for key, expected in ((first, True), (second, True), (other, False)):
        accounts, ok = door.accounts_of("acme", pseudonyms(key, np.array([7, 8])))
        assert ok.tolist() == [expected] * 2
        assert accounts.tolist() == ([7, 8] if expected else [0, 0])
    keyring.revoke("acme", "G", begun)
    assert not door.accounts_of("acme", pseudonyms(first, np.array([7])))[1].any()
    assert not door.accounts_of("nobody", pseudonyms(first, np.array([7])))[1].any()


def test_one_pseudonym_opens_or_is_called_forged_without_being_repeated(keyring: Keyring, begun: datetime) -> None:
    (text,) = pseudonyms(keyring.new_pseudonym_key("acme", begun), np.array([42]))
    keyring.new_pseudonym_key("bolt", begun)
    assert Reidentifier(keyring).account_of("acme", text) == 42
    with pytest.raises(ForgedPseudonym, match="bolt") as forged:
        Reidentifier(keyring).account_of("bolt", text)
    assert text not in str(forged.value)
