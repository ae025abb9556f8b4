"""What makes a remittance line the same line, whatever file it came in (R1)."""

from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

UNIT = "\x1f"  # ASCII's separator of units: no column of ours holds it


def content_ids(lines: pd.DataFrame, agency: str) -> pd.Series:
    """The content id of each line: 32 hex digits over agency, transaction, account, day, amount, currency and type.

    lines: `agency_txn_id`, `account_id`, `value_date`, `gross_minor`, `currency`, `type`. Without a transaction id the
    n-th equal line of a file has an id of its own, so that two equal payments stay two. The account stands for its
    pseudonym, which changes with the key generation.
    """
    parts = [
        _text(lines["agency_txn_id"]),
        _text(lines["account_id"]),
        _text(lines["value_date"].dt.strftime("%Y-%m-%d")),
        _text(lines["gross_minor"]),
        _text(lines["currency"]),
        _text(lines["type"]),
    ]
    content = pc.binary_join_element_wise(
        pa.scalar(agency, pa.large_string()), *parts, pa.scalar(UNIT, pa.large_string())
    )
    anonymous = lines["agency_txn_id"].isna().to_numpy()
    if anonymous.any():
        same = content.to_pandas()[anonymous]
        numbers = np.zeros(len(lines), dtype=np.int64)
        numbers[anonymous] = same.groupby(same, sort=False).cumcount().to_numpy() + 1
        content = pc.binary_join_element_wise(content, _text(pd.Series(numbers)), pa.scalar(UNIT, pa.large_string()))
    digests = [hashlib.blake2b(text.encode(), digest_size=16).hexdigest() for text in content.to_pylist()]
    return pd.Series(digests, index=lines.index, dtype="str")


def _text(cells: pd.Series) -> pa.Array:
    array = pa.Array.from_pandas(cells)
    array = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
    return pc.fill_null(array.cast(pa.large_string()), "")
