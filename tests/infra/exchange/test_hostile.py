"""Hostile files at the gateway: refused or answered line by line, nothing else has changed, the next one is taken."""

from __future__ import annotations

import hashlib
import json
import stat
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import select

from infra.store import bulk
from keys.keyring import Keyring
from keys.sealing import seal_for
from models import checking
from models.checking import CODES
from models.tables import AuditEvent

Gateway = Any  # tests/infra/exchange/conftest.py
Change = Callable[[bytes], bytes]
ROOT = Path(__file__).parents[3]
LOCAL, ENTRY, END = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"


def honest(gateway: Gateway, accounts: pd.DataFrame) -> None:
    """A good file comes after the bad one, and is taken."""
    gateway.send("acknowledgement", gateway.acknowledging(accounts))
    took = gateway.collect()
    assert (took.accepted, took.refused, took.lines_refused) == (1, 0, 0)


def entry(raw: bytes, number: int, at: int, form: str, value: int) -> bytes:
    """The archive with a field of a directory entry, and of nothing else, set."""
    place = -1
    for _ in range(number + 1):
        place = raw.index(ENTRY, place + 1)
    changed = bytearray(raw)
    struct.pack_into(form, changed, place + at, value)
    return bytes(changed)


def flags(raw: bytes, bit: int) -> bytes:
    """The archive with a flag set for its last member, in header and directory."""
    changed = bytearray(entry(raw, 1, 8, "<H", bit))
    struct.pack_into("<H", changed, raw.rindex(LOCAL) + 6, bit)
    return bytes(changed)


ARCHIVES: dict[str, Change] = {
    "bytes before it": lambda raw: b"#!/bin/sh\n" + raw,
    "bytes after it": lambda raw: raw + b"\0",
    "twice over": lambda raw: raw + raw,
    "a comment": lambda raw: raw[:-2] + b"\x05\x00hello",
    "a link": lambda raw: entry(raw, 1, 38, "<L", (stat.S_IFLNK | 0o777) << 16),
    "a device": lambda raw: entry(raw, 1, 38, "<L", (stat.S_IFBLK | 0o600) << 16),
    "a password": lambda raw: flags(raw, 1),
    "two members in one place": lambda raw: entry(raw, 1, 42, "<L", 0),
    "a size that lies": lambda raw: entry(raw, 1, 24, "<L", 10),
    "a checksum that lies": lambda raw: entry(raw, 1, 16, "<L", 10),
    "a climbing name": lambda raw: raw.replace(b"accounts.csv", b"../../ab.csv"),
    "an absolute name": lambda raw: raw.replace(b"accounts.csv", b"/etc/abc.csv"),
    "a name with a drive": lambda raw: raw.replace(b"accounts.csv", b"C:\\abcde.csv"),
    "a name with a NUL": lambda raw: raw.replace(b"accounts.csv", b"accounts\0csv"),
    "another name in the header": lambda raw: raw.replace(b"accounts.csv", b"accountz.csv", 1),
    "a million members": lambda raw: raw[:-14] + struct.pack("<2H", 0xFFFF, 0xFFFF) + raw[-10:],
    "no end": lambda raw: raw[:-22],
    "a RAR": lambda raw: b"Rar!\x1a\x07\x01\x00" + raw[8:],
    "no bytes": lambda _: b"",
}
MANIFESTS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "more rows than there are": lambda said: said["consign"].update(rows=10**9),
    "rows that are no number": lambda said: said["consign"].update(rows="6"),
    "rows below zero": lambda said: said["consign"].update(rows=-6),
    "rows beyond any number": lambda said: said["consign"].update(rows=10**300),
    "rows that are none": lambda said: said["consign"].update(rows=float("nan")),
    "another agency": lambda said: said["consign"].update(agency="hengxin"),
    "another lender": lambda said: said["consign"].update(lender="meridian"),
    "another kind": lambda said: said["consign"].update(kind="remittance"),
    "another number": lambda said: said["consign"].update(sequence=2),
    "true for a number": lambda said: said["consign"].update(sequence=True),
    "other columns": lambda said: said["resources"][0].update(schema={"fields": [{"name": "account"}]}),
    "another size": lambda said: said["resources"][0].update(bytes=1),
    "another hash": lambda said: said["resources"][0].update(hash="sha256:" + "0" * 64),
    "another table": lambda said: said["resources"][0].update(name="payments", path="payments.csv"),
    "a table elsewhere": lambda said: said["resources"][0].update(path="https://example.org/accounts.csv"),
    "two tables": lambda said: said["resources"].append(said["resources"][0]),
    "another sum": lambda said: said["consign"].update(control={"field": "booked_balance", "sums": {"CNY": "1e9"}}),
    "a sum of nonsense": lambda said: said["consign"].update(control={"sums": {"\u202e": [], "CNY": {}}}),
    "a text of half a megabyte": lambda said: said["consign"].update(kind="x" * 500_000),
    "half a character": lambda said: said["consign"].update(note="\ud83d"),
}
TEXTS: dict[str, bytes] = {
    "twice the same": b'{"consign": {"rows": 6}, "consign": {"rows": 6}, "resources": []}',
    "deep": b"[" * 20_000,
    "a number of a hundred thousand digits": b'{"consign": ' + b"7" * 100_000 + b"}",
    "UTF-16": '{"consign": {}}'.encode("utf-16"),
    "a page": b"<html>",
}


def refused_whole(gateway: Gateway, before: dict[str, int], codes: set[str]) -> str:
    """The code with which the one file that came was refused, its receipt with it; nothing else has changed."""
    took = gateway.collect()
    assert (took.accepted, took.refused) == (0, 1)
    file = gateway.files().iloc[-1]
    assert file["state"] == "refused"
    code = str(file["refusal_code"])
    assert code in codes
    assert gateway.store() == before
    whole = gateway.receipts()[-1].iloc[0]
    assert (whole["outcome"], whole["code"], whole["fix"]) == ("refused", code, CODES[code])
    assert list(gateway.world.desk.folder("scratch").iterdir()) == []
    return code


def test_hostile_archives_are_refused_and_the_next_honest_file_is_taken(gateway: Gateway) -> None:
    accounts = gateway.place()
    before = gateway.store()
    for change in ARCHIVES.values():
        name, plain = gateway.package("acknowledgement", gateway.acknowledging(accounts))
        plain.write_bytes(change(plain.read_bytes()))
        gateway.seal(name, plain)
        refused_whole(gateway, before, {"not_a_package", "manifest"})
    honest(gateway, accounts)


def test_manifests_that_lie_are_refused_and_the_next_honest_file_is_taken(gateway: Gateway) -> None:
    accounts = gateway.place()
    before = gateway.store()
    lies: list[Callable[[dict[str, Any]], Any] | bytes] = [*MANIFESTS.values(), *TEXTS.values()]
    for lie in lies:
        name, plain = gateway.package("acknowledgement", gateway.acknowledging(accounts))
        with zipfile.ZipFile(plain) as archive:
            members = {one: archive.read(one) for one in archive.namelist()}
        if isinstance(lie, bytes):
            members["datapackage.json"] = lie
        else:
            described = json.loads(members["datapackage.json"])
            lie(described)
            members["datapackage.json"] = json.dumps(described).encode()
        with zipfile.ZipFile(plain, "w", zipfile.ZIP_DEFLATED) as archive:
            for one, content in members.items():
                archive.writestr(one, content)
        gateway.seal(name, plain)
        refused_whole(gateway, before, {"manifest", "rows", "hash", "control_sum", "too_large", "not_a_package"})
    honest(gateway, accounts)


def test_bombs_are_refused_and_leave_nothing_behind(gateway: Gateway) -> None:
    accounts = gateway.place()
    before = gateway.store()
    for content in (b"0" * (64 << 20), b"account,status\n" + b"\n" * (64 << 20), b"," * (64 << 20)):
        gateway.send("acknowledgement", content)
        refused_whole(gateway, before, {"too_large"})
    honest(gateway, accounts)


@pytest.mark.parametrize(
    ("table", "codes"),
    [
        ("account,status\nG1,booked\n".encode("utf-16"), {"encoding"}),
        ("account,status\nG1,booked\n".encode("utf-16-le"), {"encoding"}),
        ("account,status\nG1,booked\n".encode("utf-32"), {"encoding"}),
        ("帐号,结果\nG1,booked\n".encode("gb18030"), {"encoding"}),
        (b'account,"status\n', {"malformed_csv"}),
        (b"account,\0\n", {"encoding"}),
        (b"PK\x03\x04" * 9 + b"\n", {"missing_column"}),
        (b"x" * (2 << 20), {"malformed_csv", "too_large"}),
        (b"=cmd|'/C calc'!A0,@SUM(A1)\n1,2\n", {"missing_column"}),
        ("\u202eaccount,status\n1,2\n".encode(), {"missing_column"}),
    ],
)
def test_tables_that_are_none_are_refused_whole(gateway: Gateway, table: bytes, codes: set[str]) -> None:
    accounts = gateway.place()
    before = gateway.store()
    gateway.send("acknowledgement", table)
    refused_whole(gateway, before, codes)
    honest(gateway, accounts)


LINES: list[tuple[Change, str, str]] = [
    (lambda line: line + b",more", "ragged_line", ""),
    (lambda line: line[: line.rindex(b",")], "ragged_line", ""),
    (lambda line: line + b'"', "bad_quote", ""),
    (lambda line: line.replace(b"booked,", b'"booked,', 1), "bad_quote", ""),
    (lambda line: line + b"\0", "nul", "reason"),
    (lambda line: line + "已登记".encode("gb18030"), "encoding", "reason"),
    (lambda line: line + b"\xed\xb0\x80", "encoding", "reason"),
    (lambda line: line + hashlib.shake_256(line).hexdigest(1 << 19).encode(), "line_too_long", ""),
    (lambda line: line + b"x" * 2_001, "too_long", "reason"),
    (lambda line: line + b"a\x1b[2Jb", "control_character", "reason"),
    (lambda line: line + "a\u0085b".encode(), "control_character", "reason"),
    (lambda line: line + "a\u2028b".encode(), "control_character", "reason"),
    (lambda line: line + "a\u202egpj.exe".encode(), "bidi_override", "reason"),
    (lambda line: line + "\u2066a\u2069".encode(), "bidi_override", "reason"),
    (lambda line: line.replace(b"1000.00", b"1E+3"), "not_amount", "booked_balance"),
    (lambda line: line.replace(b"1000.00", "１０００.00".encode()), "not_amount", "booked_balance"),
    (lambda line: line.replace(b"1000.00", b"=1000"), "not_amount", "booked_balance"),
    (lambda line: b"=" + line, "unknown_account", "account"),
]


def test_a_hostile_line_is_refused_by_line_column_and_code_and_the_others_are_taken(gateway: Gateway) -> None:
    accounts = gateway.place()
    for number, (change, code, column) in enumerate(LINES, 1):
        text = gateway.acknowledging(accounts).to_csv(index=False, lineterminator="\n").encode()
        lines = text.splitlines()
        lines[3] = change(lines[3])
        table = b"\n".join([*lines, b""])
        claims = {"rows": 6, "control": {"field": "booked_balance", "sums": {"CNY": "6000.00"}}}
        gateway.send("acknowledgement", table, manifest=claims, sequence=number)
        took = gateway.collect()
        assert (took.accepted, took.refused, took.lines, took.lines_refused) == (1, 0, 6, 1), code
        receipt = gateway.receipts()[-1]
        whole, told = receipt.iloc[0], receipt.iloc[1]
        assert whole["outcome"] == "accepted_with_rejects"
        assert (told["line"], told["code"], told["fix"]) == ("3", code, CODES[code])
        assert (told["column"] if isinstance(told["column"], str) else "") == column, code


FREE_TEXTS = (
    "=cmd|'/C calc'!A0", '=HYPERLINK("https://example.org?"&A1,"x")', "+1", "-1", "@SUM(A1)", "＝1",
    "'; DROP TABLE account; --", "<script>alert(1)</script>", "${jndi:ldap://example.org/a}", "{{7*7}}", "%s%n",
    "../../x", "NULL", "null", "None", "nan", "NaN", "undefined", "true", "1E400", "0x0", "\\", "''",
    "😀👩\u200d👩", "ﷺ", "zalgo\u0301\u0302", "İıſ", "x" * 2_000,
)  # fmt: skip


def test_free_text_stays_the_text_that_it_was(gateway: Gateway) -> None:
    accounts = gateway.place()
    frame = pd.concat([gateway.acknowledging(accounts)[:1]] * len(FREE_TEXTS), ignore_index=True)
    frame = frame.assign(status="rejected", reason=FREE_TEXTS).drop_duplicates("account")
    assert len(frame) == 1
    for number, text in enumerate(FREE_TEXTS, 1):
        gateway.send("acknowledgement", frame.assign(reason=text), sequence=number)
        took = gateway.collect()
        assert (took.accepted, took.refused) == (1, 0), text
    assert gateway.files()["state"].eq("accepted").all()


def test_a_file_of_which_nothing_is_right_is_refused_whole(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    accounts = gateway.place()
    before = gateway.store()
    monkeypatch.setattr(checking, "MAX_REFUSALS", 10)
    gateway.send("acknowledgement", gateway.acknowledging(accounts, status="?", booked_on="9 January"))
    refused_whole(gateway, before, {"too_many_refused"})
    honest(gateway, accounts)


def test_a_byte_order_mark_is_let_pass(gateway: Gateway) -> None:
    accounts = gateway.place()
    text = gateway.acknowledging(accounts).to_csv(index=False, lineterminator="\r\n").encode()
    gateway.send(
        "acknowledgement", b"\xef\xbb\xbf" + text, manifest={"rows": 6, "control": {"sums": {"CNY": "6000.00"}}}
    )
    took = gateway.collect()
    assert (took.accepted, took.lines_refused) == (1, 0)


def test_a_signature_of_another_file_or_of_nothing_is_refused(gateway: Gateway) -> None:
    accounts = gateway.place()
    before = gateway.store()
    outbox = gateway.agency.outbox
    frame = gateway.acknowledging(accounts)
    signatures: list[Change] = [
        lambda _: b"",
        lambda right: right[: len(right) // 2],
        lambda right: right.replace(b"SSH SIGNATURE", b"PGP SIGNATURE"),
        lambda _: b"-----BEGIN SSH SIGNATURE-----\n" + b"A" * 4_000_000 + b"\n-----END SSH SIGNATURE-----\n",
        lambda _: b"\0" * 100_000,
        lambda right: right + right,
    ]
    for change in signatures:
        name = gateway.send("acknowledgement", frame)
        sidecar = outbox / f"{name}.sig"
        sidecar.write_bytes(change(sidecar.read_bytes()))
        took = gateway.collect()
        assert (took.accepted, took.refused) == (0, 1)
        assert gateway.files().iloc[-1]["refusal_code"] in {"bad_signature", "wrong_signer", "too_large"}
        assert gateway.store() == before
    name = gateway.send("acknowledgement", frame)
    other, _ = gateway.package("acknowledgement", frame[:1])
    (outbox / name).rename(outbox / other)
    (outbox / f"{name}.sig").rename(outbox / f"{other}.sig")
    refused_whole(gateway, before, {"manifest"})
    honest(gateway, accounts)


def test_nothing_of_a_hostile_file_reaches_audit_or_receipt(gateway: Gateway) -> None:
    gateway.place()
    secret = "李伟 13800138000"
    table = f'account,status,currency,booked_balance,booked_on,reason\n"{secret}",x\n{secret}"\n,,,,,{secret}\0\n'
    gateway.send("acknowledgement", table.encode(), manifest={"rows": 3})
    gateway.collect()
    said = "".join(receipt.to_csv() for receipt in gateway.receipts())
    with gateway.world.desk.database.read() as connection:
        said += bulk.read(connection, select(*bulk.table_of(AuditEvent).c)).to_csv()
    assert "ragged_line" in said
    assert "李伟" not in said
    assert "13800138000" not in said


MEASURE = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from connectors.layouts.delimited import FileRefused
from connectors.layouts.package import read_package
from keys.keyring import Keyring
from keys.sealing import open_from
home, sealed, plain = map(Path, sys.argv[1:])
keyring = Keyring.open(home / "ours.json", key_file=home / "ours.key")
before = peak_kb()
open_from(keyring, "us", "age", sealed, plain, datetime(2026, 1, 10, tzinfo=UTC))
try:
    said = ",".join(read_package(plain, max_bytes=2 << 30).unread["code"])
except FileRefused as error:
    said = error.code
print(said, (peak_kb() - before) >> 10)
"""


def test_a_line_of_a_gibibyte_in_a_small_sealed_file_is_refused_without_being_held(
    tmp_path: Path, peak_in_child: str
) -> None:
    now = datetime(2026, 1, 10, tzinfo=UTC)
    keyring = Keyring.create(tmp_path / "ours.json", key_file=tmp_path / "ours.key")
    keyring.new_own_keys("age", now)
    public = keyring.public_keys("age", now)
    keyring.trust("us", "age", encrypt=public["encrypt"], verify=public["verify"], now=now)
    dust = hashlib.shake_256(b"dust").digest(8_192)
    block = b"".join(b"x" * 120 + dust[number : number + 1].hex().encode() for number in range(8_192))
    digest, plain, sealed = hashlib.sha256(), tmp_path / "plain", tmp_path / "sealed.age"
    with zipfile.ZipFile(plain, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        with archive.open("accounts.csv", "w", force_zip64=True) as table:
            for text in (b"account,status\nG1,", *[block] * 1_075, b"\nG2,booked\n"):
                table.write(text)
                digest.update(text)
        resource = {"name": "accounts", "path": "accounts.csv", "hash": f"sha256:{digest.hexdigest()}"}
        archive.writestr("datapackage.json", json.dumps({"consign": {"rows": 2}, "resources": [resource]}))
    seal_for(keyring, "us", "age", plain, sealed, now)
    assert sealed.stat().st_size < 32 << 20
    done = subprocess.run(
        [sys.executable, "-c", peak_in_child + MEASURE, str(tmp_path), str(sealed), str(tmp_path / "opened")],
        capture_output=True, text=True, check=True, cwd=ROOT, timeout=100,
    )  # fmt: skip
    said, mebibytes = done.stdout.split()
    assert said == "line_too_long"
    assert int(mebibytes) < 150
