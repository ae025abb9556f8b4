"""What is struck out of free texts, and which columns are free texts."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.store import freetexts
from infra.store.freetexts import Needles

WORDS = st.text(alphabet="ab王明1 ", min_size=1, max_size=9)


@given(st.lists(WORDS, max_size=5), st.lists(st.none() | WORDS, max_size=8))
def test_every_text_that_holds_a_value_is_found_and_no_other(values: list[str], texts: list[str | None]) -> None:
    needles = Needles(values)
    expected = [text is not None and any(value in text for value in needles.values) for text in texts]
    assert needles.found(pd.Series(texts, dtype="str")).tolist() == expected


@given(st.lists(WORDS, max_size=5), WORDS)
def test_no_value_stands_in_a_text_that_was_struck(values: list[str], text: str) -> None:
    needles = Needles(values)
    struck = needles.struck(text, "*")
    assert not any(value in struck for value in needles.values if "*" not in value)


@pytest.mark.parametrize(
    ("value", "sought"),
    [("王明", True), ("王", False), ("Li", False), ("Anna", False), ("Chang", True), ("13812345678", True)],
)
def test_what_tells_nobody_from_others_is_not_sought(value: str, sought: bool) -> None:
    assert bool(Needles([value])) is sought


def test_the_longest_value_goes_first() -> None:
    assert Needles(["王小明", "小明"]).struck("王小明和小明") == "[erased]和[erased]"


def test_what_people_agencies_and_banks_wrote_is_searched() -> None:
    found = {table.name: {column.name for column in columns} for table, columns in freetexts.searched()}
    assert {"reference", "counterparty"} <= found["bank_receipt"]
    assert "text" in found["exception_comment"]
    assert "reason" in found["complaint"]
    assert "name" in found["inbound_file"]
    assert not {"identity", "audit_event", "journal_entry"} & set(found)


def test_whatever_is_left_out_is_a_table_that_there_is() -> None:
    from sqlmodel import SQLModel

    left_out = freetexts.SEALED | freetexts.GUARDED | freetexts.OURS
    assert left_out - {table.name for table in SQLModel.metadata.sorted_tables} == set()
