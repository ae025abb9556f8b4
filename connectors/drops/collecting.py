"""Collecting exactly once: what is complete, whose it is, and where it goes. The contract tells it as a whole."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, get_args

from connectors.drops import names
from connectors.drops.acts import Acts, Found, NameMissing, NameTaken
from connectors.drops.errors import (
    ChangedWhileRead,
    LocalDiskFailed,
    NotAsDeclared,
    RemoteFailed,
    TakenByAnother,
    TooLarge,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SIDECAR_MAX_BYTES = 2**20
"""A detached signature or a `.done` is a few hundred bytes."""

_ARCHIVE_ATTEMPTS = 100
_DONE_LINE = re.compile(r"([0-9a-fA-F]{64})\s+\*?([0-9]{1,20})")

Completeness = Literal["done", "renamed", "stable"]
"""What makes a file complete where no `.done` stands beside it: nothing, its name, or two equal looks."""
Outcome = Literal["accepted", "refused", "duplicate"]


@dataclass(frozen=True)
class Entry:
    """A complete file that waits to be claimed.

    sidecars: endings of the files beside it that belong to it (`.sig`, `.done`).
    declared_sha256: the content's hash, where the sender declared it in a `.done`.
    """

    name: str
    size: int
    mtime: datetime
    declared_sha256: str | None = None
    sidecars: tuple[str, ...] = ()


@dataclass(frozen=True)
class Ignored:
    """A name that is left where it is; `name` is safe to print."""

    name: str
    why: str


@dataclass(frozen=True)
class Look:
    """One look at what the agency left for us."""

    entries: list[Entry]
    ignored: list[Ignored]
    unfinished: list[Ignored]
    more: bool = False
    """Whether there are names that were not looked at: `max_names` were."""


@dataclass(frozen=True)
class Claimed:
    """A file that is ours to fetch, and to archive once its fate is recorded.

    name: as the agency gave it. held_as: its name in the claim directory, which no other file bears. size: when it was
    last looked at. left_at: its time, where the server cannot rename and it is fetched where it lies.
    """

    name: str
    held_as: str
    size: int
    declared_sha256: str | None = None
    sidecars: tuple[str, ...] = ()
    left_at: int | None = None


@dataclass(frozen=True)
class Fetched:
    """What was fetched, whole: hash and size of the main file, and where its sidecars lie, by ending."""

    sha256: str
    size: int
    sidecars: Mapping[str, Path] = field(default_factory=lambda: MappingProxyType({}))


class Collecting(Acts):
    """The half of the contract that receives."""

    def waiting(
        self,
        pattern: re.Pattern[str] = names.ANY_NAME,
        sidecar_suffix: str | None = None,
        complete: Completeness = "renamed",
    ) -> list[Entry]:
        """The complete files whose whole name matches `pattern`, by name: `look`, without what it passed over."""
        return self.look(pattern, sidecar_suffix, complete).entries

    def look(
        self,
        pattern: re.Pattern[str] = names.ANY_NAME,
        sidecar_suffix: str | None = None,
        complete: Completeness = "renamed",
    ) -> Look:
        """What lies in the agency's directory: complete files, names left alone, and files that are not complete yet.

        sidecar_suffix: with it, a file is complete only when `<name><suffix>` is there too, and the two travel
        together.
        complete: what counts where no `.done` says it. "stable" waits `settle_seconds` and looks a second time.
        """
        belonging = (names.DONE, sidecar_suffix or names.DONE)
        found = self._seen(belonging)
        before = None
        if complete == "stable" and any(one.kind == "file" for one in found.values()):
            before = found
            time.sleep(self.settle_seconds)
            found = self._seen(belonging)
        sight = Look([], [], [], more=len(found) >= self.max_names)
        for name in sorted(found):
            one, shown = found[name], names.printable(name)
            if why := self._why_ignored(one, pattern, belonging):
                sight.ignored.append(Ignored(shown, why))
            elif name.endswith(names.UNFINISHED):
                sight.unfinished.append(Ignored(shown, "bears an unfinished name"))
            elif name not in {names.CLAIM, names.ARCHIVE} and not name.endswith(belonging):
                entry = self._complete(one, found, before, sidecar_suffix, complete)
                if isinstance(entry, Entry):
                    sight.entries.append(entry)
                else:
                    sight.unfinished.append(Ignored(shown, entry))
        return sight

    def _seen(self, belonging: tuple[str, ...]) -> dict[str, Found]:
        """What lies in the agency's directory; where not all of it was listed, what belongs to the listed is sought."""
        found = {one.name: one for one in self._list(self.from_agency)}
        if len(found) >= self.max_names:
            missing = [
                name + suffix
                for name, one in found.items()
                for suffix in dict.fromkeys(belonging)
                if one.kind == "file" and not name.endswith(belonging) and not names.why_hostile(name)
                if name + suffix not in found
            ]
            beside = self._find_all([f"{self.from_agency}/{name}" for name in missing])
            found.update({name: one for name, one in zip(missing, beside, strict=True) if one is not None})
        return found

    def _why_ignored(self, one: Found, pattern: re.Pattern[str], belonging: tuple[str, ...]) -> str | None:
        """Why a name is none of ours; None for files to look at, unfinished ones, sidecars and our own directories."""
        if why := names.why_hostile(one.name):
            return why
        if one.name.endswith((*names.UNFINISHED, *belonging)):
            return None
        if one.kind == "directory" and one.name in {names.CLAIM, names.ARCHIVE}:
            return None
        if pattern.fullmatch(one.name) is None:
            return "matches no name that is expected here"
        if one.kind != "file":
            return "is not a regular file"
        return f"is larger than {self.max_bytes} bytes" if one.size > self.max_bytes else None

    def _complete(
        self,
        one: Found,
        found: Mapping[str, Found],
        before: Mapping[str, Found] | None,
        sidecar_suffix: str | None,
        complete: Completeness,
    ) -> Entry | str:
        """The entry for `one`, or why it is not complete."""
        sidecars = tuple(
            suffix
            for suffix in (sidecar_suffix, names.DONE)
            if suffix and (beside := found.get(one.name + suffix)) is not None and beside.kind == "file"
        )
        if sidecar_suffix and sidecar_suffix not in sidecars:
            return f"waits for its {sidecar_suffix}"
        declared = None
        if names.DONE in sidecars:
            declared = self._declared(f"{self.from_agency}/{one.name}{names.DONE}")
            if declared is None:
                return "its .done cannot be read: a line of SHA-256 and size is expected"
            if declared[1] != one.size:
                return f"has {one.size} of the {declared[1]} bytes that its .done declares"
        elif complete == "done":
            return "waits for its .done"
        elif before is not None and before.get(one.name) != one:
            return "changed between two looks"
        when = datetime.fromtimestamp(one.mtime, UTC)
        return Entry(one.name, one.size, when, declared[0] if declared else None, sidecars)

    def _declared(self, path: str) -> tuple[str, int] | None:
        """Hash and size as a `.done` file states them; None if it does not."""
        try:
            text = b"".join(self._read(path, SIDECAR_MAX_BYTES)).decode("ascii", "replace")
        except (NameMissing, TooLarge, ChangedWhileRead):
            return None
        match = _DONE_LINE.match(text.strip())
        return (match[1].lower(), int(match[2])) if match else None

    def claim(self, entry: Entry) -> Claimed:
        """`entry` is ours: renamed, with its sidecars, into the claim directory.

        Raises TakenByAnother if another collector has it, or if an earlier file of that name, size and time is still
        claimed.
        """
        names.checked(entry.name)
        mtime = int(entry.mtime.timestamp())
        held = names.held(entry.name, entry.size, mtime, entry.declared_sha256)
        if not self.renames:
            return Claimed(entry.name, str(held), entry.size, entry.declared_sha256, entry.sidecars, mtime)
        self._ensure(f"{self.from_agency}/{names.CLAIM}")
        target = f"{self.from_agency}/{names.CLAIM}/{held}"
        try:
            self._rename(f"{self.from_agency}/{entry.name}", target)
        except (NameTaken, NameMissing):
            message = f"{names.printable(entry.name)} was claimed by another collector."
            raise TakenByAnother(message, fix="Nothing: what it claims is returned by the next run.") from None
        came = tuple(suffix for suffix in entry.sidecars if self._bring(entry.name + suffix, f"{target}{suffix}"))
        there = self._find(target)
        size = there.size if there is not None else entry.size
        return Claimed(entry.name, str(held), size, entry.declared_sha256, came)

    def _bring(self, name: str, target: str) -> bool:
        """Whether the sidecar `name` now lies beside its claimed main file."""
        try:
            self._rename(f"{self.from_agency}/{name}", target)
        except NameMissing:
            return False
        except NameTaken:
            return True
        return True

    def claimed(self, sidecar_suffix: str | None = None) -> list[Claimed]:
        """What was claimed and not archived yet, by this collector or one that crashed, by name.

        A sidecar that a crash left behind is brought along, or filed away with its main file. Another collector's
        claims are returned too: let one collect per agency at a time.
        """
        if not self.renames:
            return []
        directory = f"{self.from_agency}/{names.CLAIM}"
        self._ensure(directory)
        found = {one.name: one for one in self._list(directory)}
        suffixes = tuple(suffix for suffix in (sidecar_suffix, names.DONE) if suffix)
        inbox: set[str] | None = None
        claims = []
        for name, one in found.items():
            held = names.read_held(name)
            if held is None or one.kind != "file":
                continue
            if name.endswith(suffixes):
                self._file_orphan_away(name, suffixes, found)
                continue
            came = {suffix for suffix in suffixes if name + suffix in found}
            for suffix in set(suffixes) - came:
                if inbox is None:
                    inbox = {waiting.name for waiting in self._list(self.from_agency)}
                left_behind = held.name + suffix in inbox and held.name not in inbox
                if left_behind and self._bring(held.name + suffix, f"{directory}/{name}{suffix}"):
                    came.add(suffix)
            sidecars = tuple(suffix for suffix in suffixes if suffix in came)
            claims.append(Claimed(held.name, name, one.size, held.declared_sha256, sidecars))
        return sorted(claims, key=lambda claimed: (claimed.name, claimed.held_as))

    def _file_orphan_away(self, name: str, suffixes: tuple[str, ...], found: Mapping[str, Found]) -> None:
        """A sidecar whose main file was archived just before a crash follows it."""
        suffix = next(suffix for suffix in suffixes if name.endswith(suffix))
        main = name.removesuffix(suffix)
        if main in found:
            return
        for outcome in get_args(Outcome):
            if self._find(f"{self.from_agency}/{names.ARCHIVE}/{outcome}/{main}") is not None:
                with contextlib.suppress(NameMissing):
                    self._file_away(
                        f"{self.from_agency}/{names.CLAIM}/{name}",
                        f"{self.from_agency}/{names.ARCHIVE}/{outcome}/{name}",
                    )
                return

    def fetch(self, claimed: Claimed, to: Path) -> Fetched:
        """Hash and size of the claimed file, now whole and synced at `to`; its sidecars at `to` plus their ending.

        On any error nothing is left at `to`. Raises TooLarge, ChangedWhileRead (the claim remains; try again) or
        NotAsDeclared.
        """
        source = self._where(claimed)
        sidecars = {}
        for suffix in claimed.sidecars:
            if suffix != names.DONE:
                sidecars[suffix] = to.with_name(to.name + suffix)
                self._fetch_one(source + suffix, sidecars[suffix], SIDECAR_MAX_BYTES, None)
        try:
            sha256, size = self._fetch_one(source, to, self.max_bytes, claimed)
        except BaseException:
            for path in sidecars.values():
                path.unlink(missing_ok=True)
            raise
        return Fetched(sha256, size, MappingProxyType(sidecars))

    def _fetch_one(self, source: str, to: Path, cap: int, claimed: Claimed | None) -> tuple[str, int]:
        part = to.with_name(to.name + ".part")
        digest, size = hashlib.sha256(), 0
        try:
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as sink:
                for block in self._read(source, cap):
                    digest.update(block)
                    sink.write(block)
                    size += len(block)
                sink.flush()
                os.fsync(sink.fileno())
            if claimed is not None:
                _as_claimed(claimed, digest.hexdigest(), size)
            part.replace(to)
            _sync_directory(to.parent)
        except NameMissing:
            raise ChangedWhileRead(f"{names.printable(source)} is gone.") from None
        except OSError as error:  # a drop's own errors are never of this kind
            message = f"{to} cannot be written: {error.strerror}."
            raise LocalDiskFailed(message, fix="Make room or mend the directory; the claim remains.") from error
        finally:
            part.unlink(missing_ok=True)
        return digest.hexdigest(), size

    def archive(self, claimed: Claimed, outcome: Outcome) -> None:
        """The claimed file and its sidecars lie in `archive/<outcome>`; once there, archiving again changes nothing.

        Call it after the file's fate is committed to the ledger: from here on `claimed` does not return it.
        """
        source = self._where(claimed)
        if claimed.left_at is not None:
            self._tidy(claimed, source)
            return
        directory = f"{self.from_agency}/{names.ARCHIVE}/{outcome}"
        self._ensure(f"{self.from_agency}/{names.ARCHIVE}")
        self._ensure(directory)
        try:
            self._file_away(source, f"{directory}/{claimed.held_as}")
        except NameMissing:
            if self._find(f"{directory}/{claimed.held_as}") is None:
                message = f"{names.printable(source)} is no longer where it was claimed, and not in the archive either."
                raise RemoteFailed(message, fix="Ask the agency who tidies that directory.") from None
        # Its sidecars last: a claim that is returned after a crash has them all.
        for suffix in claimed.sidecars:
            with contextlib.suppress(NameMissing):
                self._file_away(source + suffix, f"{directory}/{claimed.held_as}{suffix}")

    def _where(self, claimed: Claimed) -> str:
        if claimed.left_at is not None:
            return f"{self.from_agency}/{claimed.name}"
        return f"{self.from_agency}/{names.CLAIM}/{claimed.held_as}"

    def _tidy(self, claimed: Claimed, source: str) -> None:
        """A recorded file is removed from where it lies, if it is still the one that was recorded."""
        there = self._find(source)
        if there is None or (there.size, there.mtime) != (claimed.size, claimed.left_at):
            return
        for path in (source, *(source + suffix for suffix in claimed.sidecars)):
            with contextlib.suppress(NameMissing):
                self._remove(path)

    def _file_away(self, source: str, target: str) -> None:
        for attempt in range(_ARCHIVE_ATTEMPTS):
            try:
                self._rename(source, target if not attempt else f"{target}.{attempt}")
            except NameTaken:
                continue
            return
        raise RemoteFailed(
            f"{names.printable(target)} and {_ARCHIVE_ATTEMPTS} variants of it are in the archive already."
        )


def _as_claimed(claimed: Claimed, sha256: str, size: int) -> None:
    if size != claimed.size:
        message = f"{names.printable(claimed.name)} had {claimed.size} bytes when claimed and {size} when fetched."
        raise ChangedWhileRead(message, fix="Nothing: the next run fetches it again.")
    if claimed.declared_sha256 not in {None, sha256}:
        message = f"{names.printable(claimed.name)} does not have the SHA-256 that its .done declares."
        raise NotAsDeclared(message, fix="Archive it as refused and ask the agency to send it again.")


def _sync_directory(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
