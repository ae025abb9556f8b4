"""Which rule packs there are, shipped and one's own at home/packs/<name>.toml, and which of them a lender goes by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from infra.ownfiles import Shelf
from models.conduct import packs
from models.conduct.zones import EU_COUNTRIES

if TYPE_CHECKING:
    from infra.store.conduct import Audited
    from models.conduct.packs import Pack

DEFAULT: Final = "cn"
OF_COUNTRY: Final = {"CN": "cn", "US": "us", "GB": "uk", "UK": "uk"} | dict.fromkeys(EU_COUNTRIES, "eu")


SHELF: Final = Shelf("packs", "rule pack", packs.shipped, packs.load, packs.Pack.parse)


def names() -> list[str]:
    """Every pack there is."""
    return SHELF.names()


def find(name: str) -> Pack:
    """The pack of that name. Raises UsageError where there is none, PackInvalid where it cannot be used.

    An own pack with a shipped one's name is refused: nobody could tell which of them a breach was found under.
    """
    return SHELF.find(name)


def of(lender: Audited) -> tuple[Pack, ...]:
    """The packs that the lender's agencies are audited by: those that were set, else its country's, else `cn`."""
    return tuple(find(name) for name in lender.packs or (OF_COUNTRY.get(lender.country.upper(), DEFAULT),))
