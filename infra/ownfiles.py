"""Rules that are TOML files: those that come with Consign, and an operator's own below home, each by its name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from infra.wiring import desk
from models.errors import ConfigurationError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path


class Named(Protocol):
    """What a file of rules becomes: it knows its own name."""

    @property
    def name(self) -> str:
        """The name that it gives itself."""


Rules = TypeVar("Rules", bound=Named)


@dataclass(frozen=True)
class Shelf(Generic[Rules]):
    """All the files of one sort."""

    folder: str
    """below home, where the operator's own lie"""
    sort: str
    """what one of them is called in full; and in short, as its last word"""
    shipped: Callable[[], Collection[str]]
    load: Callable[[str], Rules]
    parse: Callable[[str], Rules]

    def names(self) -> list[str]:
        """Every one there is."""
        return sorted({*self.shipped(), *self._own()})

    def find(self, name: str) -> Rules:
        """The one of that name. Raises UsageError where there is none, and what `load` and `parse` raise.

        An own one with a shipped one's name is refused: nobody could tell which of them was meant.
        """
        short = self.sort.split()[-1]
        own = self._own().get(name)
        if own is None:
            if name not in self.shipped():
                raise UsageError(f"there is no {self.sort} {name!r}", fix=f"there are {', '.join(self.names())}")
            return self.load(name)
        if name in self.shipped():
            message = f"{own} has the name of a {short} that comes with Consign"
            raise ConfigurationError(message, fix="give it another name")
        found = self.parse(own.read_text(encoding="utf-8"))
        if found.name != name:
            raise ConfigurationError(f"{own} calls itself {found.name!r}", fix=f"give file and {short} one name")
        return found

    def _own(self) -> dict[str, Path]:
        folder = desk().settings.home / self.folder
        return {file.stem: file for file in sorted(folder.glob("*.toml"))}
