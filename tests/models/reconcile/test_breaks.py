from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pandas as pd

from models import chart
from models.reconcile.breaks import ABOUT, AGE_NAMES, BLOCKING, DUPLICATE, aged

REFERENCE = Path(__file__).resolve().parents[3] / "docs" / "reference"


def test_the_page_says_every_code_that_is_built_and_which_block() -> None:
    rows = re.findall(r"^\| (`[a-z_`, ]+) \| (yes|duplicate|) ?\|", (REFERENCE / "breaks.md").read_text(), re.MULTILINE)
    told = {code: blocks for codes, blocks in rows for code in re.findall(r"`(\w+)`", codes) if code in ABOUT}
    assert set(told) == set(ABOUT)
    assert {code for code, blocks in told.items() if blocks == "yes"} == BLOCKING
    assert {code for code, blocks in told.items() if blocks == "duplicate"} == DUPLICATE


def test_the_page_names_every_ledger_in_use() -> None:
    told = dict(re.findall(r"^\| ([0-9]{4}) \| \[?([\w -]+\w)", (REFERENCE / "ledger.md").read_text(), re.MULTILINE))
    assert told == {account.code: account.name for account in chart.load("default").accounts}


def test_a_break_ages_from_the_day_it_was_opened() -> None:
    opened = pd.Series(pd.to_datetime(["2026-06-30", "2026-06-28", "2026-06-27", "2026-06-22", "2026-01-01"], utc=True))
    assert aged(opened, date(2026, 6, 30)).tolist() == ["0-2", "0-2", "3-7", "8-30", ">90"]
    assert len(AGE_NAMES) == 6
