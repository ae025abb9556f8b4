"""A layout profile is checked as a whole: every fault is told at once, with its key."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from connectors.layouts.errors import LayoutInvalid, LayoutUnknown
from connectors.layouts.profiles import ENCODINGS, load_layout, parse_layout, shipped_layouts

if TYPE_CHECKING:
    from pathlib import Path

GOOD = """
name = "own"
version = 3

[kinds.recall.columns]
account = "acct"
reason = "why"
due_back_on = "by"
"""


def with_(*lines: str, before: str = "[kinds.recall.columns]") -> str:
    """The good profile with more lines in front of a table."""
    return GOOD.replace(before, "\n".join([*lines, before]), 1)


def test_a_small_profile_is_enough() -> None:
    layout = parse_layout(GOOD, "own.toml")
    assert layout.reference == "own@3"
    assert layout.recorded == f"own@3#{layout.sha256}"
    assert layout.kinds["recall"].order == ("acct", "why", "by")


@pytest.mark.parametrize("name", shipped_layouts())
def test_a_shipped_layout_covers_what_a_loop_needs(name: str) -> None:
    layout = load_layout(name)
    assert layout.name == name
    assert {"placement", "update", "recall", "receipt", "statement", "erasure_request"} <= set(layout.kinds)
    assert {"acknowledgement", "activity", "return", "remittance", "invoice", "erasure_certificate"} <= set(
        layout.kinds
    )
    assert layout.about


WRONG = [
    ("name", GOOD.replace('"own"', '"Own Layout"'), "name: needs 1 to 40"),
    ("reserved", GOOD.replace('"own"', '"package"'), "not `package`"),
    ("version", GOOD.replace("= 3", "= 0"), "version: needs a whole number from 1"),
    ("key", with_("[fiel]"), "unknown key 'fiel' (near: file)"),
    ("encoding", with_("[file]", 'encoding = "latin"'), "[file] encoding: 'latin' is not one of"),
    ("marks", with_("[file]", 'delimiter = ","', 'quote = ","'), "delimiter and quote: need one ASCII character"),
    ("delimiter", with_("[file]", 'delimiter = "||"'), "delimiter and quote"),
    ("wide delimiter", with_("[file]", 'delimiter = "｜"'), "delimiter and quote"),
    ("misplaced", with_("[file]", 'sheet = "x"'), "[file] sheet: goes with xlsx, not with delimited"),
    ("ending", with_("[file]", 'ending = "exe"'), "[file] ending: needs csv or txt"),
    ("fixed header", with_("[file]", 'format = "fixed"', "header = true"), "positions instead of names"),
    ("fixed utf-16", with_("[file]", 'format = "fixed"', 'encoding = "utf-16"'), 'count "characters"'),
    ("no position", with_("[file]", 'format = "fixed"'), "[kinds.recall] positions: acct has none"),
    ("decimal", with_("[amounts]", 'decimal = ","', 'thousands = ","'), "different marks"),
    (
        "day",
        with_('date_format = "%Y%m"', before="[kinds.recall.columns]").replace(
            'version = 3\n\ndate_format = "%Y%m"', 'version = 3\ndate_format = "%Y%m"'
        ),
        "date_format: '%Y%m' does not hold",
    ),
    ("local times", with_('datetime_format = "%Y%m%d%H%M%S"'), "timezone: say where the times are local"),
    ("zone", with_('timezone = "Asia/Atlantis"'), "timezone: 'Asia/Atlantis' is none"),
    ("month", with_('month_format = "%m"'), "month_format"),
    ("kind", GOOD.replace("recall", "recal"), "there is no kind 'recal' (near: recall"),
    ("no kinds", "name = 'own'\nversion = 1\n", "kinds: needs a table for each kind"),
    ("field", GOOD.replace("reason =", "reasons ="), "unknown key 'reasons' (near: reason)"),
    ("twice", GOOD.replace('"why"', '"acct"'), "acct is mapped twice"),
    (
        "required",
        GOOD.replace("recall", "complaint").replace('reason = "why"\ndue_back_on = "by"', ""),
        "columns complaint_ref: is required",
    ),
    (
        "constant of ours",
        GOOD + '[kinds.complaint.columns]\nseverity = { constant = "grave" }\n',
        "constant 'grave' is not one of ours: normal, serious",
    ),
    (
        "map to nothing",
        GOOD + '[kinds.complaint.columns]\nseverity = { column = "s", map = { "1" = "grave" } }\n',
        "map: grave is none of our words",
    ),
    ("amount without currency", GOOD + '[kinds.return.columns]\nfinal_balance = "b"\n', "columns currency: is needed"),
    (
        "amount by default",
        GOOD + '[kinds.return.columns]\nfinal_balance = { column = "b", default = "0" }\n',
        "an amount has no default",
    ),
    (
        "sign of a text",
        GOOD.replace('"why"', '{ column = "w", sign = { column = "s", positive = "1", negative = "2" } }'),
        "make an amount, and this is none",
    ),
    (
        "half a sign",
        GOOD + '[kinds.return.columns]\nfinal_balance = { column = "b", sign = { column = "s" } }\n',
        "sign needs column, positive and negative",
    ),
    ("credit alone", GOOD + '[kinds.return.columns]\nfinal_balance = { credit = "c" }\n', "credit and debit together"),
    ("order", with_("[kinds.recall]", 'order = ["acct", "by", "x"]'), "order: needs every column once"),
    ("left out and there", with_("[kinds.recall]", 'left_out = ["reason"]'), "left_out: reason has a column"),
    (
        "left out account",
        GOOD.replace('account = "acct"\n', "").replace(
            "[kinds.recall.columns]", '[kinds.recall]\nleft_out = ["account"]\n[kinds.recall.columns]'
        ),
        "without `account`",
    ),
    ("name without number", with_("[kinds.recall]", 'file_name = "TA_{lender}_{yyyymmdd}.txt"'), "needs {sequence}"),
    ("sum of nothing", with_("[kinds.recall]", 'trailer_record = ["T", "{sum}"]'), "a recall has no amount to sum"),
    ("no marker", with_("[kinds.recall]", 'trailer_record = ["{rows}"]'), "the first cell needs a plain text"),
    ("no such place", with_("[kinds.recall]", 'trailer_record = ["T", "{total}"]'), "{total} is none of"),
    ("place with company", with_("[kinds.recall]", 'trailer_record = ["T", "n={rows}"]'), "n={rows} is none of"),
    (
        "mark in a record",
        with_("[file]", 'quote = ""', "[kinds.recall]", 'trailer_record = ["T,", "{rows}"]'),
        "a cell holds the delimiter",
    ),
    ("sheet's name", with_("[file]", 'format = "xlsx"', "[kinds.recall]", 'sheet = "a/b"'), "a sheet's name"),
    ("not TOML", "name = own", "is not TOML"),
]


@pytest.mark.parametrize(("text", "told"), [(text, told) for _, text, told in WRONG], ids=[name for name, *_ in WRONG])
def test_a_fault_is_told_with_its_key(text: str, told: str) -> None:
    with pytest.raises(LayoutInvalid) as refused:
        parse_layout(text, "own.toml")
    assert told in str(refused.value)
    assert "own.toml" in str(refused.value)


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(LayoutInvalid) as refused:
        parse_layout(with_("colour = 1", "[file]", 'encoding = "x"').replace("= 3", "= -1"), "own.toml")
    assert str(refused.value).count("\n  - ") == 3


FIXED = """
name = "own"
version = 1
[file]
format = "fixed"
[kinds.recall]
record_length = 30
[kinds.recall.columns]
account = "a"
reason = "r"
due_back_on = "d"
[kinds.recall.positions]
a = [1, 10]
r = [11, 10]
d = [21, 10]
"""


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("r = [11, 10]", "r = [10, 10]", "what starts at 10 lies over what starts at 1"),
        ("d = [21, 10]", "d = [21, 11]", "record_length: something stands at 31"),
        ("d = [21, 10]", "d = [0, 10]", "start and length are whole numbers from 1"),
        ("d = [21, 10]", 'd = { start = 21, length = 10, align = "middle" }', "align is left or right"),
        ("d = [21, 10]", 'd = { start = 21, length = 10, filler = "  " }', "filler is one printable"),
        ("d = [21, 10]", "d = [21, 10]\nx = [31, 1]", "x is no column"),
        ("record_length = 30", 'trailer_record = [{ value = "T", start = 1, length = 1 }]', "record_length: is needed"),
        ("record_length = 30", 'record_length = 30\ntrailer_record = ["T"]', "start and length"),
    ],
)
def test_positions_neither_overlap_nor_stick_out(old: str, new: str, told: str) -> None:
    assert parse_layout(FIXED, "own.toml").kinds["recall"].order == ("a", "r", "d")
    with pytest.raises(LayoutInvalid) as refused:
        parse_layout(FIXED.replace(old, new), "own.toml")
    assert told in str(refused.value)


def test_names_of_two_kinds_are_told_apart() -> None:
    text = with_("[kinds.recall]", 'file_name = "X_{lender}_{yyyymmdd}_{sequence}"') + (
        '[kinds.erasure_request]\nfile_name = "X_{lender}_{yyyymmdd}_{sequence:03d}"\n'
        '[kinds.erasure_request.columns]\naccount = "a"\nscope = "s"\nerase_by = "e"\n'
    )
    with pytest.raises(LayoutInvalid, match="could be a"):
        parse_layout(text, "own.toml")


def test_a_name_that_is_unknown_is_told_with_its_neighbours(tmp_path: Path) -> None:
    with pytest.raises(LayoutUnknown, match="near: us-csv"):
        load_layout("uscsv")
    with pytest.raises(LayoutUnknown, match="comes in version 1, not 9"):
        load_layout("us-csv@9")
    with pytest.raises(LayoutUnknown, match="no profile at"):
        load_layout(str(tmp_path / "none.toml"))
    with pytest.raises(LayoutUnknown, match="names no layout"):
        load_layout("../us-csv")
    path = tmp_path / "own.toml"
    path.write_bytes(GOOD.replace("why", "原因").encode("gb18030"))
    with pytest.raises(LayoutInvalid, match="not UTF-8"):
        load_layout(str(path))


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_encoding_can_be_read_and_written(encoding: str) -> None:
    assert parse_layout(with_("[file]", f'encoding = "{encoding}"'), "own.toml").file.encoding == encoding
    "Müller".encode("iso-8859-1" if encoding in {"gb2312", "big5"} else encoding, "replace").decode(
        "iso-8859-1" if encoding in {"gb2312", "big5"} else encoding
    )
