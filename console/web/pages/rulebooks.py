"""Rules that two people put in force, as their pages show them: strategies, and limits of instalment plans."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final, Generic, TypeVar

from fastapi import File, Response, UploadFile

from console.web.frames import told
from console.web.language import later
from infra.rulebooks import Versioned
from infra.wiring import seated_here
from models.errors import ConsignError, UsageError
from models.policy_file import NAME, VERSION
from models.stated import line_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from console.web.visits import Visit
    from infra.rulebooks import Book

Upload = Annotated[UploadFile | None, File()]
Again = Callable[[ConsignError], Response]
"""Makes a page once more, with what kept a person from what it asked for."""
Rules = TypeVar("Rules", bound=Versioned)
LARGEST_BYTES: Final = 1 << 18
"""No file of rules that a person reviews is longer."""
STATES: Final = {
    "in_force": (later("In force"), "good"),
    "proposed": (later("Proposed"), "warn"),
    "superseded": (later("Superseded"), "plain"),
    "withdrawn": (later("Withdrawn"), "bad"),
    "shipped": (later("comes with Consign"), "info"),
}
"""By state of a version: its word, and its colour."""


@dataclass(frozen=True)
class Shown(Generic[Rules]):
    """One version of rules, and what stands beside it."""

    rules: Rules
    text: str
    row: dict[str, Any] | None
    """as it was proposed; None: it comes with Consign"""
    versions: Sequence[dict[str, Any]]
    other: Rules | None
    """another version that it is compared with"""

    @property
    def reference(self) -> str:
        """The version's own path below its list."""
        return f"{self.rules.name}/{self.rules.version}"

    @property
    def state(self) -> str:
        """One of STATES."""
        return "shipped" if self.row is None else str(self.row["state"])

    @property
    def others(self) -> list[tuple[str, str]]:
        """Versions to compare with."""
        return [(one["version"], one["version"]) for one in self.versions if one["version"] != self.rules.version]


@dataclass(frozen=True)
class Refused:
    """A text that somebody put up and that was refused, with the line that the fault means."""

    lines: Sequence[str]
    line: int | None
    problem: ConsignError

    @property
    def around(self) -> list[tuple[int, str]]:
        """The faulty line with those around it, each with its number; the beginning where no line is known."""
        at = (self.line or 1) - 1
        first = max(0, at - 4)
        return list(enumerate(self.lines[first : at + 5], first + 1))


def shown(visit: Visit, book: Book[Rules], name: str, version: str = "", against: str = "") -> Shown[Rules]:
    """The version of the name, or the one that counts, else the newest. Raises UsageError, RulesAltered."""
    for word, form in ((name, NAME), (version or "1", VERSION), (against or "1", VERSION)):
        if not form.fullmatch(word):
            raise UsageError("that is no name of rules, or no version", fix="choose one of the list")
    with seated_here(visit.desk):
        versions = [told(row) for row in book.history(visit.desk, name)]
        if not version and versions and not any(row["state"] == "in_force" for row in versions):
            version = versions[0]["version"]
        with visit.desk.database.read() as connection:
            rules = book.version(connection, name, version) if version else book.find(connection, name)
            other = book.version(connection, name, against) if against else None
            text = book.text(connection, name, rules.version)
    row = next((one for one in versions if one["version"] == rules.version), None)
    return Shown(rules, text, row, versions, other)


def given(visit: Visit, file: UploadFile | None, pasted: str) -> str:
    """The text that a form puts up: of the file, or what was typed. Raises UsageError."""
    if file is None or not file.filename:
        if not pasted.strip():
            raise UsageError(visit.say("Choose a file, or write the rules."), fix=visit.say("A TOML file in UTF-8."))
        content = pasted.replace("\r\n", "\n").encode()
    else:
        content = file.file.read(LARGEST_BYTES + 1)
    if len(content) > LARGEST_BYTES:
        raise UsageError(visit.say("The rules are too long."), fix=visit.say("Up to 256 KiB."))
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise UsageError(visit.say("The file is no text in UTF-8."), fix=visit.say("Save it as UTF-8.")) from None


def refused(text: str, problem: ConsignError) -> Refused:
    """What a page shows of a text that was refused."""
    return Refused(text.splitlines(), line_of(text, str(problem)) if text else None, problem)


def approve(visit: Visit, book: Book[Any], name: str, version: str, path: str, again: Again) -> Response:
    """The proposed version is in force. path: where its book is; again: the version's page, with why not."""
    return done(
        visit, lambda: book.approve(visit.desk, f"{name}@{version}"), again, f"{path}/{name}",
        visit.say("In force from now on."),
    )  # fmt: skip


def withdraw(visit: Visit, book: Book[Any], name: str, version: str, reason: str, path: str, again: Again) -> Response:
    """The version counts no more, or the proposal is taken back."""
    return done(
        visit, lambda: book.withdraw(visit.desk, f"{name}@{version}", reason), again, path, visit.say("Withdrawn.")
    )


def done(visit: Visit, act: Callable[[], object], again: Again, path: str, said: str) -> Response:
    """On to the path, where it is said that the act is done; or again the page, with what kept it from being done."""
    try:
        with seated_here(visit.desk):
            act()
    except ConsignError as problem:
        return again(problem)
    return visit.go(path, said)
