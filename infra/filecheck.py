"""What the gateway would say of a file, without a store, a key or a server."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import pandas as pd

from connectors.layouts.delimited import FileRefused, read_delimited
from connectors.layouts.package import MAX_TABLE, control_holds, read_package
from models.checking import CODES, check, header_rejects
from models.errors import UsageError
from models.kinds import INBOUND, KINDS

if TYPE_CHECKING:
    from datetime import date
    from pathlib import Path


@dataclass(frozen=True)
class FileCheck:
    """The verdict on a file: how many lines, how many refused, and why (line 0 is the header or the envelope)."""

    lines: int
    refused: int
    rejects: pd.DataFrame


def check_file(path: Path, kind: str = "", today: date | None = None) -> FileCheck:
    """The verdict on an unsealed package or a single table, as the gateway would speak it on that day.

    Raises UsageError for a kind that agencies do not send.
    """
    try:
        if path.suffix.lower() == ".zip":
            package = read_package(path)
            kind = str(package.manifest.get("kind", kind))
            read, manifest = package.read, package.manifest
        else:
            read, manifest = read_delimited(path, max_bytes=MAX_TABLE), None
    except FileRefused as refused:
        return _whole(refused.code)
    if kind not in INBOUND:
        message = f"agencies do not send files of kind {kind or '(none given)'}"
        raise UsageError(message, fix=f"give --kind, one of {', '.join(sorted(INBOUND))}")
    rejects = header_rejects(KINDS[kind], read.header)
    if len(rejects):
        return FileCheck(read.count, max(1, read.count), rejects)
    latest = None if today is None else today + timedelta(days=1)
    checked = check(KINDS[kind], read.table, latest, lines=read.records, unread=read.unread)
    if (
        manifest is not None
        and KINDS[kind].control
        and checked.sums is not None
        and not control_holds(manifest, checked.sums)
    ):
        return _whole("control_sum")
    return FileCheck(read.count, checked.refused, checked.rejects)


def _whole(code: str) -> FileCheck:
    return FileCheck(1, 1, pd.DataFrame([{"line": 0, "column": "", "code": code, "fix": CODES[code]}]))
