"""Publishing exactly once: the order of acts, and what is found out after doubt. The contract tells it as a whole."""

from __future__ import annotations

import contextlib
import hashlib
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

from connectors.drops import names
from connectors.drops.acts import Acts, Found, NameMissing, NameTaken
from connectors.drops.errors import ExistsButDifferent, PermissionRefused, RemoteFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path


class Pushed(StrEnum):
    """How a push ended."""

    SENT = "sent"
    """Published by this call."""
    ALREADY = "already"
    """Published before, with this content."""
    PRESUMED = "presumed"
    """Neither name is there and the intent was recorded: the agency has taken it. Wait for its acknowledgement."""


class Publishing(Acts):
    """The half of the contract that sends."""

    def push(
        self,
        file: Path,
        name: str,
        *,
        sha256: str,
        record_intent: Callable[[], None],
        intent_recorded: bool,
        sidecars: Mapping[str, Path] = MappingProxyType({}),
    ) -> Pushed:
        """How `file` came to stand under `name` in the agency's directory, exactly once.

        sha256: of the content, as the caller recorded it; nothing else is published under `name`.
        record_intent: called once, after the last byte is safe and before the rename; commits to the caller's database.
        intent_recorded: whether an earlier push of this transmission got as far as `record_intent`.
        sidecars: by ending (`.sig`), small files published before the main one.
        Raises ExistsButDifferent if the name is taken by other content, FileNotAsRecorded if `file` has another hash,
        RemoteFull, DropUnreachable or DropStalled when trying again may help; then ask with the intent as recorded.
        """
        names.checked(name)
        for suffix in sidecars:
            names.checked(name + suffix)
        final = f"{self.to_agency}/{name}"
        part = f"{self.to_agency}/{names.temporary(name, sha256)}"
        if intent_recorded:
            settled = self._after_doubt(file, final, part)
            if settled is not None:
                return settled
        elif (there := self._find(final)) is not None:
            self._same_or_raise(file, final, there, sha256, unreadable_is_same=False)
            self._discard(part)
            return Pushed.ALREADY
        for suffix, sidecar in sidecars.items():
            self._publish_sidecar(sidecar, name + suffix)
        if not intent_recorded or not self._whole(file, part):
            self._upload(file, part, sha256)
        if not intent_recorded:
            record_intent()
        return self._publish(file, part, final, sha256)

    def _whole(self, file: Path, part: str) -> bool:
        """Whether the part has its full length, as it had when the intent was recorded.

        Then no byte of it is touched any more: an earlier connection's rename of it may still be under way.
        """
        there = self._find(part)
        return there is None or there.size == file.stat().st_size

    def _after_doubt(self, file: Path, final: str, part: str) -> Pushed | None:
        """What became of a push whose intent is recorded; None if its rename is still to be done."""
        for _look in ("first", "again, for a rename that was under way between the two questions"):
            if (there := self._find(final)) is not None:
                self._same_or_raise(file, final, there, None, unreadable_is_same=True)
                self._discard(part)
                return Pushed.ALREADY
            if self._find(part) is not None:
                return None
        return Pushed.PRESUMED

    def _publish(self, file: Path, part: str, final: str, sha256: str) -> Pushed:
        """Rename to the final name; a name that came into being meanwhile is looked at, not replaced."""
        try:
            self._rename(part, final)
        except NameTaken:
            there = self._find(final)
            if there is None:
                raise _gone_again(final) from None
            self._same_or_raise(file, final, there, sha256, unreadable_is_same=False)
            self._discard(part)
            return Pushed.ALREADY
        except NameMissing:
            # An older connection's rename was carried out after we had looked.
            return Pushed.ALREADY if self._find(final) is not None else Pushed.PRESUMED
        return Pushed.SENT

    def _publish_sidecar(self, file: Path, name: str) -> None:
        """`file` stands under `name`. No intent is needed: nobody takes a sidecar before its main file is there."""
        sha256 = _sha256_of(file)
        final = f"{self.to_agency}/{name}"
        part = f"{self.to_agency}/{names.temporary(name, sha256)}"
        if (there := self._find(final)) is not None:
            self._same_or_raise(file, final, there, sha256, unreadable_is_same=False)
            return
        self._upload(file, part, sha256)
        if self._publish(file, part, final, sha256) is Pushed.PRESUMED:
            raise RemoteFailed(f"{names.printable(part)} vanished before it could be renamed.")

    def _same_or_raise(
        self, file: Path, final: str, there: Found, sha256: str | None, *, unreadable_is_same: bool
    ) -> None:
        """The remote file has the content of `file`, byte for byte; raises ExistsButDifferent otherwise."""
        differs = ExistsButDifferent(
            f"{names.printable(final)} is already there with other content; it was not replaced.",
            fix="Ask the agency what that file is; send this one under a new sequence number.",
        )
        if there.kind != "file" or there.size != file.stat().st_size:
            raise differs
        try:
            remote = self._sha256(final, there.size)
        except NameMissing:
            raise _gone_again(final) from None
        except PermissionRefused:
            if unreadable_is_same:  # we had come as far as the rename, and the size agrees
                return
            raise differs from None
        if remote != (sha256 or _sha256_of(file)):
            raise differs

    def _discard(self, part: str) -> None:
        """The leftover of a rename that is known to be done is gone, if the server lets us."""
        with contextlib.suppress(NameMissing, PermissionRefused, RemoteFailed):
            self._remove(part)


def _sha256_of(file: Path) -> str:
    with file.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def _gone_again(final: str) -> RemoteFailed:
    """The error for a name that was taken while we looked at it; asked again, the next push settles it."""
    return RemoteFailed(f"{names.printable(final)} was there, and gone again.", fix="Try again.")
