"""One term of a contract, read and judged: each reader gets the term's name and value, and raises ContractFault."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

from stdnum import iban as numbers

from models.calendar import Span, SpanFault
from models.contract.amounts import SCALE
from models.contract.errors import ContractFault

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

CNAPS = re.compile(r"[0-9]{12}")
BIC = re.compile(r"[A-Z0-9]{4}[A-Z]{2}[A-Z0-9]{2}(?:[A-Z0-9]{3})?")


def known_terms(where: str, terms: Mapping[str, object], known: Collection[str]) -> None:
    """Nothing. Raises ContractFault where there are terms that nobody knows."""
    if unknown := sorted(set(terms) - set(known)):
        raise ContractFault(
            f"unknown terms in {where}: {', '.join(unknown)}", fix=f"known are {', '.join(sorted(known))}"
        )


def rate(name: str, value: object) -> Decimal:
    """A share from 0 to 1, in whole millionths."""
    try:
        read = Decimal(value) if isinstance(value, (str, int, Decimal)) and not isinstance(value, bool) else None
    except InvalidOperation:
        read = None
    if read is None or not read.is_finite() or not 0 <= read <= 1 or read != read.quantize(Decimal(1) / SCALE):
        raise ContractFault(f"{name}: not a rate", fix='a share from 0 to 1 with up to six digits, as in "0.185"')
    return read


def whole(name: str, value: object) -> int:
    """A whole number from 0 up."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ContractFault(f"{name}: not a whole number from 0 up")
    return value


def text(name: str, value: object) -> str:
    """A text that says something."""
    if not isinstance(value, str) or not value.strip():
        raise ContractFault(f"{name}: not a text")
    return value


def texts(name: str, value: object) -> tuple[str, ...]:
    """Several of them."""
    if not isinstance(value, list):
        raise ContractFault(f"{name}: not a list of texts")
    return tuple(text(name, item) for item in value)


def flag(name: str, value: object) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise ContractFault(f"{name}: neither true nor false")
    return value


def one_of(*words: str) -> Callable[[str, object], str]:
    """A reader of one of these words."""

    def read(name: str, value: object) -> str:
        if value not in words:
            raise ContractFault(f"{name}: not one of {', '.join(words)}")
        return str(value)

    return read


def currency(name: str, value: object) -> str:
    """Three capitals."""
    if not isinstance(value, str) or len(value) != len("CNY") or not value.isalpha() or not value.isupper():
        raise ContractFault(f"{name}: not an ISO 4217 code")
    return value


def span(name: str, value: object) -> Span:
    """A span of time."""
    try:
        return Span.parse(text(name, value))
    except SpanFault as error:
        raise ContractFault(f"{name}: {error}", fix=error.fix) from None


def iban(name: str, value: object) -> str:
    """An IBAN, without blanks; its check digits are right."""
    compact = re.sub(r"\s", "", text(name, value)).upper()
    if not numbers.is_valid(compact):
        raise ContractFault(f"{name}: no IBAN: its check digits or its length are wrong", fix="copy it again")
    return compact


def shaped(pattern: re.Pattern[str], what: str) -> Callable[[str, object], str]:
    """A reader of text of that shape."""

    def read(name: str, value: object) -> str:
        if not pattern.fullmatch(text(name, value)):
            raise ContractFault(f"{name}: that is not {what}")
        return str(value)

    return read
