"""Columns are read alike whether they are long or short."""

from __future__ import annotations

import unicodedata

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.gate import columns, identifiers
from models.gate.columns import FEW, TEXT, letters_of, whole, within
from models.gate.shapes import shapes
from models.kinds import KINDS
from models.release import load

RELEASE = load("cn-default").release("collection", "phone", ["phone"], "quayside")
PATTERNS = sorted(
    {shape.pattern for kind in KINDS.values() for shape in shapes(kind.fields, None).values() if shape.pattern}
    | {shape.pattern for shape in shapes(RELEASE.fields, RELEASE).values() if shape.pattern}
)
LETTERS = st.sampled_from("0123456789AGMX+-. ()@*张王一二三·零①٣\u200b\u3000'’éß\n\t_:TZ/=") | st.characters(
    exclude_categories=["Cs"]
)


def texts(values: list[str]) -> pa.Array:
    return pa.array(values, TEXT)


@pytest.mark.parametrize("pattern", PATTERNS)
@settings(max_examples=20)
@given(values=st.lists(st.text(LETTERS, max_size=30), min_size=1, max_size=10))
def test_a_shape_is_the_same_for_one_text_and_for_many(pattern: str, values: list[str]) -> None:
    many = texts(values * (FEW // len(values) + 1))
    assert whole(texts(values), pattern).tolist() == whole(many, pattern)[: len(values)].tolist()


@settings(max_examples=20)
@given(values=st.lists(st.text(LETTERS, max_size=30), min_size=1, max_size=10))
def test_what_is_worth_reading_is_so_for_one_text_and_for_many(values: list[str]) -> None:
    many = texts(values * (FEW // len(values) + 1))
    assert identifiers.suspicious(texts(values)).tolist() == identifiers.suspicious(many)[: len(values)].tolist()


@pytest.mark.parametrize("category", ["Nd", "Zs", "Cf", "Pd"])
def test_a_category_s_letters_are_all_there_and_no_others(category: str) -> None:
    every = [chr(code) for code in range(columns._LAST_PLANE) if not 0xD800 <= code < 0xE000]
    found = {
        letter
        for letter, is_one in zip(every, within(texts(every), f"[{letters_of(category)}]"), strict=True)
        if is_one
    }
    assert found == {letter for letter in every if unicodedata.category(letter) == category}
