"""The Taiwan card data: imported, segmented by months past due, planned and placed, by the commands of its page."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import create_engine, text

BLOCKS = ("import", "agencies", "plan", "place")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_card_holders_are_segmented_by_months_past_due_and_placed(shared_data: Path, tmp_path: Path, page: Any) -> None:
    source = shared_data / "loans" / "taiwan_card_default_1_20000.csv.gz"
    data = pd.read_csv(source, usecols=["PAY_0", "BILL_AMT1"])
    overdue = data[data["PAY_0"] > 0]
    owing = overdue[overdue["BILL_AMT1"] > 0]
    buckets = Counter(f"M{months}" if months <= 6 else "M6+" for months in owing["PAY_0"])

    done = page("taiwan-cards.md", BLOCKS, tmp_path, CARDS=str(source))

    with create_engine(f"sqlite:///{tmp_path / 'var' / 'consign.sqlite'}").connect() as connection:
        rows = connection.execute(
            text("SELECT bucket, agency, count(*) FROM placement WHERE state = 'placed' GROUP BY 1, 2")
        )
        placed = {(bucket, agency): number for bucket, agency, number in rows}
        balance = connection.execute(text("SELECT sum(balance_minor) FROM placement")).scalar_one()
        refused = connection.execute(text("SELECT rows_refused FROM portfolio")).scalar_one()
    assert refused == (overdue["BILL_AMT1"] < 0).sum() == 263
    assert balance == int(owing["BILL_AMT1"].sum()) * 100
    for bucket, number in buckets.items():
        halves = placed[bucket, "island"], placed[bucket, "strait"]
        assert sum(halves) == number
        assert abs(halves[0] - halves[1]) <= 1
    assert f"accounts         {sum(buckets.values()):,}" in done.said["place"]
    assert all((tmp_path / "var" / "sandbox" / code / "to_agency").glob("*.zip.age") for code in ("island", "strait"))
