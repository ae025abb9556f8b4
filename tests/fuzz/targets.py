"""What is fuzzed: every parser of ours that a stranger's bytes reach. A target returns, or has found something.

Its law: nothing but the parser's own refusal comes out, whatever goes in; and where two ways to the same answer exist,
they agree. How long an input may take and how much memory, the caller bounds.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

from connectors.bank.profiles import Profile, load_profile, shipped_profiles
from connectors.bank.reading import read
from connectors.bank.statement import StatementRefused
from connectors.layouts import delimited
from connectors.layouts.archive import content, members
from connectors.layouts.delimited import ENCODINGS, Dialect, FileRefused, Read, read_delimited
from connectors.layouts.errors import LayoutInvalid
from connectors.layouts.flat import read_flat
from connectors.layouts.naming import Named
from connectors.layouts.package import MANIFEST, control_holds, read_package
from connectors.layouts.profiles import load_layout, parse_layout
from connectors.layouts.workbook import rows_of
from keys.errors import KeyUnfit, OpenRefused
from keys.keyring import Keyring
from keys.sealing import open_from, sign_for, sshsig
from keys.sealing.packets import cut_short
from models.checking import CODES, check, header_rejects
from models.kinds import FILE_NAME, INBOUND, KINDS, file_name

MAX: Final = 4 << 20
NOW: Final = datetime(2026, 1, 10, tzinfo=UTC)
DAY: Final = date(2026, 1, 10)
KIND_OF: Final = tuple(sorted(INBOUND))


@cache
def _folder() -> Path:
    """Where inputs become files, this process's own; in memory where there is such a place."""
    shm = Path("/dev/shm")
    return Path(tempfile.mkdtemp(prefix="consign-fuzz-", dir=shm if os.access(shm, os.W_OK) else None))


def _file(raw: bytes, name: str = "input") -> Path:
    path = _folder() / name
    path.write_bytes(raw)
    return path


def _known(code: str) -> None:
    assert code in CODES


@contextmanager
def _blocks(block: int, part: int) -> Iterator[None]:
    """Delimited text is cut into blocks of that size."""
    kept = delimited._BLOCK, delimited._PART
    delimited._BLOCK, delimited._PART = block, part
    try:
        yield
    finally:
        delimited._BLOCK, delimited._PART = kept


def _told(found: Read) -> tuple[Any, ...]:
    rejects = [tuple(row) for row in found.rejects.itertuples(index=False)]
    columns = [column.to_pylist() for column in found.table.columns]
    return found.header, columns, rejects, found.lines.tolist(), found.records.tolist(), found.trailer


def text(raw: bytes) -> None:
    """Delimited text of any dialect; cut into blocks of any size it reads the same."""
    head, body = raw[:4].ljust(4, b"\0"), raw[4:]
    dialect = Dialect(
        delimiter=",;\t|"[head[0] % 4], quote=('"', "'", None)[head[0] // 4 % 3],
        encoding=sorted(ENCODINGS)[head[1] % len(ENCODINGS)], header=head[2] % 5 != 0, skip=head[2] // 5 % 3,
        trailer=("T" if head[2] // 15 % 2 else None),
    )  # fmt: skip
    longest = (1 << 20, 64, 16)[head[3] % 3]
    answers: list[Any] = []
    for block, part in ((8 << 20, 1 << 20), (1 + head[3] // 3 % 9, 1 + head[3] // 27)):
        with _blocks(block, part):
            try:
                found = read_delimited(body, dialect, max_bytes=MAX, max_line_bytes=longest)
            except FileRefused as refused:
                answers.append(refused.code)
                continue
            assert set(found.rejects["code"]) <= set(CODES)
            assert len(found.lines) == len(found.records) == found.table.num_rows
            assert found.records.tolist() == sorted(set(found.records.tolist()) - set(found.rejects["record"]))
            answers.append(_told(found))
    assert answers[0] == answers[1]


def table(raw: bytes) -> None:
    """A table of any kind, judged as the gateway judges it."""
    kind = KINDS[KIND_OF[raw[0] % len(KIND_OF)] if raw else "remittance"]
    try:
        found = read_delimited(raw[1:], max_bytes=MAX)
    except FileRefused:
        return
    header = header_rejects(kind, found.header)
    assert set(header["code"]) <= set(CODES)
    if len(header):
        return
    checked = check(kind, found.table, DAY, lines=found.records, unread=found.unread)
    lines = set(checked.good["line"]) | set(checked.rejects["line"])
    assert lines == set(range(1, found.count + 1))
    assert set(checked.rejects["code"]) <= set(CODES)
    if checked.sums is not None:
        control_holds({"control": {"sums": {str(currency): "1.00" for currency in checked.sums}}}, checked.sums)


def package(raw: bytes) -> None:
    """A whole package."""
    try:
        found = read_package(_file(raw), max_bytes=MAX)
    except FileRefused as refused:
        _known(refused.code)
        return
    assert found.rows == found.manifest["rows"]
    # whoever else opens it sees the same two members
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        assert {MANIFEST, f"{found.table_name}.csv"} == set(archive.namelist())


def archive(raw: bytes) -> None:
    """An archive of up to three members, every member read to its end."""
    source = io.BytesIO(raw)
    try:
        for member in members(source, at_most=3):
            assert len(content(source, member, max_bytes=MAX).readall()) == member.size
    except FileRefused as refused:
        _known(refused.code)


def manifest(raw: bytes) -> None:
    """A package with these bytes as manifest, and an honest table."""
    rows = b"account,status\nG1,booked\n"
    digest = hashlib.sha256(rows).hexdigest().encode()
    path = _folder() / "input"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as zipped:
        zipped.writestr(MANIFEST, raw.replace(b"HASH", b"sha256:" + digest))
        zipped.writestr("accounts.csv", rows)
    try:
        found = read_package(path, max_bytes=MAX)
    except FileRefused as refused:
        _known(refused.code)
        return
    control_holds(found.manifest, {"CNY": 100})
    json.dumps(dict(found.manifest)).encode()


def signature(raw: bytes) -> None:
    """An OpenSSH signature, and a public key's line."""
    try:
        found = sshsig.parse(raw, name="x.sig")
    except OpenRefused as refused:
        _known(refused.code)
    else:
        sshsig.verified(_file(b"sealed"), found)
    try:
        blob = sshsig.public_blob(raw.decode("utf-8", "replace"))
    except KeyUnfit:
        return
    assert sshsig.public_blob(sshsig.public_line(blob, "x")) == blob


def packets(raw: bytes) -> None:
    """An OpenPGP file that GnuPG did not like."""
    cut_short(_file(raw))


@cache
def _keyring() -> Keyring:
    keyring = Keyring.create(_folder() / "ours.json", key_file=_folder() / "ours.key")
    keyring.new_own_keys("age", NOW)
    public = keyring.public_keys("age", NOW)
    keyring.trust("us", "age", encrypt=public["encrypt"], verify=public["verify"], now=NOW)
    return keyring


def sealed(raw: bytes) -> None:
    """A sealed file by someone whose signature is good: what is inside the signature may still be anything."""
    keyring, path, plain = _keyring(), _file(raw, "sealed.age"), _folder() / "plain"
    sign_for(keyring, "age", path, path.with_name(path.name + ".sig"), NOW)
    try:
        open_from(keyring, "us", "age", path, plain, NOW)
    except OpenRefused as refused:
        _known(refused.code)
        assert not plain.exists()
        return
    plain.unlink()


@cache
def _bank_layouts() -> list[Profile]:
    return [load_profile(one) for one in shipped_profiles()]


def statement(raw: bytes) -> None:
    """Whatever a bank sends: camt, MT940, or a table in one of the shipped layouts."""
    try:
        read(_file(raw, "x.xml"), _bank_layouts())
    except StatementRefused:
        return


def name(raw: bytes) -> None:
    """A file's name; what is read from it writes the same name again."""
    said = raw.decode("utf-8", "surrogateescape")
    found = FILE_NAME.fullmatch(said)
    if found is None:
        return
    parts = found.groupdict()
    again = file_name(
        parts["lender"], parts["agency"], parts["kind"], parts["day"], int(parts["sequence"]), parts["suffix"],
        parts["ending"],
    )  # fmt: skip
    assert again == said
    assert said.isascii()
    assert "/" not in said


def layout(raw: bytes) -> None:
    """A layout profile."""
    try:
        parse_layout(raw.decode("utf-8", "replace"), "input")
    except LayoutInvalid:
        return


def _flat(reference: str, ending: str) -> Callable[[bytes], None]:
    def run(raw: bytes) -> None:
        agreed = load_layout(reference)
        kinds = sorted(kind for kind in agreed.kinds if kind in INBOUND)
        said = Named("harbour", "quayside", kinds[raw[0] % len(kinds)] if raw else kinds[0], DAY, 1)
        try:
            found = read_flat(_file(raw[1:], f"input.{ending}"), agreed, said, max_bytes=MAX)
        except FileRefused as refused:
            _known(refused.code)
            return
        if not len(found.head):
            checked = check(KINDS[said.kind], found.table, DAY, lines=found.lines, unread=found.unread)
            found.told(checked.rejects)
            found.holds(checked.sums or {})

    run.__doc__ = f"A plain file in the layout {reference}."
    return run


def workbook(raw: bytes) -> None:
    """A workbook, row by row."""
    try:
        for _ in rows_of(_file(raw, "x.xlsx"), "", max_bytes=MAX):
            pass
    except FileRefused as refused:
        _known(refused.code)


TARGETS: Final[Mapping[str, Callable[[bytes], None]]] = {
    "text": text,
    "table": table,
    "package": package,
    "archive": archive,
    "manifest": manifest,
    "signature": signature,
    "packets": packets,
    "sealed": sealed,
    "statement": statement,
    "name": name,
    "layout": layout,
    "flat-csv": _flat("us-csv", "csv"),
    "flat-gb18030": _flat("cn-flat-gb18030", "csv"),
    "flat-fixed": _flat("fixed-width", "txt"),
    "flat-xlsx": _flat("cn-xlsx", "xlsx"),
    "workbook": workbook,
}
