"""Which rule packs there are, shipped and one's own at home/packs/<name>.toml, and which of them a lender goes by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from infra.wiring import desk
from models.conduct import packs
from models.conduct.zones import EU_COUNTRIES
from models.errors import ConfigurationError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from infra.store.conduct import Audited
    from models.conduct.packs import Pack

DEFAULT: Final = "cn"
OF_COUNTRY: Final = {"CN": "cn", "US": "us", "GB": "uk", "UK": "uk"} | dict.fromkeys(EU_COUNTRIES, "eu")


def names() -> list[str]:
    """Every pack there is."""
    return sorted({*packs.shipped(), *_own()})


def find(name: str) -> Pack:
    """The pack of that name. Raises UsageError where there is none, PackInvalid where it cannot be used.

    An own pack with a shipped one's name is refused: nobody could tell which of them a breach was found under.
    """
    own = _own().get(name)
    if own is None:
        if name not in packs.shipped():
            raise UsageError(f"there is no rule pack {name!r}", fix=f"there are {', '.join(names())}")
        return packs.load(name)
    if name in packs.shipped():
        raise ConfigurationError(f"{own} has the name of a pack that comes with Consign", fix="give it another name")
    pack = packs.Pack.parse(own.read_text(encoding="utf-8"))
    if pack.name != name:
        raise ConfigurationError(f"{own} calls itself {pack.name!r}", fix="give file and pack one name")
    return pack


def of(lender: Audited) -> tuple[Pack, ...]:
    """The packs that the lender's agencies are audited by: those that were set, else its country's, else `cn`."""
    return tuple(find(name) for name in lender.packs or (OF_COUNTRY.get(lender.country.upper(), DEFAULT),))


def _own() -> dict[str, Path]:
    folder = desk().settings.home / "packs"
    return {file.stem: file for file in sorted(folder.glob("*.toml"))}
