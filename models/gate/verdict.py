"""What the gate says of one package."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from models.gate.risk import Decision
    from models.gate.scanning import Hit


@dataclass(frozen=True)
class Verdict:
    """What was looked at and found; the package stays if any of it stops."""

    rows: int
    cells: int
    hits: tuple[Hit, ...]
    decision: Decision | None = None
    """of a package that a release policy speaks of, and that does not stay"""

    @property
    def stopping(self) -> tuple[Hit, ...]:
        """Why the package stays."""
        return tuple(hit for hit in self.hits if hit.stops)


def in_words(hit: Hit) -> str:
    """Column, kind and lines of a hit: `product: phone in line 3 and 4 more`."""
    what = hit.kind.replace("_", " ")
    if not any(hit.lines):
        return f"{hit.column}: {what}"
    more = hit.count - 1
    return f"{hit.column}: {what} in line {hit.lines[0]}" + (f" and {more} more" if more else "")
