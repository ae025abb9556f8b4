"""The page of commands is what the command line says of itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from console.cli.described import described
from console.cli.main import PARTS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "commands.md"


@pytest.fixture(scope="module")
def page() -> str:
    return described()


def test_the_page_that_is_kept_is_what_the_command_line_says(page: str) -> None:
    assert PAGE.read_text(encoding="utf-8") == page, "run `make docs`"


def test_every_part_is_there_with_its_commands(page: str) -> None:
    for part in PARTS:
        assert f"### consign {part.name}\n\n{part.help}\n" in page
    assert page.count("\n#### `consign ") > 250


def test_a_command_is_told_with_what_it_must_and_what_it_may_be_given(page: str) -> None:
    section = page.split("#### `consign contract simulate PERIOD --lender …`")[1].split("####", maxsplit=1)[0]
    assert "| `--terms <file>` | Other terms, a TOML file. |  |" in section
    assert "| `--lender <str>` | The lender's code. | required |" in section
    assert "*Dry run.*" in page.split("#### `consign contract propose")[1].split("####", maxsplit=1)[0]
    assert "--json" not in section


def test_what_is_hidden_is_not_told(page: str) -> None:
    assert "consign recon trial-balance" not in page
