"""Identity cells open in their own row and column under their own key, and nowhere else."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from keys.errors import CellTampered, KeyringLocked, KeyUnfit
from keys.vault import DataKey, RowKeys, new_data_key, open_cells, seal_cells, unwrap, wrap

KEY = DataKey("dk-1", bytes(range(32)))
ROWS = np.array([11, 12, 13], dtype=np.int64)
NAMES = pd.Series(["王小明", None, ""], dtype="str")
CELL_V1 = bytes.fromhex("000102030405060708090a0b") + AESGCM(KEY.key).encrypt(
    bytes(range(12)), "王小明".encode(), b"consign.cell.v1|name" + (11).to_bytes(8, "big")
)


@given(st.lists(st.none() | st.text(st.characters(codec="utf-8")), max_size=20))
def test_values_come_back_and_missing_stays_missing(values: list[str | None]) -> None:
    column = pd.Series(values, dtype="str")
    rows = np.arange(len(values), dtype=np.int64)
    sealed = seal_cells(KEY, "name", rows, column)
    assert [cell is None for cell in sealed] == [value is None for value in values]
    pd.testing.assert_series_equal(open_cells(KEY, "name", rows, sealed), column)


def test_a_cell_of_the_first_format_still_opens() -> None:
    assert open_cells(KEY, "name", ROWS[:1], [CELL_V1]).tolist() == ["王小明"]


def test_a_cell_as_a_database_driver_gives_it_opens() -> None:
    assert open_cells(KEY, "name", ROWS[:1], [memoryview(CELL_V1)]).tolist() == ["王小明"]  # type: ignore[list-item]  # as psycopg may


@given(st.lists(st.tuples(st.none() | st.text(st.characters(codec="utf-8")), st.integers(0, 2)), max_size=20))
def test_rows_under_several_keys_open_together_and_each_under_its_own_alone(
    lines: list[tuple[str | None, int]],
) -> None:
    keys = tuple(new_data_key() for _ in range(3))
    column = pd.Series([value for value, _ in lines], dtype="str")
    rows, of_row = np.arange(len(lines), dtype=np.int64), np.array([place for _, place in lines], dtype=np.int64)
    mixed = RowKeys(keys, of_row)
    sealed = seal_cells(mixed, "name", rows, column)
    pd.testing.assert_series_equal(open_cells(mixed, "name", rows, sealed), column)
    for row, (value, place) in enumerate(lines):
        alone = open_cells(keys[place], "name", rows[row : row + 1], [sealed[row]])
        assert alone.isna()[0] if value is None else alone[0] == value
    assert mixed.ids().tolist() == [keys[place].key_id for _, place in lines]


def test_the_message_names_the_key_of_the_row_that_does_not_open() -> None:
    keys = (KEY, DataKey("dk-2", bytes(32)))
    names = pd.Series(["a", None, "c"], dtype="str")
    sealed = seal_cells(KEY, "name", ROWS, names)
    with pytest.raises(CellTampered, match=r"row 13 .* dk-2"):
        open_cells(RowKeys(keys, np.array([0, 1, 1])), "name", ROWS, sealed)


def test_the_same_value_never_looks_the_same_twice() -> None:
    twice = pd.Series(["same", "same"], dtype="str")
    first, second = seal_cells(KEY, "name", np.array([1, 1]), twice)
    assert first != second


@pytest.mark.parametrize(
    ("key", "column", "row"),
    [(KEY, "name", 12), (KEY, "phone", 11), (KEY, "nam", 11), (DataKey("dk-2", bytes(32)), "name", 11)],
    ids=["another row", "another column", "a shorter column", "another key"],
)
def test_a_moved_cell_does_not_open(key: DataKey, column: str, row: int) -> None:
    with pytest.raises(CellTampered, match=f"{column} of row {row} .* {key.key_id}"):
        open_cells(key, column, np.array([row]), [CELL_V1])


@given(st.integers(0, len(CELL_V1) * 8 - 1))
def test_a_flipped_bit_does_not_open(bit: int) -> None:
    flipped = bytearray(CELL_V1)
    flipped[bit // 8] ^= 1 << bit % 8
    with pytest.raises(CellTampered):
        open_cells(KEY, "name", ROWS[:1], [bytes(flipped)])


@pytest.mark.parametrize("length", [0, 5, 12, 20, len(CELL_V1) - 1])
def test_a_cut_cell_does_not_open(length: int) -> None:
    with pytest.raises(CellTampered):
        open_cells(KEY, "name", ROWS[:1], [CELL_V1[:length]])


def test_the_message_names_the_row_and_no_value() -> None:
    sealed = seal_cells(KEY, "name", ROWS, pd.Series(["甲", "乙", "丙"], dtype="str"))
    with pytest.raises(CellTampered, match="row 12") as refused:
        open_cells(KEY, "name", ROWS, [sealed[0], sealed[2], sealed[1]])
    assert not set("甲乙丙") & set(str(refused.value))


def test_rows_and_values_must_pair_up() -> None:
    with pytest.raises(KeyUnfit, match="3 row ids for 2 cells"):
        seal_cells(KEY, "name", ROWS, NAMES[:2])
    with pytest.raises(KeyUnfit):
        open_cells(KEY, "name", ROWS[:1], [])


def test_data_keys_are_random_and_do_not_show() -> None:
    key = new_data_key()
    assert key != new_data_key()
    assert repr(key) == f"DataKey(key_id={key.key_id!r})"


def test_a_wrapped_key_opens_under_its_root_and_id_alone() -> None:
    wrapped = wrap(b"r" * 32, KEY)
    assert unwrap(b"r" * 32, wrapped, "dk-1") == KEY
    for root, key_id, content in ((b"s" * 32, "dk-1", wrapped), (b"r" * 32, "dk-2", wrapped), (b"r" * 32, "dk-1", b"")):
        with pytest.raises(KeyringLocked):
            unwrap(root, content, key_id)
