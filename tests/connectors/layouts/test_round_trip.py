"""What is written in a layout is read back by it, cell by cell; what it cannot carry is refused and leaves no file."""

from __future__ import annotations

import tempfile
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from connectors.layouts.delimited import FileRefused
from connectors.layouts.errors import NotCarried
from connectors.layouts.flat import Flat, read_flat
from connectors.layouts.naming import Named
from connectors.layouts.package import text_of
from connectors.layouts.profiles import Layout, load_layout, parse_layout, shipped_layouts
from connectors.layouts.writing import FlatWriter
from models import release as releases
from models.kinds import KINDS, Field, Kind

DAY = date(2026, 1, 3)
ODD = {
    "signs apart": """
name = "signs-apart"
version = 1
[file]
encoding = "utf-16"
delimiter = ";"
quote = "'"
[amounts]
decimal = ","
thousands = "."
[kinds.remittance.columns]
agency_txn_id = "Txn"
account = "Konto"
type = "Art"
currency = "Währung"
gross = { credit = "Haben", debit = "Soll" }
commission = "Provision"
vat = "USt"
net = { column = "Netto", sign = { column = "S/H", positive = "H", negative = "S" } }
value_date = "Valuta"
batch_ref = "Verwendungszweck"
original_txn_id = "Storno zu"
""",
    "totals first": """
name = "totals-first"
version = 1
date_format = "%d.%m.%Y"
[file]
encoding = "utf-8"
header = false
skip_rows = 2
delimiter = "\\t"
quote = ""
[amounts]
unit = "minor"
sign = "trailing"
[kinds.remittance]
header_record = ["H", "{rows}", "{sum:CNY}", "{sum:JPY}", "{sequence}", "{lender}", "{agency}", "{date}"]
order = ["const", "txn", "acct", "type", "ccy", "gross", "comm", "vat", "net", "day", "ref", "orig", "unused"]
ignored = ["unused"]
[kinds.remittance.constants]
const = "R"
[kinds.remittance.columns]
agency_txn_id = "txn"
account = "acct"
type = "type"
currency = "ccy"
gross = "gross"
commission = "comm"
vat = "vat"
net = "net"
value_date = "day"
batch_ref = "ref"
original_txn_id = "orig"
""",
    "in characters": """
name = "in-characters"
version = 1
date_format = "%Y/%m/%d"
[file]
format = "fixed"
encoding = "utf-8"
positions = "characters"
filler = "."
[amounts]
sign = "parentheses"
[kinds.remittance]
record_length = 200
[kinds.remittance.columns]
agency_txn_id = "txn"
account = "acct"
type = "type"
currency = { constant = "CNY" }
gross = "gross"
net = "net"
value_date = "day"
batch_ref = "ref"
[kinds.remittance.positions]
txn = [1, 30]
acct = [31, 30]
type = [61, 9]
gross = { start = 70, length = 18, align = "right", filler = " " }
net = { start = 90, length = 18, align = "right", filler = "*" }
day = [110, 10]
ref = { start = 120, length = 60, align = "right" }
""",
}
LAYOUTS = {name: load_layout(name) for name in shipped_layouts()} | {
    name: parse_layout(text, name) for name, text in ODD.items()
}
CASES = [
    (name, kind)
    for name, layout in LAYOUTS.items()
    for kind in ("remittance", "activity", "acknowledgement", "erasure_certificate", "invoice", "receipt", "statement")
    if kind in layout.kinds
]
TEXT = st.text(max_size=12) | st.sampled_from(
    ["张三", "😀", "a|b", 'say "x"', "1\n2", " x ", "𠮷野家", "=1+1", "1E5", "H", "T"]
)
EASY = st.text(st.sampled_from("abcXYZ019-中文龍𠮷"), min_size=1, max_size=10).map(lambda text: f"R{text}")


def values(field: Field, text: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    """Any value of that field's type, as a frame holds it."""
    whole: st.SearchStrategy[Any] = {
        "string": st.sampled_from(field.one_of) if field.one_of else text,
        "integer": st.integers(0, 999),
        "amount": st.integers(-(10**12), 10**12),
        "rate": st.sampled_from(["0.18", "0", "1"]),
        "date": st.dates(date(1990, 1, 1), date(2060, 12, 31)).map(pd.Timestamp),
        "datetime": st.datetimes(pd.Timestamp("2001-01-01"), pd.Timestamp("2037-12-31")).map(
            lambda at: f"{at.replace(microsecond=0).isoformat()}Z"
        ),
        "yearmonth": st.sampled_from(["2026-01", "1999-12"]),
    }[field.type]
    if field.name == "currency":
        return st.just("CNY")
    return whole if field.required or field.type in {"amount", "integer"} else st.none() | whole


@st.composite
def frames(draw: st.DrawFn, kind: Kind, text: st.SearchStrategy[str], currencies: tuple[str, ...]) -> pd.DataFrame:
    """Lines of that kind."""
    rows = draw(st.integers(1, 4))
    columns: dict[str, Any] = {}
    for one in kind.fields:
        cells = draw(st.lists(values(one, text), min_size=rows, max_size=rows))
        if one.name == "currency":
            cells = draw(st.lists(st.sampled_from(currencies), min_size=rows, max_size=rows))
        dtype = {"amount": "Int64", "integer": "Int64", "date": "datetime64[us]"}.get(one.type, "str")
        columns[one.column] = pd.Series(cells, dtype=dtype)
    return pd.DataFrame(columns)


def there_and_back(layout: Layout, kind: Kind, frame: pd.DataFrame) -> Flat:
    """The frame written and read, in two shards where it has more than one line."""
    form = layout.kinds[kind.name]
    named = Named("harbour", "quayside", kind.name, DAY, 7)
    fields = [one for one in kind.fields if one.name in form.columns]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        try:
            with FlatWriter(path, layout, named, fields, kind.control) as writer:
                writer.write(frame.iloc[:1])
                writer.write(frame.iloc[1:])
        except NotCarried:
            assert list(Path(folder).iterdir()) == []
            raise
        assert writer.written is not None
        assert writer.written.rows == len(frame)
        assert list(Path(folder).iterdir()) == [path]
        return read_flat(path, layout, named, max_bytes=1 << 24)


def same(layout: Layout, kind: Kind, frame: pd.DataFrame, read: Flat) -> bool:
    """Whether what was read is what was written."""
    form = layout.kinds[kind.name]
    assert read.head.empty
    assert read.unread.empty
    assert read.faults.empty
    for one in kind.fields:
        if one.name in form.columns:
            went = pc.fill_null(text_of(one, frame).cast(pa.string()), "").to_pylist()
            came = read.table.column(one.name).to_pylist()
            if one.type == "datetime":
                went, came = ([pd.Timestamp(text).tz_convert("UTC") for text in side] for side in (went, came))
            assert went == came, one.name
    return True


@settings(max_examples=80, deadline=None)
@given(data=st.data(), case=st.sampled_from(CASES))
def test_any_lines_come_back_or_are_refused(data: st.DataObject, case: tuple[str, str]) -> None:
    layout, kind = LAYOUTS[case[0]], KINDS[case[1]]
    frame = data.draw(frames(kind, TEXT, ("CNY",)))
    try:
        read = there_and_back(layout, kind, frame)
    except NotCarried:
        reject()
    assert same(layout, kind, frame, read)
    if kind.control is not None:
        column = kind.field(kind.control).column
        assert read.holds({"CNY": int(frame[column].sum())})
        assert not read.stated or not read.holds({"CNY": int(frame[column].sum()) + 1})


@settings(max_examples=30, deadline=None)
@given(data=st.data(), case=st.sampled_from(CASES))
def test_ordinary_lines_are_carried_by_every_layout(data: st.DataObject, case: tuple[str, str]) -> None:
    layout, kind = LAYOUTS[case[0]], KINDS[case[1]]
    frame = data.draw(frames(kind, EASY, ("CNY",)))
    for one in kind.fields:
        if one.type == "amount":
            frame[one.column] = frame[one.column] % 10**9
    if case[0] in {"fixed-width", "in characters"}:
        for one in kind.fields:
            if one.type == "string" and not one.one_of and one.name != "currency":
                frame[one.name] = frame[one.name].str.slice(0, 3)
    if "period" in frame:
        frame["period"] = "2026-01"
    assert same(layout, kind, frame, there_and_back(layout, kind, frame))


@pytest.mark.parametrize("name", sorted(LAYOUTS))
@pytest.mark.parametrize("currencies", [("JPY",), ("KWD",), ("CNY", "JPY")])
def test_amounts_have_their_currencys_digits(name: str, currencies: tuple[str, ...]) -> None:
    layout, kind = LAYOUTS[name], KINDS["remittance"]
    frame = pd.DataFrame({one.column: pd.Series([None] * 2, dtype="str") for one in kind.fields}).assign(
        account="R1", agency_txn_id=["a", "b"], type=["recovery", "reversal"], value_date=pd.Timestamp(DAY),
        currency=list(currencies) * (2 // len(currencies)),
    )  # fmt: skip
    for column in ("gross_minor", "net_minor", "commission_minor", "vat_minor"):
        frame[column] = pd.Series([12_345, -5], dtype="Int64")
    one_sum = {"{sum}"} & {
        cell for record in (layout.kinds["remittance"].trailer_record,) if record for cell in record.cells
    }
    refused = (
        (one_sum and len(currencies) > 1)
        or (name == "totals first" and "KWD" in currencies)
        or name == "in characters"  # always CNY
    )
    if refused:
        with pytest.raises(NotCarried):
            there_and_back(layout, kind, frame)
    else:
        assert same(layout, kind, frame, there_and_back(layout, kind, frame))


@pytest.mark.parametrize(
    ("name", "column", "text"),
    [
        ("cn-flat-gb18030", "batch_ref", "a|b"),
        ("cn-flat-gb18030", "batch_ref", "a\nb"),
        ("cn-flat-gb18030", "type", "refund"),
        ("us-csv", "agency_txn_id", "1.5E+17"),
        ("fixed-width", "batch_ref", "汉" * 18),
        ("fixed-width", "batch_ref", "ends with a blank "),
        ("cn-xlsx", "batch_ref", "a\x01b"),
        ("cn-xlsx", "batch_ref", "x" * 33_000),
        ("in characters", "batch_ref", ".dots in front are what fills it"),
        ("signs apart", "batch_ref", "half a pair \ud800"),
    ],
)
def test_what_a_layout_cannot_carry_is_refused_by_name_and_without_its_value(name: str, column: str, text: str) -> None:
    layout, kind = LAYOUTS[name], KINDS["remittance"]
    frame = pd.DataFrame({one.column: ["x"] for one in kind.fields}).assign(
        type="recovery", currency="CNY", value_date=pd.Timestamp(DAY), gross_minor=1, net_minor=1, commission_minor=0,
        vat_minor=0,
    )  # fmt: skip
    assert same(layout, kind, frame, there_and_back(layout, kind, frame))
    try:
        damaged = frame.assign(**{column: pd.Series([text], dtype="str")})
    except UnicodeEncodeError:  # Arrow's text cannot even hold it
        return
    with pytest.raises(NotCarried) as refused:
        there_and_back(layout, kind, damaged)
    assert text not in str(refused.value)
    assert refused.value.fix


@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_the_same_rows_make_the_same_bytes(name: str, tmp_path: Path) -> None:
    layout, kind = LAYOUTS[name], KINDS["remittance"]
    frame = pd.DataFrame({one.column: ["x"] for one in kind.fields}).assign(
        type="recovery", currency="CNY", value_date=pd.Timestamp(DAY), gross_minor=1, net_minor=1, commission_minor=0,
        vat_minor=0,
    )  # fmt: skip
    fields = [one for one in kind.fields if one.name in layout.kinds["remittance"].columns]
    hashes = set()
    for number in range(2):
        named = Named("harbour", "quayside", "remittance", DAY, 7)
        with FlatWriter(tmp_path / str(number), layout, named, fields, kind.control) as writer:
            writer.write(frame)
        assert writer.written is not None
        hashes.add(writer.written.sha256)
    assert len(hashes) == 1


@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_a_file_without_lines_is_a_file(name: str) -> None:
    layout, kind = LAYOUTS[name], KINDS["remittance"]
    empty = pd.DataFrame({one.column: pd.Series(dtype="str") for one in kind.fields})
    if name in {"totals first", "in characters"}:  # without header, trailer or line nothing says what it is
        with pytest.raises(FileRefused, match="malformed_csv"):
            there_and_back(layout, kind, empty)
        return
    read = there_and_back(layout, kind, empty)
    assert read.rows == 0
    assert read.holds({})


def placed(rows: int) -> pd.DataFrame:
    """Accounts with everything that a policy can let out."""
    texts = {
        "account": "G0000000000000000000000000A", "debtor": "G0000000000000000000000000B", "product": "credit_card",
        "currency": "CNY", "bucket": "M4", "region": "310115", "score_band": "B", "stage": "early", "name": "张三丰",
        "id_number": "11010519491231002X", "phone": "13800001234", "phone_alt": "01088881234",
        "email": "zhang.sanfeng@example.com", "address": "上海市浦东新区样本路1号", "employer": "样本公司",
        "contact_name": "李四", "contact_phone": "13900005678",
    }  # fmt: skip
    whole: dict[str, pd.Series] = {name: pd.Series([text] * rows, dtype="str") for name, text in texts.items()}
    for one in KINDS["placement"].fields:
        if one.type == "amount":
            whole[one.column] = pd.Series([123_450] * rows, dtype="int64")
        elif one.type == "integer":
            whole[one.name] = pd.Series([95] * rows, dtype="int64")
        elif one.name not in texts:
            whole[one.name] = pd.Series([pd.Timestamp(2025, 12, 31)] * rows)
    return pd.DataFrame(whole)


RELEASED = [
    (name, policy, number)
    for name in shipped_layouts()
    for policy in releases.shipped()
    for number in range(len(releases.load(policy).entries))
]


@pytest.mark.parametrize(("name", "policy", "number"), RELEASED)
def test_whatever_a_shipped_policy_lets_out_a_shipped_layout_carries(name: str, policy: str, number: int) -> None:
    rules, layout = releases.load(policy), load_layout(name)
    entry = rules.entries[number]
    release = rules.release(next(iter(rules.purposes)), entry.stages[0], entry.channels[:1])
    frame = releases.minimise(placed(3), release)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        named = Named("harbour", "quayside", "placement", DAY, 7)
        with FlatWriter(path, layout, named, release.fields, release.control) as writer:
            writer.write(frame)
        read = read_flat(path, layout, named, max_bytes=1 << 20)
    assert read.rows == 3
    for one in release.fields:
        # a band where an amount was is no amount to who knows no policy; the writer has read it back as what it is
        if one.type == KINDS["placement"].field(one.name).type:
            went = text_of(one, frame).cast(pa.string()).fill_null("").to_pylist()
            assert read.table.column(one.name).to_pylist() == went
