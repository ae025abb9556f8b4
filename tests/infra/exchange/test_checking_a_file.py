"""What an agency is told of its file before it sends it is what the gateway says of it afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.layouts.package import read_csv
from infra.filecheck import check_file
from models.checking import CODES, check
from models.errors import UsageError
from models.kinds import INBOUND, KINDS
from models.tables import InboundReject

Gateway = Any  # tests/infra/exchange/conftest.py

CELLS = {
    "string": ["", "x", "1.5E+3", "a\x01", "CNY", "yuan", "recovery", "booked", "G" + "0" * 26],
    "integer": ["", "1", "-1", "1.0", "x"],
    "amount": ["", "1", "1.00", "-1.00", "1.001", "1,000.00", "¥1", "9" * 19],
    "rate": ["", "0.18", "18%", "2"],
    "date": ["", "2026-01-05", "2026-13-01", "05/01/2026", "2026-02-01", "46000"],
    "datetime": ["", "2026-01-05T10:00:00+08:00", "2026-01-05 10:00", "2026-03-01T00:00:00Z"],
    "yearmonth": ["", "2026-01", "2026-00", "Jan"],
}
"""Good and bad, of each type of column."""


@st.composite
def files(draw: st.DrawFn, kinds: tuple[str, ...] = tuple(sorted(INBOUND))) -> tuple[str, pd.DataFrame]:
    """A kind and a file of it whose cells are anything."""
    kind = KINDS[draw(st.sampled_from(kinds))]
    rows = draw(st.integers(1, 5))
    columns = {
        one.name: draw(st.lists(st.sampled_from([*CELLS[one.type], *one.one_of]), min_size=rows, max_size=rows))
        for one in kind.fields
    }
    return kind.name, pd.DataFrame(columns)


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(file=files())
def test_the_check_and_the_gateway_say_the_same(gateway: Gateway, file: tuple[str, pd.DataFrame]) -> None:
    kind, frame = file
    name, plain = gateway.package(kind, frame)
    inner = plain.with_suffix(".zip")
    inner.write_bytes(plain.read_bytes())
    foretold = check_file(inner, today=gateway.world.desk.today())
    csv = plain.with_suffix(".csv")
    frame.to_csv(csv, index=False)
    alone = check_file(csv, kind, gateway.world.desk.today())
    gateway.seal(name, plain)
    gateway.collect()
    came = gateway.files().iloc[-1]
    told = gateway.rows(InboundReject, "file_id", "line", "column", "code").query(f"file_id == {came['file_id']}")
    of_the_store = {"unknown_account", "not_placed", "wrong_currency", "not_recalled", "unknown_file", "other_key"}
    of_the_store |= {"no_correction"}
    said = {(one.line, one.column, one.code) for one in told.itertuples() if one.code not in of_the_store}
    expected = {(one.line, one.column, one.code) for one in foretold.rejects.itertuples()}
    if came["state"] == "refused":
        assert expected == {(0, "", came["refusal_code"])}
    else:
        assert said == expected
        assert {(one.line, one.column, one.code) for one in alone.rejects.itertuples()} == expected


@given(file=files())
def test_a_line_is_good_or_refused_and_every_refusal_has_its_fix(file: tuple[str, pd.DataFrame]) -> None:
    kind, frame = file
    checked = check(KINDS[kind], pa.Table.from_pandas(frame.astype("object"), preserve_index=False))
    assert sorted([*checked.good["line"], *checked.rejects["line"].unique()]) == list(range(1, len(frame) + 1))
    assert (checked.rejects["fix"] == checked.rejects["code"].map(CODES)).all()


@given(raw=st.binary(max_size=200))
def test_no_bytes_at_all_make_the_reader_fail_otherwise_than_by_refusing(raw: bytes, tmp_path_factory: Any) -> None:
    path = Path(tmp_path_factory.getbasetemp()) / "any.csv"
    path.write_bytes(raw)
    found = check_file(path, "complaint")
    assert found.refused or not read_csv(raw)[1].num_rows
    package = path.with_suffix(".zip")
    package.write_bytes(raw)
    assert check_file(package).rejects["code"].tolist() == ["not_a_package"]


def test_an_empty_table_with_a_wrong_header_is_not_called_good(tmp_path: Path) -> None:
    path = tmp_path / "empty.csv"
    path.write_text("account\n")
    found = check_file(path, "complaint")
    assert found.refused == 1
    assert "missing_column" in set(found.rejects["code"])


def test_a_kind_that_agencies_do_not_send_is_a_matter_of_the_call(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("account\n1\n")
    for kind in ("placement", "", "poem"):
        with pytest.raises(UsageError, match="do not send"):
            check_file(path, kind)
