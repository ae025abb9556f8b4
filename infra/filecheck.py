"""What the gateway would say of a file, without a store, a key or a server.

The same readers and the same judge as at the gateway (connectors/layouts); what only the store knows, such as whether
an account is placed with the agency, is not asked.
"""

from __future__ import annotations

import codecs
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from connectors.layouts.delimited import FileRefused, read_delimited
from connectors.layouts.flat import read_flat
from connectors.layouts.judging import head_rejects, in_their_words, judged, sums_hold
from connectors.layouts.naming import Named, Told, read_name
from connectors.layouts.package import Package, decimal_text, read_package
from connectors.layouts.sniffing import SAID, content_of
from infra.settings import Settings
from models.checking import CODES
from models.errors import UsageError
from models.kinds import INBOUND, KINDS
from models.spreadsheets import defused

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from connectors.layouts.profiles import Layout

MAX_BYTES: Final[int] = Settings.model_fields["max_inbound_bytes"].default
COLUMNS: Final = ("line", "file_line", "column", "code", "fix", "sent")
LONGEST_SENT: Final = 60
_LOOKED_AT: Final = 1 << 20
_SEALED: Final = frozenset({"sealed_age", "sealed_openpgp"})


@dataclass(frozen=True)
class FileCheck:
    """The verdict on a file: how many lines, how many refused, and why (line 0 is the header or the envelope)."""

    lines: int
    refused: int
    rejects: pd.DataFrame
    """line (1 is the first after the header), file_line (as a text editor or a spreadsheet counts; 0: the whole file),
    column (as the agency calls it), code, fix, sent (what stands there, cut short: for whoever brought the file)"""
    kind: str = ""
    layout: str = ""
    """name@version of the profile it was read with; empty: a package, or a table of one"""
    notes: tuple[str, ...] = ()
    """what could not be checked, and why"""
    whole: bool = False
    """refused as a whole, not line by line"""
    sums: dict[str, int] = field(default_factory=dict)
    """the control column over the lines that count, minor units by currency"""

    @property
    def verdict(self) -> str:
        """As a receipt's `outcome`: accepted, accepted_with_rejects or refused."""
        return "refused" if self.whole else "accepted_with_rejects" if self.refused else "accepted"


def check_file(
    path: Path,
    kind: str = "",
    today: date | None = None,
    *,
    layout: Layout | None = None,
    agency: str = "",
    max_bytes: int = MAX_BYTES,
) -> FileCheck:
    """The verdict on an unsealed file, as the gateway would speak it on that day.

    A package, one table of a package (CSV, of the given kind), or with a layout a plain file in it. Its name is read
    where it has one of ours or the layout's; where not, what the name would have said is not checked, and noted.
    Raises UsageError for a kind that agencies do not send.
    """
    content = content_of(path)
    told = read_name(path.name, agency, layout)
    package = path.suffix.lower() == ".zip" or content == "package"
    if not package and (content in _SEALED or path.suffix.lower() in {".age", ".pgp"}):
        return _whole("wrong_format", notes=("this is a sealed file, which only the lender opens: check it unsealed",))
    if told is not None and told.named.kind not in INBOUND:
        return _whole("wrong_kind", notes=(f"its name says that it is a {told.named.kind}",))
    if layout is None and not package and content not in {"text", "empty"}:
        return _whole("wrong_format", notes=(f"this is {SAID[content]}; is a --layout agreed for it?",))
    try:
        if package:
            return _package(path, kind, today, told, max_bytes)
        return _plain(path, kind, today, told, layout, max_bytes) if layout else _table(path, kind, today, max_bytes)
    except FileRefused as refused:
        return _whole(refused.code)


def _package(path: Path, kind: str, today: date | None, told: Told | None, max_bytes: int) -> FileCheck:
    package = read_package(path, max_bytes=max_bytes)
    said = _known(str(package.manifest.get("kind", kind)))
    if package.table_name != KINDS[said].table:
        return _whole("manifest", said)
    notes: tuple[str, ...] = ()
    if told is None:
        notes = ("the file's name is none that the gateway takes: what it says was not compared with the manifest",)
    else:
        named = told.named
        if _known(named.kind) and {k: package.manifest.get(k) for k in ("lender", "agency", "kind", "sequence")} != {
            "lender": named.lender, "agency": named.agency, "kind": named.kind, "sequence": named.sequence,
        }:  # fmt: skip
            return _whole("manifest", said)
    return _judged(said, package, today, notes)


def _plain(path: Path, kind: str, today: date | None, told: Told | None, layout: Layout, max_bytes: int) -> FileCheck:
    notes: tuple[str, ...] = ()
    named = told.named if told is not None and told.plain else None
    if named is None:
        notes = ("the file's name is none that the gateway takes (bad_name): what it would say was not checked",)
        if not kind:
            message = f"the name {path.name} does not say what the file is"
            raise UsageError(message, fix=f"give --kind, one of {', '.join(k for k in layout.kinds if k in INBOUND)}")
        named = Named("", "", kind, date.min, 0)
    said = _known(named.kind)
    if said not in layout.kinds:
        message = f"the layout {layout.reference} has no {said}: it comes as a package"
        raise UsageError(message, fix=f"give --kind, one of {', '.join(k for k in layout.kinds if k in INBOUND)}")
    try:
        package = read_flat(path, layout, named, max_bytes=max_bytes, by_name=bool(named.lender))
    except FileRefused as refused:
        hint = _hint(path, layout.file.encoding) if refused.code == "encoding" else ()
        return replace(_whole(refused.code, said), layout=layout.reference, notes=(*notes, *hint))
    found = _judged(said, package, today, notes)
    hint = _hint(path, layout.file.encoding) if "encoding" in set(found.rejects["code"]) else ()
    return replace(found, layout=layout.reference, notes=(*notes, *hint))


def _table(path: Path, kind: str, today: date | None, max_bytes: int) -> FileCheck:
    said = _known(kind)
    try:
        read = read_delimited(path, max_bytes=max_bytes)
    except FileRefused as refused:
        return _whole(refused.code, said, _hint(path, "utf-8") if refused.code == "encoding" else ())
    hint = _hint(path, "utf-8") if "encoding" in set(read.rejects["code"]) else ()
    return _judged(said, Package({}, KINDS[said].table, read, ""), today, hint, sums=False)


def unnamed() -> FileCheck:
    """The verdict on a file whose name says nothing, where nothing else says what it is."""
    return _whole("bad_name")


def _hint(path: Path, agreed: str) -> tuple[str, ...]:
    """For a person only: in which encoding the file could be, where it is not in the agreed one."""
    with path.open("rb") as file:
        raw = file.read(_LOOKED_AT)
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return ("the file looks like utf-16",)
    for encoding in ("utf-8", "gb18030", "big5"):
        with suppress(UnicodeDecodeError):
            codecs.getincrementaldecoder(encoding)().decode(raw, final=len(raw) < _LOOKED_AT)
            if encoding != agreed.removesuffix("-sig"):
                return (f"the file could be in {encoding}; what counts is what was agreed: {agreed}",)
    return ()


def _judged(kind: str, package: Package, today: date | None, notes: tuple[str, ...], *, sums: bool = True) -> FileCheck:
    of = KINDS[kind]
    head = head_rejects(of, package)
    if len(head):
        head = _shown(head.assign(sent=""), package)
        return FileCheck(package.rows, max(1, package.rows), head, kind, notes=notes, whole=True)
    checked = judged(of, package, None if today is None else today + timedelta(days=1))
    if sums and not sums_hold(of, package, checked):
        return _whole("control_sum", kind, notes)
    totals: dict[str, int] = {}
    if of.control is not None:
        good = checked.good.groupby("currency")[of.field(of.control).column].sum()
        totals = {str(currency): int(total) for currency, total in good.items()}
    sent = _sent(checked.rejects, package)
    rejects = _shown(in_their_words(package, checked.rejects).assign(sent=sent), package)
    return FileCheck(package.rows, checked.refused, rejects, kind, notes=notes, sums=totals)


def _sent(rejects: pd.DataFrame, package: Package) -> pd.Series:
    """What stands in each refused cell; nothing where the line could not be read, or has no such column."""
    row = rejects["line"].map(pd.Series(np.arange(len(package.lines)), index=package.lines))
    told = pd.Series("", index=rejects.index, dtype="str")
    for column in set(rejects["column"]) & set(package.table.column_names):
        here = (rejects["column"] == column) & row.notna()
        cells = package.table.column(column).take(row[here].astype("int64").to_numpy()).to_pylist()
        told.loc[here] = pd.Series([str(cell or "")[:LONGEST_SENT] for cell in cells], index=told.index[here])
    return told


def _shown(rejects: pd.DataFrame, package: Package) -> pd.DataFrame:
    """The refusals with the line of the file beside the line of the table."""
    unread = package.read.rejects
    records = np.concatenate([package.read.records, unread["record"].to_numpy(dtype=np.int64)])
    lines = np.concatenate([package.read.lines, unread["line"].to_numpy(dtype=np.int64)])
    at = pd.Series(lines, index=records)
    at = at[~at.index.duplicated()]
    file_line = rejects["line"].map(at).fillna(0).astype("int64")
    return rejects.assign(file_line=file_line)[list(COLUMNS)].reset_index(drop=True)


def _whole(code: str, kind: str = "", notes: tuple[str, ...] = ()) -> FileCheck:
    rejects = pd.DataFrame([{"line": 0, "file_line": 0, "column": "", "code": code, "fix": CODES[code], "sent": ""}])
    return FileCheck(1, 1, rejects, kind, notes=notes, whole=True)


def _known(kind: str) -> str:
    if kind not in INBOUND:
        message = f"agencies do not send files of kind {kind or '(none given)'}"
        raise UsageError(message, fix=f"give --kind, one of {', '.join(sorted(INBOUND))}")
    return kind


def as_receipt(found: Sequence[tuple[Path, FileCheck]]) -> str:
    """What the receipts of these files would say, as CSV with a receipt's columns; nothing is sealed, so no hash."""
    rows: list[dict[str, Any]] = []
    for file, verdict in found:
        head = {"file": file.name, "outcome": verdict.verdict}
        counted = {"lines": verdict.lines, "lines_refused": verdict.refused}
        whole = verdict.rejects.iloc[0] if verdict.whole and len(verdict.rejects) else None
        first = {} if whole is None else {"code": whole["code"], "fix": whole["fix"]}
        totals = [
            {"currency": currency, "total": decimal_text(total, currency)} for currency, total in verdict.sums.items()
        ]
        rows += [{**head, **counted, **first, **total} for total in totals or [{}]]
        lines = verdict.rejects if whole is None else verdict.rejects[verdict.rejects["line"] > 0]
        table = KINDS[verdict.kind].table if verdict.kind else ""
        told = lines[["line", "column", "code", "fix"]].to_dict("records")
        rows += [{**head, "table": table, **{str(name): cell for name, cell in line.items()}} for line in told]
    names = [one.name for one in KINDS["receipt"].fields]
    frame = pd.DataFrame([{name: str(row.get(name, "")) for name in names} for row in rows], columns=names, dtype="str")
    return str(defused(frame).to_csv(index=False, lineterminator="\n"))
