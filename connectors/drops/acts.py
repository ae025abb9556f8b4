"""The acts that a kind of drop is made of, and the words they are told in; the contract is built upon them."""

from __future__ import annotations

import hashlib
import secrets
from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from connectors.drops.errors import BadAnswer, DropStalled, DropUnreachable, FileNotAsRecorded, Unsupported
from connectors.errors import ConnectorError
from models.errors import ConsignError, RemoteError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence
    from pathlib import Path

    from connectors.drops.settings import DropSettings

Kind = Literal["file", "directory", "other"]
Block = bytes | memoryview

TRIAL: Final = ".consign-probe."
"""How the names of the files begin with which a drop is tried out; they end in `.part`."""
TRIAL_FORGOTTEN_SECONDS: Final = 3_600
"""A trial takes seconds: its file is this old, by its server's clock, only if a process died over it."""


@dataclass(frozen=True)
class Found:
    """A name in a directory of the drop, with what its server says of it."""

    name: str
    size: int
    mtime: int
    kind: Kind


@dataclass(frozen=True)
class Probe:
    """What a server can do, tried out and kept per agency.

    server: what it says that it is. cipher: what was agreed on; empty for a folder. limits: bytes, as
    `limits@openssh.com` names them; empty where it is not offered. rename: whether a file can be renamed at all.
    overwrite, resume: whether one may write into a file that is there, from its beginning, from its middle.
    clock_ahead_seconds: how much later than ours its files' times are; None where it gives none. free_bytes: room for
    us when it was asked; None where it does not say.
    """

    server: str
    cipher: str
    extensions: tuple[str, ...]
    limits: Mapping[str, int]
    rename: bool
    rename_never_replaces: bool
    posix_rename: bool
    fsync: bool
    statvfs: bool
    overwrite: bool
    resume: bool
    case_sensitive: bool
    clock_ahead_seconds: int | None
    free_bytes: int | None


class NameTaken(ConnectorError, RemoteError):
    """A rename found its target there. The contract answers it; should it ever get out, the next run knows more."""


class NameMissing(ConnectorError, RemoteError):
    """A rename or a read found its source gone. As above."""


class Acts(ABC):
    """What a kind of drop supplies; paths are `<directory>/<name>`, relative to where the drop begins."""

    renames = True
    """Whether the other side can rename, as agreed with the agency."""

    def __init__(self, settings: DropSettings) -> None:
        self.to_agency = settings.to_agency
        self.from_agency = settings.from_agency
        self.max_bytes = settings.max_bytes
        self.max_names = settings.max_names
        self.settle_seconds = settings.settle_seconds
        self._made: set[str] = set()

    @abstractmethod
    def open(self) -> None:
        """Reach the drop now, so that what is wrong with it shows; every act opens it again if it was lost."""

    @abstractmethod
    def close(self) -> None:
        """Let go of it; never raises."""

    @abstractmethod
    def probe(self) -> Probe:
        """What this drop can do, by asking and by trying with small files of its own; what killed trials left goes."""

    def _trial_path(self) -> str:
        """Where the next file to try something out with may stand: a name that nobody else uses."""
        return f"{self.to_agency}/{TRIAL}{secrets.token_hex(8)}.part"

    def _forget_trials(self, now: float) -> None:
        """What a trial left that was killed is gone; `now` is the time by the clock that dates the drop's files."""
        for one in self._list(self.to_agency):
            ours = one.kind == "file" and one.name.startswith(TRIAL) and one.name.endswith(".part")
            if ours and now - one.mtime >= TRIAL_FORGOTTEN_SECONDS:
                with suppress(NameMissing):
                    self._remove(f"{self.to_agency}/{one.name}")

    @abstractmethod
    def _find(self, path: str) -> Found | None:
        """What stands at `path`, links not followed; None if nothing does."""

    @abstractmethod
    def _list(self, directory: str) -> list[Found]:
        """Up to `max_names` names in `directory`, links not followed, undecodable bytes as lone surrogates."""

    @abstractmethod
    def _upload(self, file: Path, path: str, sha256: str) -> None:
        """`path` holds all of `file`: every write answered, synced where possible, size compared, hash as recorded.

        Goes on where an earlier attempt ended, if that is safe. Raises FileNotAsRecorded, RemoteFull.
        """

    @abstractmethod
    def _read(self, path: str, cap: int) -> Generator[Block]:
        """The content of a regular file in order; ends only if it was whole and unchanged from first to last.

        Raises NameMissing, TooLarge beyond `cap` bytes, ChangedWhileRead.
        """

    @abstractmethod
    def _rename(self, source: str, target: str) -> None:
        """Rename, never replacing. Raises NameTaken, NameMissing."""

    def _find_all(self, paths: Sequence[str]) -> list[Found | None]:
        """What stands at each of `paths`; a kind of drop may ask for all of them at once."""
        return [self._find(path) for path in paths]

    def _upload_all(self, files: Sequence[tuple[Path, str, str]]) -> list[ConsignError | None]:
        """`_upload` of several small files, each with its path and hash; None, or the error, of each."""
        return [error_of(self._upload, *one) for one in files]

    def _rename_all(self, pairs: Sequence[tuple[str, str]]) -> list[ConsignError | None]:
        """`_rename` of several; None, or the error, of each."""
        return [error_of(self._rename, *pair) for pair in pairs]

    @abstractmethod
    def _remove(self, path: str) -> None:
        """`path` is gone. Raises NameMissing."""

    @abstractmethod
    def _make_directory(self, path: str) -> None:
        """`path` is a directory, new or old."""

    def _ensure(self, directory: str) -> None:
        if directory not in self._made:
            self._make_directory(directory)
            self._made.add(directory)

    def _sha256(self, path: str, cap: int) -> str:
        digest = hashlib.sha256()
        for block in self._read(path, cap):
            digest.update(block)
        return digest.hexdigest()


def error_of(act: Callable[..., None], *arguments: object) -> ConsignError | None:
    """The error of this one file; what ends the connection is raised, for it ends the others too."""
    try:
        act(*arguments)
    except (DropUnreachable, DropStalled, BadAnswer):
        raise
    except ConsignError as error:
        return error
    return None


def no_rename(host: str) -> Unsupported:
    """The error for a server that cannot rename: a file written under its final name could be taken half."""
    message = f"{host} cannot rename files, and nothing is published without: half a file could be taken for the whole."
    return Unsupported(
        message,
        fix="Ask the agency to allow renaming; to collect without, set `renames` to false (docs/reference/drops.md).",
    )


def not_as_recorded(file: Path) -> FileNotAsRecorded:
    """The error for a local file whose content is not what was recorded for sending."""
    message = f"{file.name} does not have the SHA-256 that was recorded for it; nothing was published."
    return FileNotAsRecorded(message, fix="Restore the sealed file from the store, or seal the package anew.")
