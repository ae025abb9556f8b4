"""Debtors of the batch are recognised in free text; what is too short to be anybody is not sought."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.gate.columns import TEXT, folded
from models.gate.matching import EVERYWHERE, Sought, long_enough, on_own_line


def texts(*values: str | None) -> pa.Array:
    return pa.array(values, TEXT)


@pytest.mark.parametrize(
    ("text", "field", "identity"),
    [
        ("欧阳峰的车贷", "name", "欧阳峰"),
        ("car loan of HENRY  KELLER", "name", "Henry Keller"),
        ("住：北京市 朝阳区 人民路１２号", "address", "北京市朝阳区人民路12号"),
        ("员工贷（北京启明科技有限公司）", "employer", "北京启明科技有限公司"),
        ("ref 154-1234-5678", "phone", "15412345678"),
        ("8888-1234", "phone_alt", "88881234"),
        ("Li.Wei @ Example.com", "email", "li.wei@example.com"),
    ],
)
def test_an_identity_is_found_in_any_text_however_it_is_written(text: str, field: str, identity: str) -> None:
    sought = Sought(["credit_card", text, "cash_loan"])
    assert sought.holding(field, texts("somebody else altogether", identity)) == {text}


@pytest.mark.parametrize(
    ("field", "identity"), [("name", "王伟"), ("name", "Li"), ("employer", "个体"), ("name", "安心")]
)
def test_a_short_identity_is_not_sought_everywhere(field: str, identity: str) -> None:
    assert Sought(["王伟安心个体经营贷 Li"]).holding(field, texts(identity)) == set()


def test_a_short_name_is_found_on_its_own_line_and_on_no_other() -> None:
    found = on_own_line(texts("王伟的贷款", "王伟的贷款", None, "王伟"), texts("王伟", "李静", "王伟", None), "name")
    assert found.tolist() == [True, False, False, False]


@settings(max_examples=60)
@given(
    st.lists(st.text("安心贷王伟李静峰abc1 -", min_size=1, max_size=12), min_size=1, max_size=8),
    st.lists(st.text("安心贷王伟李静峰abc1", min_size=1, max_size=9), min_size=1, max_size=8),
)
def test_seeking_by_pieces_finds_what_looking_one_by_one_finds(written: list[str], identities: list[str]) -> None:
    whole = folded(texts(*identities))
    long = [
        one for one, enough in zip(whole.to_pylist(), long_enough(whole, EVERYWHERE["name"]), strict=True) if enough
    ]
    plainly = {
        text
        for text, mine in zip(written, folded(texts(*written)).to_pylist(), strict=True)
        if any(o in mine for o in long)
    }
    assert Sought(written).holding("name", texts(*identities)) == plainly
