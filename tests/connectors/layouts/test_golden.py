"""Small files in every shipped layout, as reviewed: written now they are the same, and read now they say the same.

After a change that is meant, WRITE_GOLDEN=1 writes them anew; look at the difference before it is committed.
"""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.csv as pacsv
import pytest

from connectors.layouts.flat import read_flat
from connectors.layouts.judging import judged, sums_hold
from connectors.layouts.naming import Named, read_name, write_name
from connectors.layouts.package import text_of
from connectors.layouts.profiles import Layout, load_layout, shipped_layouts
from connectors.layouts.workbook import rows_of
from connectors.layouts.writing import FlatWriter
from models.kinds import KINDS

GOLDEN = Path(__file__).parent / "golden"
DAY = date(2026, 1, 3)
ANEW = bool(os.environ.get("WRITE_GOLDEN"))
A, B = "G0000000000000000000000000A", "G0000000000000000000000000B"
LINES: dict[str, dict[str, list[Any]]] = {
    "recall": {"account": [A, B], "reason": ["payment", "hold"], "due_back_on": [date(2026, 1, 10), date(2026, 2, 1)]},
    "receipt": {
        "file": ["harbour.quayside.remittance.20260103.000007.zip.age"] * 2, "sha256": ["ab" * 32] * 2,
        "outcome": ["accepted_with_rejects"] * 2, "table": [None, "lines"], "line": [None, 3], "column": [None, "净额"],
        "code": [None, "not_amount"], "fix": [None, "Write 1234.50"], "lines": [12, None], "lines_refused": [1, None],
        "currency": ["CNY", "CNY"], "total": [1_234_550, None],
    },
    "acknowledgement": {
        "account": [A, B], "status": ["booked", "rejected"], "currency": ["CNY", "CNY"],
        "booked_balance": [1_234_550, 0], "booked_on": [DAY, DAY], "reason": [None, "查无此户"],
    },
    "activity": {
        "account": [A, A], "at": ["2026-01-03T01:30:00Z", "2026-01-03T15:59:59Z"], "channel": ["phone", "letter"],
        "contact_point_ref": ["P-1", None], "outcome": ["promise", "third_party"], "collector_ref": ["工号007", "C8"],
    },
    "remittance": {
        "agency_txn_id": ["Q-000001", "Q-000002"], "account": [A, B], "type": ["recovery", "reversal"],
        "currency": ["CNY", "CNY"], "gross": [1_234_550, -5_000], "commission": [200_000, None], "vat": [12_000, None],
        "net": [1_022_550, -5_000], "value_date": [DAY, date(2025, 12, 31)], "batch_ref": ["汇款-1", None],
        "original_txn_id": [None, "Q-000000"],
    },
    "plan": {
        "plan_ref": ["F-1", "F-1"], "account": [A, A], "instalment": [1, 2],
        "due_on": [date(2026, 2, 1), date(2026, 3, 1)],
        "currency": ["CNY", "CNY"], "amount": [50_000, 50_001], "income_band": [None, None],
    },
    "invoice": {
        "invoice_no": ["发票0001", "发票0001"], "agency_txn_id": ["Q-000001", None], "account": [A, B],
        "currency": ["CNY", "CNY"], "base": [1_234_550, 100], "commission": [200_000, 18], "vat": [12_000, 1],
        "period": ["2026-01", "2025-12"],
    },
}  # fmt: skip
"""Two lines of some kinds, both ways; nobody's."""
CASES = [(name, kind) for name in shipped_layouts() for kind in LINES]


def frame_of(kind: str) -> pd.DataFrame:
    dtypes = {"amount": "Int64", "integer": "Int64", "date": "datetime64[us]"}
    return pd.DataFrame({
        one.column: pd.Series(LINES[kind][one.name], dtype=dtypes.get(one.type, "str")) for one in KINDS[kind].fields
    })  # fmt: skip


def golden(layout: Layout, kind: str) -> tuple[Named, Path]:
    """What the golden file is, and where it lies, under the name that it would have."""
    named = Named("harbour", "quayside", kind, DAY, 7)
    return named, GOLDEN / layout.name / write_name(named, layout, "")


def written(layout: Layout, kind: str, path: Path) -> Path:
    named, _ = golden(layout, kind)
    fields = [one for one in KINDS[kind].fields if one.name not in layout.kinds[kind].left_out]
    with FlatWriter(path, layout, named, fields, KINDS[kind].control) as writer:
        writer.write(frame_of(kind))
    return path


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_it_is_written_as_it_was_reviewed(name: str, kind: str, tmp_path: Path) -> None:
    layout = load_layout(name)
    _, known = golden(layout, kind)
    new = written(layout, kind, tmp_path / "new")
    if ANEW:
        known.parent.mkdir(parents=True, exist_ok=True)
        known.write_bytes(new.read_bytes())
    if layout.file.format == "xlsx":  # another version of the library may pack it otherwise
        sheet = layout.kinds[kind].sheet
        assert list(rows_of(new, sheet, max_bytes=1 << 20)) == list(rows_of(known, sheet, max_bytes=1 << 20))
    else:
        assert new.read_bytes() == known.read_bytes()


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_it_reads_as_it_was_reviewed(name: str, kind: str) -> None:
    layout = load_layout(name)
    named, path = golden(layout, kind)
    told = read_name(path.name, "quayside", layout, to_agency=KINDS[kind].to_agency)
    assert told is not None
    assert (told.named, told.plain) == (named, True)
    flat = read_flat(path, layout, named, max_bytes=1 << 20)
    assert (len(flat.head), len(flat.faults), len(flat.unread)) == (0, 0, 0)
    expected = GOLDEN / "standard" / f"{kind}.csv"
    if ANEW and name == shipped_layouts()[0]:
        expected.parent.mkdir(parents=True, exist_ok=True)
        fields = KINDS[kind].fields
        frame = frame_of(kind)
        table = pa.table([text_of(one, frame).cast(pa.string()) for one in fields], names=[one.name for one in fields])
        pacsv.write_csv(table, expected, pacsv.WriteOptions(quoting_style="needed"))
    reviewed = pd.read_csv(expected, dtype=str, keep_default_na=False)
    for column in flat.header:
        came, went = flat.table.column(column).to_pylist(), reviewed[column].tolist()
        if KINDS[kind].field(column).type == "datetime":
            came, went = ([pd.Timestamp(text).tz_convert("UTC") for text in side] for side in (came, went))
        assert came == went, column
    if not KINDS[kind].to_agency:
        checked = judged(KINDS[kind], flat, None)
        assert checked.rejects.empty
        assert sums_hold(KINDS[kind], flat, checked)
