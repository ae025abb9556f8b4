"""Identity cells: AES-256-GCM under a random data key, each bound to its row and its column.

A cell is a 96-bit random nonce, the ciphertext and its 128-bit tag. The associated data name the column and the row,
so a cell that was moved does not open. Random nonces are safe up to 2**32 cells under one key (NIST SP 800-38D, 8.3).
A key seals some thousand rows: whoever is to be forgotten takes the key along, and the few others are sealed anew.
"""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass, field
from itertools import repeat
from operator import add, call, getitem
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
import pyarrow as pa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from keys.columns import arrow_text, text_series
from keys.errors import CellTampered, KeyringLocked, KeyUnfit

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas as pd

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
_ROW_BYTES: Final = 8
_CELL: Final = b"consign.cell.v1|"
_WRAPPED: Final = b"consign.datakey.v1|"


@dataclass(frozen=True, slots=True)
class DataKey:
    """A data key: random, so that destroying it destroys what it sealed. Its bytes never show in `repr`."""

    key_id: str
    key: bytes = field(repr=False)

    def __post_init__(self) -> None:
        """Raise KeyUnfit unless the key has 32 bytes."""
        if len(self.key) != KEY_BYTES:
            raise KeyUnfit(f"data key {self.key_id} has {len(self.key)} bytes instead of {KEY_BYTES}")


def new_data_key() -> DataKey:
    """Return a fresh random data key under a fresh random id."""
    return DataKey(f"dk-{secrets.token_hex(8)}", secrets.token_bytes(KEY_BYTES))


@dataclass(frozen=True, slots=True)
class RowKeys:
    """Several data keys, and which of them each row is sealed under. of_row: int64, places in `keys`."""

    keys: tuple[DataKey, ...]
    of_row: np.ndarray

    def ids(self) -> np.ndarray:
        """Return the id of each row's key."""
        names: np.ndarray = np.array([key.key_id for key in self.keys], dtype=object)[self.of_row]
        return names


def seal_cells(data_key: DataKey | RowKeys, column: str, row_ids: np.ndarray, values: pd.Series) -> list[bytes | None]:
    """Return one sealed cell per value, in order; a missing value stays None.

    row_ids: int64, one per value, the row that the cell will live in.
    """
    _refuse_unequal(column, len(row_ids), len(values))
    texts = arrow_text(values)
    present = np.flatnonzero(texts.is_valid().to_numpy(zero_copy_only=False))
    plain = texts.drop_null().cast(pa.large_binary()).to_numpy(zero_copy_only=False).tolist()
    nonces = np.frombuffer(os.urandom(NONCE_BYTES * len(plain)), dtype=f"V{NONCE_BYTES}").tolist()
    acts = _acts(data_key, "encrypt", present)
    sealed = list(map(add, nonces, map(call, acts, nonces, plain, _bindings(column, row_ids[present]))))
    if len(sealed) == len(values):
        return sealed
    cells = np.full(len(values), None, dtype=object)
    cells[present] = sealed
    return cells.tolist()


def open_cells(
    data_key: DataKey | RowKeys, column: str, row_ids: np.ndarray, cells: Sequence[bytes | None]
) -> pd.Series:
    """Return the value of each cell as a `str` column; None stays missing.

    Raises CellTampered, naming the column and the row, for the first cell that is not this row's and column's own.
    """
    _refuse_unequal(column, len(row_ids), len(cells))
    present = np.array([cell is not None for cell in cells], dtype=bool)
    rows = row_ids[present]
    acts = _acts(data_key, "decrypt", np.flatnonzero(present))
    sealed = [cell for cell in cells if cell is not None]
    nonces = cast("Iterable[bytes]", map(getitem, sealed, repeat(slice(NONCE_BYTES))))
    bodies = cast("Iterable[bytes]", map(getitem, sealed, repeat(slice(NONCE_BYTES, None))))
    plain: list[bytes] = []
    try:
        plain.extend(map(call, acts, nonces, bodies, _bindings(column, rows)))
    except (InvalidTag, ValueError) as fault:
        row = int(rows[len(plain)])  # extend keeps what came before the fault
        raise CellTampered(
            f"the sealed {column} of row {row} does not open under data key {_key_id(data_key, present, len(plain))}",
            fix="restore this row from a backup; do not import over it",
        ) from fault
    opened = pa.array(plain, type=pa.large_binary()).cast(pa.large_string())
    if len(plain) == len(cells):
        return text_series(opened)
    places = pa.array(np.cumsum(present) - 1, mask=~present)
    return text_series(opened.take(places))


def _acts(data_key: DataKey | RowKeys, act: str, rows: np.ndarray) -> Iterable[Any]:
    """Return what encrypts or decrypts each of these rows: its own key's cipher."""
    if isinstance(data_key, DataKey):
        return repeat(getattr(AESGCM(data_key.key), act))
    ciphers = np.empty(len(data_key.keys), dtype=object)
    ciphers[:] = [getattr(AESGCM(key.key), act) for key in data_key.keys]
    acts: list[Any] = ciphers[data_key.of_row[rows]].tolist()
    return acts


def _key_id(data_key: DataKey | RowKeys, present: np.ndarray, nth: int) -> str:
    """Return the id of the key of the nth row that has a cell."""
    if isinstance(data_key, DataKey):
        return data_key.key_id
    return data_key.keys[int(data_key.of_row[np.flatnonzero(present)[nth]])].key_id


def _bindings(column: str, row_ids: np.ndarray) -> Iterable[bytes]:
    """Return the associated data of each cell: the row id's width is fixed, so no two pairs spell the same bytes."""
    rows = np.ascontiguousarray(row_ids, dtype=">i8").view(f"V{_ROW_BYTES}").tolist()
    return map(add, repeat(_CELL + column.encode()), rows)


def _refuse_unequal(column: str, rows: int, values: int) -> None:
    if rows != values:
        raise KeyUnfit(f"column {column}: {rows} row ids for {values} cells")


def wrap(root: bytes, data_key: DataKey) -> bytes:
    """Return the data key sealed under the root key, bound to its id."""
    nonce = os.urandom(NONCE_BYTES)
    return nonce + AESGCM(root).encrypt(nonce, data_key.key, _WRAPPED + data_key.key_id.encode())


def unwrap(root: bytes, wrapped: bytes, key_id: str) -> DataKey:
    """Return the data key; raises KeyringLocked if it was wrapped under another root key or id, or was altered."""
    try:
        opened = AESGCM(root).decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], _WRAPPED + key_id.encode())
    except (InvalidTag, ValueError) as fault:
        raise KeyringLocked(
            f"data key {key_id} does not unwrap under this root key", fix="open the keyring that made it"
        ) from fault
    return DataKey(key_id, opened)
