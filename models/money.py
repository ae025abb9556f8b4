"""Integer minor units with the ISO 4217 exponent; `Decimal` for rates; no floats near money."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

EXPONENTS: Mapping[str, int] = MappingProxyType({
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    **dict.fromkeys(("CLF", "UYW"), 4),
})  # fmt: skip
"""Where the exponent is not 2 (ISO 4217, list one)."""


def exponent(currency: str) -> int:
    """Digits after the point: JPY 0, CNY 2, KWD 3."""
    return EXPONENTS.get(currency, 2)
