"""The threat model claims no defence that no test proves."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


@cache
def named_in(path: str) -> set[str]:
    """The test functions of a file; none where there is no such file."""
    file = ROOT / path
    if not file.is_file():
        return set()
    return {
        node.name
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def rows_of(heading: str) -> list[list[str]]:
    """The cells of the table below a heading, without its head."""
    section = PAGE.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_every_test_that_is_named_exists() -> None:
    named = NAMED.findall(PAGE)
    assert named
    assert [f"{path}::{name}" for path, name in named if name not in named_in(path)] == []


def test_every_defence_names_the_test_that_proves_it() -> None:
    threats = rows_of("Threats and defences")
    assert threats
    assert [threat for threat, _, proof in threats if not NAMED.search(proof)] == []
    assert [threat for threat, defence, _ in threats if not defence] == []


def test_it_says_what_is_not_defended() -> None:
    assert PAGE.split("## Not defended\n", 1)[1].split("\n## ", 1)[0].count("\n- ") > 1
