"""The guide's other scripts: columns of any table, the next number, and what a file is refused for."""

from __future__ import annotations

import csv
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.layouts.package import read_package
from models.certification import PLANTS
from models.kinds import INBOUND

SCRIPTS = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "agency"
CELL = st.text(st.characters(codec="ascii", exclude_characters="\r\n\x00", exclude_categories=["Cc"]), max_size=8)


def said(script: str, *words: str, of: str = "", cwd: Path | None = None, **env: str) -> str:
    done = subprocess.run(
        ["sh", SCRIPTS / script, *words], input=of, capture_output=True, text=True, check=True, cwd=cwd,
        env=os.environ | env,
    )  # fmt: skip
    return done.stdout


@settings(max_examples=25)
@given(cells=st.lists(st.tuples(CELL, CELL, CELL), min_size=1, max_size=4))
def test_columns_reads_a_table_as_any_csv_reader_does(cells: list[tuple[str, str, str]]) -> None:
    quoted = [['"' + cell.replace('"', '""') + '"' for cell in row] for row in cells]
    table = "\n".join(["a,b,c", *(",".join(row) for row in quoted)]) + "\n"
    assert list(csv.reader(table.splitlines()))[1:] == [list(row) for row in cells]
    assert said("columns.sh", "c", "a", of=table).splitlines() == [f"{row[2]},{row[0]}" for row in cells]


def test_columns_says_which_column_is_not_there() -> None:
    with pytest.raises(subprocess.CalledProcessError) as failed:
        said("columns.sh", "b", of="a\n1\n")
    assert "no column b" in failed.value.stderr


def test_the_next_number_is_the_one_after_the_highest_that_was_sent(
    tmp_path: Path, needs: Callable[[str], Any]
) -> None:
    needs("zip")
    (tmp_path / "sent").mkdir()
    names = ("harbour.quayside.return.20260301.000009", "harbour.quayside.return.20260228.000010",
             "other.quayside.return.20260301.000077", "harbour.quayside.activity.20260301.000078")  # fmt: skip
    for name in names:
        (tmp_path / "sent" / f"{name}.zip.age").touch()
    (tmp_path / "t.csv").write_text(
        "account,reason,returned_on,currency,final_balance\nGAAA,paid,2026-03-01,CNY,0.00\n"
    )
    codes = {"LENDER": "harbour", "AGENCY": "quayside"}
    path = tmp_path / said("pack.sh", "return", "t.csv", "next", cwd=tmp_path, **codes).strip()
    assert read_package(path).manifest["sequence"] == 11
    again = said("pack.sh", "return", "t.csv", "next", cwd=tmp_path, **codes).strip()
    assert again.endswith(".000012.zip")


def test_the_scripts_know_every_kind_and_every_code_that_a_certification_asks_for() -> None:
    pack, check = ((SCRIPTS / name).read_text(encoding="utf-8") for name in ("pack.sh", "check.sh"))
    assert all(f"    {kind})" in pack for kind in INBOUND)
    assert all(any(code in check for code in codes) for plant in PLANTS.values() for codes in plant.answers)
