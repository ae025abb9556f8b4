"""What a plan says, as one hash: that is what an approver approves, and what is sent must have it."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

HEADER: Final = (
    "lender", "name", "stage", "purpose", "policy", "policy_version", "policy_sha256", "allocator", "seed", "currency",
    "term_days",
)  # fmt: skip
LINES: Final = ("account_id", "debtor_id", "agency", "segment", "balance_minor", "dpd", "bucket", "round", "version")
INPUTS: Final = ("account_id", "version")


def content_sha256(header: Mapping[str, object], lines: pd.DataFrame) -> str:
    """The hash over the plan's terms and every line, whatever their order."""
    told = json.dumps({name: header[name] for name in HEADER}, sort_keys=True, default=str)
    return _sha256(told, lines, LINES)


def inputs_sha256(accounts: pd.DataFrame) -> str:
    """The hash over id and version of every account that the plan looked at, whatever their order."""
    return _sha256("", accounts, INPUTS)


def _sha256(told: str, frame: pd.DataFrame, columns: Sequence[str]) -> str:
    """Column by column, rows by account; numbers as eight bytes, texts ended by a line feed."""
    digest = hashlib.sha256(told.encode())
    rising = frame if frame["account_id"].is_monotonic_increasing else frame.sort_values("account_id", kind="stable")
    for name in columns:
        digest.update(f"\n{name} {len(rising)}\n".encode())
        column = rising[name]
        if pd.api.types.is_integer_dtype(column.dtype):
            digest.update(column.to_numpy(dtype="<i8").tobytes())
        else:
            digest.update(_lines(column))
    return digest.hexdigest()


def _lines(texts: pd.Series) -> memoryview:
    """The texts in UTF-8, each ended by a line feed."""
    column = pa.array(texts.astype("str"), from_pandas=True).cast(pa.large_string())
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    ended = pc.binary_join_element_wise(
        pc.fill_null(whole, "nan"), pa.scalar("", pa.large_string()), pa.scalar("\n", pa.large_string())
    )
    offsets = np.frombuffer(ended.buffers()[1], dtype=np.int64)[ended.offset : ended.offset + len(ended) + 1]
    return memoryview(ended.buffers()[2] or b"")[offsets[0] : offsets[-1]]
