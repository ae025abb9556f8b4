"""How much a package may tell about single lines: what a release policy says under `[risk]`."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from models.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

QUASI: Final = ("opened_on", "original", "balance", "dpd", "score_band", "region", "product")
"""Released facts that somebody may know of a debtor from elsewhere, in the order in which they are made coarser.

Amounts and days that leave to the cent and the day count as what is owed, not as what is known of a person: outside
the lender nobody knows them. `balance` and `dpd` are among these only where they leave as bands.
"""
SENSITIVE: Final = ("bucket", "product", "balance", "dpd")
"""Of which value a group of lines that look alike must hold different ones."""
_KEYS: Final = ("k", "l", "unique_share", "suppress", "quasi", "sensitive", "because")
_LARGEST: Final = 1_000


class LimitsInvalid(ConfigurationError):
    """What stands under `[risk]` makes no sense; the message names the key."""


@dataclass(frozen=True)
class Limits:
    """What holds of every package, or it is made coarser until it does; as they stand here, everything holds."""

    k: int = 1
    """lines that look alike in every quasi-identifier, at least"""
    l: int = 1  # noqa: E741 - l-diversity is called so
    """different sensitive values among them, at least"""
    unique_share: Decimal = Decimal(1)
    """of all lines: at most so many are alone in what they look like"""
    suppress: Decimal = Decimal("0.05")
    """of all lines: at most so many lose their quasi-identifiers before everybody's become coarser"""
    quasi: tuple[str, ...] = QUASI
    sensitive: str = "bucket"
    because: str = ""

    @property
    def enforced(self) -> bool:
        """Whether anything could be too much."""
        return self.k > 1 or self.l > 1 or self.unique_share < 1

    @property
    def told(self) -> dict[str, str | int]:
        """They as they are shown and recorded."""
        return {
            "k": self.k, "l": self.l, "unique_share": str(self.unique_share), "suppress": str(self.suppress),
            "sensitive": self.sensitive,
        }  # fmt: skip


def read(where: str, raw: Mapping[str, Any]) -> Limits:
    """The limits that a table of the policy file states. Raises LimitsInvalid."""
    if unknown := sorted(set(raw) - set(_KEYS)):
        raise LimitsInvalid(f"{where}: unknown {', '.join(unknown)}", fix=f"there are {', '.join(_KEYS)}")
    defaults = Limits()
    quasi = raw.get("quasi", list(QUASI))
    if not isinstance(quasi, list) or not quasi or len(set(map(str, quasi))) < len(quasi) or set(quasi) - {*QUASI}:
        raise LimitsInvalid(f"{where}: quasi must name some of {', '.join(QUASI)}, each once")
    sensitive = raw.get("sensitive", defaults.sensitive)
    if sensitive not in SENSITIVE:
        raise LimitsInvalid(f"{where}: sensitive must be one of {', '.join(SENSITIVE)}")
    return Limits(
        k=_whole(where, "k", raw.get("k", 1)),
        l=_whole(where, "l", raw.get("l", 1)),
        unique_share=_share(where, "unique_share", raw.get("unique_share", 1)),
        suppress=_share(where, "suppress", raw.get("suppress", defaults.suppress)),
        quasi=tuple(map(str, quasi)),
        sensitive=str(sensitive),
        because=str(raw.get("because", "")),
    )


def _whole(where: str, key: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= _LARGEST:
        raise LimitsInvalid(f"{where}: {key} must be a whole number from 1 to {_LARGEST}")
    return value


def _share(where: str, key: str, value: object) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal) or not 0 <= value <= 1:
        raise LimitsInvalid(f"{where}: {key} must be a share from 0 to 1")
    return Decimal(str(value))
