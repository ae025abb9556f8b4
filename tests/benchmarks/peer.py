"""One program that compares tables, on two Parquet files: `peer.py NAME LINES RECEIPTS` prints CPU seconds and pairs.

Run by the interpreter of an environment of their own (tests/benchmarks/peers.py): nothing of Consign's is imported.
"""

from __future__ import annotations

import logging
import sys
import time
import warnings
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pandas as pd


def datacompy(lines: pd.DataFrame, receipts: pd.DataFrame) -> Callable[[], int]:
    """Rows of the two that have one reference and amount; it ranks duplicates by itself."""
    library = import_module("datacompy")

    compare = getattr(library, "PandasCompare", None) or library.Compare
    return lambda: len(compare(lines, receipts, join_columns=["reference", "amount_minor"]).intersect_rows)


def recordlinkage(lines: pd.DataFrame, receipts: pd.DataFrame) -> Callable[[], int]:
    """Pairs of one reference, compared in their amount."""
    library = import_module("recordlinkage")

    def work() -> int:
        pairs = library.Index().block("reference").index(lines, receipts)
        compare = library.Compare()
        compare.exact("amount_minor", "amount_minor", label="amount")
        return int(compare.compute(pairs, lines, receipts)["amount"].sum())

    return work


def splink(lines: pd.DataFrame, receipts: pd.DataFrame) -> Callable[[], int]:
    """Its deterministic link, by reference and amount, in DuckDB."""
    library, compared = import_module("splink"), import_module("splink.comparison_library")

    def work() -> int:
        settings = library.SettingsCreator(
            link_type="link_only",
            comparisons=[compared.ExactMatch("reference"), compared.ExactMatch("amount_minor")],
            blocking_rules_to_generate_predictions=[library.block_on("reference", "amount_minor")],
        )
        database = library.DuckDBAPI()
        linker = library.Linker([database.register(lines), database.register(receipts)], settings)
        return len(linker.inference.deterministic_link().as_pandas_dataframe())

    return work


def main() -> int:
    """Read, prepare, and time the work alone."""
    warnings.filterwarnings("ignore")
    logging.disable(logging.CRITICAL)
    name, left, right = sys.argv[1:]
    peers: dict[str, Any] = {"datacompy": datacompy, "recordlinkage": recordlinkage, "splink": splink}
    work = peers[name](pd.read_parquet(left), pd.read_parquet(right))
    began = time.process_time()
    pairs = work()
    print(time.process_time() - began, pairs)
    return 0


if __name__ == "__main__":
    sys.exit(main())
