"""Publishing exactly once: the order of acts, and what is found out after doubt. The contract tells it as a whole."""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

from connectors.drops import names
from connectors.drops.acts import Acts, Found, NameMissing, NameTaken, no_rename
from connectors.drops.errors import (
    BadAnswer,
    DropStalled,
    DropUnreachable,
    ExistsButDifferent,
    PermissionRefused,
    RemoteFailed,
)
from connectors.errors import ConnectorError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
    from pathlib import Path

    from models.errors import ConsignError

SMALL_BYTES = 2**20
BATCH_FILES = 32
BATCH_BYTES = 4 * 2**20
"""Files published together: so many, so large together, and each no larger than that. They are held in memory."""


class Pushed(StrEnum):
    """How a push ended."""

    SENT = "sent"
    """Published by this call."""
    ALREADY = "already"
    """Published before, with this content."""
    PRESUMED = "presumed"
    """Neither name is there and the intent was recorded: the agency has taken it. Wait for its acknowledgement."""


@dataclass(frozen=True)
class Outgoing:
    """One file to be published: what `push` takes of it."""

    file: Path
    name: str
    sha256: str
    intent_recorded: bool = False
    sidecars: Mapping[str, Path] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def is_plain(self) -> bool:
        """Whether it may go with others: small, alone, and not in doubt."""
        return not self.intent_recorded and not self.sidecars and self.file.stat().st_size <= SMALL_BYTES


class Publishing(Acts):
    """The half of the contract that sends."""

    def push_all(
        self, outgoing: Iterable[Outgoing], record_intents: Callable[[Sequence[Outgoing]], None]
    ) -> Generator[tuple[Outgoing, Pushed | ConsignError]]:
        """How each file came to stand under its name, exactly once, in the order given; an error holds up nobody else.

        The same acts in the same order as `push`, for a few dozen small files at a time: over SFTP each step is then
        one exchange for all of them. record_intents: as for `push`, of several at once, in one commit. What ends the
        connection is raised; then ask again, with the intents as recorded.
        """
        batch: list[Outgoing] = []
        room = BATCH_BYTES
        for one in outgoing:
            names.checked(one.name)
            if not one.is_plain:
                yield from self._push_batch(batch, record_intents)
                batch, room = [], BATCH_BYTES
                yield one, self._push_one(one, record_intents)
                continue
            batch.append(one)
            room -= one.file.stat().st_size
            if len(batch) == BATCH_FILES or room <= 0:
                yield from self._push_batch(batch, record_intents)
                batch, room = [], BATCH_BYTES
        yield from self._push_batch(batch, record_intents)

    def _push_one(self, one: Outgoing, record_intents: Callable[[Sequence[Outgoing]], None]) -> Pushed | ConsignError:
        try:
            return self.push(
                one.file,
                one.name,
                sha256=one.sha256,
                record_intent=lambda: record_intents([one]),
                intent_recorded=one.intent_recorded,
                sidecars=one.sidecars,
            )
        except (DropUnreachable, DropStalled, BadAnswer):
            raise
        except ConnectorError as error:
            return error

    def _push_batch(
        self, batch: Sequence[Outgoing], record_intents: Callable[[Sequence[Outgoing]], None]
    ) -> Generator[tuple[Outgoing, Pushed | ConsignError]]:
        """`push` of several plain files whose names differ, step by step."""
        if len({one.name for one in batch}) < len(batch):
            for one in batch:
                yield one, self._push_one(one, record_intents)
            return
        if batch and not self.renames:
            raise no_rename(self.to_agency)
        results: dict[str, Pushed | ConsignError] = {}
        there = self._find_all([self._final(one) for one in batch])
        new = [one for one, found in zip(batch, there, strict=True) if found is None]
        errors = self._upload_all([(one.file, self._part(one), one.sha256) for one in new])
        whole = []
        for one, error in zip(new, errors, strict=True):
            if error is None:
                whole.append(one)
            else:
                results[one.name] = error
        if whole:
            record_intents(whole)
        renamed = self._rename_all([(self._part(one), self._final(one)) for one in whole])
        for one, error in zip(whole, renamed, strict=True):
            if error is None:
                results[one.name] = Pushed.SENT
            else:  # somebody was quicker, or our own earlier rename was: the way of one file finds out
                results[one.name] = self._push_one(replace(one, intent_recorded=True), record_intents)
        for one in batch:
            yield one, results[one.name] if one.name in results else self._push_one(one, record_intents)

    def _final(self, one: Outgoing) -> str:
        return f"{self.to_agency}/{one.name}"

    def _part(self, one: Outgoing) -> str:
        return f"{self.to_agency}/{names.temporary(one.name, one.sha256)}"

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
        if not self.renames:
            raise no_rename(self.to_agency)
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
        if not intent_recorded or not self._whole(file, part, sha256):
            self._upload(file, part, sha256)
        if not intent_recorded:
            record_intent()
        return self._publish(file, part, final, sha256)

    def _whole(self, file: Path, part: str, sha256: str) -> bool:
        """Whether the part is what it was when the intent was recorded, read back where it may be.

        Then no byte of it is touched any more: an earlier connection's rename of it may still be under way. A server
        that crashed since may have lost some of it, where it cannot sync.
        """
        there = self._find(part)
        if there is None or there.size != file.stat().st_size:
            return there is None
        try:
            return self._sha256(part, there.size) == sha256
        except (NameMissing, PermissionRefused):  # renamed while we looked; or nobody may look
            return True

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
