"""Rules of one's own that count only when a second person approved them: strategies, limits of instalment plans.

A file is written at home/<folder>/<name>.toml or anywhere, tried out there, and proposed. What is approved is kept in
the store, with the hash of its text in the audit trail: a text that is another one than was approved counts no more.
Those that come with Consign count as they are; an own one cannot take their names. The file at home stays a draft.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar

from infra import audit, roles
from infra.store import rulebooks as store
from infra.store import trail
from models.errors import ConfigurationError, RefusedByPolicy, UsageError
from models.lives import POLICY, moved

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from sqlalchemy import Connection, Row

    from infra.ownfiles import Shelf
    from infra.wiring import Desk
    from models.roles import Role

AT: Final = "@"


class Versioned(Protocol):
    """What a file of rules becomes: it knows its name, its version, the hash of its text, and whose it is."""

    @property
    def lenders(self) -> tuple[str, ...]:
        """The lenders that it names."""

    @property
    def name(self) -> str:
        """The name that it gives itself."""

    @property
    def version(self) -> str:
        """Which version of it."""

    @property
    def sha256(self) -> str:
        """The hash over its text."""


Rules = TypeVar("Rules", bound=Versioned)


class NotInForce(RefusedByPolicy):
    """No version of the rules is in force: nobody approved one, or it was withdrawn."""


class RulesAltered(RefusedByPolicy):
    """The text that is kept is not the one that was approved: it counts no more."""


@dataclass(frozen=True)
class Book(Generic[Rules]):
    """All the rules of one sort, shipped, drafted and approved."""

    sort: str
    command: str
    """the command that approves: `consign strategy`"""
    role: Role
    shelf: Shelf[Rules]
    fits: Callable[[Connection, Rules], None]
    """raises where the version may not be in force beside the others"""
    shipped_text: Callable[[str], str]
    """the file of one that comes with Consign"""

    # -- which counts --------------------------------------------------------------------------------------------------

    def all_in_force(self, connection: Connection) -> list[Rules]:
        """Those that come with Consign, and every own one that is in force, by name."""
        own = [self.read(connection, row) for row in store.in_force(connection, self.sort)]
        return sorted([*map(self.shelf.load, self.shelf.shipped()), *own], key=lambda one: one.name)

    def naming_a_lender_of(self, connection: Connection, found: Rules) -> tuple[Rules, str] | None:
        """Other rules in force that name one of the same lenders, and which; None where none do."""
        for other in self.all_in_force(connection):
            shared = sorted(set(other.lenders) & set(found.lenders))
            if other.name != found.name and shared:
                return other, shared[0]
        return None

    def of_lenders(self, connection: Connection, lenders: Iterable[str], otherwise: str) -> dict[str, Rules | None]:
        """By lender the rules in force that name it, else those called `otherwise`; None: these are not in force."""
        found = self.all_in_force(connection)
        own = {lender: one for one in found for lender in one.lenders}
        rest = next((one for one in found if one.name == otherwise), None)
        return {lender: own.get(lender, rest) for lender in lenders}

    def find(self, connection: Connection, name: str) -> Rules:
        """The rules of that name as they are in force. Raises UsageError, NotInForce, RulesAltered."""
        if name in self.shelf.shipped():
            return self.shelf.load(name)
        for row in store.in_force(connection, self.sort):
            if row.name == name:
                return self.read(connection, row)
        known = store.versions(connection, self.sort, name)
        if known or name in self.shelf.names():
            said = f"is {known[0].state}" if known else "is a draft"
            fix = f"`{self.command} propose {name}`, then a second person: `{self.command} approve {name}{AT}VERSION`"
            raise NotInForce(f"{self._called} {name} {said}, and no version of it is in force", fix=fix)
        there = ", ".join(one.name for one in self.all_in_force(connection))
        raise UsageError(f"there is no {self._called} {name!r}", fix=f"there are {there}")

    def named(self, connection: Connection, name: str) -> Rules:
        """What a person means: rules in force, one `name@version`, a draft at home, or a file somewhere."""
        if name.endswith(".toml"):
            return self.shelf.parse(_text_of(Path(name)))
        base, at, number = name.partition(AT)
        if at:
            return self.version(connection, base, number)
        try:
            return self.find(connection, name)
        except NotInForce:
            if name in self.shelf.names():
                return self.shelf.find(name)
            raise

    def version(self, connection: Connection, name: str, number: str) -> Rules:
        """The rules of that version, whatever became of it. Raises UsageError, RulesAltered."""
        row = store.version(connection, self.sort, name, number)
        if row is not None:
            return self.read(connection, row)
        if name in self.shelf.shipped() and (shipped := self.shelf.load(name)).version == number:
            return shipped
        raise self._no_version(name, number)

    def text(self, connection: Connection, name: str, number: str) -> str:
        """The file of that version, as it was proposed or comes. Raises UsageError."""
        row = store.version(connection, self.sort, name, number)
        if row is None and name not in self.shelf.shipped():
            raise self._no_version(name, number)
        return self.shipped_text(name) if row is None else str(row.toml)

    def read(self, connection: Connection, row: Row[Any]) -> Rules:
        """The version's rules, once its text is the one that the audit trail knows. Raises RulesAltered."""
        what = "proposed" if row.approved_at is None else "approved"
        event = trail.event(connection, row.audit_seq)
        known = (
            event is not None
            and (event.action, event.subject) == (f"{self.sort}.{what}", self._subject(row.name, row.version))
            and json.loads(event.details)["sha256"]
        )
        if known != row.sha256 or hashlib.sha256(row.toml.encode()).hexdigest() != row.sha256:
            raise RulesAltered(
                f"the text of {self._called} {row.name} {row.version} is not the one that was {what}",
                fix="somebody changed the store: `consign audit verify`; then propose it under a new version",
            )
        return self.shelf.parse(row.toml)

    def listed(self, connection: Connection) -> list[dict[str, object]]:
        """Every one there is, by name: where it stands, and which version counts or is drafted."""
        rows: list[dict[str, object]] = [
            {"name": one.name, "version": one.version, "state": "in_force", "origin": origin, "sha256": one.sha256}
            for one in self.all_in_force(connection)
            for origin in ("shipped" if one.name in self.shelf.shipped() else "own",)
        ]
        rows += [
            {"name": row.name, "version": row.version, "state": row.state, "origin": "own", "sha256": row.sha256}
            for row in store.versions(connection, self.sort)
            if row.state == "proposed"
        ]
        for name in self.shelf.names():
            if name not in self.shelf.shipped():
                rows += self._drafted(connection, name)
        return sorted(rows, key=lambda row: (str(row["name"]), str(row["version"])))

    # -- what people do ------------------------------------------------------------------------------------------------

    def propose(self, desk: Desk, name: str, *, dry_run: bool = False) -> Rules:
        """The rules in the file, or in the draft of that name at home, wait for a second person.

        Raises what reading them raises, and UsageError for a shipped name, or a version that was used: a version is one
        text for ever.
        """
        return self.propose_text(desk, self._draft(desk, name), dry_run=dry_run)

    def propose_text(self, desk: Desk, text: str, *, dry_run: bool = False) -> Rules:
        """As `propose`, of a text."""
        found = self.shelf.parse(text)
        if found.name in self.shelf.shipped():
            raise UsageError(f"{self._called} {found.name} comes with Consign", fix="give yours another name")
        with desk.database.write() as connection:
            trail.hold(connection)
            if (row := store.version(connection, self.sort, found.name, found.version)) is not None:
                other = "" if row.sha256 == found.sha256 else ", with another text"
                raise UsageError(
                    f"version {found.version} of {found.name} is {row.state} already{other}",
                    fix="a version is one text for ever: give what is new a new version",
                )
            self.fits(connection, found)
            if not dry_run:
                store.add(
                    connection, sort=self.sort, name=found.name, version=found.version, state="proposed", toml=text,
                    sha256=found.sha256, proposed_by=desk.actor, proposed_at=desk.now(),
                    audit_seq=self._record(connection, desk, "proposed", found),
                )  # fmt: skip
        return found

    def approve(self, desk: Desk, reference: str) -> Rules:
        """The version is in force from now on, and the one before it no more.

        Raises RoleMissing, RefusedByPolicy for whoever proposed it, IllegalMove, RulesAltered, and what `fits` raises.
        """
        with desk.database.write() as connection:
            trail.hold(connection)
            roles.require(connection, desk, self.role)
            row = self._row(connection, reference)
            if row.proposed_by == desk.actor:
                raise RefusedByPolicy(
                    f"{desk.actor} proposed {reference}, and cannot approve it", fix="let a second person look at it"
                )
            state = moved(f"{self.sort} {reference}", row.state, "in_force", POLICY)
            found = self.read(connection, row)
            self.fits(connection, found)
            now = desk.now()
            for before in store.in_force(connection, self.sort):
                if before.name == row.name:
                    superseded = moved(f"{self.sort} {before.name}", before.state, "superseded", POLICY)
                    store.note(connection, before, state=superseded, in_force_until=now)
                    self._tell(connection, desk, "superseded", before)
            store.note(
                connection, row, state=state, approved_by=desk.actor, approved_at=now, in_force_from=now,
                audit_seq=self._record(connection, desk, "approved", found),
            )  # fmt: skip
        return found

    def withdraw(self, desk: Desk, reference: str, reason: str) -> str:
        """The version counts no more, or the proposal is taken back. Returns what it was before.

        Whoever proposed a version takes the proposal back; all else needs the role. Raises RoleMissing, IllegalMove,
        UsageError for a reason that says nothing.
        """
        if not reason.strip() or not audit.TEXT.fullmatch(reason):
            raise UsageError("withdrawing needs a reason, in up to 200 ASCII characters", fix='--reason "why"')
        with desk.database.write() as connection:
            trail.hold(connection)
            row = self._row(connection, reference)
            if row.state != "proposed" or row.proposed_by != desk.actor:
                roles.require(connection, desk, self.role)
            state = moved(f"{self.sort} {reference}", row.state, "withdrawn", POLICY)
            now = desk.now()
            until = {"in_force_until": now} if row.state == "in_force" else {}
            store.note(connection, row, state=state, withdrawn_by=desk.actor, withdrawn_at=now, reason=reason, **until)
            self._tell(connection, desk, "withdrawn", row, reason=reason)
        return str(row.state)

    def history(self, desk: Desk, name: str | None = None) -> Sequence[Row[Any]]:
        """Every version of the name, or of all, the newest first. Raises UsageError for a name that nobody knows."""
        with desk.database.read() as connection:
            rows = store.versions(connection, self.sort, name)
        if not rows and name is not None and name not in self.shelf.shipped():
            raise UsageError(f"there is no {self._called} {name!r}", fix=f"`{self.command} list` shows them")
        return rows

    def _drafted(self, connection: Connection, name: str) -> list[dict[str, object]]:
        """The draft of that name at home, unless that version was proposed; one that cannot be read says why."""
        try:
            one = self.shelf.find(name)
        except ConfigurationError as fault:
            return [{"name": name, "version": "", "state": "invalid", "origin": "own", "sha256": "", "why": str(fault)}]
        if store.version(connection, self.sort, one.name, one.version) is not None:
            return []
        return [{"name": one.name, "version": one.version, "state": "draft", "origin": "own", "sha256": one.sha256}]

    def _draft(self, desk: Desk, name: str) -> str:
        """The text of the file, or of the draft of that name at home, which must call itself so."""
        if name.endswith(".toml"):
            return _text_of(Path(name))
        if name in self.shelf.shipped():
            raise UsageError(f"{self._called} {name} comes with Consign", fix="give yours another name")
        self.shelf.find(name)
        return _text_of(desk.settings.home / self.shelf.folder / f"{name}.toml")

    def _row(self, connection: Connection, reference: str) -> Row[Any]:
        name, at, number = reference.partition(AT)
        if not at or not number:
            raise UsageError(f"{reference} names no version", fix=f"say which: `{name}{AT}2`")
        row = store.version(connection, self.sort, name, number)
        if row is None:
            raise self._no_version(name, number)
        return row

    def _no_version(self, name: str, number: str) -> UsageError:
        return UsageError(
            f"there is no version {number!r} of {self._called} {name}",
            fix=f"`{self.command} history {name}` lists them",
        )

    def _record(self, connection: Connection, desk: Desk, what: str, found: Rules) -> int:
        details = {"sha256": found.sha256, "version": found.version}
        subject = self._subject(found.name, found.version)
        return audit.record(connection, desk.actor, f"{self.sort}.{what}", subject, details, desk.now()).seq

    def _tell(self, connection: Connection, desk: Desk, what: str, row: Row[Any], **more: str) -> None:
        details = {"sha256": row.sha256, "version": row.version, **more}
        subject = self._subject(row.name, row.version)
        audit.record(connection, desk.actor, f"{self.sort}.{what}", subject, details, desk.now())

    def _subject(self, name: str, number: str) -> str:
        return f"{self.sort}:{name}{AT}{number}"

    @property
    def _called(self) -> str:
        return self.shelf.sort


def _text_of(file: Path) -> str:
    try:
        return file.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as broken:
        raise UsageError(f"{file} cannot be read: {type(broken).__name__}", fix="name a TOML file in UTF-8") from None
