"""A package says what it carries, and nothing that it says is believed before it was checked."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import shutil
import subprocess
import zipfile
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow.csv as pacsv
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.layouts.package import (
    MANIFEST,
    Package,
    PackageRefused,
    PackageWriter,
    control_holds,
    decimal_minor,
    decimal_text,
    read_csv,
    read_package,
)
from models.kinds import KINDS, Field

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FIELDS = (
    Field("account", required=True, unique=True),
    Field("currency", required=True),
    Field("balance", "amount", required=True),
    Field("fees", "amount"),
    Field("as_of", "date", required=True),
    Field("last_paid_on"),
    Field("dpd", "integer"),
    Field("at", "datetime"),
    Field("rate", "rate"),
    Field("name"),
)
NASTY = ('a "quoted" name', "with, comma", "two\nlines", "", "=1+1", "王伟", "  spaces  ", "\\.", "'", "\r\n", "😀")


def frame(names: list[str | None], currency: str | list[str] = "CNY") -> pd.DataFrame:
    count = len(names)
    return pd.DataFrame(
        {
            "account": pd.Series([f"G{n:026d}" for n in range(count)], dtype="str"),
            "currency": pd.Series([currency] * count if isinstance(currency, str) else currency, dtype="str"),
            "balance_minor": pd.Series(range(1005, 1005 + count), dtype="int64"),
            "fees_minor": pd.Series([None, *[-7] * (count - 1)][:count], dtype="Int64"),
            "as_of": pd.Series([pd.Timestamp("2026-01-05")] * count, dtype="datetime64[us]"),
            "last_paid_on": pd.Series([pd.NaT, *[pd.Timestamp("1999-12-31")] * count][:count], dtype="datetime64[us]"),
            "dpd": pd.Series(range(count), dtype="int64"),
            "at": pd.Series([pd.Timestamp("2026-01-05T01:02:03Z")] * count, dtype="datetime64[us, UTC]"),
            "rate": pd.Series([Decimal("0.225000")] * count, dtype="object"),
            "name": pd.Series(names, dtype="str"),
        }
    )


def written(path: Path, *frames: pd.DataFrame, fields: tuple[Field, ...] = FIELDS) -> PackageWriter:
    writer = PackageWriter(
        path, "harbour.quayside.placement.20260105.000001", "accounts", fields, {"kind": "x"}, "balance"
    )
    with writer:
        for one in frames:
            writer.write(one)
    return writer


@pytest.fixture
def package(tmp_path: Path) -> Path:
    path = tmp_path / "package.zip"
    written(path, frame(["王伟", None]))
    return path


def rewritten(path: Path, change: Callable[[dict[str, bytes]], None], *, honest: bool = True) -> Path:
    """The package with its members changed; `honest` states the table's new hash, so that the next check is reached."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    if honest and MANIFEST in members and "accounts.csv" in members:
        described = json.loads(members[MANIFEST])
        described["resources"][0]["hash"] = "sha256:" + hashlib.sha256(members["accounts.csv"]).hexdigest()
        described["resources"][0]["bytes"] = len(members["accounts.csv"])
        members[MANIFEST] = json.dumps(described).encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def unread(package: Package) -> list[tuple[int, str, str]]:
    found = package.unread
    return list(zip(found["line"], found["column"], found["code"], strict=True))


def code_of(path: Path, **limits: int) -> str:
    with pytest.raises(PackageRefused) as refused:
        read_package(path, **limits)
    return refused.value.code


# -- what was written is what is read ----------------------------------------------------------------------------------


def test_what_was_written_is_read_back_cell_by_cell(tmp_path: Path) -> None:
    names: list[str | None] = [None, *NASTY]
    writer = written(tmp_path / "p.zip", frame(names))
    package = read_package(tmp_path / "p.zip")
    read = package.table.to_pandas()
    assert package.header == [one.name for one in FIELDS]
    assert read["name"].tolist() == ["", *NASTY]
    assert read["balance"].tolist()[:2] == ["10.05", "10.06"]
    assert read["fees"].tolist()[:2] == ["", "-0.07"]
    assert read["as_of"].unique().tolist() == ["2026-01-05"]
    assert read["last_paid_on"].tolist()[:2] == ["", "1999-12-31"]
    assert read["dpd"].tolist()[:2] == ["0", "1"]
    assert read["at"].unique().tolist() == ["2026-01-05T01:02:03Z"]
    assert read["rate"].unique().tolist() == ["0.225000"]
    assert package.sha256 == (writer.written and writer.written.sha256)
    assert package.manifest["rows"] == len(names)


@settings(max_examples=60)
@given(texts=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12), max_size=30))
def test_any_text_comes_back_as_it_went(texts: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("any") / "p.zip"
    written(path, frame(list(texts)) if texts else frame([]))
    package = read_package(path)
    assert package.table["name"].to_pylist() == texts


def test_frames_add_up_to_one_table_and_one_sum(tmp_path: Path) -> None:
    writer = written(tmp_path / "p.zip", frame(["a", "b"]), frame([]), frame(["c"], "JPY"))
    assert writer.written is not None
    assert writer.written.rows == 3
    assert writer.written.control_minor == {"CNY": 1005 + 1006, "JPY": 1005}
    package = read_package(tmp_path / "p.zip")
    assert package.table["balance"].to_pylist() == ["10.05", "10.06", "1005"]
    assert package.manifest["control"] == {"field": "balance", "sums": {"CNY": "20.11", "JPY": "1005"}}
    assert control_holds(package.manifest, {"CNY": 2011, "JPY": 1005})
    assert not control_holds(package.manifest, {"CNY": 2012, "JPY": 1005})
    assert not control_holds(package.manifest, {"CNY": 2011})


def test_currencies_of_unlike_digits_stand_in_one_column(tmp_path: Path) -> None:
    written(tmp_path / "p.zip", frame(["a", "b", "c"], ["CNY", "JPY", "KWD"]))
    assert read_package(tmp_path / "p.zip").table["balance"].to_pylist() == ["10.05", "1006", "1.007"]


def test_a_package_without_rows_is_a_package(tmp_path: Path) -> None:
    written(tmp_path / "p.zip")
    package = read_package(tmp_path / "p.zip")
    assert package.table.num_rows == 0
    assert package.header == [one.name for one in FIELDS]


def test_the_same_rows_make_the_same_bytes(tmp_path: Path) -> None:
    written(tmp_path / "a.zip", frame(["x", "y"]))
    written(tmp_path / "b.zip", frame(["x", "y"]))
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_any_unzip_opens_it(package: Path) -> None:
    if shutil.which("unzip") is None:
        pytest.skip("no unzip here")
    assert subprocess.run(["unzip", "-tqq", package], check=False).returncode == 0


def test_a_stranger_s_reader_finds_the_types_that_the_manifest_states(tmp_path: Path) -> None:
    frictionless = pytest.importorskip("frictionless")
    written(tmp_path / "p.zip", frame(["王伟", "b"]))
    report = frictionless.Package(str(tmp_path / "p.zip")).validate()
    assert report.valid, report.flatten(["type", "note"])


def test_after_an_error_nothing_is_left_behind(tmp_path: Path) -> None:
    writer = PackageWriter(tmp_path / "p.zip", "n", "accounts", FIELDS, {}, "balance")
    with pytest.raises(KeyError), writer:
        writer.write(frame(["a"]).drop(columns="name"))
    assert not (tmp_path / "p.zip").exists()
    assert writer.written is None


def test_a_day_that_a_policy_made_a_month_is_written_as_its_text(tmp_path: Path) -> None:
    fields = (Field("account"), Field("currency"), Field("balance", "amount"), Field("last_paid_on"))
    shown = frame(["a"]).assign(last_paid_on=pd.Series(["2026-01"], dtype="str"))
    written(tmp_path / "p.zip", shown, fields=fields)
    assert read_package(tmp_path / "p.zip").table["last_paid_on"].to_pylist() == ["2026-01"]


@given(minor=st.integers(-(10**17), 10**17), currency=st.sampled_from(["CNY", "JPY", "KWD", "USD"]))
def test_an_amount_s_text_means_the_amount(minor: int, currency: str) -> None:
    assert decimal_minor(decimal_text(minor, currency), currency) == minor


@pytest.mark.parametrize("text", ["", "1e3", "1,000.00", "1.005", ".5", "5.", "+1", " 1", "１.00", "NaN", "1.00\n"])
def test_what_is_no_amount_is_none(text: str) -> None:
    assert decimal_minor(text, "CNY") is None


# -- what is not believed ----------------------------------------------------------------------------------------------


def test_what_is_no_zip_is_no_package(tmp_path: Path) -> None:
    for number, content in enumerate((b"", b"PK\x03\x04", b"account,balance\n1,2\n" * 50)):
        path = tmp_path / f"{number}.zip"
        path.write_bytes(content)
        assert code_of(path) == "not_a_package"


def test_a_package_cut_anywhere_is_refused(package: Path, tmp_path: Path) -> None:
    whole = package.read_bytes()
    for length in range(0, len(whole), 7):
        cut = tmp_path / "cut.zip"
        cut.write_bytes(whole[:length])
        with pytest.raises(PackageRefused):
            read_package(cut)


def test_a_package_with_one_bit_turned_is_refused_or_reads_the_same(package: Path, tmp_path: Path) -> None:
    whole, expected = package.read_bytes(), read_package(package).table
    for place in range(0, len(whole), 2):
        turned = bytearray(whole)
        turned[place] ^= 1 << (place // 2) % 8
        path = tmp_path / "turned.zip"
        path.write_bytes(turned)
        try:
            found = read_package(path)
        except PackageRefused:
            continue
        assert found.table.equals(expected)  # the bit was in a time stamp or an attribute


def test_two_members_of_one_name_are_refused(package: Path) -> None:
    with zipfile.ZipFile(package) as archive:
        manifest, table = archive.read(MANIFEST), archive.read("accounts.csv")
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr(MANIFEST, manifest)
        archive.writestr("accounts.csv", table)
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("accounts.csv", table)
    assert code_of(package) == "not_a_package"


@pytest.mark.parametrize("name", ["notes.txt", "../accounts.csv", "/etc/passwd", "accounts.csv/"])
def test_a_third_member_is_refused(package: Path, name: str) -> None:
    assert code_of(rewritten(package, lambda members: members.update({name: b"x"}))) == "not_a_package"


def test_without_a_manifest_it_is_no_package(package: Path) -> None:
    assert code_of(rewritten(package, lambda members: members.__delitem__(MANIFEST))) == "not_a_package"


@pytest.mark.parametrize(
    "manifest",
    [b"", b"[]", b"{}", b"\xff", b'{"resources": [], "consign": {}}', b"[" * 100_000,
     b'{"resources": [{"name": "accounts", "path": "../../etc/passwd"}], "consign": {}}',
     b'{"resources": [{"name": 1, "path": "1.csv"}], "consign": {}}',
     b'{"resources": [{"name": "accounts", "path": "accounts.csv"}], "consign": 7}'],
    ids=["empty", "a list", "nothing", "no UTF-8", "no resource", "deep", "a path", "a number", "consign 7"],
)  # fmt: skip
def test_a_manifest_that_says_nothing_sensible_is_refused(package: Path, manifest: bytes) -> None:
    assert code_of(rewritten(package, lambda members: members.update({MANIFEST: manifest}), honest=False)) == "manifest"


def test_a_manifest_that_names_another_table_is_refused(package: Path) -> None:
    def rename(members: dict[str, bytes]) -> None:
        members["other.csv"] = members.pop("accounts.csv")

    assert code_of(rewritten(package, rename)) == "manifest"


def test_a_table_that_is_not_the_one_hashed_is_refused(package: Path) -> None:
    def alter(members: dict[str, bytes]) -> None:
        members["accounts.csv"] = members["accounts.csv"].replace(b"10.05", b"10.06")

    assert code_of(rewritten(package, alter, honest=False)) == "hash"


def test_a_manifest_without_a_hash_is_refused(package: Path) -> None:
    def forget(members: dict[str, bytes]) -> None:
        described = json.loads(members[MANIFEST])
        del described["resources"][0]["hash"]
        members[MANIFEST] = json.dumps(described).encode()

    assert code_of(rewritten(package, forget, honest=False)) == "hash"


@pytest.mark.parametrize("stated", [0, 1, 3, "2", None, 2.5])
def test_another_number_of_rows_than_stated_is_refused(package: Path, stated: object) -> None:
    def misstate(members: dict[str, bytes]) -> None:
        described = json.loads(members[MANIFEST])
        described["consign"]["rows"] = stated
        members[MANIFEST] = json.dumps(described).encode()

    assert code_of(rewritten(package, misstate)) == "rows"


def test_a_bomb_is_refused_before_it_goes_off(package: Path) -> None:
    bomb = b"account\n" + b"0" * (8 << 20)
    assert code_of(rewritten(package, lambda members: members.update({"accounts.csv": bomb}))) == "too_large"


def test_a_table_larger_than_allowed_is_refused(package: Path) -> None:
    assert code_of(package, max_bytes=64) == "too_large"


def test_a_line_that_is_no_utf8_is_refused_by_its_number(package: Path) -> None:
    def gb18030(members: dict[str, bytes]) -> None:
        members["accounts.csv"] = members["accounts.csv"].replace("王伟".encode(), "王伟".encode("gb18030"))

    found = read_package(rewritten(package, gb18030))
    assert unread(found) == [(1, "name", "encoding")]
    assert found.lines.tolist() == [2]


def test_a_header_that_is_no_utf8_is_refused(package: Path) -> None:
    def spoil(members: dict[str, bytes]) -> None:
        members["accounts.csv"] = b"\xfe" + members["accounts.csv"]

    assert code_of(rewritten(package, spoil)) == "encoding"


@pytest.mark.parametrize("line", [b"one,two\n", b",".join([b"x"] * 11) + b"\n"], ids=["short", "long"])
def test_a_ragged_line_is_refused_and_no_other(package: Path, line: bytes) -> None:
    def add(members: dict[str, bytes]) -> None:
        header, first, rest = members["accounts.csv"].split(b"\n", 2)
        members["accounts.csv"] = b"\n".join([header, first, line.rstrip(), rest])
        described = json.loads(members[MANIFEST])
        described["consign"]["rows"] += 1
        members[MANIFEST] = json.dumps(described).encode()

    before = read_package(package).table
    found = read_package(rewritten(package, add))
    assert unread(found) == [(2, "", "ragged_line")]
    assert found.lines.tolist() == [1, 3]
    assert found.rows == 3
    assert found.table.equals(before)


def test_no_table_at_all_is_malformed() -> None:
    with pytest.raises(PackageRefused) as refused:
        read_csv(b"")
    assert refused.value.code == "malformed_csv"


def test_a_byte_order_mark_is_let_pass_and_nothing_is_guessed() -> None:
    header, table = read_csv("\ufeffa,b\r\n007,\r\nNA,null\r\n".encode())
    assert header == ["a", "b"]
    assert table.to_pydict() == {"a": ["007", "NA"], "b": ["", "null"]}


def test_a_repeated_column_reaches_the_check_of_the_header() -> None:
    header, table = read_csv(b"a,a\n1,2\n")
    assert header == ["a", "a"]
    assert [column.to_pylist() for column in table.columns] == [["1"], ["2"]]


@settings(max_examples=150)
@given(st.binary(max_size=400))
def test_any_bytes_are_a_table_or_refused(raw: bytes) -> None:
    found: Any = None
    with contextlib.suppress(PackageRefused):
        found = read_csv(raw)
    assert found is None or len(found[0]) == found[1].num_columns


def test_every_kind_of_file_can_be_written_and_read(tmp_path: Path) -> None:
    for kind in KINDS.values():
        columns: dict[str, Any] = {one.column: pd.Series(_one_of(one)) for one in kind.fields}
        columns.setdefault("currency", pd.Series(["CNY"], dtype="str"))
        path = tmp_path / f"{kind.name}.zip"
        with PackageWriter(path, "n", kind.table, kind.fields, {}, kind.control) as writer:
            writer.write(pd.DataFrame(columns))
        package = read_package(path)
        assert package.header == [one.name for one in kind.fields]
        assert package.table.num_rows == 1


def _one_of(one: Field) -> list[Any]:
    by_type = {"amount": 5, "integer": 5, "rate": "0.5", "date": pd.Timestamp(date(2026, 1, 5))}
    return [by_type.get(one.type, "CNY" if one.name == "currency" else "x")]


def test_numbers_and_days_stand_without_quotes(package: Path) -> None:
    with zipfile.ZipFile(package) as archive:
        raw = archive.read("accounts.csv")
    table = pacsv.read_csv(io.BytesIO(raw))
    assert b",10.05,,2026-01-05,," in raw
    assert str(table.schema.field("balance").type) == "double"
