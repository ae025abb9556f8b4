"""A file's name tells what a manifest would, and can be read in one way only."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.layouts.naming import Named, Pattern, read_name, write_name
from connectors.layouts.profiles import load_layout, shipped_layouts
from models.kinds import CODE, KINDS

PATTERNS = (
    Pattern("HK_{lender}_{yyyymmdd}_{sequence:03d}.txt", {}),
    Pattern("还款_{yymmdd}{sequence:04d}", {}, lender="harbour"),
    Pattern("{agency}@{lender}@{yyyymmdd}@{sequence}.dat", {"HB": "harbour", "HB2": "harbour-two"}),
)
CODES = st.from_regex(CODE, fullmatch=True)
DAYS = st.dates(date(2000, 1, 1), date(2099, 12, 31))


@given(pattern=st.sampled_from(PATTERNS), lender=CODES, agency=CODES, day=DAYS, sequence=st.integers(1, 999_999_999))
def test_what_is_written_is_read_back(pattern: Pattern, lender: str, agency: str, day: date, sequence: int) -> None:
    known = pattern.lender or (sorted(pattern.lenders.values())[sequence % 2] if pattern.lenders else lender)
    named = Named(known, agency, "remittance", day, sequence)
    assert pattern.faults() == []
    assert pattern.read(pattern.write(named), "remittance", agency) == named


@given(pattern=st.sampled_from(PATTERNS), name=st.text(max_size=40))
def test_any_other_name_is_none_or_written_alike(pattern: Pattern, name: str) -> None:
    told = pattern.read(name, "remittance", "quayside")
    assert told is None or pattern.write(told) == name


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("HK_harbour_20260230_001.txt", "no such day"),
        ("HK_harbour_20260103_01.txt", "too few digits"),
        ("HK_harbour_20260103_0001.txt", "too many zeros"),
        ("HK_harbour_20260103_001.txt\n", "more than the name"),
        ("HK_har/bour_20260103_001.txt", "no code"),
        ("hk_harbour_20260103_001.txt", "another case"),
        ("HK_harbour_20260103_1234567890.txt", "a number beyond all"),
        ("HK_harbour_２０２６0103_001.txt", "digits of another script"),
    ],
)
def test_a_name_that_is_not_quite_of_the_form_is_none(name: str, why: str) -> None:
    assert PATTERNS[0].read(name, "remittance", "quayside") is None, why


@pytest.mark.parametrize(
    ("pattern", "fault"),
    [
        (Pattern("HK_{yyyymmdd}_{sequence}", {}), "needs {lender}"),
        (Pattern("HK_{lender}_{sequence}", {}), "needs {yyyymmdd}"),
        (Pattern("HK_{lender}_{yyyymmdd}", {}), "needs {sequence}"),
        (Pattern("{sequence}{yyyymmdd}_{lender}", {}), "two ways"),
        (Pattern("{lender}{agency}_{yyyymmdd}_{sequence}", {}), "two ways"),
        (Pattern("{lender}-{yyyymmdd}_{sequence}", {}), "two ways"),
        (Pattern("{sequence}7_{yyyymmdd}_{lender}", {}), "two ways"),
        (Pattern("../{lender}_{yyyymmdd}_{sequence}", {}), "letters, digits"),
        (Pattern(".{lender}_{yyyymmdd}_{sequence}", {}), "letters, digits"),
        (Pattern("{lender}_{yyyymmdd}_{sequence}_{hour}", {}), "no {hour}"),
        (Pattern("{lender}_{yyyymmdd}_{sequence", {}), "brace"),
        (Pattern("{lender}_{yyyymmdd}_{sequence}_{sequence}", {}), "twice"),
        (Pattern("{lender}.{agency}.remittance.{yyyymmdd}.{sequence:06d}.zip", {}), "our own form"),
        (Pattern("{lender}_{yyyymmdd}_{sequence}", {"A": "harbour", "B": "harbour"}), "two words"),
        (Pattern("{lender}_{yyyymmdd}_{sequence}", {"A_B": "harbour"}), "letters and digits"),
    ],
)
def test_a_pattern_that_could_be_read_in_two_ways_or_none_is_refused(pattern: Pattern, fault: str) -> None:
    assert any(fault in one for one in pattern.faults()), pattern.faults()


@given(
    profile=st.sampled_from([None, *shipped_layouts()]), kind=st.sampled_from(sorted(KINDS)),
    lender=CODES, agency=CODES, day=DAYS, sequence=st.integers(1, 999_999),
    suffix=st.sampled_from([".age", ".pgp", ""]),
)  # fmt: skip
def test_every_file_has_a_name_that_says_all_of_it(
    profile: str | None, kind: str, lender: str, agency: str, day: date, sequence: int, suffix: str
) -> None:
    layout = None if profile is None else load_layout(profile)
    named = Named(lender, agency, kind, day, sequence)
    told = read_name(write_name(named, layout, suffix), agency, layout, to_agency=KINDS[kind].to_agency)
    assert told is not None
    assert (told.named, told.suffix) == (named, suffix)
    assert told.plain == (layout is not None and kind in layout.kinds)


def test_a_lender_without_a_word_has_names_of_our_form() -> None:
    layout = load_layout("cn-flat-gb18030")
    pattern = Pattern("TA_{lender}_{yyyymmdd}_{sequence:03d}.txt", {"HB": "harbour"})
    layout = replace(layout, kinds={"recall": replace(layout.kinds["recall"], pattern=pattern)})
    names = {
        lender: write_name(Named(lender, "quayside", "recall", date(2026, 1, 3), 7), layout, ".age")
        for lender in ("harbour", "other")
    }
    assert names == {
        "harbour": "TA_HB_20260103_007.txt.age",
        "other": "other.quayside.recall.20260103.000007.txt.age",
    }
    for lender, name in names.items():
        told = read_name(name, "quayside", layout, to_agency=True)
        assert told is not None
        assert told.plain
        assert told.named.lender == lender
