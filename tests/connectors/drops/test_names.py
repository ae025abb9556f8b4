"""File names are written by the other side, and may say anything."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from connectors.drops import names
from connectors.drops.errors import HostileName


@given(st.text(max_size=200))
@example("..")
@example("a/../b")
@example("a\u202eb")
@example("\udcff")
def test_a_name_is_refused_or_stays_where_it_is_put(name: str) -> None:
    if names.why_hostile(name) is None:
        assert PurePosixPath("/drop", name).parent == PurePosixPath("/drop")
        assert name == name.strip()
        assert name.isprintable() or all(character.isspace() for character in name if not character.isprintable())
    else:
        with pytest.raises(HostileName):
            names.checked(name)


@given(st.text(max_size=200))
def test_what_is_said_of_a_name_can_be_printed(name: str) -> None:
    said = names.printable(name)
    assert said.isascii()
    assert said.isprintable()


@pytest.mark.parametrize(
    "name", ["lender.alpha.placement.20261122.000001.zip.age", "回款明细 2026-11.xlsx", "a (1).csv"]
)
def test_ordinary_names_in_any_script_pass(name: str) -> None:
    assert names.checked(name) == name
    assert names.ANY_NAME.fullmatch(name)


@given(
    st.from_regex(r"[a-z0-9][a-z0-9._-]{0,100}", fullmatch=True),
    st.integers(0, 2**40),
    st.integers(0, 2**32),
    st.one_of(st.none(), st.from_regex(r"[0-9a-f]{64}", fullmatch=True)),
)
def test_a_claims_name_says_whose_it_is(name: str, size: int, mtime: int, declared: str | None) -> None:
    held = names.held(name, size, mtime, declared)
    assert names.read_held(str(held)) == held
    assert held.declared_sha256 == declared
    assert len(str(held).encode()) <= 255


def test_a_part_is_hidden_and_recognised_as_unfinished() -> None:
    part = names.temporary("a.zip", "0" * 64)
    assert part.startswith(".")
    assert part.endswith(names.UNFINISHED)
