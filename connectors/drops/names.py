"""Which file names are let in, and the names that the exchange itself gives to files.

A listing is written by the other side and may say anything: `../../x`, absolute paths, newlines, NULs, bytes that are
no text. A name passes only if it is harmless by itself *and* matches the whole of the pattern that the caller allows.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from hashlib import sha256

from connectors.drops.errors import HostileName

ANY_NAME = re.compile(r"[\w(\[][\w .,()+=@\[\]-]*")
"""The widest pattern worth having: words, digits and a few marks, in any script."""

CLAIM = "claim"
ARCHIVE = "archive"
DONE = ".done"
UNFINISHED = (".part", ".filepart", ".tmp", ".temp", ".partial", ".writing", ".crdownload", ".swp", "~")
"""Endings that uploaders give to files which they have not finished; renaming them away says that they have."""

_MAX_NAME_BYTES = 160
"""Leaves room, in the 255 that file systems give, for what a claim (86) puts in front and a sidecar behind."""
_UNPRINTABLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
"""Unicode's categories of what controls, directs, hides or breaks a line instead of being seen."""
_SHOWN = 80
_HELD = re.compile(r"([0-9a-f]{64}|[0-9a-f]{16})\.([0-9]{1,20})\.(.+)", re.DOTALL)
_DECLARED_LENGTH = 64


def printable(name: str) -> str:
    """`name` as ASCII, quoted, cut to a length that a log line bears."""
    return ascii(name[:_SHOWN]) + ("..." if len(name) > _SHOWN else "")


def why_hostile(name: str) -> str | None:
    """Why `name` may not be used as the name of a file, or None if it may."""
    if name in {"", ".", ".."}:
        return "not a name"
    if "/" in name or "\\" in name:
        return "holds a path separator"
    if any(unicodedata.category(character) in _UNPRINTABLE for character in name):
        return "holds control characters, or bytes that are not UTF-8"
    if name.startswith((".", "-", "~")) or name != name.strip():
        return "starts like a hidden file or an option, or is padded with blanks"
    if len(name.encode()) > _MAX_NAME_BYTES:
        return f"longer than {_MAX_NAME_BYTES} bytes"
    return None


def checked(name: str) -> str:
    """`name` itself; raises HostileName if it could do harm."""
    if why := why_hostile(name):
        message = f"The file name {printable(name)} is refused: {why}."
        raise HostileName(message, fix="Give the file a plain name of letters, digits, '.', '-' and '_'.")
    return name


def temporary(name: str, content_sha256: str) -> str:
    """Where `name` is written before it is published; the same content finds its own beginning again."""
    return f".{name}.{content_sha256[:32]}.part"


@dataclass(frozen=True)
class Held:
    """What the name of a claimed file says: whose it is even after a crash."""

    token: str
    size: int
    name: str

    @property
    def declared_sha256(self) -> str | None:
        """The content's hash that the sender declared, if it did."""
        return self.token if len(self.token) == _DECLARED_LENGTH else None

    def __str__(self) -> str:
        """Return the file's name within the claim directory."""
        return f"{self.token}.{self.size}.{self.name}"


def held(name: str, size: int, mtime: int, declared_sha256: str | None) -> Held:
    """The claim's name, which two collectors of one file compute alike: so only one of their renames can succeed."""
    identity = sha256(f"{name}\0{size}\0{mtime}".encode()).hexdigest()[:16]
    return Held(declared_sha256 or identity, size, name)


def read_held(claim_name: str) -> Held | None:
    """What `claim_name` says, or None if it is not the name of a claim of ours."""
    match = _HELD.fullmatch(claim_name)
    if match is None or why_hostile(match[3]):
        return None
    return Held(match[1], int(match[2]), match[3])
