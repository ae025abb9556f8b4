"""An agency whose files are plain ones, in its own layout: what is read, refused and written is what a package's is."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import xlsxwriter
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.layouts.errors import LayoutInvalid, NotCarried
from connectors.layouts.flat import read_flat
from connectors.layouts.naming import Named, read_name, write_name
from connectors.layouts.package import read_package
from connectors.layouts.profiles import Layout, load_layout, shipped_layouts
from infra import layouts, outbox
from infra.filecheck import check_file
from infra.store import exchange
from keys.sealing import open_from
from models.errors import UsageError
from models.kinds import INBOUND, KINDS
from models.tables import AuditEvent, Disclosure, InboundFile, InboundReject, Transmission

Gateway = Any  # tests/infra/exchange/conftest.py

OF_THE_STORE = {"unknown_account", "not_placed", "wrong_currency", "not_recalled", "no_recall", "plan_known"}
OF_THE_STORE |= {"unknown_file", "other_key", "no_correction"}
DAY = date(2026, 1, 10)


def a_file(
    layout: Layout, kind: str, rows: list[dict[str, str]], path: Path, sequence: int = 1, total: str = "0"
) -> Path:
    """A file as an agency's own program might write it, from cells as they stand in it; `total` is for its trailer."""
    form = layout.kinds[kind]
    says = {"rows": str(len(rows)), "sum": total, "date": DAY.strftime(layout.date_format), "sequence": str(sequence)}
    says |= {"lender": "harbour", "agency": "quayside", "": ""}

    def record(one: Any) -> list[list[str]]:
        return [] if one is None else [[says.get(p, "") or c for c, p in zip(one.cells, one.places, strict=True)]]

    lines = [[row.get(name, form.constants.get(name, "")) for name in form.order] for row in rows]
    head = [list(form.order)] if layout.file.header else []
    writer = {"xlsx": as_sheet, "fixed": as_fixed, "delimited": as_text}[layout.file.format]
    return writer(layout, form, path, record(form.header_record), [*head, *lines], record(form.trailer_record))


Cells = list[list[str]]


def as_sheet(layout: Layout, form: Any, path: Path, first: Cells, lines: Cells, last: Cells) -> Path:
    assert layout.file.format == "xlsx"
    with xlsxwriter.Workbook(str(path)) as book:
        sheet = book.add_worksheet(form.sheet or None)
        for number, cells in enumerate([*first, *lines, *last]):
            for place, text in enumerate(cells):
                if text:
                    sheet.write_string(number, place, text)
    return path


def as_fixed(layout: Layout, form: Any, path: Path, first: Cells, lines: Cells, last: Cells) -> Path:
    def at(cells: list[str], positions: Any) -> bytes:
        whole = bytearray(b" " * form.record_length)
        for text, place in zip(cells, positions, strict=True):
            cell = text.encode(layout.file.encoding)[: place.length]
            pad = place.filler.encode() * (place.length - len(cell))
            whole[place.start - 1 : place.stop] = cell + pad if place.align == "left" or not cell else pad + cell
        return bytes(whole)

    written = [at(cells, form.header_record.positions) for cells in first]
    written += [at(cells, [form.positions[name] for name in form.order]) for cells in lines]
    written += [at(cells, form.trailer_record.positions) for cells in last]
    path.write_bytes(b"".join(line + layout.file.newline.encode() for line in written))
    return path


def as_text(layout: Layout, form: Any, path: Path, first: Cells, lines: Cells, last: Cells) -> Path:
    assert form.order
    file = layout.file

    def spelt(text: str) -> str:
        if file.quote and any(mark in text for mark in (file.delimiter, file.quote, "\n")):
            return file.quote + text.replace(file.quote, file.quote * 2) + file.quote
        return text

    text = "".join(file.delimiter.join(map(spelt, cells)) + file.newline for cells in [*first, *lines, *last])
    path.write_bytes(text.encode(file.encoding))
    return path


def in_layout(layout: Layout, kind: str, ours: dict[str, str]) -> dict[str, str]:
    """One line of standard text, as good as it is, in the layout's columns and forms."""
    form, row = layout.kinds[kind], {}
    for name, text in ours.items():
        column, field = form.columns[name], KINDS[kind].field(name)
        cell = text
        if column.map:
            cell = {word: theirs for theirs, word in reversed([*column.map.items()])}.get(text, text)
        elif field.type == "date" and text:
            cell = pd.Timestamp(text).strftime(layout.date_format)
        elif field.type == "yearmonth" and text:
            cell = pd.Timestamp(text).strftime(layout.month_format)
        elif field.type == "datetime" and text:
            cell = pd.Timestamp(text).tz_convert(layout.timezone).strftime(layout.datetime_format)
        elif field.type == "amount" and text:
            cell = text.replace(".", "") if layout.amounts.unit == "minor" else text
            if layout.amounts.sign == "parentheses" and text.startswith("-"):
                cell = f"({text[1:]})"
        row[column.column] = cell
    return row


ACKNOWLEDGED = {
    "status": "booked", "currency": "CNY", "booked_balance": "1000.00", "booked_on": "2026-01-09", "reason": "",
}  # fmt: skip


def acknowledgement(layout: Layout, accounts: pd.DataFrame) -> list[dict[str, str]]:
    """A good line for every account."""
    return [
        in_layout(layout, "acknowledgement", {"account": account, **ACKNOWLEDGED}) for account in accounts["account"]
    ]


def total(layout: Layout, yuan: int) -> str:
    return f"{yuan}00" if layout.amounts.unit == "minor" else f"{yuan}.00"


def named(kind: str, sequence: int = 1) -> Named:
    return Named("harbour", "quayside", kind, DAY, sequence)


def send(gateway: Gateway, layout: Layout, kind: str, rows: list[dict[str, str]], yuan: int, sequence: int = 1) -> str:
    name = write_name(named(kind, sequence), layout, ".age")
    plain = a_file(layout, kind, rows, gateway.agency.root / ".plain", sequence, total(layout, yuan))
    return str(gateway.seal(name, plain))


@pytest.fixture(params=shipped_layouts())
def layout(request: pytest.FixtureRequest, gateway: Gateway) -> Layout:
    """A shipped layout, agreed with the agency."""
    layouts.agree(gateway.world.desk, "quayside", request.param)
    return load_layout(request.param)


def test_a_plain_file_is_taken_in_as_a_package_would_be(gateway: Gateway, layout: Layout) -> None:
    accounts = gateway.place()
    name = send(gateway, layout, "acknowledgement", acknowledgement(layout, accounts), 6_000)
    took = gateway.collect()
    assert (took.accepted, took.refused, took.lines, took.lines_refused) == (1, 0, 6, 0)
    file = gateway.rows(InboundFile, "name", "state", "kind", "lender", "sequence", "layout", "rows").iloc[0]
    assert file.tolist() == [name, "accepted", "acknowledgement", "harbour", 1, layout.recorded, 6]


def test_the_receipt_of_a_plain_file_is_a_plain_file(gateway: Gateway, layout: Layout) -> None:
    rows = acknowledgement(layout, gateway.place())
    rows[2] = {**rows[2], layout.kinds["acknowledgement"].columns["status"].column: "?"}
    name = send(gateway, layout, "acknowledgement", rows, 6_000)
    assert gateway.collect().lines_refused == 1
    sent = gateway.rows(Transmission, "kind", "name", "layout", "state").query("kind == 'receipt'").iloc[-1]
    assert sent["layout"] == layout.recorded
    plain = gateway.agency.root / ".receipt"
    open_from(
        gateway.agency.keyring, "lender", "age", gateway.agency.inbox / sent["name"], plain, gateway.world.clock.now
    )
    told = read_name(sent["name"], "quayside", layout, to_agency=True)
    assert told is not None
    receipt = read_flat(plain, layout, told.named, max_bytes=1 << 20).table.to_pandas()
    assert receipt["file"].unique().tolist() == [name]
    line = receipt[receipt["code"] == "not_one_of"].iloc[0]
    assert line["line"] == "3"
    assert line["column"] == layout.kinds["acknowledgement"].columns["status"].column


def test_numbers_count_whatever_the_files_are_called(gateway: Gateway, layout: Layout) -> None:
    rows = acknowledgement(layout, gateway.place())
    send(gateway, layout, "acknowledgement", rows, 6_000)
    gateway.collect()
    send(gateway, layout, "acknowledgement", rows[:5], 5_000)
    gateway.collect()
    send(gateway, layout, "acknowledgement", rows[:4], 4_000, sequence=3)
    gateway.collect()
    files = gateway.files()
    assert files["refusal_code"].fillna("").tolist() == ["", "sequence_repeat", ""]
    assert files["finding"].iloc[-1] == "sequence_gap"


def test_a_package_is_taken_from_an_agency_of_plain_files_too(gateway: Gateway, layout: Layout) -> None:
    assert layout.kinds
    gateway.send("acknowledgement", gateway.acknowledging(gateway.place()))
    assert gateway.collect().accepted == 1


def test_a_plain_file_of_an_agency_of_packages_has_a_bad_name(gateway: Gateway) -> None:
    layout = load_layout("cn-flat-gb18030")
    send(gateway, layout, "acknowledgement", acknowledgement(layout, gateway.place()), 6_000)
    gateway.collect()
    assert gateway.files()["refusal_code"].tolist() == ["bad_name"]


@pytest.mark.parametrize("name", ["cn-flat-gb18030", "fixed-width"])
def test_what_its_records_state_is_held_against_lines_and_name(gateway: Gateway, name: str) -> None:
    layouts.agree(gateway.world.desk, "quayside", name)
    layout = load_layout(name)
    rows = acknowledgement(layout, gateway.place())
    path = gateway.agency.root / ".plain"
    before = gateway.store()

    def lines(sequence: int, yuan: int = 6_000) -> list[bytes]:
        written = a_file(layout, "acknowledgement", rows, path, sequence, total(layout, yuan))
        return written.read_bytes().splitlines(keepends=True)

    wrong: dict[str, Callable[[int], list[bytes]]] = {
        "control_sum": lambda number: lines(number, 5_999),
        "rows": lambda number: [*lines(number)[:2], *lines(number)[3:]],
        "trailer_record": lambda number: lines(number)[:-1],
    }
    if name == "fixed-width":
        wrong["header_record"] = lambda number: lines(number + 1)
    for number, (code, made) in enumerate(wrong.items(), 1):
        path.write_bytes(b"".join(made(number)))
        gateway.seal(write_name(named("acknowledgement", number), layout, ".age"), path)
        gateway.collect()
        assert gateway.files()["refusal_code"].iloc[-1] == code
    assert gateway.store() == before


def test_content_of_another_kind_is_told_so(gateway: Gateway) -> None:
    layouts.agree(gateway.world.desk, "quayside", "cn-xlsx")
    layout = load_layout("cn-xlsx")
    path = gateway.agency.root / ".plain"
    contents = (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600),
        "委外编号|接收结果\n".encode(),
        b"PK\x03\x04" + bytes(99),
    )
    for number, raw in enumerate(contents, 1):
        path.write_bytes(raw)
        gateway.seal(write_name(named("acknowledgement", number), layout, ".age"), path)
        gateway.collect()
    other = replace(
        layout, kinds={**layout.kinds, "acknowledgement": replace(layout.kinds["acknowledgement"], sheet="X")}
    )
    send(gateway, other, "acknowledgement", [], 0, sequence=4)
    gateway.collect()
    assert gateway.files()["refusal_code"].tolist() == ["wrong_format"] * 3 + ["missing_sheet"]


# -- what is foretold --------------------------------------------------------------------------------------------------

CELLS = {
    "string": ["", "x", "1.5E+17", "a\x01b", "CNY", "yuan", "还款", "接收", "recovery", "booked", "R" + "0" * 26],
    "integer": ["", "1", "2", "１２", "1.0", "x"],
    "amount": ["", "1", "1.00", "-1.00", "(1.00)", "1.001", "1,000.00", "１００", "¥1", "9" * 19],
    "date": ["", "2026-01-05", "20260105", "01/05/2026", "20261301", "46000", "2026-02-30"],
    "datetime": ["", "2026-01-05T10:00:00+08:00", "20260105100000", "2026-01-05 10:00:00", "01/05/2026 10:00:00 -0500"],
    "yearmonth": ["", "2026-01", "202601", "01/2026", "2026-00", "Jan"],
}
"""Good and bad in one layout or another, of each type of column."""


@st.composite
def files(draw: st.DrawFn) -> tuple[str, str, list[dict[str, str]], int]:
    """A layout, a kind and lines of it whose cells are anything; how many the trailer counts too many."""
    name = draw(st.sampled_from(shipped_layouts()))
    layout = load_layout(name)
    kind = KINDS[draw(st.sampled_from(sorted(INBOUND & set(layout.kinds))))]
    rows = []
    for _ in range(draw(st.integers(1, 4))):
        row = {}
        for one in kind.fields:
            column = layout.kinds[kind.name].columns.get(one.name)
            if column is None:
                continue  # a field that came later, and need not be there
            words = [*CELLS[one.type], *one.one_of, *(column.map or {})]
            row[column.column] = draw(st.sampled_from(words))
        rows.append(row)
    return name, kind.name, rows, draw(st.sampled_from([0, 0, 0, 1]))


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(file=files())
def test_the_check_and_the_gateway_say_the_same_of_plain_files(
    gateway: Gateway, file: tuple[str, str, list[dict[str, str]], int]
) -> None:
    name, kind, rows, _ = file
    layout = load_layout(name)
    layouts.agree(gateway.world.desk, "quayside", name)
    sequence = gateway._next(kind)
    sealed = write_name(named(kind, sequence), layout, ".age")
    plain = a_file(layout, kind, rows, gateway.agency.root / sealed.removesuffix(".age"), sequence)
    foretold = check_file(plain, today=gateway.world.desk.today(), layout=layout, agency="quayside")
    gateway.seal(sealed, plain)
    gateway.collect()
    came = gateway.files().iloc[-1]
    if came["refusal_code"] == "replayed":
        return  # the same lines were drawn before, which only the store knows
    told = gateway.rows(InboundReject, "file_id", "line", "column", "code", "fix").query(
        f"file_id == {came['file_id']}"
    )
    said = {(r.line, r.column, r.code, r.fix) for r in told.itertuples() if r.code not in OF_THE_STORE}
    expected = {(r.line, r.column, r.code, r.fix) for r in foretold.rejects.itertuples()}
    if came["state"] == "refused":
        assert foretold.whole
        assert {code for _, _, code, _ in expected} == {came["refusal_code"]}
    else:
        # of a plan a line that only the store refuses breaks the others
        assert said == expected or kind == "plan"
        assert foretold.lines == came["rows"]


# -- what goes out -----------------------------------------------------------------------------------------------------


def test_a_recall_goes_out_in_the_layout_and_reads_back(gateway: Gateway, layout: Layout) -> None:
    accounts = gateway.place()
    desk = gateway.world.desk
    with desk.database.write() as connection:
        from infra.store import placing

        due = accounts.assign(lender="harbour", agency="quayside", reason="hold")[
            ["placement_id", "account_id", "lender", "agency", "reason"]
        ]
        placing.recall(connection, due, desk.today(), lambda *_: DAY, "test", lambda _: ".age")
    outbox.send(desk, "quayside")
    sent = gateway.rows(Transmission, "kind", "name", "layout", "rows", "sequence").query("kind == 'recall'").iloc[0]
    assert sent["layout"] == layout.recorded
    plain = gateway.agency.root / ".recall"
    open_from(
        gateway.agency.keyring, "lender", "age", gateway.agency.inbox / sent["name"], plain, gateway.world.clock.now
    )
    told = read_name(sent["name"], "quayside", layout, to_agency=True)
    assert told is not None
    assert (told.named.kind, told.named.sequence, told.named.lender) == ("recall", sent["sequence"], "harbour")
    read = read_flat(plain, layout, told.named, max_bytes=1 << 20)
    assert sorted(read.table.column("account").to_pylist()) == sorted(accounts["account"])
    assert set(read.table.column("reason").to_pylist()) == {"hold"}


def test_what_a_layout_has_no_column_for_is_not_sent_until_somebody_decides(gateway: Gateway) -> None:
    text = """
name = "narrow"
version = 1
[kinds.recall.columns]
account = "acct"
due_back_on = "by"
"""
    path = gateway.agency.root / "narrow.toml"
    path.write_text(text)
    desk = gateway.world.desk
    layouts.agree(desk, "quayside", str(path))
    recall_all(gateway)
    with pytest.raises(NotCarried, match="reason"):
        outbox.send(desk, "quayside")
    assert gateway.rows(Transmission, "kind", "state").query("kind == 'recall'")["state"].tolist() == ["prepared"]


def test_what_is_left_out_is_not_in_the_register(gateway: Gateway) -> None:
    path = gateway.agency.root / "short.toml"
    path.write_text("""
name = "short"
version = 1
[kinds.recall]
left_out = ["reason"]
[kinds.recall.columns]
account = "acct"
due_back_on = "by"
""")
    desk = gateway.world.desk
    layouts.agree(desk, "quayside", str(path))
    recall_all(gateway)
    outbox.send(desk, "quayside")
    assert set(gateway.rows(Disclosure, "field")["field"]) == {"account", "due_back_on"}


def recall_all(gateway: Gateway) -> None:
    from infra.store import placing

    desk = gateway.world.desk
    due = gateway.place().assign(lender="harbour", agency="quayside", reason="hold")
    with desk.database.write() as connection:
        wanted = due[["placement_id", "account_id", "lender", "agency", "reason"]]
        placing.recall(connection, wanted, desk.today(), lambda *_: DAY, "test", lambda _: ".age")


# -- what is kept ------------------------------------------------------------------------------------------------------


def test_a_version_never_changes_and_what_was_prepared_keeps_its_layout(gateway: Gateway) -> None:
    desk = gateway.world.desk
    path = gateway.agency.root / "own.toml"
    text = 'name = "own"\nversion = 1\n[kinds.recall.columns]\naccount = "a"\nreason = "r"\ndue_back_on = "d"\n'
    path.write_text(text)
    first = layouts.agree(desk, "quayside", str(path))
    path.write_text(text.replace('"r"', '"why"'))
    with pytest.raises(LayoutInvalid, match="another own@1"):
        layouts.agree(desk, "quayside", str(path))
    recall_all(gateway)
    path.write_text(text.replace('"r"', '"why"').replace("version = 1", "version = 2"))
    second = layouts.agree(desk, "quayside", str(path))
    assert first != second
    outbox.send(desk, "quayside")
    sent = gateway.rows(Transmission, "kind", "name", "layout").query("kind == 'recall'").iloc[0]
    assert sent["layout"] == first
    assert layouts.find(desk, "own").version == 2
    assert layouts.find(desk, "own@1").recorded == first
    assert layouts.agree(desk, "quayside", "package") == "package"
    actions = gateway.rows(AuditEvent, "seq", "action").sort_values("seq")["action"]
    assert actions[actions.str.startswith(("layout.", "agency.layout"))].tolist() == [
        "layout.added", "agency.layout", "layout.added", "agency.layout", "agency.layout",
    ]  # fmt: skip


def test_an_unknown_layout_is_a_matter_of_the_call(gateway: Gateway) -> None:
    with pytest.raises(UsageError, match="near: cn-xlsx"):
        layouts.agree(gateway.world.desk, "quayside", "cn-xslx")
    with pytest.raises(UsageError, match="no agency"):
        layouts.agree(gateway.world.desk, "nobody", "cn-xlsx")


def test_a_packages_manifest_is_untouched_by_layouts(gateway: Gateway) -> None:
    recall_all(gateway)
    outbox.send(gateway.world.desk, "quayside")
    sealed = next(gateway.agency.inbox.glob("*.recall.*.zip.age"))
    plain = gateway.agency.root / ".plain"
    open_from(gateway.agency.keyring, "lender", "age", sealed, plain, gateway.world.clock.now)
    assert zipfile.is_zipfile(plain)
    manifest = read_package(plain).manifest
    assert {"kind", "lender", "agency", "sequence", "created_on", "previous", "policy", "audit"} <= set(manifest)


def test_the_store_knows_which_agency_uses_what(gateway: Gateway) -> None:
    layouts.agree(gateway.world.desk, "quayside", "us-csv")
    told = {row["layout"]: row for row in layouts.known(gateway.world.desk)}
    assert set(told) == {f"{name}@1" for name in shipped_layouts()}
    assert told["us-csv@1"]["agencies"] == "quayside"
    with gateway.world.desk.database.read() as connection:
        assert exchange.agency(connection, "quayside").layout == load_layout("us-csv").recorded
