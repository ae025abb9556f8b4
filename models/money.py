"""Integer minor units with the ISO 4217 exponent; `Decimal` for rates; no floats near money."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_NO_DIGITS = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_THREE_DIGITS = "BHD IQD JOD KWD LYD OMR TND"
_FOUR_DIGITS = "CLF UYW"

EXPONENTS: Mapping[str, int] = MappingProxyType(
    {
        code: digits
        for codes, digits in ((_NO_DIGITS, 0), (_THREE_DIGITS, 3), (_FOUR_DIGITS, 4))
        for code in codes.split()
    }
)
"""Where the exponent is not 2 (ISO 4217, list one)."""


def exponent(currency: str) -> int:
    """Digits after the point: JPY 0, CNY 2, KWD 3."""
    return EXPONENTS.get(currency, 2)
