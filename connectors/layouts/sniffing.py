"""What a file is by its first bytes, whatever its name says."""

from __future__ import annotations

import struct
import zipfile
from typing import TYPE_CHECKING, Final, Literal

from connectors.layouts.package import MANIFEST

if TYPE_CHECKING:
    from pathlib import Path

Content = Literal[
    "package", "workbook", "old_workbook", "archive", "sealed_age", "sealed_openpgp", "pdf", "html", "empty", "text"
]
_OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_HEAD: Final = 1024
_MARK: Final = b"PK\x05\x06"
_ZIP64: Final = b"PK\x06\x07"
_END: Final = struct.Struct("<4s4H2LH")
_MAX_COMMENT: Final = 0xFFFF
_MAX_PARTS: Final = 2_000
_MAX_DIRECTORY: Final = 1 << 20
_STARTS: Final[tuple[tuple[bytes, Content], ...]] = (
    (_OLE, "old_workbook"),
    (b"age-encryption.org/", "sealed_age"),
    (b"-----BEGIN AGE ENCRYPTED FILE-----", "sealed_age"),
    (b"-----BEGIN PGP MESSAGE-----", "sealed_openpgp"),
    (b"%PDF-", "pdf"),
    (b"\x1f\x8b", "archive"),
    (b"7z\xbc\xaf\x27\x1c", "archive"),
    (b"Rar!\x1a\x07", "archive"),
)
SAID: Final = {
    "package": "a package",
    "workbook": "an XLSX workbook",
    "old_workbook": "an old or protected workbook (.xls)",
    "archive": "an archive",
    "sealed_age": "a sealed file (age)",
    "sealed_openpgp": "a sealed file (OpenPGP)",
    "pdf": "a PDF",
    "html": "a web page",
    "empty": "empty",
    "text": "text",
}
"""Each content in a person's words."""


def content_of(path: Path) -> Content:
    """What the file at `path` is; whatever is nothing else is text."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if not head:
        return "empty"
    for start, content in _STARTS:
        if head.startswith(start):
            return content
    if head.startswith(b"PK"):
        return _in_zip(path)
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:32].lower()
    return "html" if start.startswith((b"<!doctype html", b"<html", b"<table")) else "text"


def _in_zip(path: Path) -> Content:
    if not _has_small_directory(path):
        return "archive"
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, EOFError):
        return "archive"
    if MANIFEST in names:
        return "package"
    return "workbook" if "xl/workbook.xml" in names else "archive"


def _has_small_directory(path: Path) -> bool:
    """Whether the archive's directory is one that the standard library may be let at: it keeps all of it in memory."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - _MAX_COMMENT - _END.size))
        tail = file.read()
    # where the standard library looks: at the very end, else for the last mark before a comment
    at = len(tail) - _END.size
    if at < 0 or not tail.startswith(_MARK, at) or tail[-2:] != b"\0\0":
        at = tail.rfind(_MARK)
    if at < 0 or len(tail) - at < _END.size or tail[max(0, at - 20) : at].startswith(_ZIP64):
        return False
    _, _, _, _, count, length, _, _ = _END.unpack_from(tail, at)
    return bool(count <= _MAX_PARTS and length <= _MAX_DIRECTORY)
